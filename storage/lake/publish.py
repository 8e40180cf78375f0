"""Publishing a data set version: a plan agreed once, then shards, documents, manifest, commit.

Nothing is visible before the commit record, and everything before it is put once, so that it may be
interrupted, repeated and done twice at once. The first publisher of a run key stores the plan and
everyone else reads it; what is stored already is adopted only if it is what the plan foresees.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pyarrow as pa

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError, RetractedError
from storage.lake.datasets import load_manifest
from storage.lake.file_list import FileEntry, FilePart, PartedFiles, part_reader, parts_of
from storage.lake.hint import refresh_hint
from storage.lake.layout import (
    dataset_readme_key,
    files_key,
    make_version,
    manifest_key,
    meta_key,
    plan_key,
    version_folder,
)
from storage.lake.log import Commit, abandoned, append_commit, read_versions
from storage.lake.manifest import (
    Manifest,
    ManifestFields,
    root_readme,
    version_croissant,
    version_readme,
    version_stats,
)
from storage.lake.plan import Plan
from storage.lake.shard_plan import MOST_LISTED
from storage.records.schema import count_classes
from storage.shards.format import SAMPLE_ID, load_format
from storage.stores.interface import ObjectStore, put_or_agree, read_agreed
from storage.synthetic_marks import marked_png

LISTED_AT_ONCE = 1000
"""Objects that one listing of S3 tells; fewer are looked at one by one."""


def agree(lake: ObjectStore, proposal: Plan) -> Plan:
    """Store the plan of this run key, or return the one that is stored.

    When the stored plan's version was abandoned, or has been retired since, the next attempt is
    agreed under a new version; when a person retracted it, the run is refused. It also puts the
    README.md that keeps readers out of the folder of versions, so that it is there before the first
    shard is. Nothing is written where everything is there.

    Raises:
        RetractedError: a person took back what this run made, and nobody permits it again.
        LakeError: the lake failed.
        IntegrityError: a stored plan cannot be read or is another run's.
    """
    identity = proposal.identity
    readme = dataset_readme_key(identity.name)
    if lake.stat(readme) is None:
        lake.put_once(readme, root_readme(identity.name))
    versions = read_versions(lake, identity.name)
    retracted = versions.retracted(identity.run_key)
    if retracted is not None:
        raise _refusal(retracted)
    while True:
        key = plan_key(identity.run_key, proposal.attempt)
        plan = _stored_plan(lake, key) or _put_plan(lake, key, proposal)
        if plan.identity != identity or plan.attempt != proposal.attempt:
            msg = f"{lake.uri}/{key} is the plan of {plan.identity}; delete it and run again"
            raise IntegrityError(msg)
        if not versions.is_gone(plan.version):
            return plan
        proposal = _next_attempt(proposal, plan)


def _stored_plan(lake: ObjectStore, key: str) -> Plan | None:
    try:
        return Plan.from_json(read_agreed(lake, key))
    except ObjectNotFoundError:
        return None


def _put_plan(lake: ObjectStore, key: str, proposal: Plan) -> Plan:
    return Plan.from_json(put_or_agree(lake, key, proposal.to_json()))


def _refusal(retracted: Commit) -> RetractedError:
    where = f"{retracted.name} {retracted.version}"
    return RetractedError(
        f"{retracted.retired_by} retracted {retracted.name}/{retracted.version} on "
        f"{retracted.retired_at[:10]} ({retracted.retired_why}), and this run would publish the "
        "same again: choose another synthesis.seed or another generator, or let it be published "
        f"again with `ganmill datasets permit {where} --by YOU --reason WHY`"
    )


def _next_attempt(proposal: Plan, given_up: Plan) -> Plan:
    """Return the proposal under a version that was never used by this run."""
    created = max(proposal.created, given_up.created + timedelta(seconds=1))
    version = make_version(created, proposal.identity.run_key)
    attempt = given_up.attempt + 1
    return replace(proposal, attempt=attempt, created=created, version=version)


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

    def adopt(self, index: int) -> pa.Table:
        """Take over a shard that is stored, and return its records, read and checked in full.

        Raises:
            IntegrityError: it is missing, or not this shard.
            AbandonedError: it is missing because the version was given up.
        """
        try:
            self._entries[index], records = read_shard(self.lake, self.plan, index)
        except ObjectNotFoundError as error:
            raise self._gone(self.plan.shard_key(index)) from error
        return records

    def record(self, index: int, entry: FileEntry) -> None:
        """Take over the entry of a shard that a worker process has put or adopted."""
        self._entries[index] = entry

    def unverified(self) -> list[int]:
        """Return the shards whose entry is unknown here: `commit` adopts those it still finds."""
        return [shard.index for shard in self.plan.shards if shard.index not in self._entries]

    def commit(self, fields: ManifestFields, documents: Mapping[str, bytes]) -> Commit:
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
        lake, plan = self.lake, self.plan
        done = find_committed(lake, plan)
        if done is None:
            sha256, created = self._put_manifest(fields, documents), plan.created.isoformat()
            append_commit(lake, plan.name, plan.version, manifest_sha256=sha256, created=created)
            done = find_committed(lake, plan)
        if done is None:  # retired between commit and now
            raise abandoned(plan.version)
        load_manifest(lake, done)  # raises when it is not the one that was committed
        refresh_hint(lake, plan.name)
        return done

    def _put_manifest(self, fields: ManifestFields, documents: Mapping[str, bytes]) -> str:
        """Everything before the commit record; return the digest of the manifest that stands."""
        plan, lake = self.plan, self.lake
        self._adopt_rest()
        draft = self._parted(self._draft(fields))
        made = {
            "README.md": version_readme(draft),
            "stats.json": version_stats(draft),
            "croissant.json": version_croissant(draft),
        }
        if not load_format(plan.format).self_describing and not draft.parts:  # the parts say it
            indexes = range(len(plan.shards))
            made["shards.json"] = canonical_json(
                {plan.shard_key(index): plan.shard_metadata(index) for index in indexes}
            )
        given = {file: marked_png(data) for file, data in documents.items()}
        stored = [self._put_document(*item) for item in sorted({**given, **made}.items())]
        key = manifest_key(plan.name, plan.version)
        data = put_or_agree(lake, key, replace(draft, documents=tuple(stored)).to_json())
        manifest = Manifest.from_json(data, part_reader(lake))
        if (manifest.run_key, _listed(manifest)) != (draft.run_key, _listed(draft)):
            msg = (
                f"{lake.uri}/{key} does not list the shards that are stored; "
                "delete it and run again"
            )
            raise IntegrityError(msg)
        self._check_presence(manifest)
        return sha256_hex(data)

    def _adopt_rest(self) -> None:
        for index in self.unverified():
            self.adopt(index)

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

    def _parted(self, draft: Manifest) -> Manifest:
        """Return the manifest with its list of files in parts, which are put, if it is long."""
        if len(draft.files) <= MOST_LISTED:
            return draft
        parts = []
        for part, data in parts_of(draft.files, partial(files_key, draft.name, draft.version)):
            if put_or_agree(self.lake, part.path, data) != data:
                msg = (
                    f"{self.lake.uri}/{part.path} does not list the shards that are stored; "
                    "delete it and run again"
                )
                raise IntegrityError(msg)
            parts.append(part)
        return replace(draft, files=PartedFiles(parts, part_reader(self.lake)))

    def _put_document(self, file: str, data: bytes) -> FileEntry:
        key = meta_key(self.plan.name, self.plan.version, file)
        stored = put_or_agree(self.lake, key, data)
        return FileEntry(path=key, bytes=len(stored), sha256=sha256_hex(stored))

    def _check_presence(self, manifest: Manifest) -> None:
        found = self._sizes(len(manifest.files))
        for entry in manifest.files:
            size_bytes = found(entry.path)
            if size_bytes is None:
                raise self._gone(entry.path)
            if size_bytes != entry.bytes:
                msg = (
                    f"{self.lake.uri}/{entry.path} has {size_bytes} bytes and was stored with "
                    f"{entry.bytes}; delete it and run again"
                )
                raise IntegrityError(msg)

    def _sizes(self, shards: int) -> Callable[[str], int | None]:
        """Return what tells the size of a stored shard: a request for each, or listings."""
        if shards > LISTED_AT_ONCE:
            folder = version_folder(self.plan.name, self.plan.version)
            return {info.key: info.size_bytes for info in self.lake.list(f"{folder}/")}.get

        def ask(key: str) -> int | None:
            info = self.lake.stat(key)
            return None if info is None else info.size_bytes

        return ask

    def _gone(self, key: str) -> Exception:
        """Return why a shard is not there: the version was abandoned, or it was never put."""
        if self.plan.version in read_versions(self.lake, self.plan.name).abandoned:
            return abandoned(self.plan.version)
        return IntegrityError(
            f"{self.lake.uri}/{key} is missing, so version {self.plan.version} cannot be "
            "committed; run again, which makes the shard again"
        )


def _listed(manifest: Manifest) -> tuple[FileEntry | FilePart, ...]:
    """Return what a manifest lists itself."""
    return tuple(manifest.parts) or tuple(manifest.files)


def find_committed(lake: ObjectStore, plan: Plan) -> Commit | None:
    """Return the plan's commit if readers see it: there is nothing to do then."""
    commit = read_versions(lake, plan.name).of(plan.version)
    return None if commit is None or commit.retired else commit


