"""A prepared source on disk: what training, choices and the final evaluation read.

It is a folder with what the builder of its modality wrote, and `prepared.json`, written last.
"""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from storage.digests import canonical_json, digest_json
from storage.records.durable import write_file
from storage.records.schema import ClassCounts, read_class_counts
from storage.sources.builder import Built, PrepareJob, load_builder
from storage.sources.split import SPLITS

_SCHEMA: Final = "ganmill-prepared/2"
_INDEX: Final = "prepared.json"
_PROBE_WHOLE_BYTES: Final = 4 << 20
_PROBE_BLOCKS: Final = 64
_PROBE_BLOCK_BYTES: Final = 16 << 10


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Decoded, split, memory-mapped records, and how they came about."""

    folder: Path
    """The cache entry; `load_prepared(folder)` opens it again, in any process."""
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
    reading: Mapping[str, Any] = field(default_factory=dict)
    """What the data decided of how they are read, where that is not as usual; JSON-able. It is part
    of the keys."""
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What was seen of a source of which `records` are a sample (`storage.sources.streams.seen`),
    JSON-able; empty where all records are there."""

    @property
    def source_class_counts(self) -> Mapping[str, ClassCounts]:
        """Records per class of each split in the whole source, of which `records` may be a sample.

        Of a sample whose source was not counted by split, those of the sample.
        """
        counted = self.seen.get("class_counts", {})
        if not all(name in counted for name in SPLITS):
            return self.class_counts
        return {name: read_class_counts(counted[name]) for name in SPLITS}


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
            name: read_class_counts(index["splits"][name]["class_counts"]) for name in SPLITS
        },
        rows={name: index["splits"][name]["rows"] for name in SPLITS},
        skipped=tuple(index["skipped"]),
        ignored_files=index["ignored_files"],
        notes=tuple(index["notes"]),
        reading=index["details"].get("reading", {}),
        seen=index["details"].get("seen", {}),
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
