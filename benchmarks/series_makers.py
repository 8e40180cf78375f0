"""Who makes series, each in a process of its own on one thread: ours, and two peers.

    python -m benchmarks.series_makers doppelganger recipe.json made.parquet --rows 800 --cpu-s 180

Writes nested records and prints one line of JSON: processor seconds of training and sampling. Peers
get what a user would give them: numbers, categories, static columns as context. Neither makes the
moments at which entities begin, and PAR no static columns: these are of random training entities.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.doppelganger import Blocks, Clock, DoppelGANger, train_doppelganger
from flows.recipe import Recipe
from flows.train import fit_and_resolve
from gan.protocols import Hooks
from gan.sample import Sampler
from gan.series.judge import build_assess
from gan.training.loop import train
from storage.records.series import (
    SeriesMetadata,
    lengths_of,
    read_series_metadata,
    steps_of,
    to_long,
    to_nested,
)
from storage.sources.prepare import prepare
from storage.sources.prepared import Prepared

MOST_EPOCHS: Final = 128
"""Of PAR: its default."""


def prepared_for(recipe: Recipe, folder: Path) -> Prepared:
    """Return the records of a recipe."""
    return prepare(recipe.source, folder=folder, min_group=recipe.privacy.min_group)


def of_ours(prepared: Prepared, recipe: Recipe, rows: int, cpu_s: float) -> pa.Table:
    """Return what the preset of the recipe makes."""
    training = recipe.training.model_copy(update={"budget_cpu_s": cpu_s})
    recipe = recipe.model_copy(update={"training": training})
    codec, config = fit_and_resolve(recipe, prepared)
    real = prepared.records
    assess = build_assess(real["train"], real["validation"], label=prepared.label, seed=recipe.seed)
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            config, codec, real["train"], Path(folder), hooks=Hooks(assess=assess), device="cpu"
        )
        sampler = Sampler.load(result.snapshot)
    counts = prepared.class_counts["train"]
    total = sum(count for _, count in counts)
    wanted = tuple((value, round(rows * count / total)) for value, count in counts) or rows
    return sampler.records(wanted, seed=recipe.seed, index=0)


def _metadata(real: pa.Table) -> SeriesMetadata:
    found = read_series_metadata(real.schema)
    if found is None:
        msg = "the records do not say what their columns mean"
        raise ValueError(msg)
    return found


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def of_par(prepared: Prepared, recipe: Recipe, rows: int, cpu_s: float) -> pa.Table:
    """Return what PAR of SDV makes, in as many epochs as the time allows, of 128 at most."""
    from deepecho import PARModel

    real = prepared.records["train"]
    metadata = _metadata(real)
    frame = to_long(real, metadata).to_pandas()
    key, time = metadata.entity.name, metadata.time.name
    statics = [each.name for each in metadata.statics]
    kinds = {
        name: "continuous" if pd.api.types.is_numeric_dtype(frame[name]) else "categorical"
        for name in frame.columns
        if name not in (key, time)
    }

    def fitted(epochs: int) -> Any:
        model = PARModel(epochs=epochs, cuda=False, verbose=False)
        model.fit(
            frame,
            entity_columns=[key],
            context_columns=statics,
            data_types=kinds,
            sequence_index=time,
        )
        return model

    numbers = np.random.default_rng(recipe.seed)
    chosen = numbers.integers(real.num_rows, size=rows)
    context = real.select(statics).take(pa.array(chosen)).to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started_s = process_time()
        fitted(1)
        spent_s = process_time() - started_s
        epochs = int(min(max(cpu_s / spent_s, 1), MOST_EPOCHS))
        made = fitted(epochs).sample(context=context if statics else None, num_entities=rows)
    groups = [group for _, group in made.groupby(key, sort=False)]
    return _nested(
        real,
        [len(each) for each in groups],
        chosen[: len(groups)],
        {each.name: np.concatenate([g[each.name] for g in groups]) for each in metadata.variables},
        {name: [g[name].iloc[0] for g in groups] for name in statics},
    )


def of_doppelganger(prepared: Prepared, recipe: Recipe, rows: int, cpu_s: float) -> pa.Table:
    """Return what DoppelGANger makes; see `benchmarks.doppelganger`."""
    real = prepared.records["train"]
    form = _Vectors(real)
    torch.default_generator.manual_seed(recipe.seed)  # its layers are drawn from the global one
    model = DoppelGANger(form.static, form.ranges, form.step, form.length)
    train_doppelganger(model, form.known_NA, form.steps_NLQ, recipe.seed, Clock(cpu_s))
    with torch.no_grad():
        known_NA, steps_NLQ = model(rows, torch.Generator().manual_seed(recipe.seed + 1))
    return form.records(known_NA.numpy(), steps_NLQ.numpy(), recipe.seed)


class _Vectors:
    """Entities as DoppelGANger takes them, and back."""

    def __init__(self, real: pa.Table) -> None:
        self.real, self.metadata = real, _metadata(real)
        self.lengths_N = lengths_of(real, self.metadata)
        self.length = int(self.lengths_N.max())
        N, L = len(self.lengths_N), self.length
        self.inside_NL = np.arange(L) < self.lengths_N[:, None]
        self.levels: dict[str, list[Any]] = {}
        self.span: dict[str, tuple[float, float]] = {}
        statics, sizes = [], []
        for each in self.metadata.statics:
            codes_N = self._codes(each.name, real[each.name])
            statics.append(np.eye(len(self.levels[each.name]))[codes_N])
            sizes.append(len(self.levels[each.name]))
        self.static = Blocks((*sizes, *(() if sizes else (1,))))
        statics = statics or [np.ones((N, 1))]
        steps, ranges, kinds = [], [], []
        columns = steps_of(real, self.metadata)
        for each in self.metadata.variables:
            values = columns[each.name]
            if _is_number(values.type):
                values_NL = np.zeros((N, L))
                values_NL[self.inside_NL] = np.nan_to_num(values.to_numpy().astype(np.float64))
                scaled_NL, ends_N2 = self._scaled(each.name, values_NL)
                steps.append(scaled_NL[..., None])
                ranges.append(ends_N2)
                kinds.append(0)
            else:
                codes_NL = np.zeros((N, L), dtype=np.int64)
                codes_NL[self.inside_NL] = self._codes(each.name, values)
                steps.append(np.eye(len(self.levels[each.name]))[codes_NL])
                kinds.append(len(self.levels[each.name]))
        ends_NL = np.arange(L) == self.lengths_N[:, None] - 1
        steps.append(np.stack([~ends_NL, ends_NL], axis=-1))
        self.step = Blocks((*kinds, 2))
        self.ranges = Blocks((0,) * max(2 * len(ranges), 1))
        ranges = ranges or [np.zeros((N, 1))]
        inside = self.inside_NL[..., None]
        self.steps_NLQ = torch.from_numpy(np.concatenate(steps, axis=-1) * inside).float()
        self.known_NA = torch.from_numpy(np.concatenate([*statics, *ranges], axis=1)).float()

    def _codes(self, name: str, values: Any) -> Any:
        encoded = pa.chunked_array([values] if isinstance(values, pa.Array) else values.chunks)
        encoded = encoded.combine_chunks().cast(pa.string()).fill_null("").dictionary_encode()
        self.levels[name] = encoded.dictionary.to_pylist()
        return encoded.indices.to_numpy()

    def _scaled(self, name: str, values_NL: Any) -> tuple[Any, Any]:
        """Return numbers by the middle and half range of each entity, and these by the set's."""
        masked = np.ma.masked_array(values_NL, ~self.inside_NL)
        low_N, high_N = masked.min(1).data, masked.max(1).data
        low, high = float(low_N.min()), float(high_N.max())
        self.span[name] = low, max(high - low, 1e-9)
        half_N, middle_N = (high_N - low_N) / 2, (high_N + low_N) / 2
        scaled_NL = (values_NL - middle_N[:, None]) / np.maximum(half_N, 1e-9)[:, None]
        ends_N2 = np.stack([middle_N - low, half_N * 2], axis=1) / self.span[name][1] * 2 - 1
        return scaled_NL, ends_N2

    def records(self, known_NA: Any, steps_NLQ: Any, seed: int) -> pa.Table:
        """Return records of what was made."""
        flag = steps_NLQ[..., -1] > steps_NLQ[..., -2]
        lengths_N = np.where(flag.any(1), flag.argmax(1) + 1, self.length)
        inside_NL = np.arange(self.length) < lengths_N[:, None]
        statics, at = {}, 0
        for each in self.metadata.statics:
            size = len(self.levels[each.name])
            codes_N = known_NA[:, at : at + size].argmax(1)
            statics[each.name] = [self.levels[each.name][code] for code in codes_N]
            at += size
        at, columns, place = self.static.total, {}, 0
        for each, size in zip(self.metadata.variables, self.step.sizes, strict=False):
            part = steps_NLQ[..., place : place + max(size, 1)]
            place += max(size, 1)
            if size:
                levels = np.array(self.levels[each.name], dtype=object)
                columns[each.name] = levels[part.argmax(-1)[inside_NL]]
                continue
            low, span = self.span[each.name]
            middle_N, whole_N = ((known_NA[:, at + i] + 1) / 2 * span for i in range(2))
            at += 2
            values_NL = low + middle_N[:, None] + part[..., 0] * whole_N[:, None] / 2
            columns[each.name] = values_NL[inside_NL]
        chosen = np.random.default_rng(seed).integers(self.real.num_rows, size=len(lengths_N))
        return _nested(self.real, lengths_N, chosen, columns, statics)


