"""Quality of synthetic rows by a judge that the product does not use, as a user trains them.

    python -m benchmarks.table_outside table.parquet --label income --cuts 0 1 2 --cpu-s 60
    python -m benchmarks.table_outside                       scikit-learn's breast cancer table

Each cut holds 30 % of the rows out and trains on the others as the recipe does (a fifth of them
are its validation). C2ST: LightGBM tells synthetic from as many held-out rows by all columns, area
under the ROC curve out of five folds, .5 = cannot tell; `c2st_train` is the same of the training
rows, which lack those that the holdout has too: where many rows are equal, this alone is told.
1-way, 2-way: how far shares of columns and of pairs are from held-out ones, in 20 quantile bins or
the 19 commonest levels, over the same of as many training rows. Gap: what LightGBM loses of its AUC
(R² of a number) on held-out rows when it learns from synthetic instead of as many training rows.
DCR: share of synthetic rows nearer to a training row than to one of as many held-out rows, on ranks
and levels. A result is one line of JSON; all of them are stored with `--store NAME`.
"""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from benchmarks.against_ctgan import breast_cancer
from benchmarks.lift import Trial, trained
from benchmarks.timing import RESULTS, machine
from gan.tables.columns.values import require_metadata

TREES: dict[str, Any] = {
    "n_jobs": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
    "random_state": 0,
}
FOLDS, CLOSEST_ROWS = 5, 4000
BINS, PAIRS = 20, 200
FEW_CLASSES = 20
"""A label of more distinct numbers is predicted as a number."""


def comparable(*parts: pa.Table) -> list[pd.DataFrame]:
    """Return tables as numbers and categories that have one meaning in all of them."""
    frame = pa.concat_tables([part.replace_schema_metadata(None) for part in parts]).to_pandas()
    for name, values in frame.items():
        if pd.api.types.is_datetime64_any_dtype(values):
            frame[name] = values.astype("int64")
        elif pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
            frame[name] = values.astype("string").astype("category")
    ends = np.cumsum([0, *(part.num_rows for part in parts)])
    return [frame.iloc[a:b].reset_index(drop=True) for a, b in pairwise(ends)]


def c2st(real: pa.Table, fake: pa.Table, seed: int = 0) -> float:
    """Return how well LightGBM tells equal numbers of both apart."""
    rows, rng = min(real.num_rows, fake.num_rows), np.random.default_rng(seed)
    chosen = [part.take(rng.permutation(part.num_rows)[:rows]) for part in (real, fake)]
    frame, fake_N = pd.concat(comparable(*chosen)), np.repeat([0, 1], rows)
    scores_N = np.zeros(2 * rows)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(frame, fake_N)
    for learn, test in folds:
        trees = LGBMClassifier(n_estimators=200, **TREES).fit(frame.iloc[learn], fake_N[learn])
        scores_N[test] = trees.predict_proba(frame.iloc[test])[:, 1]
    return float(roc_auc_score(fake_N, scores_N))


def share_errors(train: pa.Table, test: pa.Table, fake: pa.Table) -> tuple[float, float]:
    """Return the mean 1-way and 2-way error of synthetic rows, over that of as many real ones."""
    rows, rng = min(train.num_rows, test.num_rows, fake.num_rows), np.random.default_rng(0)
    parts = [part.take(rng.permutation(part.num_rows)[:rows]) for part in (train, test, fake)]
    frames = comparable(*parts)
    real, held, made = (
        np.stack([_binned(frames[0][name], frame[name]) for name in frame]) for frame in frames
    )
    pairs = [(a, b) for a in range(len(real)) for b in range(a)]
    chosen = [pairs[index] for index in rng.permutation(len(pairs))[:PAIRS]]
    found = []
    for groups in ([(index,) for index in range(len(real))], chosen):
        wrong = [
            [_apart(side[list(group)], held[list(group)]) for group in groups]
            for side in (real, made)
        ]
        found.append(float(np.mean(wrong[1]) / np.mean(wrong[0])))
    return found[0], found[1]


