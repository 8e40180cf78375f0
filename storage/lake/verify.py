"""Whether a version is what was committed: every file of it is read again.

What is wrong is named, object by object: files, the log that commits them, and the hints that lead
readers to them.
"""

from collections.abc import Callable, Iterator
from itertools import chain

from storage.digests import sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake.datasets import find, load_manifest
from storage.lake.file_list import FileEntry, read_part
from storage.lake.hint import stale_hint
from storage.lake.layout import version_folder
from storage.lake.log import Commit, Problem
from storage.lake.log_check import check_names
from storage.lake.manifest import Manifest
from storage.shards.format import load_format
from storage.stores.interface import ObjectStore, read_checked


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
    a reader would read that too. Of the whole data set: the log, the names of its versions, and the
    hint to the newest one, if it lags before and after the files were read. `progress` is called
    with (files done, files in all).

    Raises:
        ObjectNotFoundError: the version is not committed.
    """
    found = find(lake, name, version)
    lagging = {problem.key for problem in stale_hint(lake, name)}
    problems = check_names(lake, name)
    try:
        manifest = load_manifest(lake, found)
    except IntegrityError:  # said by `check_names`
        return problems
    problems += _check_files(lake, found, manifest, progress)
    return problems + [one for one in stale_hint(lake, name) if one.key in lagging]


def _check_files(
    lake: ObjectStore,
    found: Commit,
    manifest: Manifest,
    progress: Callable[[int, int], None] | None,
) -> list[Problem]:
    problems = list(_damaged_parts(lake, manifest))
    if problems:  # which files there should be is not known
        return problems
    problems += _foreign(lake, manifest)
    if sum(entry.rows for entry in manifest.files) != manifest.rows:
        problems.append(Problem(key=found.manifest_key, what="its files do not add up to its rows"))
    count = len(manifest.files) + len(manifest.documents)
    for done, entry in enumerate(chain(manifest.files, manifest.documents), start=1):
        what = _check(lake, entry, manifest)
        if what:
            problems.append(Problem(key=entry.path, what=what))
        if progress:
            progress(done, count)
    return problems


def _damaged_parts(lake: ObjectStore, manifest: Manifest) -> Iterator[Problem]:
    for part in manifest.parts:
        try:
            read_part(lake, part)
        except IntegrityError as error:
            yield Problem(key=part.path, what=str(error))


def _foreign(lake: ObjectStore, manifest: Manifest) -> Iterator[Problem]:
    listed = {entry.path for entry in manifest.files}
    for info in lake.list(f"{version_folder(manifest.name, manifest.version)}/"):
        if info.key not in listed:
            what = "it is not in the manifest, and readers of the folder read it too; delete it"
            yield Problem(key=info.key, what=what)


def _check(lake: ObjectStore, entry: FileEntry, manifest: Manifest) -> str | None:
    def check(data: bytes) -> None:
        what = _wrong(data, entry, manifest)
        if what:
            raise IntegrityError(what)

    try:
        read_checked(lake, entry.path, check)
    except ObjectNotFoundError:
        return "it is missing; restore it from a backup"
    except IntegrityError as error:
        return str(error)
    return None


def _wrong(data: bytes, entry: FileEntry, manifest: Manifest) -> str | None:
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
