"""A table by ours and by CTGAN 0.12, side by side, one thread each, in turn, judged alike.

    python -m benchmarks.against_ctgan [table.parquet label]

The table is cut 50:50 by a seeded shuffle. Both train on one half (ours holds a fifth of it back as
validation), and the same judge compares what they make with the other half. `time_to_equal_s` is
the processor time after which ours has the pair error that CTGAN ends with, on validation rows.
Without arguments scikit-learn's breast cancer table is taken.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.table_job import TINY_SAMPLES, prepared_for, recipe_for
from benchmarks.timing import RESULTS, machine
from gan.modalities import Options, Reference, Splits
from gan.tables.judge import build_assess, build_reference, evaluate
from storage.sources.prepared import Prepared

EPOCHS = (60,)
"""Of CTGAN; its own default, 300, takes five times as long: add it for a run overnight."""
SHOWN = ("one_way", "two_way", "c2st", "tstr_gap", "coverage", "dcr_share")


def halves(table: pa.Table, folder: Path) -> tuple[Path, Path]:
    """Write both halves of a shuffled table and return their paths."""
    order = np.random.default_rng(0).permutation(table.num_rows)
    middle = table.num_rows // 2
    paths = folder / "train.parquet", folder / "holdout.parquet"
    for path, rows in zip(paths, (order[:middle], order[middle:]), strict=True):
        pq.write_table(table.take(np.sort(rows)), path)
    return paths


def breast_cancer() -> pa.Table:
    """Return scikit-learn's table with the diagnosis as text."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    frame["diagnosis"] = data.target.map({0: "malignant", 1: "benign"})
    return pa.Table.from_pandas(frame, preserve_index=False)


def child(module: str, *words: object) -> dict[str, Any]:
    """Run one side in a process of its own and return the line it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def quality(records: pa.Table, reference: Reference) -> dict[str, float]:
    """Return the overall metrics, and errors ÷ ceiling."""
    found: dict[str, float] = {}
    for metric in evaluate(records, reference).metrics:
        if metric.name in SHOWN and "/" not in metric.scope:
            found[metric.name] = round(metric.value, 4)
            if metric.ratio is not None and metric.name in {"one_way", "two_way", "coverage"}:
                found[f"{metric.name}_over_ceiling"] = round(metric.ratio, 3)
    return found


def pair_error(records: pa.Table, prepared: Prepared) -> float:
    """Return the pair error on validation rows, as a tick of ours measures it."""
    assess = build_assess(
        prepared.records["train"],
        prepared.records["validation"],
        label=prepared.label,
        seed=0,
    )

    class Made:
        """Rows that were made before, as if they were drawn now."""

        def __call__(self, rows: Any) -> pa.Table:
            return records.slice(0, rows)

        def log_likelihood(self, _: pa.Table) -> None:
            return None

    return float(assess(Made(), 0).metrics["two_way"])


def compare(
    table: pa.Table,
    label: str | None,
    *,
    epochs: Sequence[int] = EPOCHS,
    budget: Sequence[object] = (),
) -> dict[str, Any]:
    """Run both sides in turn and judge them.

    Args:
        table: the real rows.
        label: the column to predict.
        epochs: of CTGAN, one run each.
        budget: words about our training, for `benchmarks.table_job`.
    """
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        train, holdout = halves(table, folder)
        prepared = prepared_for(recipe_for(train, holdout, label, 0), folder / "prepared")
        splits = Splits(**{name: prepared.records[name] for name in prepared.records}, label=label)
        reference = build_reference(splits, Options())
        rows = reference.n * 4
        given = () if label is None else ("--label", label)
        ours = child("benchmarks.table_job", train, holdout, *given, "--rows", rows, *budget)
        curve = ours.pop("curve")
        ours["quality"] = quality(pq.read_table(folder / "ours-0.parquet"), reference)
        page: dict[str, Any] = {"rows": table.num_rows, "columns": len(table.schema), "ours": ours}
        for count in epochs:
            made = folder / f"ctgan-{count}.parquet"
            words = (train, made, "--epochs", count, "--rows", rows)
            theirs = child("benchmarks.ctgan_peer", *words)
            records = pq.read_table(made).select(prepared.schema.names).cast(prepared.schema)
            theirs["quality"] = quality(records, reference)
            error = pair_error(records, prepared)
            equal = next((spent_s for spent_s, found in curve if found <= error), None)
            page[f"ctgan_{count}_epochs"] = {**theirs, "time_to_equal_s": equal}
        return page


def tiny(_: Path) -> dict[str, Any]:
    """Train for a moment; CTGAN only where it is installed."""
    epochs = (1,) if importlib.util.find_spec("ctgan") else ()
    budget = ("--budget-samples", TINY_SAMPLES)
    return compare(breast_cancer(), "diagnosis", epochs=epochs, budget=budget)


def main() -> int:
    """Compare, print, store."""
    path, label = [*sys.argv[1:], None, None][:2]
    table = breast_cancer() if path is None else pq.read_table(path)
    name = "breast-cancer" if path is None else Path(path).stem
    found = compare(table, "diagnosis" if path is None else label)
    RESULTS.mkdir(exist_ok=True)
    page = {
        "benchmark": f"against_ctgan, {name}",
        "machine": machine(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": found,
    }
    text = json.dumps(page, indent=2)
    (RESULTS / f"against_ctgan-{name}.json").write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
