"""The assessment while training, whatever the modality; the holdout stays unseen."""

import pyarrow as pa

from gan.modalities import load_judge
from gan.protocols import Assess

__all__ = ["build_assess"]


def build_assess(
    train: pa.Table, validation: pa.Table, *, label: str | None, seed: int, modality: str = "images"
) -> Assess:
    """Measure what is needed of both splits, and return what measures a generator at a tick.

    Raises:
        DataError: validation is too small to compare anything, or does not fit train.
        ConfigError: there is no such modality.
    """
    return load_judge(modality).build_assess(train, validation, label=label, seed=seed)
