"""One pass over all rows of a streamed table: what a sample cannot know of them.

Every row is read with the types of the sample; rows that do not fit come back as evidence. If all
fit, the pass has counted the columns, the classes and the missing labels, has compared every
constraint with every row, and has left the digest of every row's content in a spill.

Shape legend: N rows of a block.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records.constraint import Constraint
from storage.sources.builder import Progress
from storage.sources.split import row_digests
from storage.sources.streams.sample import as_words
from storage.sources.streams.spill import Spill
from storage.sources.tables.cells import CellReader
from storage.sources.tables.column_facts import ColumnCounter, ColumnFacts
from storage.sources.tables.row_stream import RowStream
from storage.sources.tables.source import Unusable, unusable_values
from storage.sources.tables.structure.everywhere import RuleCheck

MOST_EVIDENCE: Final = 512
"""Rows that one pass brings back."""

_REPEATED: Final = "rows repeat the values of other rows"
_MOST_LABELS: Final = 1000
"""A label of more values has no classes; what makes it one of few is decided elsewhere."""


@dataclass(frozen=True, kw_only=True)
class SweptTable:
    """What all rows say."""

    rows: int
    """In all, with those without a label."""
    unlabelled: int
    facts: Mapping[str, ColumnFacts]
    """Of every column, over the rows with a label."""
    labels: Mapping[Any, int]
    """Rows of each label; empty where there are no classes."""
    unusable: Unusable
    broken: Mapping[Constraint, str]
    """Constraints that do not hold in all rows → why."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What looks at every block of rows with a label."""

    counters: Mapping[str, ColumnCounter]
    checks: Sequence[RuleCheck]
    uniques: Mapping[Constraint, Spill]
    """Constraints that no two rows agree → digests of these columns of all rows."""

    def add(self, table: pa.Table) -> None:
        """Look at some more rows."""
        for name, counter in self.counters.items():
            counter.add(table.column(name))
        for check in self.checks:
            check.add(table)
        for one, spill in self.uniques.items():
            _spill_whole(table, one.columns, spill)

    def broken(self) -> dict[Constraint, str]:
        """Return the constraints that do not hold in all rows so far, and why."""
        found = {one.constraint: one.broken for one in self.checks if one.broken is not None}
        again = {one: _REPEATED for one, spill in self.uniques.items() if _has_repeats(spill)}
        return {**found, **again}


@dataclass
class Sweep:
    """What one pass looks at, and what it found so far."""

    stream: RowStream
    reader: CellReader
    content: Sequence[str]
    """Columns that decide the split."""
    label: str | None
    constraints: Sequence[Constraint]
    """To be compared with every row; combinations say what their first column decides."""
    sample: pa.Table
    """Rows in which all of them hold."""
    folder: Path
    rows: int = 0
    unlabelled: int = 0
    labels: dict[Any, int] = field(default_factory=dict)
    """Label → its code in the spill, in the order in which they come."""
    counts: dict[Any, int] = field(default_factory=dict)
    unusable: dict[tuple[str, str], int] = field(default_factory=dict)

    def run(
        self, spill: Spill, progress: Progress | None, total: int
    ) -> SweptTable | list[pa.Table]:
        """Read all rows; return what they say, or the rows that do not fit, as blocks hold them.

        Args:
            spill: for the content, `DIVIDE_WORDS` of a row, with codes of `labels`.
            progress: called with how far the reading is.
            total: rows in all.

        Raises:
            SourceError: a file is damaged.
        """
        with ExitStack() as stack:
            watch = self._watch(stack)
            evidence: list[pa.Table] = []
            for block in self.stream.blocks():
                read = self.reader.read(block)
                if read.misfit_N.any():
                    odd = block.filter(pa.array(read.misfit_N))
                    evidence.append(odd.slice(0, MOST_EVIDENCE - sum(map(len, evidence))))
                    if sum(map(len, evidence)) >= MOST_EVIDENCE:
                        break
                if not evidence:
                    watch.add(self._counted(read.table, spill))
                self.rows += len(block)
                if progress is not None:
                    progress(min(self.rows, total), total)
            return evidence or SweptTable(
                rows=self.rows,
                unlabelled=self.unlabelled,
                facts={name: counter.facts() for name, counter in watch.counters.items()},
                labels=self.counts if len(self.counts) <= _MOST_LABELS else {},
                unusable=self.unusable,
                broken=watch.broken(),
            )

    def _watch(self, stack: ExitStack) -> "Watched":
        """Return what looks at every block; the stack ends it."""
        return Watched(
            counters={
                name: stack.enter_context(ColumnCounter(self.folder, f"column-{number}"))
                for number, name in enumerate(self.sample.column_names)
            },
            checks=[RuleCheck(one, self.sample) for one in self.constraints],
            uniques={
                one: stack.enter_context(Spill(self.folder, f"unique-{number}", 2))
                for number, one in enumerate(self.constraints)
                if one.kind == "unique"
            },
        )

    def _counted(self, table: pa.Table, spill: Spill) -> pa.Table:
        """Count the rows of a block that have a label, spill their content, and return them."""
        places_N = np.arange(self.rows, self.rows + len(table))
        for key, count in unusable_values(table).items():
            self.unusable[key] = self.unusable.get(key, 0) + count
        if self.label is not None and table.column(self.label).null_count:
            labelled = table.column(self.label).is_valid()
            self.unlabelled += table.column(self.label).null_count
            table, places_N = table.filter(labelled), places_N[labelled.to_numpy()]
        halves = as_words(row_digests(table, self.content))
        codes_N = self._codes(table)
        spill.add(np.column_stack([halves, places_N.astype(np.uint64), codes_N]), halves[:, 1])
        return table

    def _codes(self, table: pa.Table) -> NDArray[np.uint64]:
        """Return the code of every row's label and one; 0: too many to be classes."""
        if self.label is None or len(self.counts) > _MOST_LABELS:
            return np.zeros(len(table), np.uint64)
        coded = table.column(self.label).combine_chunks().dictionary_encode()
        values = coded.dictionary.to_pylist()
        places_N = coded.indices.to_numpy(zero_copy_only=False)
        sizes = np.bincount(places_N, minlength=len(values))
        for value, size in zip(values, sizes.tolist(), strict=True):
            self.labels.setdefault(value, len(self.labels))
            self.counts[value] = self.counts.get(value, 0) + size
        codes = np.array([self.labels[value] + 1 for value in values], np.uint64)
        return np.asarray(codes[places_N], np.uint64)


def _spill_whole(table: pa.Table, columns: Sequence[str], spill: Spill) -> None:
    """Spill the values of some columns together, of rows in which none is missing."""
    whole = table.select(list(columns))
    for name in columns:
        if whole.column(name).null_count:
            whole = whole.filter(pc.is_valid(whole.column(name)))
    halves = as_words(row_digests(whole, columns))
    spill.add(halves, halves[:, 1])


def _has_repeats(spill: Spill) -> bool:
    return any(len(np.unique(words, axis=0)) < len(words) for words in spill.parts())
