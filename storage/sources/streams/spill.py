"""Numbers of every record on disk, so that equal ones are found without all being in memory.

Records are divided among files by a hash, so that equal ones lie in one file; a file is small enough
to be sorted in memory. On disk lie 8 bytes for each number of a record until the spill is closed.

Shape legend: N records of a block, W numbers of each.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

PARTITIONS: Final = 128
"""Of 10^8 records a file holds fewer than a million."""

Words = NDArray[np.uint64]


class Spill:
    """Records as W whole numbers each, in files by hash. A context manager: it deletes them."""

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
        self._files: list[BinaryIO] = []
        self._stack = ExitStack()

    def __enter__(self) -> "Spill":
        for path in self._paths:
            self._files.append(self._stack.enter_context(path.open("w+b")))
            self._stack.callback(path.unlink, missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, words_NW: Words, hashes_N: Words) -> None:
        """Append records.

        Args:
            words_NW: their numbers.
            hashes_N: equal for records that must come together, spread evenly for others.
        """
        parts_N = (hashes_N % np.uint64(PARTITIONS)).astype(np.int64)
        order = np.argsort(parts_N, kind="stable")
        ends = np.searchsorted(parts_N[order], np.arange(1, PARTITIONS))
        for file, rows in zip(self._files, np.split(order, ends), strict=True):
            if len(rows):
                file.write(np.ascontiguousarray(words_NW[rows]).data)
        self.rows += len(words_NW)

    def parts(self) -> Iterator[Words]:
        """Yield the records of every file, in the order in which they came."""
        for file in self._files:
            file.flush()
            file.seek(0)
            yield np.frombuffer(file.read(), np.uint64).reshape(-1, self._words)
            file.seek(0, 2)
