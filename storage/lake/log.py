"""An append-only log in an object store, and the log of a data set's versions read as facts.

Records are numbered JSON objects, each created once. The order of the numbers is the order of the
facts; whoever creates a number first owns it. There is no lock and no pointer, so a process killed
anywhere leaves the log whole. In a chained log each record also names the digest of the one before,
so that a record that was changed later does not go unnoticed.

Of versions the log says what is committed, abandoned, retired and pinned: a commit after an
`abandon` of its version counts for nothing, and a version is retired or pinned as the last record
on it says. What a person retired the machine does not publish again, unless a person permits it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from storage.digests import canonical_json, sha256_hex
from storage.errors import AbandonedError, IntegrityError, ObjectNotFoundError
from storage.lake.layout import commits_folder, manifest_key, numbered_key, record_number
from storage.stores.interface import ObjectStore, read_checked

FOLLOWS = "follows"
"""Field of a record in a chained log: the digest of the record before."""
RETENTION = "retention"
"""Who retires a version when no person does."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One object that is not what was committed."""

    key: str
    what: str
    """One sentence."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record of a log."""

    number: int
    record: dict[str, Any]
    digest: str
    """SHA-256 of the stored bytes."""


class AppendLog:
    """The log in one folder of a store. Records are read once and kept, as they never change."""

    def __init__(self, store: ObjectStore, folder: str, *, chained: bool = False) -> None:
        self._store = store
        self._folder = folder
        self._chained = chained
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
        data = self._bytes(number, record)
        return self._put(number, data).digest == sha256_hex(data)

    def append(self, record: Mapping[str, Any], same: Callable[[Mapping[str, Any]], bool]) -> int:
        """Append `record` unless an equal one is there, and return the number of the one that is.

        All records are read first; then the next numbers are tried in turn without listing again,
        and each record that turns out to own a number is compared too. `same` may raise to stop
        the append, as a publisher does that meets its version abandoned.
        """
        entries = self.read()
        for entry in entries:
            if same(entry.record):
                return entry.number
        number = entries[-1].number + 1 if entries else 1
        while True:
            data = self._bytes(number, record)
            entry = self._put(number, data)
            if entry.digest == sha256_hex(data) or same(entry.record):
                return number
            number += 1

    def _bytes(self, number: int, record: Mapping[str, Any]) -> bytes:
        before = self._known.get(number - 1) if self._chained else None
        return canonical_json(record if before is None else {**record, FOLLOWS: before.digest})

    def _put(self, number: int, data: bytes) -> Entry:
        key = numbered_key(self._folder, number)
        stored = self._store.put_or_adopt(key, data)
        if stored == data:
            return self._remember(number, key, data)
        return read_checked(self._store, key, lambda found: self._remember(number, key, found))

    def _fetch(self, number: int) -> Entry | None:
        key = numbered_key(self._folder, number)
        try:
            return read_checked(self._store, key, lambda found: self._remember(number, key, found))
        except ObjectNotFoundError:
            return None

    def _remember(self, number: int, key: str, data: bytes) -> Entry:
        try:
            record = json.loads(data)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            msg = f"{key} is no JSON object ({data[:40]!r}); restore this record from a backup."
            raise IntegrityError(msg)
        entry = Entry(number=number, record=record, digest=sha256_hex(data))
        self._known[number] = entry
        return entry


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit record and what later records say of its version."""

    name: str
    """The data set."""
    version: str
    number: int
    """Of the record; the latest version has the highest."""
    created: str
    """UTC, ISO 8601."""
    manifest_key: str
    manifest_sha256: str
    retired: bool = False
    retired_at: str = ""
    """UTC, ISO 8601; empty where the record says no time."""
    retired_by: str = ""
    """`retention`, or the person who retracted it; empty where the record says nobody."""
    retired_why: str = ""
    retired_in: int = 0
    """Number of the record that retired it; 0 unless retired."""
    permitted: bool = False
    """A person lets the run that made it publish it again."""
    pinned: bool = False

    @property
    def is_retracted(self) -> bool:
        """Whether a person took it back, so that the same run is not to publish it again."""
        by_a_person = self.retired_by not in ("", RETENTION)
        return self.retired and by_a_person and not self.permitted


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Everything the log says, in one reading."""

    commits: Sequence[Commit]
    """By number, the retired ones included."""
    abandoned: frozenset[str]

    @property
    def visible(self) -> list[Commit]:
        """What readers see: committed and not retired, oldest first."""
        return [commit for commit in self.commits if not commit.retired]

    def is_gone(self, version: str) -> bool:
        """Say whether the version was abandoned or retired: its files may be deleted any moment."""
        retired = {commit.version for commit in self.commits if commit.retired}
        return version in self.abandoned or version in retired

    def retracted(self, run_key: str) -> Commit | None:
        """Return the version of that run that a person took back last and does not permit again.

        A version ends in the first digits of its run key. None also when another version of that
        run is visible.
        """
        found = [commit for commit in self.commits if commit.version.endswith(f"-{run_key[:8]}")]
        if not all(commit.retired for commit in found):
            return None
        return next((commit for commit in reversed(found) if commit.is_retracted), None)

    def of(self, version: str) -> Commit | None:
        """Return the commit of a version, retired or not, or None."""
        return next((commit for commit in self.commits if commit.version == version), None)


