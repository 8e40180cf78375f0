"""Synthesis from a snapshot. Signature first."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from gan.protocols import ClassCounts
from gan.snapshot import Snapshot


class Sampler:
    """Makes records with a generator."""

    snapshot: Snapshot

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """Load a snapshot folder."""
        raise NotImplementedError

    def records(self, rows: ClassCounts | int, *, seed: int, index: int) -> pa.Table:
        """Return shard `index`: so many rows of each class, shuffled."""
        raise NotImplementedError

    def images(
        self, labels_N: np.ndarray[Any, np.dtype[np.int64]], stream: torch.Generator
    ) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return stored values for class indexes."""
        raise NotImplementedError
