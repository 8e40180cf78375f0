"""Rows under conditions against the real holdout rows that meet them.

    python -m benchmarks.table_conditions TABLE LABEL --seconds 60

TABLE is a source of rows, such as a CSV or Parquet file. Half of it is held out. Three conditions
on one column each, a pair, and a range on the numeric column of most codes are chosen from the
training rows. For each, as many rows are synthesized as the holdout has of that kind. Printed are
the mean 2-way error, divided by that of real training rows of that kind in equal number, and the
area under the curve of trees that tell real from synthetic rows out of fold (C2ST): .5 is ideal.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.config import GeneratorConfig, TrainingConfig
from gan.metrics.auc import auc
from gan.metrics.marginals import mean_pair_error, one_hot, pair_counts, pair_errors
from gan.metrics.trees import out_of_fold_scores
from gan.modalities import load_modality
from gan.protocols import Hooks
from gan.randomness import numpy_stream
from gan.sample import Sampler
from gan.tables.codec import TableCodec
from gan.tables.columns.values import require_metadata
from gan.tables.evaluation.columns import JudgedColumn, judged_columns
from gan.tables.evaluation.errors import Codes
from gan.tables.evaluation.usefulness import Features, fit_features
from gan.tables.judge import build_assess
from gan.training.loop import train
from storage.records.schema import Condition
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.sources.split import SplitConfig

BINS = 20
MOST_ROWS = 6_000
"""Rows of either side of a comparison."""
LEAST_SHARE = 0.02
WANTED_SHARE = 0.3
RANGE = (0.6, 0.8)
"""Quantiles of train between which the range lies."""

Array = np.ndarray[Any, Any]


class Ruler(NamedTuple):
    """What rows are compared with."""

    codes: Codes
    features: Features


def read(uri: str, label: str | None, folder: Path) -> dict[str, pa.Table]:
    """Return train, validation and holdout of a source."""
    split = SplitConfig(validation=0.05, holdout=0.5)
    config = SourceConfig(uri=uri, label=label, modality="tables", split=split)
    return dict(prepare(config, folder=folder, min_group=10).records)


def fit(records: dict[str, pa.Table], label: str | None, seconds: float, seed: int) -> Sampler:
    """Train the default generator as it is shipped."""
    module = load_modality("tables")
    codec = module.codec.fit(records["train"], label)
    config = module.resolve(
        GeneratorConfig(),
        TrainingConfig(budget_samples=None, budget_s=seconds, device="cpu"),
        codec,
        train_rows=records["train"].num_rows,
        seed=seed,
    )
    assess = build_assess(records["train"], records["validation"], label=label, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        hooks = Hooks(assess=assess)
        result = train(config, codec, records["train"], Path(folder), hooks=hooks, device="cpu")
        return Sampler.load(result.snapshot)


def choose(rows: pa.Table, sampler: Sampler, columns: Sequence[JudgedColumn]) -> dict[str, Any]:
    """Return a name for each set of conditions, and the conditions."""
    codec = sampler.snapshot.codec
    label = codec.label if codec.classes else None
    looked = [_level(rows, column.name) for column in columns if column.form == "levels"]
    levels = [each for each in looked if each is not None]
    levels.sort(key=lambda each: (each[0].column != label, abs(each[1] - WANTED_SHARE)))
    singles = [given for given, _ in levels[:3]]
    found: dict[str, Any] = {f"{g.column} is {g.values[0]}": (g,) for g in singles}
    if len(singles) > 1:
        found[" and ".join(f"{g.column} is {g.values[0]}" for g in singles[:2])] = singles[:2]
    if isinstance(codec, TableCodec):
        numbers = [each for each in codec.columns if each.kind == "numeric"]
        widest = max(numbers, key=lambda each: each.codes)
        low, high = np.quantile(rows[widest.name].drop_null().to_numpy(), RANGE)
        given = Condition(column=widest.name, low=f"{low:g}", high=f"{high:g}")
        found[f"{widest.name} from {low:g} to {high:g}"] = (given,)
    return found


def _level(rows: pa.Table, name: str) -> tuple[Condition, float] | None:
    """Return the level of a column whose share is nearest to what is wanted, and its share."""
    counts = pc.value_counts(rows[name].drop_null()).to_pylist()
    shares = [(each["values"], each["counts"] / len(rows)) for each in counts]
    fitting = [each for each in shares if each[1] >= LEAST_SHARE]
    if len(counts) < 2 or not fitting:
        return None
    value, share = min(fitting, key=lambda each: abs(each[1] - WANTED_SHARE))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return Condition(column=name, values=(text,)), share


def meeting(rows: pa.Table, conditions: Sequence[Condition]) -> pa.Table:
    """Return the rows that meet all conditions."""
    keep = np.ones(len(rows), dtype=bool)
    for given in conditions:
        column = rows[given.column]
        if given.values:
            texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in column.to_pylist()]
            keep &= np.isin(texts, given.values)
        else:
            values = column.cast(pa.float64()).to_numpy()
            keep &= (values >= float(given.low or 0)) & (values <= float(given.high or 0))

    return rows.filter(pa.array(keep))


def compare(ruler: Ruler, reals: pa.Table, fakes: pa.Table) -> tuple[float, float]:
    """Return the mean 2-way error and the C2ST of fakes against reals."""
    sizes = ruler.codes.sizes
    shares = [pair_counts(one_hot(ruler.codes.of(x), sizes)) / len(x) for x in (reals, fakes)]
    features = ruler.features
    scores = out_of_fold_scores(
        features.of(reals), features.of(fakes), features.is_levels, numpy_stream(0, "c2st")
    )
    error = mean_pair_error(pair_errors(shares[0], shares[1], sizes))
    return error, auc(scores.fakes_M, scores.reals_N)


def measure(
    records: dict[str, pa.Table], sampler: Sampler, ruler: Ruler, conditions: Sequence[Condition]
) -> dict[str, float | int]:
    """Return how rows under conditions compare with real ones."""
    real = meeting(records["holdout"], conditions)
    other = meeting(records["train"], conditions)
    rows = min(len(real), len(other), MOST_ROWS)
    real, other = real.slice(0, rows), other.slice(0, rows)
    fakes = sampler.records(rows, seed=1, index=0, given=conditions)
    met = len(meeting(fakes, conditions))
    error, told = compare(ruler, real, fakes)
    ceiling, told_real = compare(ruler, real, other)
    return {
        "rows": rows,
        "met": met,
        "two_way": round(error, 4),
        "two_way_to_ceiling": round(error / ceiling, 2),
        "c2st": round(told, 3),
        "c2st_of_real_rows": round(told_real, 3),
    }


def tiny(folder: Path) -> list[dict[str, Any]]:
    """Train for a second."""
    records = read("example:breast-cancer", "diagnosis", folder)
    sampler = fit(records, "diagnosis", 1.0, 0)
    return list(measure_all(records, sampler, "diagnosis"))


def measure_all(
    records: dict[str, pa.Table], sampler: Sampler, label: str | None
) -> Iterator[dict[str, Any]]:
    """Yield the numbers of every set of conditions."""
    train_rows = records["train"]
    columns = judged_columns(require_metadata(train_rows.schema), train_rows, label)
    ruler = Ruler(Codes(train_rows, columns, BINS, MOST_ROWS), fit_features(train_rows, columns))
    for name, conditions in choose(train_rows, sampler, columns).items():
        yield {"given": name, **measure(records, sampler, ruler, conditions)}


def main() -> int:
    """Print one JSON line per set of conditions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("label", nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        records = read(given.uri, given.label, Path(folder))
        started_s = process_time()
        sampler = fit(records, given.label, given.seconds, given.seed)
        print(json.dumps({"cpu_s": round(process_time() - started_s, 1)}), flush=True)
        for found in measure_all(records, sampler, given.label):
            print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
