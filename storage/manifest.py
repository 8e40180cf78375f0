"""The manifest: what a data set version is, file by file, and where it comes from.

One JSON object per version (`ganmill-dataset/1`), put once before the commit record that names
its digest. The log makes a version visible; the manifest makes it checkable.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa

from storage.classes import ClassCounts
from storage.digests import canonical_json
from storage.errors import IntegrityError
from storage.plan import schema_from_text, schema_text

FORMAT = "ganmill-dataset/1"
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for media made by a trained algorithm."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One stored object: where it is, and what it must be."""

    path: str
    """Key relative to the lake."""
    bytes: int
    sha256: str
    rows: int = 0
    """Records, for shards."""
    class_counts: ClassCounts = ()


@dataclass(frozen=True, kw_only=True)
class ManifestFields:
    """What the caller knows and the publisher does not. All values are plain JSON."""

    modality: str
    real_class_counts: ClassCounts = ()
    """Of the real training records."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Source digest, split rule, recipe parts in the keys, seeds, algorithm, library versions."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """verdict, reasons, override (None or by, reason, at)."""
    license: str | None = None
    retention: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    """What the run that wrote this manifest had used by then: wall_s, cpu_s, gpu_s, written_bytes;
    None where an older version of ganmill wrote it."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One committed, or nearly committed, version of a data set."""

    name: str
    version: str
    created: str
    """UTC, ISO 8601."""
    run_key: str
    generator: str
    parent_version: str | None
    """The latest version when this one was published."""
    fields: ManifestFields
    shard_format: str
    schema: pa.Schema
    """What a reader of the shards sees."""
    rows: int
    class_counts: ClassCounts
    files: Sequence[FileEntry]
    """The shards, in order."""
    documents: Sequence[FileEntry] = ()
    """What lies beside the manifest: report, card, preview."""
    splits: Sequence[str] = ("train",)

    @property
    def total_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(entry.bytes for entry in self.files)

    def to_json(self) -> bytes:
        """Return canonical JSON; equal manifests give equal bytes."""
        schema = {
            "fields": [
                {"name": item.name, "type": str(item.type), "nullable": item.nullable}
                for item in self.schema
            ],
            "arrow_ipc": schema_text(self.schema),
        }
        return canonical_json(
            {
                "format": FORMAT,
                "name": self.name,
                "version": self.version,
                "created": self.created,
                "run_key": self.run_key,
                "generator": self.generator,
                "parent_version": self.parent_version,
                "synthetic": True,
                "digital_source_type": DIGITAL_SOURCE_TYPE,
                "modality": self.fields.modality,
                "shard_format": self.shard_format,
                "schema": schema,
                "splits": list(self.splits),
                "rows": self.rows,
                "class_counts": _pairs(self.class_counts),
                "real_class_counts": _pairs(self.fields.real_class_counts),
                "files": [_entry_json(entry) for entry in self.files],
                "documents": [_entry_json(entry) for entry in self.documents],
                "provenance": dict(self.fields.provenance),
                "gate": dict(self.fields.gate),
                "license": self.fields.license,
                "retention": self.fields.retention,
                "cost": None if self.fields.cost is None else dict(self.fields.cost),
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a manifest.

        Raises:
            IntegrityError: these bytes are no manifest that this version of ganmill reads.
        """
        try:
            return cls(**_fields(json.loads(data)))
        except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowInvalid) as error:
            msg = f"this is no {FORMAT} manifest ({error!r}); read it with a newer ganmill"
            raise IntegrityError(msg) from error


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    if raw["format"] != FORMAT:
        msg = f"format is {raw['format']!r}"
        raise ValueError(msg)
    fields = ManifestFields(
        modality=raw["modality"],
        real_class_counts=_counts(raw["real_class_counts"]),
        provenance=raw["provenance"],
        gate=raw["gate"],
        license=raw["license"],
        retention=raw["retention"],
        cost=raw.get("cost"),
    )
    plain = ("name", "version", "created", "run_key", "generator", "parent_version", "shard_format")
    return {
        **{name: raw[name] for name in plain},
        "fields": fields,
        "schema": schema_from_text(raw["schema"]["arrow_ipc"]),
        "rows": raw["rows"],
        "class_counts": _counts(raw["class_counts"]),
        "files": tuple(_entry(item) for item in raw["files"]),
        "documents": tuple(_entry(item) for item in raw["documents"]),
        "splits": tuple(raw["splits"]),
    }


def _pairs(counts: ClassCounts) -> list[list[Any]]:
    return [[label, count] for label, count in counts]


def _counts(raw: Sequence[Sequence[Any]]) -> ClassCounts:
    return tuple((label, count) for label, count in raw)


def _entry_json(entry: FileEntry) -> dict[str, Any]:
    plain = {"path": entry.path, "bytes": entry.bytes, "sha256": entry.sha256}
    if not entry.rows:
        return plain
    return plain | {"rows": entry.rows, "stats": {"class_counts": _pairs(entry.class_counts)}}


def _entry(raw: Mapping[str, Any]) -> FileEntry:
    stats = raw.get("stats", {})
    return FileEntry(
        path=raw["path"],
        bytes=raw["bytes"],
        sha256=raw["sha256"],
        rows=raw.get("rows", 0),
        class_counts=_counts(stats.get("class_counts", ())),
    )
