"""The classes of a label column: which a candidate lacks, and how many records each has."""

from collections.abc import Iterator

import pyarrow as pa

from gan.evaluation.classes import missing_classes
from gan.report import Fact
from gan.tables.evaluation.columns import KnownLevels
from storage.records.schema import Label


class NamedClasses:
    """The classes that enough records of train have to be named; none where the label is none."""

    def __init__(self, label: str | None, known: KnownLevels | None, rows: int, least: int) -> None:
        """Choose them.

        Args:
            label: name of the label column.
            known: its levels in train; None where it is no class.
            rows: records of train.
            least: fewer records are not named.
        """
        self.label, self.is_class = label, known is not None
        counted = () if known is None else zip(known.values.to_pylist(), known.counts, strict=True)
        self.shares = {value: float(count / rows) for value, count in counted if count >= least}

    def counts(self, records: pa.Table) -> tuple[tuple[Label, int], ...]:
        """Return records per class, sorted by class."""
        counted = self._counted(records)
        return tuple((value, counted.get(value, 0)) for value in sorted(self.shares))

    def judge(self, records: pa.Table, record: str) -> Iterator[Fact]:
        """Yield whether one is missing; nothing without classes."""
        if self.is_class:
            yield missing_classes(self.shares, self._counted(records), records.num_rows, record)

    def _counted(self, records: pa.Table) -> dict[Label, int]:
        if not self.shares:
            return {}
        found = records[self.label].value_counts().to_pylist()
        return {item["values"]: item["counts"] for item in found}
