"""The one interface to a lake or a source: whole objects under '/'-separated keys.

A store is rooted at an URI; keys are relative to that root. Three implementations pass the same
contract suite: a local folder, S3, and memory for tests.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from storage.errors import LakeError, ObjectNotFoundError, WriteConflictError

STAGING = ".staging"
"""The folder of a local lake that holds what is not yet an object; no key may name it."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """What a listing says of one object."""

    key: str
    size_bytes: int
    etag: str | None = None
    """The store's own content tag (S3), or None where there is none (local, memory)."""


class ObjectStore(ABC):
    """Whole objects, put once.

    Every method raises `storage.errors.LakeError` or one of its children and nothing else for
    faults of the store.
    """

    uri: str
    """The root, without a trailing slash, as a reader would type it."""

    @abstractmethod
    def get(self, key: str) -> bytes:
        """Return the whole object.

        Raises:
            ObjectNotFoundError: there is no such object.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Open an object for reading only: seekable, and not read ahead of need.

        Raises:
            ObjectNotFoundError: there is no such object.
        """

    @abstractmethod
    def put_once(self, key: str, data: bytes) -> bool:
        """Create the object if nothing is there; atomic, never a partial object.

        Returns:
            True when this call certainly created it. False when an object is there: a racer's, or
            our own whose reply was lost. The caller reads it back and decides.
        """

    def put_or_adopt(self, key: str, data: bytes) -> bytes:
        """Put once and return what is now under `key`: ours, or what the first to arrive put.

        Raises:
            WriteConflictError: an object was there and was gone when it was read back.
        """
        if self.put_once(key, data):
            return data
        try:
            return self.get(key)
        except ObjectNotFoundError as error:
            msg = f"{self.uri}/{key} was there and is gone; another process deleted it, try again."
            raise WriteConflictError(msg) from error

    @abstractmethod
    def replace(self, key: str, data: bytes) -> None:
        """Put the object whatever was there; atomic. Only for hints, indexes and heartbeats."""

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo | None:
        """Return size and tag of the object, or None when there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, sorted by key, never from a cache."""

    def link(self, key: str, seconds: int) -> str | None:  # noqa: ARG002 - of stores that can
        """Return an address that opens the object as a page in a browser, for so many seconds.

        Returns:
            None where the store has no such addresses.
        """
        return None

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""


def check_key(key: str) -> str:
    """Return `key` unchanged when it names an object below the root of a store.

    Raises:
        LakeError: the key is empty, absolute, leaves the root or names the staging folder.
    """
    parts = key.split("/")
    if "\0" in key or any(part in ("", ".", "..", STAGING) for part in parts):
        msg = (
            f"The object key {key!r} is not a plain relative path; use names separated by single "
            f"slashes, none of them '.', '..' or '{STAGING}'."
        )
        raise LakeError(msg)
    return key
