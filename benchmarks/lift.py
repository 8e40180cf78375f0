"""Does training with synthetic records help, on fresh splits of any source that a recipe reads.

    python -m benchmarks.lift                                     scikit-learn's breast cancer table
    python -m benchmarks.lift --data table.parquet --label income --thin ">50K=0.05"
    python -m benchmarks.lift --data images.parquet --label digit --rows 1000 --splits 0 1 2

For each split the rows are cut at random into a training part and a holdout; `--rows` keeps so many
of the former, `--thin` so large a share of a class there, while the holdout stays as it is. The
generator trains as users train it. `--set training.budget_samples=100000` changes the recipe, and
`--set synthesis.labels=teacher` has a teacher say what synthetic rows are. A result is one line of
JSON; all of them are stored with `--store NAME`.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import yaml

from benchmarks.against_ctgan import breast_cancer
from benchmarks.timing import RESULTS, machine
from flows.recipe import Recipe
from flows.teacher import can_teach, picks_of, record_kind, teacher_of
from flows.train import fit_and_resolve
from gan.config import ResolvedConfig
from gan.lift.config import LiftConfig
from gan.lift.measure import LiftRequest, measure_lift
from gan.lift.result import Effect, Lift
from gan.lift.task import Made, Make
from gan.modalities import Splits, load_modality
from gan.protocols import Hooks
from gan.sample import Sampler
from gan.teacher import Labeller, Teacher, soft_labels
from gan.training.loop import train
from storage.lake.plan import plan_teacher
from storage.records.schema import ClassCounts
from storage.sources.prepare import prepare
from storage.sources.prepared import Prepared

HOLDOUT = 0.3
SPLITS = (0, 1, 2)
SYNTHESIS_SEED = 77


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One source and how it is measured."""

    table: pa.Table
    label: str
    thin: Mapping[str, float] = field(default_factory=dict)
    """Class, as text, → share of its training rows that stay."""
    rows: int | None = None
    """Most training rows, before thinning."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the recipe, by dotted name."""
    lift: LiftConfig = field(default_factory=LiftConfig)
    thorough: bool = False


def cut(trial: Trial, split: int) -> tuple[pa.Table, pa.Table]:
    """Return the training part, thinned, and the holdout of a split."""
    order = np.random.default_rng(split).permutation(trial.table.num_rows)
    start = round(HOLDOUT * len(order))
    chosen = order[start:][: trial.rows]
    labels = pc.cast(trial.table[trial.label], pa.string()).to_pylist()
    seen: dict[str, int] = {}
    of_class = {name: sum(labels[row] == name for row in chosen) for name in trial.thin}
    kept = []
    for row in chosen.tolist():
        name = labels[row]
        seen[name] = seen.get(name, 0) + 1
        if name not in trial.thin or seen[name] <= round(trial.thin[name] * of_class[name]):
            kept.append(row)
    holdout = np.sort(order[:start])
    return trial.table.take(pa.array(np.sort(kept))), trial.table.take(pa.array(holdout))


def recipe_of(trial: Trial, split: int, folder: Path) -> Recipe:
    """Write both parts of a split and return the recipe that reads them."""
    paths = folder / "train.parquet", folder / "holdout.parquet"
    for path, part in zip(paths, cut(trial, split), strict=True):
        pq.write_table(part, path)
    raw: dict[str, Any] = {
        "name": "lift",
        "source": {
            "uri": str(paths[0]),
            "label": trial.label,
            "split": {"holdout_uri": str(paths[1])},
        },
        "training": {"device": "cpu"},
        "seed": split,
    }
    for name, value in trial.settings.items():
        place = raw
        *sections, last = name.split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return Recipe.model_validate(raw)


def train_generator(recipe: Recipe, prepared: Prepared, folder: Path) -> Sampler:
    """Train as the recipe says and return the sampler."""
    modality, records = load_modality(prepared.modality), prepared.records
    codec, resolved = fit_and_resolve(recipe, prepared)
    assess = modality.build_assess(
        records["train"], records["validation"], label=prepared.label, seed=recipe.seed
    )
    config = ResolvedConfig.model_validate(resolved.model_dump())
    hooks = Hooks(assess=assess)
    result = train(config, codec, records["train"], folder, hooks=hooks, device="cpu")
    return Sampler.load(result.snapshot)


def labeller_with(teacher: Teacher, recipe: Recipe, prepared: Prepared) -> Labeller | None:
    """Return what labels synthetic records as the recipe asks; None where the generator does."""
    synthesis = recipe.synthesis.model_copy(update={"balance": "real"})
    planned = plan_teacher(synthesis, record_kind(prepared))
    if planned is None:
        return None
    return Labeller(
        teacher=teacher,
        columns=planned.columns,
        relabels=planned.relabels,
        seed=SYNTHESIS_SEED,
        picks=picks_of(recipe, prepared),
    )


def maker(
    sampler: Sampler, counts: ClassCounts, labeller: Labeller | None, classes: Sequence[str]
) -> Make:
    """Return what makes records, of every class its share where only their number is given.

    Each request has a stream of its own.
    """
    total, asked = sum(count for _, count in counts), iter(range(10_000))

    def make(wanted: ClassCounts | int) -> Made:
        if labeller is not None:
            index, drawn = next(asked), labeller.draws(wanted)
            records = sampler.records(drawn, seed=SYNTHESIS_SEED, index=index)
            return Made(*labeller.taught(records, wanted, index, classes))
        if isinstance(wanted, int) and counts:
            ends = np.cumsum([count for _, count in counts]) * wanted // total
            each = np.diff(ends, prepend=0).tolist()
            wanted = tuple((value, n) for (value, _), n in zip(counts, each, strict=True) if n)
        return Made(sampler.records(wanted, seed=SYNTHESIS_SEED, index=next(asked)))

    return make