def _nested(
    real: pa.Table, lengths: Any, chosen: Any, columns: dict[str, Any], statics: dict[str, Any]
) -> pa.Table:
    """Return nested records as the real ones; they begin when the chosen real entities do."""
    metadata = _metadata(real)
    lengths_N = np.asarray(lengths)
    moments = []
    usual = max(real[metadata.time.name].to_pylist(), key=len)
    step = usual[1] - usual[0]
    for row, length in zip(chosen.tolist(), lengths_N.tolist(), strict=True):
        first = real[metadata.time.name][row][0].as_py()
        moments += [first + place * step for place in range(length)]
    kinds = {f.name: f.type for f in real.schema}
    keys = pa.array(np.arange(len(lengths_N))).cast(pa.string())
    entities = {metadata.entity.name: keys.cast(kinds[metadata.entity.name])}
    for each in metadata.statics:
        entities[each.name] = pa.array(list(statics[each.name])).cast(kinds[each.name])
    found = {metadata.time.name: pa.array(moments)}
    for each in metadata.variables:
        kind = kinds[each.name].value_type
        values = columns[each.name]
        if _is_number(kind):
            decimals = _decimals(steps_of(real, metadata)[each.name])
            numbers = np.nan_to_num(np.asarray(values, dtype=np.float64)).round(decimals)
            found[each.name] = pa.array(numbers).cast(kind, safe=False)
        else:
            found[each.name] = pa.array([str(v) for v in values]).cast(kind)
    nested = to_nested(pa.table(entities), pa.table(found), lengths_N, metadata)
    arrays = [nested[f.name].cast(f.type) for f in real.schema]
    return pa.Table.from_arrays(arrays, schema=real.schema)


