"""Every generator of images by name, on equal processor budgets, before one evaluator.

    python -m benchmarks.gans IMAGES.parquet --label digit --budget-cpu-s 300 --store NAME
    python -m benchmarks.gans IMAGES.parquet --presets mixture dcgan --seeds 0 1 2

The images are split as a recipe splits them; a generator trains on train, its snapshot is chosen on
validation, and the holdout judges it beside two plain baselines: other real images (the ceiling)
and the mixture of Gaussians, which takes seconds. Every number is of the worse feature net.
"""

import argparse
import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import torch

from benchmarks.demo_quality import is_of_class, is_overall, named, ratios
from benchmarks.timing import RESULTS, machine
from flows.job import open_job
from flows.nightly import nightly, plain_stages
from flows.progress import make_reporter
from flows.recipe import Recipe
from gan.modalities import load_modality
from gan.report import Report
from storage.lake.registry import candidates

SEEDS = (0, 1, 2)
BUDGET_CPU_S = 300.0


def measure(
    source: Mapping[str, Any], preset: str, *, seed: int, budget_cpu_s: float, folder: Path
) -> dict[str, Any]:
    """Train, judge and return the numbers of one preset and seed.

    Args:
        source: of the recipe.
        preset: name in `ganmill presets`.
        seed: of training and evaluation.
        budget_cpu_s: of training.
        folder: for the lake and the work.
    """
    recipe = Recipe.model_validate(
        {
            "name": "gans",
            "source": dict(source),
            "generator": {"preset": preset},
            "training": {"budget_samples": None, "budget_cpu_s": budget_cpu_s, "device": "cpu"},
            "synthesis": {"samples": 64},
            "lift": {"when": "never"},
            "output": {"lake": str(folder / "lake")},
            "seed": seed,
        }
    )
    started_s = process_time()
    with contextlib.chdir(folder):  # the work folder too is new, so that nothing is resumed
        job = open_job(recipe, scheduled=datetime.now(UTC).date(), reporter=make_reporter())
        nightly(job, plain_stages(job))
    (version,) = candidates(job.lake, recipe.name)
    (path,) = (folder / "lake" / "generators" / "gans" / version / "reports").glob("*/report.json")
    report = Report.from_json(path.read_bytes())
    return {"preset": preset, "seed": seed, "cpu_s": round(process_time() - started_s, 1)} | line(
        report
    )


def line(report: Report) -> dict[str, Any]:
    """Return a report's numbers: each of the worse feature net, over what real images reach."""
    accuracy = [
        metric.value / metric.ceiling.value
        for metric in named(report, "label_accuracy", is_overall)
        if metric.ceiling
    ]
    return {
        "verdict": report.verdict,
        "coverage": round(min(ratios(report, "coverage", is_overall)), 3),
        "worst_class": round(min(ratios(report, "coverage", is_of_class), default=1.0), 3),
        "fd": round(max(ratios(report, "fd", is_overall)), 2),
        "label_accuracy": round(min(accuracy), 3) if accuracy else None,
        "copies": round(max(ratios(report, "copies", is_overall)), 2),
        "c2st": round(
            max((metric.value for metric in named(report, "c2st", is_overall)), default=0), 3
        ),
    }


def main() -> list[dict[str, Any]]:
    """Measure every preset on scikit-learn's digits with one seed."""
    source = {"uri": "example:digits", "label": "label"}
    return run(source, tuple(load_modality("images").presets), (0,), BUDGET_CPU_S)


def tiny(folder: Path) -> dict[str, Any]:
    """Measure the quickest preset."""
    torch.set_num_threads(1)
    source = {"uri": "example:digits", "label": "label"}
    return measure(source, "mixture", seed=0, budget_cpu_s=1.0, folder=folder)


def run(
    source: Mapping[str, Any], presets: Sequence[str], seeds: Sequence[int], budget_cpu_s: float
) -> list[dict[str, Any]]:
    """Measure presets and seeds in turn; print a line of JSON for each."""
    torch.set_num_threads(1)
    lines = []
    for seed in seeds:
        for preset in presets:
            with tempfile.TemporaryDirectory() as scratch:
                found = measure(
                    source, preset, seed=seed, budget_cpu_s=budget_cpu_s, folder=Path(scratch)
                )
            lines.append(found)
            print(json.dumps(found), flush=True)
    return lines


def _from_the_command_line() -> None:
    parser = argparse.ArgumentParser(description="Every generator of images on equal budgets.")
    parser.add_argument("images", help="any source of images that a recipe reads")
    parser.add_argument("--label", help="column with the class")
    parser.add_argument("--presets", nargs="+", default=list(load_modality("images").presets))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--budget-cpu-s", type=float, default=BUDGET_CPU_S)
    parser.add_argument("--store", help="name of the file with the results")
    words = parser.parse_args()
    local = Path(words.images)
    uri = str(local.resolve()) if local.exists() else words.images
    source = {"uri": uri, "label": words.label}
    found = run(source, words.presets, words.seeds, words.budget_cpu_s)
    if words.store:
        page = {
            "benchmark": "gans",
            "machine": machine(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "budget_cpu_s": words.budget_cpu_s,
            "results": found,
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"gans-{words.store}.json").write_text(json.dumps(page, indent=2) + "\n")


if __name__ == "__main__":
    _from_the_command_line()
