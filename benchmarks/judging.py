"""What judging costs: processor seconds of the real side, and of one candidate of 10,000 images.

    python -m benchmarks judging

The images are scikit-learn's digits, enlarged to 28 x 28, moved and made brighter or darker at
random: 2,200 of train, 2,500 of validation and as many of the holdout, which is what is compared at
most. The real side is measured once a night, the nets once for unchanged data.
"""

import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from gan.images.codec import write_images
from gan.images.judge import build_reference, evaluate
from gan.modalities import Options, Splits

Array = np.ndarray[Any, Any]

TRAIN, COMPARED, CANDIDATE = 2_200, 2_500, 10_000
SIDE = 28


def main() -> dict[str, Any]:
    """Judge 10,000 images."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), SIDE, TRAIN, COMPARED, CANDIDATE)


def tiny(folder: Path) -> dict[str, Any]:
    """Judge a few that are not enlarged."""
    return measure(folder, 8, 60, 40, 40)


def measure(folder: Path, side: int, train: int, compared: int, candidate: int) -> dict[str, Any]:
    """Return processor seconds of every part, on one thread."""
    torch.set_num_threads(1)
    total = train + 2 * compared + candidate
    rows = np.split(np.arange(total), np.cumsum([train, compared, compared]))
    images, labels = draw_images(total, side)
    parts = [
        pa.table({"image": write_images(images[part]), "digit": labels[part]}) for part in rows
    ]
    splits = Splits(train=parts[0], validation=parts[1], holdout=parts[2], label="digit")
    options = Options(cache=folder / "nets")
    costs = {}
    for name in ("real side, nets anew", "real side, nets read"):
        started_s = process_time()
        reference = build_reference(splits, options)
        costs[name] = round(process_time() - started_s, 1)
    started_s = process_time()
    evaluation = evaluate(parts[3], reference)
    costs["candidate"] = round(process_time() - started_s, 1)
    return {"images": candidate, "compared": evaluation.n, "cpu_s": costs}


def draw_images(count: int, side: int) -> tuple[Array, Array]:
    """Return digits (count, side, side, 1), uint8, and their labels; hardly two are alike."""
    rng = np.random.default_rng(0)
    data, labels = load_digits(return_X_y=True)
    small = data.reshape(-1, 8, 8) / data.max()
    large = np.clip(zoom(small, (1, side / 8, side / 8), order=1), 0, 1)
    rows = rng.integers(len(large), size=count)
    reach = side // 14
    shifts = rng.integers(-reach, reach + 1, (count, 2))
    moved = [np.roll(large[row], shift, (0, 1)) for row, shift in zip(rows, shifts, strict=True)]
    light = rng.uniform(150, 255, (count, 1, 1))
    grain = rng.normal(0, 2, (count, side, side))
    images = np.clip(np.round(np.stack(moved) * light + grain), 0, 255).astype(np.uint8)
    return images[..., None], labels[rows].astype(np.int64)
