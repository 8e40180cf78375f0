"""The real side of an evaluation: feature nets, features of the splits, ceilings."""

from dataclasses import dataclass

import pyarrow as pa

from gan.protocols import ClassCounts


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The real records: train was seen by the generator, the other two were not."""

    train: pa.Table
    validation: pa.Table
    holdout: pa.Table
    label: str | None = None
    """Name of the label column; None when unconditional."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an evaluation is carried out; the bounds are the gate's."""

    modality: str = "images"
    seed: int = 0
    sets: int = 4
    """How many times the holdout's number of records a candidate is asked for."""
    halves: int = 50
    """Random halves of validation and holdout behind every ceiling."""
    replicates: int = 40
    """Resamples behind every interval."""
    cap: int = 5000
    """Most records compared on each side."""
    overlap_expected: bool = False
    """True where splits are by occurrence, because most records repeat."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Everything about the real records that evaluating a candidate needs."""

    n: int
    wanted: ClassCounts | int
    """What to synthesize for a candidate: rows per class, or rows when unconditional."""


def build_reference(splits: Splits, options: Options) -> Reference:
    """Train the feature nets on train and measure what real data reaches.

    Raises:
        DataError: validation or holdout is too small to compare anything.
    """
    raise NotImplementedError
