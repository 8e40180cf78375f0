"""Numbers of every record on disk, so that equal ones are found without all being in memory.

Records are divided among files by a hash, so that equal ones lie in one file; a file is small
enough to be sorted in memory. On disk lie 8 bytes for each number of a record until the spill is
closed.

Shape legend: N records of a block, W numbers of each.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

PARTITIONS: Final = 128
"""Of 10^8 records a file holds fewer than a million."""

_WAITING_ROWS: Final = 1 << 17

Words = NDArray[np.uint64]


class Spill:
    """Records as W whole numbers each, in files by hash. A context manager: it deletes them.

    No file is held open between writes, as a wide table has many of these.
    """

    def __init__(self, folder: Path, name: str, words: int) -> None:
        """Prepare to write.

        Args:
            folder: for the files.
            name: which their names begin with.
            words: W.
        """
        self.rows = 0
        """Records so far."""
        self._words = words
        self._paths = [folder / f"{name}-{number:03}.spill" for number in range(PARTITIONS)]
        self._waiting: list[tuple[Words, NDArray[np.int64]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)

    def add(self, words_NW: Words, hashes_N: Words) -> None:
        """Append records.

        Args:
            words_NW: their numbers.
            hashes_N: equal for records that must come together, spread evenly for others.
        """
        self._waiting.append((words_NW, (hashes_N % np.uint64(PARTITIONS)).astype(np.int64)))
        self.rows += len(words_NW)
        if sum(len(parts_N) for _, parts_N in self._waiting) >= _WAITING_ROWS:
            self._write()

    def parts(self) -> Iterator[Words]:
        """Yield the records of every file, in the order in which they came."""
        self._write()
        for path in self._paths:
            data = path.read_bytes() if path.exists() else b""
            yield np.frombuffer(data, np.uint64).reshape(-1, self._words)

    def _write(self) -> None:
        if not self._waiting:
            return
        words_NW = np.concatenate([words for words, _ in self._waiting])
        parts_N = np.concatenate([parts for _, parts in self._waiting])
        self._waiting = []
        order = np.argsort(parts_N, kind="stable")
        ends = np.searchsorted(parts_N[order], np.arange(1, PARTITIONS))
        for path, rows in zip(self._paths, np.split(order, ends), strict=True):
            if len(rows):
                with path.open("ab", buffering=0) as file:
                    file.write(np.ascontiguousarray(words_NW[rows]).data)
