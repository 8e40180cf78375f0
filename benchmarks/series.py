"""Series beside their peers in one run: SDV's PAR, DoppelGANger, and our two presets.

    python -m benchmarks.series panel.csv --entity item --time date --label store_kind --cpu-s 60
    python -m benchmarks.series aeon:ItalyPowerDemand --label label --cpu-s 60

Every maker has the same training entities and processor seconds; the product's judge compares what
it makes with the holdout. `aeon:NAME` is a real set that the package aeon has with it. Prints rows
of the table in series.md and stores them.
"""

import argparse
import importlib.util
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.against_ctgan import child
from benchmarks.series_makers import MAKERS, SHOPS, prepared_for
from benchmarks.timing import RESULTS, machine
from flows.recipe import Recipe
from gan.modalities import Options, Splits
from gan.report import Evaluation
from gan.series.judge import build_reference, evaluate

COLUMNS: Final = {
    "c2st/statistics": "trees",
    "c2st/kernels": "kernels",
    "autocorrelation/all": "autocorrelation",
    "cross_correlation/all": "cross-correlation",
    "coverage": "coverage",
    "tstr_gap": "forecast loss",
    "copies": "copies",
    "discriminative_score": "discriminative",
    "predictive_score": "predictive",
}
"""Metric → heading."""
AS_MULTIPLE: Final = ("autocorrelation/all", "cross_correlation/all", "coverage", "copies")
"""Those that are divided by what real entities reach."""


def scores(evaluation: Evaluation) -> dict[str, float]:
    """Return the measures of the table; errors ÷ those of real entities."""
    found: dict[str, float] = {}
    for one in evaluation.measured:
        metric = one.metric
        name = metric.name if not metric.scope else f"{metric.name}/{metric.scope}"
        if name not in COLUMNS and metric.name not in COLUMNS:
            continue
        heading = COLUMNS.get(name) or COLUMNS[metric.name]
        value = float(metric.value)
        if name in AS_MULTIPLE or metric.name in AS_MULTIPLE:
            value = math.nan if metric.ratio is None else metric.ratio
        found.setdefault(heading, round(value, 3))
    return found


def compare(
    source: dict[str, Any], makers: Sequence[str], cpu_s: float, options: Options
) -> dict[str, Any]:
    """Let every maker make entities and judge them.

    Args:
        source: of the recipe.
        makers: names of `MAKERS`.
        cpu_s: processor seconds of training.
        options: of the judge.
    """
    recipe = Recipe.model_validate(
        {"name": "benchmark", "source": source, "training": {"device": "cpu"}}
    )
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        written = folder / "recipe.json"
        written.write_text(recipe.model_dump_json())
        prepared = prepared_for(recipe, folder / "prepared")
        splits = Splits(
            **{name: prepared.records[name] for name in prepared.records}, label=prepared.label
        )
        reference = build_reference(splits, options)
        wanted = reference.wanted
        rows = wanted if isinstance(wanted, int) else sum(count for _, count in wanted)
        page: dict[str, Any] = {"entities": dict(prepared.rows), "asked": rows}
        for maker in makers:
            made = folder / f"{maker}.parquet"
            words = (maker, written, made, "--rows", rows, "--cpu-s", cpu_s)
            took = child("benchmarks.series_makers", *words)
            records: pa.Table = pq.read_table(made).cast(prepared.schema)
            page[maker] = {**took, **scores(evaluate(records, reference))}
            print(json.dumps({maker: page[maker]}), flush=True)
        return page


def available() -> list[str]:
    """Return the makers whose packages there are."""
    absent = importlib.util.find_spec("deepecho") is None
    return [name for name in MAKERS if name != "par" or not absent]


def located(uri: str) -> str:
    """Return where the files of a set lie.

    Raises:
        ModuleNotFoundError: aeon, whose set it is, is not installed.
    """
    if not uri.startswith("aeon:"):
        return uri
    found = importlib.util.find_spec("aeon")
    if found is None or found.origin is None:
        msg = f"{uri} is a set of the package aeon: pip install aeon"
        raise ModuleNotFoundError(msg)
    name = uri.removeprefix("aeon:")
    return str(Path(found.origin).parent / "datasets" / "data" / name / f"{name}_T*.ts")


def store(uri: str, cpu_s: float, page: dict[str, Any]) -> Path:
    """Store the numbers of all makers beside those of other benchmarks."""
    name = Path(uri.removeprefix("aeon:")).stem
    stored = {
        "benchmark": f"series, {name}: {cpu_s:g} processor seconds of training each",
        "machine": machine(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": page,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"series-{name.lower()}.json"
    path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    return path


def tiny(_: Path) -> dict[str, Any]:
    """Judge DoppelGANger after a moment of training on made-up shops."""
    options = Options(halves=2, replicates=2, cap=40)
    return compare(SHOPS, ["doppelganger"], 0.2, options)


def main() -> int:
    """Compare, print, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("--entity")
    parser.add_argument("--time")
    parser.add_argument("--label")
    parser.add_argument("--cpu-s", type=float, default=180)
    parser.add_argument("--makers", nargs="*", choices=MAKERS, default=available())
    given = parser.parse_args()
    source = {"entity": given.entity, "time": given.time, "label": given.label}
    source |= {"uri": located(given.uri), "modality": "series"}
    page = compare(source, given.makers, given.cpu_s, Options())
    store(given.uri, given.cpu_s, page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