def _binned(train: pd.Series, values: pd.Series) -> np.ndarray[Any, Any]:
    """Return the bin of every value, by the training rows."""
    if isinstance(train.dtype, pd.CategoricalDtype):
        common = train.value_counts().index[: BINS - 1]
        return np.asarray(pd.Index(common).get_indexer(values.astype(object)) + 1)
    edges = np.unique(train.quantile(np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(values.isna(), BINS, np.searchsorted(edges, values, side="right"))


def _apart(one_GN: np.ndarray[Any, Any], other_GN: np.ndarray[Any, Any]) -> float:
    """Return the total variation distance of two samples of bins."""
    scale = (BINS + 1) ** np.arange(len(one_GN))
    counts = [np.bincount(scale @ each, minlength=(BINS + 1) ** 2) for each in (one_GN, other_GN)]
    return float(np.abs(counts[0] - counts[1]).sum() / (2 * one_GN.shape[1]))


def usefulness(train: pa.Table, test: pa.Table, label: str) -> float:
    """Return AUC or R² on the held-out rows of LightGBM that learned from others."""
    learn, scored = comparable(train, test)
    inputs = [name for name in learn if name != label]
    values = learn[label]
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > FEW_CLASSES:
        trees = LGBMRegressor(n_estimators=200, **TREES).fit(learn[inputs], values)
        return float(r2_score(scored[label], trees.predict(scored[inputs])))
    classes, truth = values.astype(str), scored[label].astype(str)
    trees = LGBMClassifier(n_estimators=100, learning_rate=0.05, num_leaves=15, **TREES)
    found = trees.fit(learn[inputs], classes).predict_proba(scored[inputs])
    if found.shape[1] == 2:
        return float(roc_auc_score(truth == trees.classes_[1], found[:, 1]))
    return float(roc_auc_score(truth, found, multi_class="ovr", labels=trees.classes_))


def closest_share(train: pa.Table, test: pa.Table, fake: pa.Table) -> float:
    """Return the share of synthetic rows that are nearer to train than to as many held-out rows."""
    rows, rng = min(train.num_rows, test.num_rows), np.random.default_rng(0)
    parts = [part.take(rng.permutation(part.num_rows)[:rows]) for part in (train, test)]
    frames = comparable(*parts, fake.slice(0, CLOSEST_ROWS))
    together = pd.concat(frames, ignore_index=True)
    columns = [
        pd.get_dummies(values, dtype=float) / 2
        if isinstance(values.dtype, pd.CategoricalDtype)
        else values.astype(float).rank(pct=True).fillna(-0.5)
        for _, values in together.items()
    ]
    points = pd.concat(columns, axis=1).to_numpy()
    sides = points[:rows], points[rows : 2 * rows]
    near, far = (
        NearestNeighbors(n_neighbors=1).fit(side).kneighbors(points[2 * rows :])[0][:, 0]
        for side in sides
    )
    return float((near < far).mean() + (near == far).mean() / 2)


def measure(trial: Trial, cut: int) -> dict[str, Any]:
    """Return the numbers of one cut."""
    with TemporaryDirectory() as text:
        _, prepared, sampler, trained_s = trained(trial, cut, Path(text))
        train, holdout = prepared.records["train"], prepared.records["holdout"]
        rows = max(train.num_rows, holdout.num_rows)
        started_s = process_time()
        fake = sampler.records(rows, seed=1, index=0).select(train.column_names)
        rate = rows / (process_time() - started_s)
    one_way, two_way = share_errors(train, holdout, fake)
    row = {
        "cut": cut,
        "train_rows": train.num_rows,
        "rules": [each.kind for each in require_metadata(train.schema).constraints],
        "c2st": round(float(np.mean([c2st(holdout, fake, seed) for seed in (0, 1)])), 3),
        "c2st_train": round(c2st(holdout, train), 3),
        "one_way": round(one_way, 2),
        "two_way": round(two_way, 2),
        "dcr_share": round(closest_share(train, holdout, fake), 3),
        "training_cpu_s": round(trained_s, 1),
        "rows_per_cpu_s": round(rate),
    }
    if prepared.label is None:
        return row
    real = usefulness(train, holdout, prepared.label)
    made = usefulness(fake.slice(0, train.num_rows), holdout, prepared.label)
    return row | {"real": round(real, 4), "gap": round(real - made, 4)}


def tiny(_: Path) -> dict[str, Any]:
    """Train one generator for a moment."""
    settings = {"training.budget_samples": 1_000}
    return measure(Trial(table=breast_cancer(), label="diagnosis", settings=settings), 0)


def main(words: Sequence[str] | None = None) -> int:
    """Measure every cut, print, store where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="a Parquet file")
    parser.add_argument("--label", default="diagnosis", help="the column that is predicted")
    parser.add_argument("--rows", type=int, help="most rows, chosen at random")
    parser.add_argument("--cuts", type=int, nargs="*", default=(0, 1, 2))
    parser.add_argument("--cpu-s", type=float, help="training.budget_cpu_s")
    parser.add_argument("--store", metavar="NAME", help="into results/table_outside-NAME.json")
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    table = pq.read_table(given.data) if given.data else breast_cancer()
    if given.rows and given.rows < table.num_rows:
        table = table.take(np.random.default_rng(9).permutation(table.num_rows)[: given.rows])
    settings = {"training.budget_cpu_s": given.cpu_s} if given.cpu_s else {}
    trial = Trial(table=table, label=given.label, settings=settings)
    rows = []
    for cut in given.cuts:
        rows.append(measure(trial, cut))
        print(json.dumps(rows[-1]), flush=True)
    if given.store:
        page = {
            "benchmark": f"tables by an outside judge, {given.store}: {table.num_rows} rows",
            "machine": machine(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "results": rows,
        }
        (RESULTS / f"table_outside-{given.store}.json").write_text(
            json.dumps(page, indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
