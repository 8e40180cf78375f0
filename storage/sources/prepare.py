"""From a source to split, memory-mapped records, built once and reused.

They are what training, choices and the final evaluation read. An entry of the cache is a folder
with what the builder of its modality wrote, and `prepared.json`, written last.
"""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from storage.digests import canonical_json, digest_json
from storage.errors import SourceError
from storage.records.durable import write_file
from storage.records.schema import ClassCounts
from storage.sources import open_source
from storage.sources.builder import (
    Builder,
    Built,
    PrepareJob,
    Progress,
    Source,
    check_classes,
    load_builder,
)
from storage.sources.cache import obtain
from storage.sources.config import SourceConfig
from storage.sources.split import SPLITS, SplitConfig
from storage.stores.settings import StorageProfile

_SCHEMA: Final = "ganmill-prepared/2"
_INDEX: Final = "prepared.json"
_PROBE_WHOLE_BYTES: Final = 4 << 20
_PROBE_BLOCKS: Final = 64
_PROBE_BLOCK_BYTES: Final = 16 << 10


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Decoded, split, memory-mapped records, and how they came about."""

    folder: Path
    """The cache entry; `open_prepared(folder)` opens it again, in any process."""

    modality: str
    """What the records are, a name in `storage.records.modalities.MODALITIES`."""

    source_digest: str
    """sha256 over the sorted (relative path, size, content tag) of the files that were read."""

    split_rule: Mapping[str, Any]
    """The rule of the split, JSON-able, as it is stored in snapshot and manifest."""

    split_digest: str
    """Digest of `split_rule`; two generators compare only when it is equal."""

    records: Mapping[str, pa.Table]
    """`train`, `validation`, `holdout`, memory-mapped, every column in one chunk, in the order of
    the source. Images: the column `image` of fixed shape (H, W, C) uint8, and the label when there
    is one. Tables: the columns of the source that a data set will have."""

    label: str | None
    """Name of the label column; None = unconditional."""

    schema: pa.Schema
    """The schema of every table in `records`. Tables: its metadata says what the columns mean
    (`storage.records.schema`)."""

    class_counts: Mapping[str, ClassCounts]
    """Records per class of each split; empty where the label is a quantity."""

    rows: Mapping[str, int]
    """Records of each split."""

    skipped: tuple[str, ...]
    """Records that could not be read, each with its reason; at most 1 % of the source."""

    ignored_files: int
    """Files below the source that were not read as records of it."""

    notes: tuple[str, ...]
    """Sentences about everything that was decided on the user's behalf."""


def write_prepared(folder: Path, job: PrepareJob, built: Built, source_digest: str) -> None:
    """Complete an entry whose files are there: the index makes it one."""
    index = {
        "schema": _SCHEMA,
        "modality": job.sources[0].modality,
        "source_digest": source_digest,
        "split_rule": built.split_rule,
        "label": job.config.label,
        "splits": {
            name: {
                "rows": built.rows[name],
                "class_counts": built.class_counts[name],
                "files": {file: _probe(folder / file) for file in built.files[name]},
            }
            for name in SPLITS
        },
        "details": built.details,
        "skipped": built.skipped,
        "ignored_files": job.ignored_files,
        "notes": built.notes,
    }
    body = {"index": index, "digest": digest_json(index)}
    write_file(folder / _INDEX, canonical_json(body))


def open_prepared(folder: Path) -> Prepared:
    """Open a finished entry; milliseconds, whatever its size.

    Raises:
        SourceError: the entry is missing or broken.
    """
    prepared = load_prepared(folder)
    if prepared is None:
        msg = f"The prepared source {folder} is missing or broken; prepare the source again."
        raise SourceError(msg)
    return prepared


def load_prepared(folder: Path) -> Prepared | None:
    """Open an entry; None when it is missing or broken (sizes, digests of samples)."""
    try:
        body = json.loads((folder / _INDEX).read_bytes())
        index = body["index"]
        if index["schema"] != _SCHEMA or digest_json(index) != body["digest"]:
            return None
        probes = {k: v for split in index["splits"].values() for k, v in split["files"].items()}
        if any(_probe(folder / name) != probe for name, probe in probes.items()):
            return None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return _from_index(folder, index)


