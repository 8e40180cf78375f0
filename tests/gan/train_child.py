"""A training in a process of its own, which kills itself at a named moment.

    python train_child.py FOLDER MOMENT

MOMENT is `step:N` (before the Nth step of this run), `write:N` (half-way into the Nth file
forced to the disk) or `rename:N` (just after the Nth rename, before it is forced to the disk).
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from gan.config import GeneratorConfig, TrainingConfig
from gan.images.codec import ImageCodec, write_images
from gan.images.presets import resolve
from gan.protocols import Hooks
from gan.training import checkpoint
from gan.training.loop import train
from storage.records import durable


def die() -> None:
    """End at once, as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Says yes at the Nth call."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


def cut_writes(due: Countdown) -> None:
    """Die half-way into a forced file."""
    whole = checkpoint.write_file

    def write_half(path: Path, data: bytes) -> None:
        if due():
            path.write_bytes(data[: len(data) // 2])
            die()
        whole(path, data)

    checkpoint.write_file = write_half


def cut_renames(due: Countdown) -> None:
    """Die just after a rename, before it is forced to the disk."""
    whole = durable.sync_folder

    def sync_or_die(folder: Path) -> None:
        if not folder.name.startswith(checkpoint.STAGING) and due():
            die()
        whole(folder)

    durable.sync_folder = sync_or_die


def plan_death(moment: str) -> Hooks:
    """Arrange the kill and return the hooks."""
    kind, _, number = moment.partition(":")
    due = Countdown(int(number or 0))
    if kind == "write":
        cut_writes(due)
    if kind == "rename":
        cut_renames(due)

    def step() -> bool:
        if kind == "step" and due():
            die()
        return False

    return Hooks(should_stop=step)


def train_images(folder: Path, hooks: Hooks) -> None:
    """Train on made-up images: 60 steps of 16 in six ticks."""
    numbers = np.random.default_rng(5)
    images = write_images(numbers.integers(0, 256, (200, 8, 8, 1), dtype=np.uint8))
    records = pa.table({"image": images, "kind": pa.array(np.arange(200) % 3)})
    codec = ImageCodec.fit(records, "kind")
    training = TrainingConfig(budget_samples=960, batch_size=16, device="cpu")
    config = resolve(
        GeneratorConfig(preset="mlp", width=32), training, codec, train_rows=200, seed=2
    )
    config = config.model_copy(update={"tick_samples": 160, "patience_samples": 10_000})
    train(config, codec, records, folder, hooks=hooks, device="cpu")


if __name__ == "__main__":
    train_images(Path(sys.argv[1]), plan_death(sys.argv[2]))
