"""A source made ready: what training, choices and the final evaluation read.

An entry is a folder of `<split>.u8` (the pixels, raw), `<split>.arrow` (the labels, Arrow IPC)
and `prepared.json`, written last. Shape legend: N records, H height, W width, C channels.
"""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from storage.classes import ClassCounts, count_classes
from storage.digests import canonical_json, digest_json
from storage.errors import SourceError
from storage.sources.cache import write_file
from storage.split import SPLITS

IMAGE: Final = "image"
"""Name of the image column, whatever the source calls it."""

_SCHEMA: Final = "ganmill-prepared/1"
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
    """What the records are: `images`."""

    source_digest: str
    """sha256 over the sorted (relative path, size, content tag) of the files that were read."""

    split_rule: Mapping[str, Any]
    """The rule of the split, JSON-able, as it is stored in snapshot and manifest."""

    split_digest: str
    """Digest of `split_rule`; two generators compare only when it is equal."""

    records: Mapping[str, pa.Table]
    """`train`, `validation`, `holdout`: column `image` of fixed shape (H, W, C) uint8 in one
    chunk, and the label column when there is one. Memory-mapped, in the order of the source."""

    label: str | None
    """Name of the label column; None = unconditional."""

    schema: pa.Schema
    """The schema of every table in `records`."""

    class_counts: Mapping[str, ClassCounts]
    """Records per class of each split."""

    rows: Mapping[str, int]
    """Records of each split."""

    skipped: tuple[str, ...]
    """Records that could not be decoded, each with its reason; at most 1 % of the source."""

    ignored_files: int
    """Files below the source that were not read as records of it."""

    notes: tuple[str, ...]
    """Sentences about everything that was decided on the user's behalf."""


@dataclass(frozen=True, kw_only=True)
class PreparedFacts:
    """What `prepared.json` says beside the files; every field as in `Prepared`."""

    source_digest: str
    split_rule: Mapping[str, Any]
    label: str | None
    shape_HWC: tuple[int, int, int]
    skipped: tuple[str, ...]
    ignored_files: int
    notes: tuple[str, ...]


def split_paths(folder: Path) -> dict[str, Path]:
    """Return where the pixels of every split lie."""
    return {name: folder / f"{name}.u8" for name in SPLITS}


def write_prepared(folder: Path, facts: PreparedFacts, labels: Mapping[str, pa.Array]) -> None:
    """Complete an entry whose pixel files are there: the labels, if any, then the index."""
    height, width, channels = facts.shape_HWC
    splits = {}
    for name, pixels in split_paths(folder).items():
        files = [pixels]
        if facts.label is not None:
            files.append(folder / f"{name}.arrow")
            write_file(files[-1], _to_ipc(facts.label, labels[name]))
        splits[name] = {
            "rows": pixels.stat().st_size // (height * width * channels),
            "class_counts": count_classes(labels.get(name)),
            "files": {path.name: _probe(path) for path in files},
        }
    index = {
        "schema": _SCHEMA,
        "source_digest": facts.source_digest,
        "split_rule": facts.split_rule,
        "label": facts.label,
        "shape": facts.shape_HWC,
        "splits": splits,
        "skipped": facts.skipped,
        "ignored_files": facts.ignored_files,
        "notes": facts.notes,
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
    records = {name: _table(folder, name, index["splits"][name]["rows"], index) for name in SPLITS}
    return Prepared(
        folder=folder,
        modality="images",
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


def _table(folder: Path, name: str, rows: int, index: Mapping[str, Any]) -> pa.Table:
    """Map the records of one split; nothing is read yet."""
    shape = tuple(index["shape"])
    type_ = pa.fixed_shape_tensor(pa.uint8(), shape)
    pixels = pa.memory_map(str(folder / f"{name}.u8")).read_buffer()
    values = pa.Array.from_buffers(pa.uint8(), len(pixels), [None, pixels])
    size = shape[0] * shape[1] * shape[2]
    images = pa.ExtensionArray.from_storage(type_, pa.FixedSizeListArray.from_arrays(values, size))
    columns = {IMAGE: images.slice(0, rows)}
    if index["label"] is not None:
        with pa.memory_map(str(folder / f"{name}.arrow")) as source:
            labels = pa.ipc.open_file(source).read_all()
        columns[index["label"]] = labels.column(0)
    return pa.table(columns)


def _to_ipc(name: str, labels: pa.Array) -> bytes:
    table = pa.table({name: labels})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


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
