"""Quality of the default generator on a table, over seeds, and how fast it samples.

    python -m benchmarks.tables --data table.parquet --label income
    python -m benchmarks.tables                        scikit-learn's breast cancer table

For each seed the table is cut 50:50. The generator trains on one half as users train it, with a
fifth of it held back as validation, on one thread; the judge compares what it makes with the other
half. Errors are divided by what real validation rows reach on equally many rows. Rows per processor
second are those from uniform numbers to codes, and from codes to Parquet.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.against_ctgan import breast_cancer
from benchmarks.sdmetrics_scores import sdmetrics_scores
from benchmarks.table_job import TINY_SAMPLES, prepared_for, recipe_for, sampling_rates
from benchmarks.timing import RESULTS, machine
from flows.recipe import Recipe
from flows.train import fit_and_resolve
from gan.config import ResolvedConfig
from gan.modalities import Options, Splits
from gan.protocols import Hooks
from gan.report import Metric
from gan.sample import Sampler
from gan.tables.judge import build_assess, build_reference, evaluate
from gan.training.loop import train
from storage.sources.prepared import Prepared

Row = dict[str, float]

SEEDS = (0, 1, 2)


def write_halves(table: pa.Table, seed: int, folder: Path) -> tuple[Path, Path]:
    """Write both halves of a table, cut at random, and return their paths."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    paths = folder / "train.parquet", folder / "holdout.parquet"
    for path, rows in zip(paths, np.array_split(order, 2), strict=True):
        pq.write_table(table.take(np.sort(rows)), path)
    return paths


def train_sampler(prepared: Prepared, recipe: Recipe, folder: Path, row: Row) -> Sampler:
    """Train as the recipe says and return the sampler; what it took goes into the row."""
    started_s = process_time()
    codec, resolved = fit_and_resolve(recipe, prepared)
    records = prepared.records
    assess = build_assess(
        records["train"], records["validation"], label=prepared.label, seed=recipe.seed
    )
    config = ResolvedConfig.model_validate(resolved.model_dump())
    hooks = Hooks(assess=assess)
    result = train(config, codec, records["train"], folder, hooks=hooks, device="cpu")
    row["training_cpu_s"] = round(process_time() - started_s, 1)
    row["samples_seen"] = result.samples_seen
    row["best_samples_seen"] = result.best_samples_seen
    return Sampler.load(result.snapshot)


def summary(metrics: Sequence[Metric]) -> Row:
    """Return the numbers of the whole table."""
    overall = {metric.name: metric for metric in metrics if "/" not in metric.scope}
    row = {
        f"{name}_over_ceiling": round(metric.ratio, 3)
        for name in ("one_way", "two_way", "coverage")
        if (metric := overall.get(name)) and metric.ratio is not None
    }
    for name in ("c2st", "trtr", "tstr", "tstr_gap", "tstr_gap_r2", "dcr_share", "membership"):
        if metric := overall.get(name):
            row |= {name: round(metric.value, 4), f"{name}_high": round(metric.high, 4)}
    return row


def measure(
    table: pa.Table, label: str | None, seed: int, samples: int | Literal["auto"] = "auto"
) -> Row:
    """Return the row of one seed."""
    row: Row = {"seed": seed}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        halves = write_halves(table, seed, folder)
        recipe = recipe_for(*halves, label, seed, samples)
        prepared = prepared_for(recipe, folder / "prepared")
        sampler = train_sampler(prepared, recipe, folder / "work", row)
        splits = Splits(**prepared.records, label=label)
        reference = build_reference(splits, Options(seed=seed))
        wanted = reference.wanted
        records = sampler.records(wanted, seed=seed, index=0)
        found = evaluate(records, reference, log_likelihood=sampler.log_likelihood)
    scores = sdmetrics_scores(reference.context, records)
    return row | summary(found.metrics) | scores | sampling_rates(sampler)


def tiny(_: Path) -> Row:
    """Train one seed for a moment."""
    return measure(breast_cancer(), "diagnosis", 0, TINY_SAMPLES)


def main() -> int:
    """Measure every seed, print, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a Parquet file")
    parser.add_argument("--label", help="the column that a downstream model would predict")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = pq.read_table(given.data) if given.data else breast_cancer()
    label = given.label if given.data else "diagnosis"
    rows = []
    for seed in given.seeds:
        rows.append(measure(table, label, seed))
        print(json.dumps(rows[-1]), flush=True)
    name = given.data.stem if given.data else "breast-cancer"
    means = {key: round(statistics.fmean(row[key] for row in rows), 4) for key in rows[0]}
    page = {
        "benchmark": f"tables, {name}: {table.num_rows} rows, {table.num_columns} columns",
        "machine": machine(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": {"mean": means, "seeds": rows},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"tables-{name}.json").write_text(json.dumps(page, indent=2) + "\n")
    print(json.dumps(means))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
