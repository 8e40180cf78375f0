"""Every generator of images by name, on equal processor budgets, before one evaluator.

    python -m benchmarks.gans IMAGES.parquet --label digit --budget-cpu-s 60 --store NAME
    python -m benchmarks.gans IMAGES.parquet --presets mixture dcgan --seeds 0 1 2
    python -m benchmarks.gans IMAGES.parquet --label digit --store NAME --seeds 1 2 --best 5
    python -m benchmarks.gans_page

The images are read and split once, as a recipe splits them, and the judge learns them once: every
preset and seed trains on the same train, has its snapshot chosen on the same validation by the same
nets, and is measured on the same holdout. Each trains on one thread for equally many processor
seconds, in which its assessments count. Every number is of the worse feature net. What is stored
already is not measured again, so that a run that was stopped goes on; the last command writes the
page `benchmarks/gans.md` from what is stored.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, Self

import torch

from benchmarks.demo_quality import is_of_class, is_overall, named, ratios
from benchmarks.timing import RESULTS, machine
from flows.evaluate import options_of, splits_of
from flows.recipe import Recipe
from flows.train import fit_and_resolve
from gan.config import ResolvedConfig
from gan.errors import TrainingError
from gan.gate import judge
from gan.modalities import Reference, load_modality
from gan.protocols import Assess, Assessment, Hooks, SampleFn
from gan.randomness import derive
from gan.report import Evaluation
from gan.sample import Sampler
from gan.training.loop import train
from gan.training.result import TrainResult
from storage.sources.prepare import prepare
from storage.sources.prepared import Prepared

Row = dict[str, Any]

SEEDS = (0, 1, 2)
BUDGET_CPU_S = 60.0
CAP, SETS, REPLICATES = 2_000, 2, 20
"""Images on each side of a comparison, times as many that a candidate makes, and resamples behind
an interval: a recipe's own are 5,000, 4 and 40, and cost more than these trainings."""


class TimedAssess:
    """An assessment that knows what it took."""

    def __init__(self, assess: Assess) -> None:
        self.assess, self.cpu_s = assess, 0.0

    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:
        """Return the assessment, and add its processor seconds."""
        started_s = process_time()
        found = self.assess(sample, samples_seen)
        self.cpu_s += process_time() - started_s
        return found


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A source and its one evaluator: what all presets and seeds share."""

    recipe: Recipe
    prepared: Prepared
    reference: Reference
    assess: Assess

    @classmethod
    def open(cls, source: Mapping[str, Any], budget_cpu_s: float, folder: Path) -> Self:
        """Read and split a source, and let the judge learn it.

        Args:
            source: of the recipe.
            budget_cpu_s: of each training.
            folder: for the prepared records; they are read from there as long as this is used.
        """
        recipe = Recipe.model_validate(
            {
                "name": "gans",
                "source": dict(source),
                "training": {"budget_samples": None, "budget_cpu_s": budget_cpu_s, "device": "cpu"},
            }
        )
        prepared = prepare(recipe.source, folder=folder, min_group=recipe.privacy.min_group)
        options = replace(options_of(recipe, prepared), cap=CAP, sets=SETS, replicates=REPLICATES)
        modality, records = load_modality("images"), prepared.records
        assess = modality.build_assess(
            records["train"], records["validation"], label=prepared.label, seed=recipe.seed
        )
        reference = modality.build_reference(splits_of(prepared), options)
        return cls(recipe=recipe, prepared=prepared, reference=reference, assess=assess)

    def resolve(self, preset: str, seed: int) -> tuple[Any, ResolvedConfig]:
        """Return the codec and the complete configuration of one training, on one thread."""
        generator = self.recipe.generator.model_copy(update={"preset": preset})
        recipe = self.recipe.model_copy(update={"generator": generator, "seed": seed})
        codec, resolved = fit_and_resolve(recipe, self.prepared)
        return codec, resolved.model_copy(update={"threads": 1})

    def measure(self, preset: str, seed: int) -> Row:
        """Train, judge and return the numbers of one preset and seed."""
        codec, config = self.resolve(preset, seed)
        assess = TimedAssess(self.assess)
        records = self.prepared.records
        hooks = Hooks(assess=assess, validation=records["validation"])
        row: Row = {"preset": preset, "seed": seed}
        with tempfile.TemporaryDirectory() as scratch:
            try:
                result = train(
                    config, codec, records["train"], Path(scratch), hooks=hooks, device="cpu"
                )
            except TrainingError as error:
                return row | {"failed": type(error).__name__}
            sampler = Sampler.load(result.snapshot)
            return row | trained(config, result, assess.cpu_s) | self.judged(sampler)

    def judged(self, sampler: Sampler) -> Row:
        """Return what the judge finds of a generator's images, and what judging took."""
        started_s = process_time()
        modality, reference = load_modality("images"), self.reference
        seed = derive(self.recipe.seed, "evaluation")
        fakes = sampler.records(reference.wanted, seed=seed, index=0)
        found = modality.evaluate(fakes, reference)
        verdict = judge(found, modality.metrics, self.recipe.gate).verdict
        cpu_s = round(process_time() - started_s, 1)
        return {"verdict": verdict, **quality(found), "judging_cpu_s": cpu_s}


def trained(config: ResolvedConfig, result: TrainResult, assess_cpu_s: float) -> Row:
    """Return what a training took, and how quick its steps were."""
    row = {
        "training_cpu_s": round(result.cpu_s, 1),
        "assessing_cpu_s": round(assess_cpu_s, 1),
        "samples_seen": result.samples_seen,
        "best_samples_seen": result.best_samples_seen,
        "repairs": sum(event.kind == "repair" for event in result.events),
    }
    if not config.is_fitted:
        steps_cpu_s = max(result.cpu_s - assess_cpu_s, 1e-9)
        row["images_per_cpu_s"] = round(result.samples_seen / steps_cpu_s, 1)
    return row


