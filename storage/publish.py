"""Publishing a data set version: shards, documents, manifest, commit.

Nothing is visible before the commit record, and everything before it is put once, so that it may
be interrupted, repeated and done twice at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from storage import cards
from storage.commits import (
    abandoned,
    append_commit,
    read_versions,
    version_log,
)
from storage.datasets import load_manifest, refresh_hint
from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.layout import dataset_readme_key, manifest_key, meta_key, version_folder
from storage.manifest import FileEntry, Manifest, ManifestFields
from storage.objects import ObjectStore
from storage.plan import Plan
from storage.shard_check import as_stored, check_records, check_shard
from storage.shards import load_format


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
        records: its records, without `sample_id`, which is added here where the format has one.

    Raises:
        ValueError: the records are not those the plan foresees (schema, rows, class counts).
    """
    whole = as_stored(plan, index, records)
    problem = check_records(plan, index, whole)
    if problem:
        msg = f"the records for shard {index} are not as planned: {problem}"
        raise ValueError(msg)
    return load_format(plan.format).encode(whole, plan.shard_metadata(index))


def put_shard(lake: ObjectStore, plan: Plan, index: int, data: bytes) -> FileEntry:
    """Put an encoded shard once, or adopt the one that is there; safe in a worker process.

    Raises:
        IntegrityError: what is there is not this shard.
    """
    stored = lake.put_or_adopt(plan.shard_key(index), data)
    if stored != data:
        check_shard(lake.uri, plan, index, stored)
    return _entry(plan, index, stored)


def adopt_shard(lake: ObjectStore, plan: Plan, index: int) -> FileEntry:
    """Read a stored shard in full and return its entry if it is the planned one.

    Raises:
        IntegrityError: it is not: the message names the key and the remedy.
        ObjectNotFoundError: it is not there.
    """
    stored = lake.get(plan.shard_key(index))
    check_shard(lake.uri, plan, index, stored)
    return _entry(plan, index, stored)


def _entry(plan: Plan, index: int, data: bytes) -> FileEntry:
    shard = plan.shards[index]
    return FileEntry(
        path=plan.shard_key(index),
        bytes=len(data),
        sha256=sha256_hex(data),
        rows=shard.rows,
        class_counts=shard.class_counts,
    )


def find_committed(lake: ObjectStore, plan: Plan) -> Committed | None:
    """Return the plan's version if it is committed and not retired: there is nothing to do."""
    commit = read_versions(lake, plan.name).of(plan.version)
    if commit is None or commit.retired:
        return None
    return Committed(
        name=plan.name,
        version=plan.version,
        number=commit.number,
        manifest_key=commit.manifest,
        manifest_sha256=commit.manifest_sha256,
        manifest=load_manifest(lake, commit),
    )


