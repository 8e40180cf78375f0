"""The objects beside a data set's log that are replaced, and that the log can always make again.

    datasets/<name>/_latest.json   the newest version, for readers without ganmill
    datasets/<name>/README.md      how to read a version; its front matter leads Hugging Face to it
    datasets/<name>/_log.json      the last record of the log, as it was seen

Whoever appends a record brings them up afterwards, and goes on until what they say is what the log
says after they were written: of two who do it at once, the one who wrote last saw both records. A
process killed in between leaves them behind; the next run and every maintenance bring them up, and
`datasets verify` says that they lag. `_log.json` may lag too, but it can never be ahead: a record
that it names and that the log does not hold was removed. Where a policy lets nobody overwrite the
last two they stay as they are: the README then names no version, so that no reader is misled.
"""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from storage.digests import canonical_json, sha256_hex
from storage.errors import AccessDeniedError, IntegrityError, LakeError, ObjectNotFoundError
from storage.lake.layout import (
    commits_folder,
    dataset_readme_key,
    latest_key,
    log_seen_key,
    numbered_key,
    version_folder,
)
from storage.lake.log import Commit, Entry, Problem, fold, version_log
from storage.lake.manifest import root_readme
from storage.stores.interface import ObjectStore, read_agreed

_README_VERSION = re.compile(r"^ +path: (\d{8}T\d{6}Z-[0-9a-f]{8})/", re.MULTILINE)
ATTEMPTS = 20
"""How often the objects are brought up when the log moves on while they are written."""


@dataclass(frozen=True, kw_only=True)
class SeenRecord:
    """A record of the log that was there once."""

    number: int
    sha256: str


def refresh_hint(lake: ObjectStore, name: str) -> bool:
    """Bring the objects beside the log up to it, and say whether one had to be written.

    Raises:
        LakeError: the lake failed, or the log never stood still.
    """
    log = version_log(lake, name)
    changed = False
    for _ in range(ATTEMPTS):
        seen = seen_records(lake, name)  # before the log, which may be ahead of it
        steps = _steps(lake, name, seen, log.read())
        written = [refresh() for refresh in steps if refresh is not None]
        if not any(written):
            return changed
        changed = True
    msg = f"{lake.uri}/{latest_key(name)} changes whenever it is written; stop what replaces it"
    raise LakeError(msg)


def _steps(
    lake: ObjectStore, name: str, seen: Sequence[SeenRecord], entries: Sequence[Entry]
) -> tuple[Callable[[], bool] | None, ...]:
    """Return what writes each object and says so; None where it says what the log says."""
    visible = fold(name, entries).visible
    newest = visible[-1] if visible else None
    if not entries:
        return ()
    return (
        _step(lake, latest_key(name), None if newest is None else _hint(newest)),
        _optional(lake, dataset_readme_key(name), _readme(name, newest)),
        _optional(lake, log_seen_key(name), _seen_json(lake, name, seen, entries)),
    )


def _step(lake: ObjectStore, key: str, wanted: bytes | None) -> Callable[[], bool] | None:
    if _read(lake, key) == wanted:
        return None

    def write() -> bool:
        if wanted is None:
            lake.delete(key)
        else:
            lake.replace(key, wanted)
        return True

    return write


def _optional(lake: ObjectStore, key: str, wanted: bytes) -> Callable[[], bool] | None:
    """Return the step for an object that a policy may refuse to overwrite; it says if it was."""
    if _read(lake, key) == wanted:
        return None

    def write() -> bool:
        try:
            lake.replace(key, wanted)
        except AccessDeniedError:
            return False
        return True

    return write


def _read(lake: ObjectStore, key: str) -> bytes | None:
    try:
        return lake.get(key)
    except ObjectNotFoundError:
        return None


def _hint(newest: Commit) -> bytes:
    return canonical_json(
        {
            "version": newest.version,
            "path": f"{version_folder(newest.name, newest.version)}/",
            "manifest": newest.manifest_key,
            "manifest_sha256": newest.manifest_sha256,
            "number": newest.number,
        }
    )


