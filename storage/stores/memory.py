"""A store in memory, for tests: it keeps the whole contract within one process."""

import io
import threading
from collections.abc import Iterator
from typing import BinaryIO

from storage.errors import ObjectNotFoundError
from storage.stores.interface import ObjectInfo, ObjectStore, check_key


class MemoryStore(ObjectStore):
    """Objects in a dictionary. It cannot be sent to another process."""

    def __init__(self, uri: str = "memory://test") -> None:
        self.uri = uri
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes:
        """Return the whole object."""
        try:
            return self._objects[check_key(key)]
        except KeyError:
            msg = f"There is no object {self.uri}/{key}; check the name or list the lake."
            raise ObjectNotFoundError(msg) from None

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        return io.BytesIO(self.get(key))

    def put_once(self, key: str, data: bytes) -> bool:
        """Create the object if nothing is there."""
        with self._lock:
            if check_key(key) in self._objects:
                return False
            self._objects[key] = bytes(data)
            return True

    def replace(self, key: str, data: bytes) -> None:
        """Put the object whatever was there."""
        with self._lock:
            self._objects[check_key(key)] = bytes(data)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return the size of the object, or None."""
        data = self._objects.get(check_key(key))
        return None if data is None else ObjectInfo(key=key, size_bytes=len(data))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, sorted by key."""
        with self._lock:
            found = sorted((k, len(d)) for k, d in self._objects.items() if k.startswith(prefix))
        for key, size_bytes in found:
            yield ObjectInfo(key=key, size_bytes=size_bytes)

    def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""
        with self._lock:
            self._objects.pop(check_key(key), None)
