"""Everything that gan raises on purpose.

GanError
├── ConfigError          a choice that does not exist or cannot be combined (exit 2)
├── DataError            records that a generator cannot be trained or judged on (exit 4)
├── TrainingError        training failed (exit 6)
│   ├── NotFiniteError   weights or losses left the finite numbers and repair did not help
│   ├── CollapseError    the generator collapsed or died and starting again did not help
│   ├── MemoryLimitError the smallest micro-batch does not fit on the device
│   │   └── SmallerPartsError  one of several ranks ran out of memory; all start again with less
│   └── RankLostError    one of the processes that train together died; run again, it continues
├── SnapshotError        a snapshot is incomplete, tampered with, or of another version (exit 5)
└── Interrupted          training was asked to stop; the last checkpoint is complete (exit 130)

A message says what is wrong, the value received, and the remedy, in one sentence. A refusal that
knows which settings of the recipe remedy it says them as data too (`proposals`).
"""

from collections.abc import Sequence

from storage.records.proposal import Proposal


class GanError(Exception):
    """Root of the tree."""

    def __init__(self, *args: object, proposals: Sequence[Proposal] = ()) -> None:
        super().__init__(*args)
        self.proposals = tuple(proposals)


class ConfigError(GanError):
    """A choice that does not exist or cannot be combined."""


class DataError(GanError):
    """Records that a generator cannot be trained or judged on."""


class TrainingError(GanError):
    """Training failed."""


class NotFiniteError(TrainingError):
    """Weights or losses left the finite numbers and repair did not help."""


class CollapseError(TrainingError):
    """The generator collapsed or died and starting again did not help."""


class MemoryLimitError(TrainingError):
    """The smallest micro-batch does not fit on the device."""


class SmallerPartsError(MemoryLimitError):
    """One of several ranks ran out of memory; all start again with so many samples at once."""

    def __init__(self, at_once: int) -> None:
        super().__init__(f"out of memory: trying again with {at_once} samples at once")
        self.at_once = at_once


class RankLostError(TrainingError):
    """One of the processes that train together died; run again, it continues."""


class SnapshotError(GanError):
    """A snapshot is incomplete, tampered with, or of another version."""


class OutdatedError(SnapshotError):
    """A snapshot is of an algorithm version whose networks this one does not have."""


class Interrupted(GanError):  # noqa: N818 - a stop that was asked for is not an error
    """Training was asked to stop; the last checkpoint is complete."""