def _readme(name: str, newest: Commit | None) -> bytes:
    return root_readme(name, None if newest is None else newest.version)


def seen_records(lake: ObjectStore, name: str) -> tuple[SeenRecord, ...]:
    """Return the records that `_log.json` names: the last one, and those that were missing.

    To be read before the log is: else a record that was appended in between seems to be missing.
    """
    try:
        raw = json.loads(_settled(lake, log_seen_key(name)))
        found = [*raw.get("missing", ()), *([raw["last"]] if "last" in raw else ())]
        return tuple(
            SeenRecord(number=int(one["number"]), sha256=str(one["sha256"])) for one in found
        )
    except (ObjectNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _settled(lake: ObjectStore, key: str) -> bytes:
    """Return an object that others may be replacing, as two readings agree on it."""
    for _ in range(ATTEMPTS):
        with suppress(IntegrityError):
            return read_agreed(lake, key)
    return read_agreed(lake, key)


def _missing(
    lake: ObjectStore, name: str, seen: Sequence[SeenRecord], entries: Sequence[Entry]
) -> list[SeenRecord]:
    """Return what was in the log once and is not now; looked at again, as a bit may flip."""
    there = {SeenRecord(number=entry.number, sha256=entry.digest) for entry in entries}
    gone = [record for record in {*seen} - there if _digest(lake, name, record) != record.sha256]
    return sorted(gone, key=lambda record: (record.number, record.sha256))


def _digest(lake: ObjectStore, name: str, record: SeenRecord) -> str:
    """Return the digest of the record that has this number now; empty where there is none."""
    try:
        return sha256_hex(read_agreed(lake, numbered_key(commits_folder(name), record.number)))
    except ObjectNotFoundError:
        return ""


def _seen_json(
    lake: ObjectStore, name: str, seen: Sequence[SeenRecord], entries: Sequence[Entry]
) -> bytes:
    """Return `_log.json`: what is missing stays in it, so that nobody's next record hides it."""
    last = SeenRecord(number=entries[-1].number, sha256=entries[-1].digest)
    if last not in seen:
        last = replace(last, sha256=_digest(lake, name, last))
    content: dict[str, Any] = {"last": asdict(last)}
    missing = _missing(lake, name, seen, entries)
    if missing:
        content["missing"] = [asdict(record) for record in missing]
    return canonical_json(content)


def stale_hint(lake: ObjectStore, name: str) -> list[Problem]:
    """Return what `_latest.json` and the README say that the log does not; reads only."""
    visible = fold(name, version_log(lake, name).read()).visible
    newest = visible[-1] if visible else None
    problems = []
    key, wanted = latest_key(name), None if newest is None else _hint(newest)
    remedy = "the next run or `ganmill gc --apply` brings it up"
    found = _read(lake, key)
    if found != wanted:
        should = "no version is to be read" if newest is None else f"it is {newest.version}"
        says = "is missing" if found is None else f"names {_named(found)}"
        what = f"the hint to the newest version {says}, and {should}: {remedy}"
        problems.append(Problem(key=key, what=what))
    key = dataset_readme_key(name)
    named = _README_VERSION.search((_read(lake, key) or b"").decode(errors="replace"))
    if named and (newest is None or named[1] != newest.version):
        what = f"it leads readers to {named[1]}, which is not the newest version: {remedy}"
        problems.append(Problem(key=key, what=what))
    return problems


def _named(hint: bytes) -> str:
    try:
        return str(json.loads(hint)["version"])
    except (ValueError, KeyError, TypeError):
        return "no version"


def removed_records(
    lake: ObjectStore, name: str, seen: Sequence[SeenRecord], entries: Sequence[Entry]
) -> list[Problem]:
    """Return the records that were seen in the log of a data set and are not in it now."""
    folder = commits_folder(name)
    return [
        Problem(
            key=numbered_key(folder, record.number),
            what=f"this record (sha256 {record.sha256}) was in the log and was removed or changed: "
            f"restore it from a backup, or delete {log_seen_key(name)} if that was meant",
        )
        for record in _missing(lake, name, seen, entries)
    ]
