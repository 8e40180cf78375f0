"""The peer, in a process of its own: CTGAN from its package, trained and sampled on one thread.

    python -m benchmarks.ctgan_peer train.parquet synthetic.parquet --epochs 60 --rows 16000

Prints one line of JSON: processor seconds of training and sampling, rows, peak memory. Columns of
text and whole numbers of at most 20 values are given to it as discrete, as its documentation asks.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import torch

from benchmarks.timing import peak_mib

MOST_LEVELS = 20
"""Whole numbers with at most so many values count as discrete."""


def discrete_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that CTGAN shall treat as categories."""
    return [
        str(name)
        for name, column in frame.items()
        if not pd.api.types.is_numeric_dtype(column)
        or (pd.api.types.is_integer_dtype(column) and column.nunique() <= MOST_LEVELS)
    ]


NEEDS = ("ctgan",)
"""Packages beside the project's own; `make bench-tables` installs them."""


def tiny(folder: Path) -> dict[str, float]:
    """Train for one epoch on half of scikit-learn's table."""
    from benchmarks.against_ctgan import breast_cancer, halves

    train, _ = halves(breast_cancer(), folder)
    return run(train, folder / "synthetic.parquet", epochs=1, rows=100)


def main() -> int:
    """Train, sample, write, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("synthetic", type=Path)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    # Its generators of randoms are the global ones.
    np.random.seed(given.seed)  # noqa: NPY002
    torch.random.default_generator.manual_seed(given.seed)
    print(json.dumps(run(given.train, given.synthetic, epochs=given.epochs, rows=given.rows)))
    return 0


def run(train: Path, synthetic_path: Path, *, epochs: int, rows: int) -> dict[str, float]:
    """Train on the rows of a file, write as many others, and return what it took."""
    from ctgan import CTGAN

    frame = pd.read_parquet(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started_s = process_time()
        peer = CTGAN(epochs=epochs, enable_gpu=False)
        peer.fit(frame, discrete_columns(frame))
        trained_s = process_time()
        synthetic = peer.sample(rows)
        sampled_s = process_time()
    synthetic.astype(frame.dtypes.to_dict()).to_parquet(synthetic_path)
    return {
        "epochs": epochs,
        "training_cpu_s": round(trained_s - started_s, 2),
        "sampling_cpu_s": round(sampled_s - trained_s, 3),
        "sampled_rows_per_cpu_s": round(rows / (sampled_s - trained_s)),
        "peak_memory_mb": peak_mib(),
    }


if __name__ == "__main__":
    sys.exit(main())
