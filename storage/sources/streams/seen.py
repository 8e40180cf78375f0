"""What was seen of a source of which a sample is kept, in numbers and in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Any, Final

from storage.records.schema import ClassCounts
from storage.sources.split import SPLITS, TRAIN
from storage.sources.streams.sample import SAMPLE_SCHEMA

CONFIDENCE: Final = 0.95
_SHOWN_CLASSES: Final = 12


@dataclass(frozen=True, kw_only=True)
class SeenRecords:
    """All records of a source, and how many of them are kept."""

    rows: int
    """Records in all."""
    kept: int
    """Of the sample."""
    most: int
    """How many the sample may have."""
    by_split: Mapping[str, int] = field(default_factory=dict)
    """Split → records in all; empty where that is not known without decoding all."""
    class_counts: Mapping[str, ClassCounts] = field(default_factory=dict)
    """Split → records of each class in all."""

    def key(self) -> dict[str, Any]:
        """Return what the keys must know: equal samples of equal sources are equal records."""
        return {"schema": SAMPLE_SCHEMA, "rows": self.kept, "of": self.rows}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "rows": self.rows,
            "kept": self.kept,
            "most": self.most,
            "by_split": dict(self.by_split),
            "class_counts": {name: list(pairs) for name, pairs in self.class_counts.items()},
        }

    def notes(self, words: str, kept: Mapping[str, int], what: str) -> tuple[str, ...]:
        """Return sentences on what was seen and what is kept.

        Args:
            words: what records are called.
            kept: split → records of the sample.
            what: all records decide, besides the sample.
        """
        shown = ", ".join(f"{name} {kept[name]:,}" for name in SPLITS)
        first = (
            f"Of {self.rows:,} {words} a uniform sample of {self.kept:,} is kept ({shown}), chosen "
            f"by content whatever the order; {what} are of all {self.rows:,}."
        )
        by_class = self._classes()
        if not self.by_split:
            return (first, f"All {words} by class: {by_class}.") if by_class else (first,)
        totals = ", ".join(f"{name} {self.by_split[name]:,}" for name in SPLITS)
        more = f"; by class: {by_class}" if by_class else ""
        return (first, f"All {words} by split: {totals}{more}.")

    def _classes(self) -> str:
        """Return the classes of all records, where they are few."""
        counts: dict[Any, int] = {}
        for pairs in self.class_counts.values():
            for label, count in pairs:
                counts[label] = counts.get(label, 0) + count
        if not 0 < len(counts) <= _SHOWN_CLASSES:
            return ""
        return ", ".join(f"{label!r} {count:,}" for label, count in counts.items())


def error_note(train: int, columns: int) -> str:
    """Return a sentence on what is lost by learning from a sample.

    The inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant ("The tight constant
    in the Dvoretzky-Kiefer-Wolfowitz inequality", Ann. Probab. 18, 1990), for all columns at once.

    Args:
        train: rows of the sample that are trained on.
        columns: how many there are.
    """
    error = sqrt(log(2 * max(columns, 1) / (1 - CONFIDENCE)) / (2 * max(train, 1)))
    return (
        f"Shares and quantiles that are learnt from {train:,} rows of {TRAIN} differ from those of "
        f"all its rows by {error:.2%} of the rows at most, in all of {columns} columns with "
        f"{CONFIDENCE:.0%} confidence (Dvoretzky-Kiefer-Wolfowitz)."
    )