def _decimals(values: Any) -> int:
    """Return the decimals that real values have, 0 of whole numbers."""
    if pa.types.is_integer(values.type):
        return 0
    some = np.asarray(values.drop_null().to_numpy()[:2_000], dtype=np.float64)
    return next((d for d in range(9) if np.allclose(some, some.round(d), atol=1e-9)), 9)


MAKERS: dict[str, Callable[[Prepared, Recipe, int, float], pa.Table]] = {
    "ours": of_ours,
    "timegan": of_ours,
    "doppelganger": of_doppelganger,
    "par": of_par,
}
"""Name → what makes so many entities in so many processor seconds of training."""


SHOPS: Final = {"uri": "example:shops", "entity": "item", "time": "date", "label": "shop"}
"""The made-up panel on which it is shown that this runs."""


def tiny(folder: Path) -> dict[str, Any]:
    """Let DoppelGANger train for a moment on made-up shops."""
    recipe = Recipe.model_validate({"name": "tiny", "source": SHOPS})
    prepared = prepared_for(recipe, folder / "prepared")
    return {"entities": of_doppelganger(prepared, recipe, 12, 0.2).num_rows}


def main() -> int:
    """Make entities, write them, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maker", choices=MAKERS)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--cpu-s", type=float, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe.model_validate_json(given.recipe.read_text())
    if given.maker == "timegan":
        generator = recipe.generator.model_copy(update={"preset": "timegan"})
        recipe = recipe.model_copy(update={"generator": generator})
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepared_for(recipe, Path(folder))
        started_s = process_time()
        made = MAKERS[given.maker](prepared, recipe, given.rows, given.cpu_s)
    pq.write_table(made, given.made)
    print(json.dumps({"cpu_s": round(process_time() - started_s, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
