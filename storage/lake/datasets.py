"""What readers see of data sets: committed versions and nothing else, and whether they are intact.

The log of versions is the truth. To verify a version is to read every file of it again and to name
each that is not as committed.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake.layout import latest_key, version_folder
from storage.lake.log import Commit, read_versions
from storage.lake.manifest import FileEntry, Manifest
from storage.shards.format import load_format
from storage.stores.interface import ObjectStore

_LOG_RECORD = re.compile(r"datasets/([^/]+)/_versions/\d{8}\.json")


def list_datasets(lake: ObjectStore) -> list[str]:
    """Return the names of the data sets that have a version to be read, sorted."""
    matches = (_LOG_RECORD.fullmatch(info.key) for info in lake.list("datasets/"))
    names = sorted({match[1] for match in matches if match})
    return [name for name in names if read_versions(lake, name).visible]


def versions(lake: ObjectStore, name: str) -> list[Commit]:
    """Return the committed versions that are not retired, oldest first."""
    return read_versions(lake, name).visible


def latest(lake: ObjectStore, name: str) -> Commit | None:
    """Return the highest-numbered commit that is not retired."""
    known = versions(lake, name)
    return known[-1] if known else None


def find(lake: ObjectStore, name: str, version: str | None = None) -> Commit:
    """Return that version, or the latest.

    Raises:
        ObjectNotFoundError: it is not committed; the message lists what is.
    """
    known = versions(lake, name)
    if known and version is None:
        return known[-1]
    for candidate in known:
        if candidate.version == version:
            return candidate
    if not known:
        msg = f"{lake.uri} has no committed version of {name!r}; run the recipe, or check the lake"
        raise ObjectNotFoundError(msg)
    newest = ", ".join(candidate.version for candidate in known[:-6:-1])
    msg = f"{name!r} has no committed version {version!r}; the newest are {newest}"
    raise ObjectNotFoundError(msg)


def read_manifest(lake: ObjectStore, name: str, version: str | None = None) -> Manifest:
    """Return the manifest of a committed version, the latest by default.

    Raises:
        ObjectNotFoundError: it is not committed.
        IntegrityError: the manifest is not the one that was committed.
    """
    return load_manifest(lake, find(lake, name, version))


def load_manifest(lake: ObjectStore, commit: Commit) -> Manifest:
    """Return the manifest a commit record names.

    Raises:
        IntegrityError: it is missing or not the one that was committed.
    """
    where = f"{lake.uri}/{commit.manifest_key}"
    try:
        data = lake.get(commit.manifest_key)
    except ObjectNotFoundError as error:
        msg = f"{where} was committed and is missing; restore it from a backup"
        raise IntegrityError(msg) from error
    if sha256_hex(data) != commit.manifest_sha256:
        msg = (
            f"{where} is not the manifest that was committed (sha256 "
            f"{sha256_hex(data)}, not {commit.manifest_sha256}); restore it from a backup"
        )
        raise IntegrityError(msg)
    return Manifest.from_json(data)


def refresh_hint(lake: ObjectStore, name: str) -> None:
    """Bring `_latest.json` up to the log. It may lag: readers who must know read the log."""
    newest = latest(lake, name)
    if newest is None:
        return
    hint = {
        "version": newest.version,
        "path": f"{version_folder(name, newest.version)}/",
        "manifest": newest.manifest_key,
        "manifest_sha256": newest.manifest_sha256,
        "number": newest.number,
    }
    if _read_hint(lake, name) != hint:
        lake.replace(latest_key(name), canonical_json(hint))


def _read_hint(lake: ObjectStore, name: str) -> object:
    try:
        hint: object = json.loads(lake.get(latest_key(name)))
    except (ObjectNotFoundError, ValueError):
        return None
    return hint


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One object that is not what was committed."""

    key: str
    what: str
    """One sentence."""


def verify(
    lake: ObjectStore,
    name: str,
    version: str | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Read every file of a version and return everything that is not as committed.

    Checked are bytes and sha256 of every shard and document, rows and schema of every shard, the
    manifest against its commit record, and that the folder of shards holds nothing else, because
    a reader would read that too. `progress` is called with (files done, files in all).

    Raises:
        ObjectNotFoundError: the version is not committed.
    """
    found = find(lake, name, version)
    try:
        manifest = load_manifest(lake, found)
    except IntegrityError as error:
        return [Problem(key=found.manifest_key, what=str(error))]
    problems = list(_foreign(lake, manifest))
    if sum(entry.rows for entry in manifest.files) != manifest.rows:
        problems.append(Problem(key=found.manifest_key, what="its files do not add up to its rows"))
    files = [*manifest.files, *manifest.documents]
    for done, entry in enumerate(files, start=1):
        what = _check(lake, entry, manifest)
        if what:
            problems.append(Problem(key=entry.path, what=what))
        if progress:
            progress(done, len(files))
    return problems


def _foreign(lake: ObjectStore, manifest: Manifest) -> Iterator[Problem]:
    listed = {entry.path for entry in manifest.files}
    for info in lake.list(f"{version_folder(manifest.name, manifest.version)}/"):
        if info.key not in listed:
            what = "it is not in the manifest, and readers of the folder read it too; delete it"
            yield Problem(key=info.key, what=what)


def _check(lake: ObjectStore, entry: FileEntry, manifest: Manifest) -> str | None:
    try:
        data = lake.get(entry.path)
    except ObjectNotFoundError:
        return "it is missing; restore it from a backup"
    if len(data) != entry.bytes:
        return f"it has {len(data)} bytes, not {entry.bytes}; restore it from a backup"
    if sha256_hex(data) != entry.sha256:
        return f"its sha256 is {sha256_hex(data)}, not {entry.sha256}; restore it from a backup"
    return _check_content(data, entry, manifest) if entry.rows else None


def _check_content(data: bytes, entry: FileEntry, manifest: Manifest) -> str | None:
    try:
        rows, schema = load_format(manifest.shard_format).inspect(data, manifest.schema)
    except IntegrityError as error:
        return str(error)
    if rows != entry.rows:
        return f"it has {rows} rows and the manifest says {entry.rows}; retract the version"
    if not schema.equals(manifest.schema):
        return f"its schema is {schema}, not the manifest's; retract the version"
    return None