class Publisher:
    """One process's part in publishing the plan's version."""

    def __init__(self, lake: ObjectStore, plan: Plan) -> None:
        self.lake = lake
        self.plan = plan
        self._entries: dict[int, FileEntry] = {}

    def missing(self) -> list[int]:
        """Return the shards that are not stored yet, in order."""
        folder = version_folder(self.plan.name, self.plan.version)
        stored = {info.key for info in self.lake.list(f"{folder}/")}
        indexes = range(len(self.plan.shards))
        return [index for index in indexes if self.plan.shard_key(index) not in stored]

    def put_shard(self, index: int, records: pa.Table) -> FileEntry:
        """Encode and put one shard, or adopt the one that is there."""
        data = encode_shard(self.plan, index, records)
        self._entries[index] = put_shard(self.lake, self.plan, index, data)
        return self._entries[index]

    def record(self, index: int, entry: FileEntry) -> None:
        """Take over the entry of a shard that a worker process has put or adopted."""
        self._entries[index] = entry

    def unverified(self) -> list[int]:
        """Return the shards whose entry is unknown here: `commit` adopts those it still finds."""
        return [shard.index for shard in self.plan.shards if shard.index not in self._entries]

    def commit(self, fields: ManifestFields, documents: Mapping[str, bytes]) -> Committed:
        """Make the version visible. Shards this process did not put are adopted first.

        Args:
            fields: what only the caller knows.
            documents: file name → bytes of what lies beside the manifest (report.json,
                report.html, preview.png). README.md, stats.json, croissant.json and, for formats
                without metadata of their own, shards.json are made here.

        Raises:
            AbandonedError: the version was given up; agree on a plan again and start over.
            IntegrityError: a stored shard or manifest is not the planned one, or is missing.
        """
        done = find_committed(self.lake, self.plan)
        if done is None:
            manifest_sha256 = self._put_manifest(fields, documents)
            self._append(manifest_sha256)
            done = find_committed(self.lake, self.plan)
        if done is None:  # retired between commit and now
            raise abandoned(self.plan.version)
        refresh_hint(self.lake, self.plan.name)
        return done

    def _put_manifest(self, fields: ManifestFields, documents: Mapping[str, bytes]) -> str:
        """Everything before the commit record; return the digest of the manifest that stands."""
        plan, lake = self.plan, self.lake
        self._adopt_rest()
        lake.put_once(dataset_readme_key(plan.name), cards.root_readme(plan.name))
        draft = self._draft(fields)
        made = {
            "README.md": cards.version_readme(draft),
            "stats.json": cards.stats(draft),
            "croissant.json": cards.croissant(draft),
        }
        if not load_format(plan.format).self_describing:
            said = {shard.index: plan.shard_metadata(shard.index) for shard in plan.shards}
            made["shards.json"] = canonical_json(
                {plan.shard_key(index): metadata for index, metadata in said.items()}
            )
        stored = [self._put_document(*item) for item in sorted({**documents, **made}.items())]
        key = manifest_key(plan.name, plan.version)
        data = lake.put_or_adopt(key, replace(draft, documents=tuple(stored)).to_json())
        manifest = Manifest.from_json(data)
        if (manifest.run_key, tuple(manifest.files)) != (draft.run_key, tuple(draft.files)):
            msg = (
                f"{lake.uri}/{key} does not list the shards that are stored; "
                "delete it and run again"
            )
            raise IntegrityError(msg)
        self._check_presence(manifest)
        return sha256_hex(data)

    def _adopt_rest(self) -> None:
        for index in self.unverified():
            try:
                self._entries[index] = adopt_shard(self.lake, self.plan, index)
            except ObjectNotFoundError as error:
                raise self._gone(self.plan.shard_key(index)) from error

    def _draft(self, fields: ManifestFields) -> Manifest:
        plan = self.plan
        visible = read_versions(self.lake, plan.name).visible
        provenance = {
            "snapshot_digest": plan.identity.snapshot_digest,
            "seed": plan.seed,
            "attempt": plan.attempt,
            "resolved": dict(plan.resolved),
            **fields.provenance,
        }
        return Manifest(
            name=plan.name,
            version=plan.version,
            created=plan.created.isoformat(),
            run_key=plan.identity.run_key,
            generator=plan.identity.generator,
            parent_version=visible[-1].version if visible else None,
            fields=replace(fields, provenance=provenance),
            shard_format=plan.format,
            schema=load_format(plan.format).file_schema(plan.record_schema),
            rows=plan.rows,
            class_counts=plan.class_counts,
            files=tuple(self._entries[shard.index] for shard in plan.shards),
        )

    def _put_document(self, file: str, data: bytes) -> FileEntry:
        key = meta_key(self.plan.name, self.plan.version, file)
        stored = self.lake.put_or_adopt(key, data)
        return FileEntry(path=key, bytes=len(stored), sha256=sha256_hex(stored))

    def _check_presence(self, manifest: Manifest) -> None:
        for entry in manifest.files:
            info = self.lake.stat(entry.path)
            if info is None:
                raise self._gone(entry.path)
            if info.size_bytes != entry.bytes:
                msg = (
                    f"{self.lake.uri}/{entry.path} has {info.size_bytes} bytes and was stored with "
                    f"{entry.bytes}; delete it and run again"
                )
                raise IntegrityError(msg)

    def _gone(self, key: str) -> Exception:
        """Return why a shard is not there: the version was abandoned, or it was never put."""
        if self.plan.version in read_versions(self.lake, self.plan.name).abandoned:
            return abandoned(self.plan.version)
        return IntegrityError(
            f"{self.lake.uri}/{key} is missing, so version {self.plan.version} cannot be "
            "committed; run again, which makes the shard again"
        )

    def _append(self, manifest_sha256: str) -> int:
        return append_commit(
            version_log(self.lake, self.plan.name),
            version=self.plan.version,
            manifest=manifest_key(self.plan.name, self.plan.version),
            manifest_sha256=manifest_sha256,
            created=self.plan.created.isoformat(),
        )
