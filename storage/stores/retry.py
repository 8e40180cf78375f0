"""The one retry layer: passing faults are tried again, with growing waits, until a deadline.

What is retried is named: `storage.errors.RetryableError` and its children, nothing else. Every
operation of a store may be repeated: a put whose reply was lost answers "already there".
"""

import io
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, TypeVar, cast

from storage.errors import DeadlineError, RetryableError
from storage.stores.interface import ObjectInfo, ObjectStore
from storage.stores.readers import SeekableReader

T = TypeVar("T")

_log = logging.getLogger(__name__)


def system_jitter() -> float:
    """Return a number in [0, 1) from the operating system; it differs in every process."""
    return secrets.randbelow(1 << 53) / (1 << 53)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up."""

    deadline_s: float = 60.0
    """From the first attempt to the start of the last one."""
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = system_jitter
    """Numbers in [0, 1) that keep competing processes apart."""

    def wait_s(self, attempt: int) -> float:
        """Return the wait after failed attempt `attempt` (from 1).

        Doubling waits, half of each drawn at random ("equal jitter", M. Brooker, "Exponential
        Backoff And Jitter", AWS Architecture Blog, 2015).
        """
        doublings = min(attempt - 1, 32)
        whole = min(self.longest_wait_s, self.first_wait_s * 2.0**doublings)
        return whole * (0.5 + 0.5 * self.jitter())


def with_retries(call: Callable[[], T], *, what: str, policy: RetryPolicy) -> T:
    """Return `call()`, tried again while it raises RetryableError and the deadline allows.

    `what` is the operation for messages: "put s3://bucket/key".

    Raises:
        DeadlineError: the fault lasted; its cause is the last error.
    """
    start = policy.clock()
    attempt = 0
    while True:
        attempt += 1
        try:
            return call()
        except RetryableError as error:
            past_s = policy.clock() - start
            wait_s = min(policy.wait_s(attempt), policy.deadline_s - past_s)
            if wait_s <= 0:
                msg = (
                    f"Could not {what}, after {attempt} attempts in {past_s:.1f} s "
                    f"(deadline {policy.deadline_s:g} s): {error}"
                )
                raise DeadlineError(msg) from error
            _log.info("%s Trying again in %.1f s (attempt %d).", error, wait_s, attempt + 1)
        policy.sleep(wait_s)


class RetryingStore(ObjectStore):
    """A store whose passing faults are retried."""

    def __init__(self, inner: ObjectStore, policy: RetryPolicy) -> None:
        self.inner = inner
        self.uri = inner.uri
        self._policy = policy

    def get(self, key: str) -> bytes:
        """Return the whole object."""
        return self._retry("get", key, lambda: self.inner.get(key))

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading; a read that fails is tried again from where it began."""
        file = self._retry("open", key, lambda: self.inner.open(key))
        return cast(BinaryIO, _RetryingReader(file, f"read {self.uri}/{key}", self._policy))

    def put_once(self, key: str, data: bytes) -> bool:
        """Create the object if nothing is there."""
        return self._retry("put", key, lambda: self.inner.put_once(key, data))

    def put_or_adopt(self, key: str, data: bytes) -> bytes:
        """Put once and read back on conflict; a read-back that finds nothing is tried again."""
        return self._retry("put", key, lambda: self.inner.put_or_adopt(key, data))

    def replace(self, key: str, data: bytes) -> None:
        """Put the object whatever was there."""
        self._retry("replace", key, lambda: self.inner.replace(key, data))

    def link(self, key: str, seconds: int) -> str | None:
        """Return an address of the object; it is computed here, not asked for."""
        return self.inner.link(key, seconds)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return size and tag of the object, or None."""
        return self._retry("stat", key, lambda: self.inner.stat(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object; after a fault the listing goes on behind the last one yielded."""
        last = ""
        pages: Iterator[ObjectInfo] | None = None

        def advance() -> ObjectInfo | None:
            nonlocal pages
            try:
                if pages is None:
                    pages = (info for info in self.inner.list(prefix) if info.key > last)
                return next(pages, None)
            except RetryableError:
                pages = None
                raise

        while (info := self._retry("list", prefix, advance)) is not None:
            last = info.key
            yield info

    def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""
        self._retry("delete", key, lambda: self.inner.delete(key))

    def now(self) -> datetime | None:
        """Return the time by the store's clock."""
        return self._retry("ask the time of", "", self.inner.now)

    def _retry(self, verb: str, key: str, call: Callable[[], T]) -> T:
        return with_retries(call, what=f"{verb} {self.uri}/{key}", policy=self._policy)


class _RetryingReader(SeekableReader):
    """A file whose failed reads are repeated at the same place."""

    def __init__(self, file: BinaryIO, what: str, policy: RetryPolicy) -> None:
        self._file = file
        self._what = what
        self._policy = policy

    def read(self, size: int = -1) -> bytes:
        start = self._file.tell()

        def attempt() -> bytes:
            self._file.seek(start)
            return self._file.read(size)

        return with_retries(attempt, what=self._what, policy=self._policy)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
