"""The training loop. Signature first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gan.config import ResolvedConfig
from gan.protocols import Codec, Curve, Hooks
from gan.report import Event


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a finished training leaves behind."""

    snapshot: Path
    """Folder of the chosen generator."""
    samples_seen: int
    best_samples_seen: int
    events: Sequence[Event]
    curves: Sequence[Curve]
    seconds: float
    device: str
    notes: Sequence[str]


def train(
    config: ResolvedConfig,
    codec: Codec,
    records: pa.Table,
    folder: Path,
    *,
    hooks: Hooks | None = None,
    device: str = "auto",
) -> TrainResult:
    """Train on the records of split train; continue what is in `folder`."""
    raise NotImplementedError
