"""Seekable files over something that is not a file: all follows from `read`, `seek` and `tell`."""

import io
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SeekableReader(io.RawIOBase):
    """The rest of a read-only binary file, given `read`, `seek` and `tell`."""

    @abstractmethod
    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes from here, all to the end when it is negative."""

    @abstractmethod
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place and return it."""

    @abstractmethod
    def tell(self) -> int:
        """Return the place."""

    def readall(self) -> bytes:
        """Return all bytes from here."""
        return self.read()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill `buffer` as far as there are bytes and return how many."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True


class RangeReader(SeekableReader):
    """A file over ranges of an object; nothing is read that was not asked for.

    `fetch` returns the bytes from a start up to, and without, a stop.
    """

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size_bytes = size_bytes
        self._fetch = fetch
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes from here with one fetch."""
        start = self._position
        wanted = self._size_bytes if size < 0 else size
        stop = min(self._size_bytes, start + wanted)
        if stop <= start:
            return b""
        data = self._fetch(start, stop)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; behind the end there is nothing to read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        place = base[whence] + offset
        if place < 0:
            msg = f"A place in a file cannot be negative, and {place} is."
            raise ValueError(msg)
        self._position = place
        return place

    def tell(self) -> int:
        """Return the place."""
        return self._position