def encode_shard(plan: Plan, index: int, records: pa.Table) -> bytes:
    """Return the bytes of one shard; safe to call in a worker process.

    The records come without `sample_id`, which is added here where the format has one.

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
    return _entry(plan, index, data) if stored == data else adopt_shard(lake, plan, index)


def adopt_shard(lake: ObjectStore, plan: Plan, index: int) -> FileEntry:
    """Read a stored shard in full and return its entry if it is the planned one.

    Raises:
        IntegrityError: it is not: the message names the key and the remedy.
        ObjectNotFoundError: it is not there.
    """
    return read_shard(lake, plan, index)[0]


def read_shard(lake: ObjectStore, plan: Plan, index: int) -> tuple[FileEntry, pa.Table]:
    """Return the entry and the records of a stored shard; raises as `adopt_shard`."""
    stored = read_agreed(lake, plan.shard_key(index))  # its digest goes into the manifest
    try:
        records = _checked(plan, index, stored)
    except IntegrityError as error:
        msg = (
            f"{lake.uri}/{plan.shard_key(index)} is not shard {index} of this run: {error}; "
            "delete that object and run again"
        )
        raise IntegrityError(msg) from error
    return _entry(plan, index, stored), records


def _entry(plan: Plan, index: int, data: bytes) -> FileEntry:
    shard = plan.shards[index]
    return FileEntry(
        path=plan.shard_key(index),
        bytes=len(data),
        sha256=sha256_hex(data),
        rows=shard.rows,
        class_counts=shard.class_counts,
    )


def as_stored(plan: Plan, index: int, records: pa.Table) -> pa.Table:
    """Return the records as a shard holds them, with the metadata of the plan's schema.

    Where the format has a `sample_id`, it leads them and counts on from shard to shard.
    """
    if load_format(plan.format).sample_ids:
        first = plan.shards[index].first_id
        ids = pa.array(np.arange(first, first + len(records), dtype=np.int64))
        records = records.add_column(0, SAMPLE_ID, ids)
    return records.replace_schema_metadata(plan.record_schema.metadata)


def check_records(plan: Plan, index: int, records: pa.Table) -> str | None:
    """Return what is wrong with the records of a shard, as stored, or None."""
    shard, planned = plan.shards[index], plan.record_schema
    if not records.schema.equals(planned):
        return f"their schema is {_line(records.schema)}, not {_line(planned)}"
    if len(records) != shard.rows:
        return f"there are {len(records)}, not {shard.rows}"
    if plan.label and shard.class_counts:
        counts = count_classes(records.column(plan.label))
        if counts != shard.class_counts:
            return f"their classes are {dict(counts)}, not {dict(shard.class_counts)}"
    if load_format(plan.format).sample_ids:
        ids = records.column(SAMPLE_ID).to_numpy()
        if not np.array_equal(ids, np.arange(shard.first_id, shard.first_id + shard.rows)):
            return f"their {SAMPLE_ID} do not count on from {shard.first_id}"
    return None


def _checked(plan: Plan, index: int, data: bytes) -> pa.Table:
    shard_format = load_format(plan.format)
    stored = shard_format.metadata(data)
    expected = plan.shard_metadata(index) if shard_format.self_describing else {}
    for name, value in expected.items():
        if stored.get(name) != value:
            msg = f"its {name} is {stored.get(name)!r}, not {value!r}"
            raise IntegrityError(msg)
    records = shard_format.decode(data, plan.record_schema)
    if problem := check_records(plan, index, records):
        raise IntegrityError(problem)
    return records


def _line(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
