"""How the records of a version are divided into shards: sizes, and the classes of each.

Up to 99,999 shards are a tuple of objects, and stand in the plan one by one. More are columns of
numbers (`ShardTable`), which take a hundredth of the memory, and stand in the plan as runs of equal
shards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, Self, overload

import numpy as np

from storage.errors import PlanError
from storage.lake.synthesis import apportion
from storage.records.schema import ClassCounts, Label, read_class_counts

TARGET_SHARD_BYTES = 48 * 2**20
"""`auto` aims at the middle of 32 to 64 MiB."""
LEAST_SHARDS = 16
MOST_SHARDS = 1_000_000
MOST_LISTED = 99_999
"""Most shards that are listed one by one, in a plan and in a manifest."""


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """One shard to be made."""

    index: int
    first_id: int
    """`sample_id` of its first record; the others follow on."""
    rows: int
    class_counts: ClassCounts


class ShardTable(Sequence[ShardPlan]):
    """Very many shards, in columns."""

    def __init__(self, labels: Sequence[Label], rows: np.ndarray, counts: np.ndarray) -> None:
        """Hold them.

        Args:
            labels: the classes, in order; empty where nothing conditions.
            rows: of every shard, int64.
            counts: of every shard and class, int64.
        """
        self.labels = tuple(labels)
        self.rows_N = rows
        self.counts_NC = counts
        self.first_N = np.concatenate([[0], np.cumsum(rows[:-1])]).astype(np.int64)

    def __len__(self) -> int:
        """Return the number of shards."""
        return len(self.rows_N)

    @overload
    def __getitem__(self, index: int) -> ShardPlan: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ShardPlan, ...]: ...
    def __getitem__(self, index: int | slice) -> ShardPlan | tuple[ShardPlan, ...]:
        """Return one shard, or some."""
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        place = range(len(self))[index]
        counts = zip(self.labels, self.counts_NC[place].tolist(), strict=True)
        return ShardPlan(
            index=place,
            first_id=int(self.first_N[place]),
            rows=int(self.rows_N[place]),
            class_counts=tuple((label, count) for label, count in counts if count),
        )

    def __iter__(self) -> Iterator[ShardPlan]:
        """Yield every shard, in order."""
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Say whether the other holds the same shards."""
        return (
            isinstance(other, ShardTable)
            and self.labels == other.labels
            and np.array_equal(self.rows_N, other.rows_N)
            and np.array_equal(self.counts_NC, other.counts_NC)
        )

    __hash__ = None  # type: ignore[assignment]

    def to_runs(self) -> dict[str, Any]:
        """Return plain JSON: the labels, and [shards, rows, counts] of every run of equal ones."""
        columns_NK = np.column_stack([self.rows_N, self.counts_NC])
        changes = np.any(columns_NK[1:] != columns_NK[:-1], axis=1)
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
        lengths = np.diff(np.append(starts, len(self)))
        values = columns_NK[starts].tolist()
        runs = [[int(n), one[0], one[1:]] for n, one in zip(lengths, values, strict=True)]
        return {"labels": list(self.labels), "runs": runs}

    @classmethod
    def from_runs(cls, raw: dict[str, Any]) -> Self:
        """Read what `to_runs` returned.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        labels = [label for label, _ in read_class_counts([[each, 0] for each in raw["labels"]])]
        lengths, rows, counts = zip(*raw["runs"], strict=True)
        counts_RC = np.array(counts, np.int64).reshape(len(lengths), len(labels))
        repeated = np.repeat(counts_RC, lengths, axis=0)
        return cls(labels, np.repeat(np.array(rows, np.int64), lengths), repeated)


def plan_shards(
    class_counts: ClassCounts, rows: int, bytes_per_row: int, shard_samples: int | Literal["auto"]
) -> Sequence[ShardPlan]:
    """Divide the rows into shards, every class spread evenly over all of them.

    `shard_samples` are the records per shard (the last shard may hold fewer), or `auto`: as many
    shards of equal size as give 32 to 64 MiB each, at least 16, at most one per record.

    Raises:
        PlanError: they are too many.
    """
    sizes = _shard_sizes(rows, bytes_per_row, shard_samples)
    labels = [label for label, _ in class_counts]
    counts = _divided([count for _, count in class_counts], sizes)
    if len(sizes) > MOST_LISTED:
        counts_NC = np.zeros((len(sizes), len(labels)), np.int64)
        for index, taken in enumerate(counts if labels else ()):
            counts_NC[index] = taken
        return ShardTable(labels, np.array(sizes, np.int64), counts_NC)
    shards = []
    starts = accumulate(sizes, initial=0)
    for index, (size, first_id, taken) in enumerate(zip(sizes, starts, counts, strict=False)):
        pairs = tuple((label, take) for label, take in zip(labels, taken, strict=True) if take)
        shards.append(ShardPlan(index=index, first_id=first_id, rows=size, class_counts=pairs))
    return tuple(shards)


def _divided(left: list[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Yield how many of each class every shard takes of those that are left."""
    for size in sizes:
        taken = apportion(left, size) if left else []
        left = [have - take for have, take in zip(left, taken, strict=True)]
        yield taken


def _shard_sizes(rows: int, bytes_per_row: int, shard_samples: int | Literal["auto"]) -> list[int]:
    if shard_samples == "auto":
        by_size = -(-rows * bytes_per_row // TARGET_SHARD_BYTES)
        shards = min(rows, MOST_SHARDS, max(LEAST_SHARDS, by_size))
        return [rows * (i + 1) // shards - rows * i // shards for i in range(shards)]
    full, rest = divmod(rows, shard_samples)
    if full + (rest > 0) > MOST_SHARDS:
        msg = (
            f"{rows} samples in shards of {shard_samples} are {full + (rest > 0)} shards; "
            f"raise synthesis.shard_samples for at most {MOST_SHARDS}"
        )
        raise PlanError(msg)
    return [shard_samples] * full + [rest] * (rest > 0)


def total_rows(shards: Sequence[ShardPlan]) -> int:
    """Return the records of all shards."""
    if isinstance(shards, ShardTable):
        return int(shards.rows_N.sum())
    return sum(shard.rows for shard in shards)


def total_counts(shards: Sequence[ShardPlan]) -> ClassCounts:
    """Return the class counts of all shards."""
    if isinstance(shards, ShardTable):
        sums = zip(shards.labels, shards.counts_NC.sum(axis=0).tolist(), strict=True)
        return tuple(sorted((label, count) for label, count in sums if count))
    totals: dict[Label, int] = {}
    for shard in shards:
        for label, count in shard.class_counts:
            totals[label] = totals.get(label, 0) + count
    return tuple(sorted(totals.items()))
