"""The demo's quality on the holdout for several seeds, each a whole job in a lake of its own.

    python -m benchmarks demo_quality

Every number is of the worse feature net, divided by its ceiling where it has one: real validation
records against the holdout, halves with equal class counts.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import torch

from flows.job import open_job
from flows.nightly import nightly, plain_stages
from flows.progress import make_reporter
from flows.recipe import load_recipe
from gan.report import Evaluation, Metric, Report
from storage.lake.registry import candidates

RECIPE = Path(__file__).parents[1] / "deployments" / "recipes" / "digits.yaml"
SEEDS = (0, 1, 2)


def judge(seed: int, lake: Path, changes: Sequence[str] = ()) -> tuple[Report, float]:
    """Run the demo with a seed; return its report and the processor seconds of the whole job."""
    alone = "lift.when=never"  # the quality is asked for, not the use
    recipe = load_recipe(RECIPE, [f"seed={seed}", f"output.lake={lake}", alone, *changes])
    started_s = process_time()
    with contextlib.chdir(lake.parent):  # the work folder too is new, so that nothing is resumed
        job = open_job(recipe, scheduled=datetime.now(UTC).date(), reporter=make_reporter())
        nightly(job, plain_stages(job))
    spent_s = process_time() - started_s
    (version,) = candidates(job.lake, recipe.name)
    (path,) = (lake / "generators" / recipe.name / version / "reports").glob("*/report.json")
    return Report.from_json(path.read_bytes()), spent_s


def summary(report: Report) -> dict[str, float | str]:
    """Return what the demo promises, on the worse feature net."""
    return {
        "verdict": report.verdict,
        "coverage_over_ceiling": min(ratios(report, "coverage", is_overall)),
        "worst_class_coverage_over_ceiling": min(ratios(report, "coverage", is_of_class)),
        "fd_over_ceiling": max(ratios(report, "fd", is_overall)),
        "label_accuracy_minus_real": min(
            metric.value - metric.ceiling.value
            for metric in named(report, "label_accuracy", is_overall)
            if metric.ceiling
        ),
        "copies_over_nominal": max(ratios(report, "copies", is_overall)),
        "copies_over_nominal_low": max(
            metric.low / metric.ceiling.value
            for metric in named(report, "copies", is_overall)
            if metric.ceiling
        ),
        "density_over_ceiling": max(ratios(report, "density", is_overall)),
    }


def is_overall(metric: Metric) -> bool:
    """Say whether a metric is of all classes together."""
    return "/" not in metric.scope


def is_of_class(metric: Metric) -> bool:
    """Say whether a metric is of one class."""
    return "/" in metric.scope


def named(
    report: Report | Evaluation, name: str, where: Callable[[Metric], bool]
) -> Sequence[Metric]:
    """Return the metrics of a name."""
    return [metric for metric in report.metrics if metric.name == name and where(metric)]


def ratios(
    report: Report | Evaluation, name: str, where: Callable[[Metric], bool]
) -> Sequence[float]:
    """Return metric ÷ ceiling of every metric of a name that has a ceiling."""
    return [metric.ratio for metric in named(report, name, where) if metric.ratio is not None]


def tiny(folder: Path) -> dict[str, float | str]:
    """Run one seed on a few images; what it makes may be blocked."""
    changes = ("training.budget_samples=2000", "synthesis.samples=200")
    report, spent_s = judge(0, folder / "lake", changes)
    return summary(report) | {"cpu_s": spent_s}


def main() -> dict[str, dict[str, float | str]]:
    """Run every seed and return its numbers."""
    torch.set_num_threads(1)
    results = {}
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as scratch:
            report, spent_s = judge(seed, Path(scratch) / "lake")
        results[f"seed {seed}"] = summary(report) | {"cpu_s": spent_s}
        print(json.dumps(results[f"seed {seed}"]))
    return results
