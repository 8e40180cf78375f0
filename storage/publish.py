"""Publishing a data set version: shards, documents, manifest, commit.

Nothing is visible before the commit record, and everything before it is put once, so that it may
be interrupted, repeated and done twice at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from storage.manifest import FileEntry, Manifest, ManifestFields
from storage.objects import ObjectStore
from storage.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A version that readers see."""

    name: str
    version: str
    number: int
    """Of its commit record."""
    manifest_key: str
    manifest_sha256: str
    manifest: Manifest


def encode_shard(plan: Plan, index: int, records: pa.Table) -> bytes:
    """Return the bytes of one shard; safe to call in a worker process.

    Args:
        plan: the agreed plan.
        index: which shard.
        records: its records, without `sample_id`, which is added here.

    Raises:
        ValueError: the records are not those the plan foresees (schema, rows, class counts).
    """
    raise NotImplementedError


def put_shard(lake: ObjectStore, plan: Plan, index: int, data: bytes) -> FileEntry:
    """Put an encoded shard once, or adopt the one that is there; safe in a worker process.

    Raises:
        IntegrityError: what is there is not this shard.
    """
    raise NotImplementedError


def adopt_shard(lake: ObjectStore, plan: Plan, index: int) -> FileEntry:
    """Read a stored shard in full and return its entry if it is the planned one.

    Raises:
        IntegrityError: it is not: the message names the key and the remedy.
        ObjectNotFoundError: it is not there.
    """
    raise NotImplementedError


class Publisher:
    """One process's part in publishing the plan's version."""

    def __init__(self, lake: ObjectStore, plan: Plan) -> None:
        self.lake = lake
        self.plan = plan
        self._entries: dict[int, FileEntry] = {}

    def missing(self) -> list[int]:
        """Return the shards that are not stored yet, in order."""
        raise NotImplementedError

    def put_shard(self, index: int, records: pa.Table) -> FileEntry:
        """Encode and put one shard, or adopt the one that is there."""
        raise NotImplementedError

    def record(self, index: int, entry: FileEntry) -> None:
        """Take over the entry of a shard that a worker process has put."""
        self._entries[index] = entry

    def commit(self, fields: ManifestFields, documents: Mapping[str, bytes]) -> Committed:
        """Make the version visible. Shards this process did not put are adopted first.

        Args:
            fields: what only the caller knows.
            documents: file name → bytes of what lies beside the manifest (report.json,
                report.html, preview.png). README.md, stats.json and croissant.json are made here.

        Raises:
            AbandonedError: the version was given up; agree on a plan again and start over.
            IntegrityError: a stored shard or manifest is not the planned one, or is missing.
        """
        raise NotImplementedError