def _from_index(folder: Path, index: Mapping[str, Any]) -> Prepared:
    records = load_builder(index["modality"]).load(folder, index)
    return Prepared(
        folder=folder,
        modality=index["modality"],
        source_digest=index["source_digest"],
        split_rule=index["split_rule"],
        split_digest=digest_json(index["split_rule"]),
        records=records,
        label=index["label"],
        schema=next(iter(records.values())).schema,
        class_counts={
            name: tuple((label, count) for label, count in index["splits"][name]["class_counts"])
            for name in SPLITS
        },
        rows={name: index["splits"][name]["rows"] for name in SPLITS},
        skipped=tuple(index["skipped"]),
        ignored_files=index["ignored_files"],
        notes=tuple(index["notes"]),
    )


def _probe(path: Path) -> dict[str, Any]:
    """Return the size of a file and a digest of it: all of a small file, samples of a large one."""
    size_bytes = path.stat().st_size
    digest = sha256()
    with path.open("rb") as file:
        if size_bytes <= _PROBE_WHOLE_BYTES:
            digest.update(file.read())
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                last = size_bytes - _PROBE_BLOCK_BYTES
                for block in range(_PROBE_BLOCKS):
                    start = last * block // (_PROBE_BLOCKS - 1)
                    digest.update(view[start : start + _PROBE_BLOCK_BYTES])
    return {"bytes": size_bytes, "sha256": digest.hexdigest()}


CACHE_VERSION: Final = 1
"""Raised when the same source and settings are prepared otherwise than before."""


def prepare(
    config: SourceConfig,
    *,
    folder: Path,
    min_group: int,
    profile: StorageProfile | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Read and split a source into `folder`, or reuse what an earlier call left there.

    Args:
        config: the recipe's `source`.
        folder: the cache for prepared sources; safe for several processes at once.
        min_group: the smallest class that may be published (`privacy.min_group`).
        profile: credentials of the source; None = those that `config.storage` names.
        progress: called with what is read so far.

    Raises:
        SourceError: the source is missing, empty or unfit.
        LakeError: the store that holds the source fails; its own children say how.
        LakeFullError: the disk of `folder` is full.
    """
    job = PrepareJob(
        config=config,
        sources=_open_sources(config, profile),
        min_group=min_group,
        progress=progress,
    )
    modality = job.sources[0].modality
    builder, digest = load_builder(modality), job.digest
    prepared = obtain(
        folder,
        _entry_name(job, builder, digest),
        load=load_prepared,
        build=partial(_build, job, builder, digest),
    )
    check_classes(config, prepared.class_counts, min_group, modality)
    return replace(prepared, ignored_files=job.ignored_files)


def _open_sources(config: SourceConfig, profile: StorageProfile | None) -> tuple[Source, ...]:
    source = open_source(config, profile)
    if config.split.holdout_uri is None:
        return (source,)
    update = {"uri": config.split.holdout_uri, "split": SplitConfig()}
    holdout = open_source(config.model_copy(update=update), profile)
    if holdout.modality != source.modality:
        msg = (
            f"The source {holdout.uri!r} of split.holdout_uri holds {holdout.modality} and "
            f"{source.uri!r} {source.modality}; name a holdout of the same kind."
        )
        raise SourceError(msg)
    return source, holdout


def _entry_name(job: PrepareJob, builder: Builder, digest: str) -> str:
    """Name the cache entry: a slot per source and settings, a key per content and settings."""
    config = job.config
    settings: dict[str, Any] = {
        "version": CACHE_VERSION,
        **builder.libraries(),
        "records": builder.settings(config, job.min_group),
        "split": config.split.model_dump(mode="json"),
    }
    slot = digest_json([config.uri, settings])[:8]
    return f"{slot}-{digest_json([digest, settings])[:32]}"


def _build(job: PrepareJob, builder: Builder, digest: str, folder: Path) -> None:
    """Fill `folder`; the index that makes it an entry comes last."""
    built = builder.build(job, folder)
    for source in job.sources:
        source.verify_unchanged()
    write_prepared(folder, job, built, digest)
