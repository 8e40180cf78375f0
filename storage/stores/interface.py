"""The one interface to a lake or a source: whole objects under '/'-separated keys.

A store is rooted at an URI; keys are relative to that root. Three implementations pass the same
contract suite: a local folder, S3, and memory for tests.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, TypeVar

from storage.errors import IntegrityError, LakeError, ObjectNotFoundError, WriteConflictError

T = TypeVar("T")

STAGING = ".staging"
"""The folder of a local lake that holds what is not yet an object; no key may name it."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """What a listing says of one object."""

    key: str
    size_bytes: int
    etag: str | None = None
    """The store's own content tag (S3), or None where there is none (local, memory)."""
    stored_at: datetime | None = field(default=None, compare=False)
    """When it was put, UTC, by the clock of the store; None where the store does not say."""


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

    def now(self) -> datetime | None:
        """Return the time, UTC, by the clock that stamps `stored_at`; None where it is unknown."""
        return None


def read_checked(store: ObjectStore, key: str, check: Callable[[bytes], T]) -> T:
    """Return `check(data)` of an object, which is read once more when the check refuses it.

    A bit that flips on the way is not taken for damage of what is stored.

    Raises:
        ObjectNotFoundError: there is no such object.
        IntegrityError: what `check` raises on the second reading too.
    """
    try:
        return check(store.get(key))
    except IntegrityError:
        return check(store.get(key))


def put_or_agree(store: ObjectStore, key: str, data: bytes) -> bytes:
    """Put once and return what is now under `key`, read until two readings of it agree.

    For objects whose digest goes into another one: a bit that flips on the way must not.

    Raises:
        IntegrityError: three readings are three different ones.
    """
    stored = store.put_or_adopt(key, data)
    return data if stored == data else read_agreed(store, key, stored)


def read_agreed(store: ObjectStore, key: str, *before: bytes) -> bytes:
    """Return an object whose digest nothing names, read until two readings of it agree.

    Args:
        store: that holds it.
        key: of the object.
        before: readings that were taken already.

    Raises:
        ObjectNotFoundError: there is no such object.
        IntegrityError: three readings are three different ones.
    """
    readings = list(before)
    for _ in range(3):
        data = store.get(key)
        if data in readings:
            return data
        readings.append(data)
    msg = f"{store.uri}/{key} reads differently every time; check the disk and the network"
    raise IntegrityError(msg)


def check_key(key: str, *, foreign: bool = False) -> str:
    """Return `key` unchanged when it names an object below the root of a store.

    Args:
        key: relative to the root.
        foreign: of an object that others put: it may have empty parts, as `a//b` has.

    Raises:
        LakeError: the key is empty, absolute, leaves the root or names the staging folder.
    """
    parts = key.split("/")
    refused = (".", "..", STAGING) if foreign and parts[-1] else ("", ".", "..", STAGING)
    if "\0" in key or any(part in refused for part in parts):
        msg = (
            f"The object key {key!r} is not a plain relative path; use names separated by single "
            f"slashes, none of them '.', '..' or '{STAGING}'."
        )
        raise LakeError(msg)
    return key
