"""What readers see of data sets: committed versions and nothing else, and whether they are intact.

The log of versions is the truth. To verify a version is to read every file of it again and to name
each that is not as committed.
"""

import re

from storage.digests import sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake.file_list import part_reader
from storage.lake.log import Commit, read_versions
from storage.lake.manifest import Manifest
from storage.stores.interface import ObjectStore, read_checked

_LOG_RECORD = re.compile(r"datasets/([^/]+)/_versions/\d{8}\.json")


def list_logs(lake: ObjectStore) -> list[str]:
    """Return the names of the data sets that have a log, whatever it says, sorted."""
    matches = (_LOG_RECORD.fullmatch(info.key) for info in lake.list("datasets/"))
    return sorted({match[1] for match in matches if match})


def list_datasets(lake: ObjectStore) -> list[str]:
    """Return the names of the data sets that have a version to be read, sorted."""
    return [name for name in list_logs(lake) if read_versions(lake, name).visible]


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

    def check(data: bytes) -> Manifest:
        if sha256_hex(data) != commit.manifest_sha256:
            msg = (
                f"{where} is not the manifest that was committed (sha256 "
                f"{sha256_hex(data)}, not {commit.manifest_sha256}); restore it from a backup"
            )
            raise IntegrityError(msg)
        return Manifest.from_json(data, part_reader(lake))

    try:
        return read_checked(lake, commit.manifest_key, check)
    except ObjectNotFoundError as error:
        msg = f"{where} was committed and is missing; restore it from a backup"
        raise IntegrityError(msg) from error