def quality(found: Evaluation) -> Row:
    """Return the numbers of the worse feature net; ratios are over what real images reach."""
    accuracy = [
        metric.value / metric.ceiling.value
        for metric in named(found, "label_accuracy", is_overall)
        if metric.ceiling
    ]
    c2st = {
        metric.scope: round(metric.value, 3) for metric in found.metrics if metric.name == "c2st"
    }
    return {
        "fd": round(max(ratios(found, "fd", is_overall)), 2),
        "coverage": round(min(ratios(found, "coverage", is_overall)), 3),
        "worst_class": round(min(ratios(found, "coverage", is_of_class), default=1.0), 3),
        "label_accuracy": round(min(accuracy), 3) if accuracy else None,
        "copies": round(max(ratios(found, "copies", is_overall)), 2),
        **{f"c2st_{scope}": value for scope, value in sorted(c2st.items())},
    }


def twins(contest: Contest, presets: Sequence[str]) -> dict[str, str]:
    """Return preset → one of equal settings later in the table, as `modern` is on every size."""
    settings = {
        preset: contest.resolve(preset, 0)[1].model_dump_json(exclude={"preset", "notes"})
        for preset in load_modality("images").presets
        if preset in presets
    }
    named_by = {text: preset for preset, text in settings.items()}  # the later: `mlp`, `resnet`
    return {preset: named_by[text] for preset, text in settings.items() if named_by[text] != preset}


def best(rows: Sequence[Row], count: int) -> list[str]:
    """Return the presets of the lowest mean Fréchet distance, best first."""
    distances: dict[str, list[float]] = {}
    for row in rows:
        if "fd" in row:
            distances.setdefault(row["preset"], []).append(row["fd"])
    order = sorted(distances, key=lambda preset: sum(distances[preset]) / len(distances[preset]))
    return order[:count]


@dataclass
class Kept:
    """The results of one source, in a file that is written after every training."""

    path: Path | None
    page: dict[str, Any]

    @classmethod
    def open(cls, name: str | None, facts: Mapping[str, Any]) -> Self:
        """Return what is stored under a name and measured alike, else an empty page.

        Raises:
            ValueError: something else is stored under that name.
        """
        path = None if name is None else RESULTS / f"gans-{name}.json"
        if path is not None and path.exists():
            page = json.loads(path.read_text(encoding="utf-8"))
            if any(page.get(key) != value for key, value in facts.items()):
                msg = f"{path.name} was measured otherwise: choose another --store, or delete it"
                raise ValueError(msg)
            return cls(path, page)
        return cls(path, {"benchmark": "gans", **facts, "machine": machine(), "results": []})

    @property
    def rows(self) -> list[Row]:
        """One for each preset and seed."""
        rows: list[Row] = self.page["results"]
        return rows

    def has(self, preset: str, seed: int) -> bool:
        """Say whether a preset was measured with a seed."""
        return any((row["preset"], row["seed"]) == (preset, seed) for row in self.rows)

    def add(self, row: Row) -> None:
        """Print a row, and store the page with it."""
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        self.store()

    def store(self) -> None:
        """Write the page, where it has a file."""
        if self.path is not None:
            self.page["measured"] = datetime.now(UTC).isoformat(timespec="seconds")
            RESULTS.mkdir(exist_ok=True)
            self.path.write_text(json.dumps(self.page, indent=2) + "\n", encoding="utf-8")


def tiny(folder: Path) -> Row:
    """Measure the quickest preset of a network."""
    torch.set_num_threads(1)
    source = {"uri": "example:digits", "label": "label"}
    return Contest.open(source, 1.0, folder).measure("mlp-gan", 0)


def run(contest: Contest, kept: Kept, presets: Sequence[str], seeds: Sequence[int]) -> None:
    """Measure presets and seeds in turn, but for those that are kept; twins are measured once."""
    kept.page["twins"] = {**twins(contest, presets), **kept.page.get("twins", {})}
    for seed in seeds:
        for preset in presets:
            if preset not in kept.page["twins"] and not kept.has(preset, seed):
                kept.add(contest.measure(preset, seed))
    kept.store()


def main() -> None:
    """Read the arguments; measure, print, store."""
    parser = argparse.ArgumentParser(description="Every generator of images on equal budgets.")
    parser.add_argument("images", help="any source of images that a recipe reads")
    parser.add_argument("--label", help="column with the class")
    parser.add_argument("--presets", nargs="+", default=list(load_modality("images").presets))
    parser.add_argument("--best", type=int, help="only so many presets: the best of those stored")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--budget-cpu-s", type=float, default=BUDGET_CPU_S)
    parser.add_argument("--title", help="what the images are, for the page")
    parser.add_argument("--store", help="name of the file with the results")
    words = parser.parse_args()
    torch.set_num_threads(1)
    local = Path(words.images)
    uri = str(local.resolve()) if local.exists() else words.images
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest.open({"uri": uri, "label": words.label}, words.budget_cpu_s, Path(folder))
        kept = Kept.open(
            words.store,
            {
                "images": words.title or local.stem,
                "rows": dict(contest.prepared.rows),
                "budget_cpu_s": words.budget_cpu_s,
                "compared": contest.reference.n,
            },
        )
        presets = best(kept.rows, words.best) if words.best else words.presets
        run(contest, kept, presets, words.seeds)


if __name__ == "__main__":
    main()
