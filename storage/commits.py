"""The log of a data set's versions, read as facts: what is committed, abandoned, retired, pinned.

The order of the records decides: a commit after an `abandon` of its version counts for nothing,
and a version is retired or pinned as the last record on it says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from storage.errors import AbandonedError, IntegrityError
from storage.layout import commits_folder
from storage.log import AppendLog, Entry
from storage.objects import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit record and what later records say of its version."""

    number: int
    version: str
    created: str
    """UTC, ISO 8601."""
    manifest: str
    """Key relative to the lake."""
    manifest_sha256: str
    retired: bool = False
    retired_at: str = ""
    """UTC, ISO 8601; empty where the record says no time."""
    pinned: bool = False

    @classmethod
    def of(cls, entry: Entry) -> "Commit":
        """Read a record of kind `commit`.

        Raises:
            IntegrityError: a field is missing.
        """
        try:
            return cls(
                number=entry.number,
                version=entry.record["version"],
                created=entry.record["created"],
                manifest=entry.record["manifest"],
                manifest_sha256=entry.record["manifest_sha256"],
            )
        except KeyError as error:
            msg = f"commit record {entry.number} lacks {error}; restore it from a backup"
            raise IntegrityError(msg) from error


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

    def of(self, version: str) -> Commit | None:
        """Return the commit of a version, retired or not, or None."""
        return next((commit for commit in self.commits if commit.version == version), None)


def version_log(lake: ObjectStore, name: str) -> AppendLog:
    """Return the log of a data set's versions."""
    return AppendLog(lake, commits_folder(name))


def read_versions(lake: ObjectStore, name: str) -> Versions:
    """Read the log of a data set."""
    return fold(version_log(lake, name).read())


def fold(entries: Sequence[Entry]) -> Versions:
    """Turn records into facts. Kinds that this ganmill does not know are passed over."""
    commits: dict[str, Commit] = {}
    abandoned: set[str] = set()
    for entry in entries:
        kind, version = str(entry.record.get("kind")), str(entry.record.get("version"))
        if kind == "abandon" and version not in commits:
            abandoned.add(version)
        elif kind == "commit" and version not in commits and version not in abandoned:
            commits[version] = Commit.of(entry)
        elif version in commits and kind in _CHANGES:
            commits[version] = _CHANGES[kind](commits[version], entry)
    return Versions(commits=tuple(commits.values()), abandoned=frozenset(abandoned))


def _retire(commit: Commit, entry: Entry) -> Commit:
    """The first record retires: a later one does not prolong the grace."""
    if commit.retired:
        return commit
    return replace(commit, retired=True, retired_at=str(entry.record.get("created", "")))


_CHANGES: Mapping[str, Callable[[Commit, Entry], Commit]] = {
    "retire": _retire,
    "pin": lambda commit, _: replace(commit, pinned=True),
    "unpin": lambda commit, _: replace(commit, pinned=False),
}


def append_commit(
    log: AppendLog, *, version: str, manifest: str, manifest_sha256: str, created: str
) -> int:
    """Append the commit record of a version, or find it, and return its number.

    Raises:
        AbandonedError: the version was given up before it was committed.
        IntegrityError: another manifest was committed for this version.
    """
    record = {
        "kind": "commit",
        "version": version,
        "manifest": manifest,
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

    return log.append(record, same)


def abandoned(version: str) -> AbandonedError:
    """Return the error of a publisher that meets its version given up."""
    return AbandonedError(
        f"version {version} was given up by another process while it was published; "
        "run again, which starts a new attempt under a new version"
    )