def version_log(lake: ObjectStore, name: str) -> AppendLog:
    """Return the log of a data set's versions."""
    return AppendLog(lake, commits_folder(name), chained=True)


def read_versions(lake: ObjectStore, name: str) -> Versions:
    """Read the log of a data set."""
    return fold(name, version_log(lake, name).read())


def fold(name: str, entries: Sequence[Entry]) -> Versions:
    """Turn records into facts. Kinds that this ganmill does not know are passed over."""
    commits: dict[str, Commit] = {}
    abandoned: set[str] = set()
    for entry in entries:
        kind, version = str(entry.record.get("kind")), str(entry.record.get("version"))
        if kind == "abandon" and version not in commits:
            abandoned.add(version)
        elif kind == "commit" and version not in commits and version not in abandoned:
            commits[version] = _commit(name, entry)
        elif version in commits and kind in _CHANGES:
            commits[version] = _CHANGES[kind](commits[version], entry)
    return Versions(commits=tuple(commits.values()), abandoned=frozenset(abandoned))


def _commit(name: str, entry: Entry) -> Commit:
    record = entry.record
    try:
        return Commit(
            name=name,
            version=record["version"],
            number=entry.number,
            created=record["created"],
            manifest_key=record["manifest"],
            manifest_sha256=record["manifest_sha256"],
        )
    except KeyError as error:
        msg = f"commit record {entry.number} lacks {error}; restore it from a backup"
        raise IntegrityError(msg) from error


def _retire(commit: Commit, entry: Entry) -> Commit:
    """The first record retires: a later one does not prolong the grace period."""
    if commit.retired:
        return commit
    said = {field: str(entry.record.get(field, "")) for field in ("created", "by", "reason")}
    return replace(
        commit,
        retired=True,
        retired_at=said["created"],
        retired_by=said["by"],
        retired_why=said["reason"],
        retired_in=entry.number,
    )


_CHANGES: Mapping[str, Callable[[Commit, Entry], Commit]] = {
    "retire": _retire,
    "pin": lambda commit, _: replace(commit, pinned=True),
    "unpin": lambda commit, _: replace(commit, pinned=False),
    "permit": lambda commit, _: replace(commit, permitted=commit.retired),
}


def append_commit(
    lake: ObjectStore, name: str, version: str, *, manifest_sha256: str, created: str
) -> int:
    """Append the commit record of a version, or find it, and return its number.

    Raises:
        AbandonedError: the version was given up before it was committed.
        IntegrityError: another manifest was committed for this version.
    """
    record = {
        "kind": "commit",
        "version": version,
        "manifest": manifest_key(name, version),
        "manifest_sha256": manifest_sha256,
        "created": created,
    }

    def same(other: Mapping[str, Any]) -> bool:
        if other.get("version") != version:
            return False
        if other.get("kind") == "abandon":
            raise abandoned(version)
        if other.get("kind") != "commit":
            return False
        if other.get("manifest_sha256") != manifest_sha256:
            msg = (
                f"version {version} is committed with another manifest (sha256 "
                f"{other.get('manifest_sha256')}, not {manifest_sha256}); "
                "verify it and restore its manifest from a backup"
            )
            raise IntegrityError(msg)
        return True

    return version_log(lake, name).append(record, same)


def abandoned(version: str) -> AbandonedError:
    """Return the error of a publisher that meets its version given up."""
    return AbandonedError(
        f"version {version} was given up by another process while it was published; "
        "run again, which starts a new attempt under a new version"
    )
