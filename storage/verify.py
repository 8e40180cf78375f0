"""Reading every file of a version again and naming each that is not as committed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage.datasets import find, read_manifest
from storage.digests import sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.layout import version_folder
from storage.manifest import FileEntry, Manifest
from storage.objects import ObjectStore
from storage.shards import load_format


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
    a reader would read that too.

    Args:
        lake: where.
        name: the data set.
        version: which; the latest by default.
        progress: called with (files done, files in all).

    Raises:
        ObjectNotFoundError: the version is not committed.
    """
    found = find(lake, name, version)
    try:
        manifest = read_manifest(lake, name, found.version)
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
