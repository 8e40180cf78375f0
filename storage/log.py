"""An append-only log in an object store: numbered JSON records, each created once.

The order of the numbers is the order of the facts; whoever creates a number first owns it. There is
no lock and no pointer, so a process killed anywhere leaves the log whole.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.layout import numbered_key, record_number
from storage.objects import ObjectStore, put_or_adopt


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record of a log."""

    number: int
    record: dict[str, Any]
    digest: str
    """SHA-256 of the stored bytes."""


class AppendLog:
    """The log in one folder of a store. Records are read once and kept, as they never change."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._known: dict[int, Entry] = {}

    def read(self) -> list[Entry]:
        """Return every record there is now, by number.

        A record that is listed and gone when it is read was deleted meanwhile and is left out.

        Raises:
            IntegrityError: a record is not a JSON object.
        """
        listed = (record_number(info.key) for info in self._store.list(f"{self._folder}/"))
        numbers = sorted(number for number in listed if number is not None)
        entries = (self._known.get(number) or self._fetch(number) for number in numbers)
        return [entry for entry in entries if entry is not None]

    def append_at(self, number: int, record: Mapping[str, Any]) -> bool:
        """Create record `number`; False when another record has that number.

        True also when exactly this record is there: ours, whose reply was lost.
        """
        data = canonical_json(record)
        return self._put(number, data).digest == sha256_hex(data)

    def append(self, record: Mapping[str, Any], same: Callable[[Mapping[str, Any]], bool]) -> int:
        """Append `record` unless an equal one is there, and return the number of the one that is.

        All records are read first; then the next numbers are tried in turn without listing again,
        and each record that turns out to own a number is asked too.

        Args:
            record: what to append, JSON.
            same: whether a record says the same as `record`. It may raise to stop the append, as
                a publisher does that meets its version abandoned.
        """
        entries = self.read()
        for entry in entries:
            if same(entry.record):
                return entry.number
        number = entries[-1].number + 1 if entries else 1
        data = canonical_json(record)
        while True:
            entry = self._put(number, data)
            if entry.digest == sha256_hex(data) or same(entry.record):
                return number
            number += 1

    def _put(self, number: int, data: bytes) -> Entry:
        stored = put_or_adopt(self._store, numbered_key(self._folder, number), data)
        return self._remember(number, stored)

    def _fetch(self, number: int) -> Entry | None:
        try:
            return self._remember(number, self._store.get(numbered_key(self._folder, number)))
        except ObjectNotFoundError:
            return None

    def _remember(self, number: int, data: bytes) -> Entry:
        try:
            record = json.loads(data)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            key = numbered_key(self._folder, number)
            msg = (
                f"The log record {key} is no JSON object ({data[:40]!r}); restore it from a backup."
            )
            raise IntegrityError(msg)
        entry = Entry(number=number, record=record, digest=sha256_hex(data))
        self._known[number] = entry
        return entry
