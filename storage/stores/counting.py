"""A store that counts the bytes written through it, for the cost of a run."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO

from storage.stores.interface import ObjectInfo, ObjectStore


class CountingStore(ObjectStore):
    """Another store that tells `wrote` the size of every object created or replaced through it.

    What was there already does not count: `put_once` says so, and `put_or_adopt` then returns other
    bytes than those it was given. Deleting takes nothing back.
    """

    def __init__(self, inner: ObjectStore, wrote: Callable[[int], None]) -> None:
        self.inner = inner
        self.uri = inner.uri
        self._wrote = wrote

    def get(self, key: str) -> bytes:
        """Return the whole object."""
        return self.inner.get(key)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        return self.inner.open(key)

    def put_once(self, key: str, data: bytes) -> bool:
        """Create the object if nothing is there."""
        created = self.inner.put_once(key, data)
        if created:
            self._wrote(len(data))
        return created

    def put_or_adopt(self, key: str, data: bytes) -> bytes:
        """Put once and return what is now under `key`."""
        stored = self.inner.put_or_adopt(key, data)
        if stored is data:
            self._wrote(len(data))
        return stored

    def replace(self, key: str, data: bytes) -> None:
        """Put the object whatever was there."""
        self.inner.replace(key, data)
        self._wrote(len(data))

    def link(self, key: str, seconds: int) -> str | None:
        """Return an address of the object."""
        return self.inner.link(key, seconds)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return size and tag of the object, or None."""
        return self.inner.stat(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, sorted by key."""
        return self.inner.list(prefix)

    def now(self) -> datetime | None:
        """Return the time by the store's clock."""
        return self.inner.now()

    def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""
        self.inner.delete(key)