class Trained(NamedTuple):
    """A generator of one split."""

    recipe: Recipe
    prepared: Prepared
    sampler: Sampler
    cpu_s: float


def trained(trial: Trial, split: int, folder: Path) -> Trained:
    """Prepare a split and train its generator as users train it."""
    recipe = recipe_of(trial, split, folder)
    prepared = prepare(
        recipe.source, folder=folder / "prepared", min_group=recipe.privacy.min_group
    )
    started_s = process_time()
    sampler = train_generator(recipe, prepared, folder / "work")
    return Trained(recipe, prepared, sampler, process_time() - started_s)


def measure(trial: Trial, split: int) -> tuple[Lift, dict[str, Any]]:
    """Return the lift of one split, and what it took."""
    with tempfile.TemporaryDirectory() as text:
        recipe, prepared, sampler, trained_s = trained(trial, split, Path(text))
        modality = load_modality(prepared.modality)
        splits = Splits(**prepared.records, label=prepared.label)
        task = modality.build_task(splits, seed=recipe.seed)
        if task is None:
            msg = f"nothing can be predicted from {trial.label!r}: name another label"
            raise SystemExit(msg)
        labels = recipe.synthesis.labels
        asked = can_teach(recipe, prepared) and (trial.thorough or labels == "teacher")
        teacher = teacher_of(prepared, splits.train, recipe.seed) if asked else None
        request = LiftRequest(
            config=trial.lift,
            seed=recipe.seed,
            label=prepared.label,
            thorough=trial.thorough,
            labels=labels,
            has_teacher=teacher is not None,
            picks=picks_of(recipe, prepared),
        )
        labeller = None if teacher is None else labeller_with(teacher, recipe, prepared)
        made = maker(sampler, prepared.class_counts["train"], labeller, task.classes)
        teach = None if teacher is None else partial(soft_labels, teacher, classes=task.classes)
        lift = measure_lift(task, splits.train, made, request, teach=teach)
    cost = {"split": split, "train_rows": prepared.rows["train"], "training_cpu_s": trained_s}
    return lift, cost


def row_of(lift: Lift, cost: Mapping[str, Any]) -> dict[str, Any]:
    """Return one line of numbers."""
    row: dict[str, Any] = {**cost, "answer": lift.answer, "lift_cpu_s": lift.cpu_s}
    row |= _effect_row("synthetic", lift.effect) | _effect_row("free", lift.remedy)
    row["validation"] = {
        f"{arm.model}: {arm.name}": round(arm.validation[lift.effect.metric].value, 4)
        for arm in lift.arms
        if lift.effect is not None
    }
    row["per_class"] = [(name, round(was, 3), round(now, 3)) for name, was, now in lift.per_class]
    return row | {"text": lift.text, "notes": list(lift.notes)}


def _effect_row(name: str, effect: Effect | None) -> dict[str, Any]:
    if effect is None:
        return {}
    return {
        "model": effect.model,
        "metric": effect.metric,
        "baseline": round(effect.baseline, 4),
        name: effect.arm,
        f"{name}_value": round(effect.value, 4),
        f"{name}_effect": [round(one, 4) for one in effect.effect],
        f"{name}_detectable": round(effect.detectable, 4),
    }


def tiny(_: Path) -> dict[str, Any]:
    """Train one generator for a moment, and one model twice per arm."""
    trial = Trial(
        table=breast_cancer(),
        label="diagnosis",
        settings={"training.budget_samples": 1_000},
        lift=LiftConfig(seeds=2, models=("linear",)),
    )
    return row_of(*measure(trial, 0))


def main(words: Sequence[str] | None = None) -> int:
    """Measure every split, print, store where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a Parquet file")
    parser.add_argument("--label", default="diagnosis", help="the column that is predicted")
    parser.add_argument("--splits", type=int, nargs="*", default=SPLITS)
    parser.add_argument("--thin", nargs="*", default=(), metavar="CLASS=SHARE")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--set", nargs="*", default=(), metavar="SETTING=VALUE", dest="settings")
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--store", metavar="NAME", help="into results/lift-NAME.json")
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    trial = Trial(
        table=pq.read_table(given.data) if given.data else breast_cancer(),
        label=given.label,
        thin={name: float(share) for name, share in _pairs(given.thin)},
        rows=given.rows,
        settings={name: yaml.safe_load(value) for name, value in _pairs(given.settings)},
        lift=LiftConfig(seeds=given.seeds, models=tuple(given.models or ()) or "auto"),
        thorough=given.thorough,
    )
    rows = []
    for split in given.splits:
        rows.append(row_of(*measure(trial, split)))
        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    for name in ("synthetic", "free"):
        found = [row[f"{name}_effect"][0] for row in rows if f"{name}_effect" in row]
        if found:
            print(f"{name}: {statistics.fmean(found):+.4f} mean over {len(found)} splits")
    if given.store:
        page = {
            "benchmark": f"lift, {given.store}: {trial.table.num_rows} records",
            "machine": machine(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "results": rows,
        }
        text = json.dumps(page, indent=2, ensure_ascii=False)
        (RESULTS / f"lift-{given.store}.json").write_text(f"{text}\n")
    return 0


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return names and values; a value is what follows the last `=`."""
    return [(name, value) for name, _, value in (word.rpartition("=") for word in words)]


if __name__ == "__main__":
    raise SystemExit(main())
