"""The manifest: what a data set version is, file by file, and where it comes from.

One JSON object per version (`ganmill-dataset/1`), put once before the commit record that names its
digest. The log makes a version visible; the manifest makes it checkable. The pages and catalogue
entries that stand beside a version are made from it alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import pyarrow as pa

from storage.digests import canonical_json
from storage.errors import IntegrityError
from storage.lake.file_list import (
    FileEntry,
    FilePart,
    PartedFiles,
    ReadPart,
    entry_json,
    not_read,
    read_entry,
    total_bytes,
)
from storage.lake.layout import version_folder
from storage.lake.markdown import one_line, plain
from storage.lake.plan import schema_from_text, schema_text
from storage.records.modalities import words_of
from storage.records.schema import (
    ClassCounts,
    class_title,
    read_class_counts,
    read_class_names,
)
from storage.shards.format import load_format
from storage.synthetic_marks import DIGITAL_SOURCE_TYPE

FORMAT = "ganmill-dataset/1"
PARTED_FORMAT = "ganmill-dataset/2"
"""Of a version with so many shards that their list lies in parts beside the manifest."""
_PLAIN = (
    "name", "version", "created", "run_key", "generator", "parent_version", "shard_format", "rows",
)  # fmt: skip
"""Fields that are the same in a manifest and in its JSON."""

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "recordSet": "cr:recordSet",
    "field": "cr:field",
    "source": "cr:source",
    "fileObject": "cr:fileObject",
    "extract": "cr:extract",
    "column": "cr:column",
    "isLiveDataset": "cr:isLiveDataset",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
}
_SET_CONTEXT = {"fileSet": "cr:fileSet", "includes": "cr:includes"}
"""What a description of a set of files takes beside."""
_DATA_TYPES: Final[tuple[tuple[Callable[[pa.DataType], bool], str], ...]] = (
    (pa.types.is_struct, "sc:ImageObject"),
    (pa.types.is_fixed_size_binary, "sc:ImageObject"),
    (pa.types.is_boolean, "sc:Boolean"),
    (pa.types.is_integer, "sc:Integer"),
    (pa.types.is_floating, "sc:Float"),
    (pa.types.is_decimal, "sc:Float"),
    (pa.types.is_date, "sc:Date"),
    (pa.types.is_timestamp, "sc:DateTime"),
    (pa.types.is_time, "sc:Time"),
)


@dataclass(frozen=True, kw_only=True)
class ManifestFields:
    """What the caller knows and the publisher does not. All values are plain JSON."""

    modality: str
    real_class_counts: ClassCounts = ()
    """Of the real training records."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Source digest, split rule, recipe parts in the keys, seeds, algorithm, library versions."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """verdict, judged (of which records it speaks), reasons, not_judged (what no rule judges, and
    why), override (None or by, reason, at)."""
    license: str | None = None
    retention: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    """What the run that wrote this manifest had used by then: wall_s, cpu_s, gpu_s, written_bytes;
    None where an older version of ganmill wrote it."""
    composition: Mapping[str, Any] = field(default_factory=dict)
    """What was re-weighted or conditioned after the verdict (`storage.lake.composition`); empty
    where an older version of ganmill wrote it."""
    losses: Sequence[str] = ()
    """What privacy takes from the columns, a sentence each."""
    lift: Mapping[str, Any] = field(default_factory=dict)
    """Whether training on the records helps: answer, text, effect, remedy (what could be done for
    nothing); answer alone where it was not measured; empty where an older version wrote it."""
    privacy: Mapping[str, Any] = field(default_factory=dict)
    """`copies`: of training records among all that are published; `guarantee`: epsilon, delta,
    sentences, of a differentially private generator; `spent`: what was taken of the source; empty
    where an older version of ganmill wrote it."""

    @property
    def lift_answer(self) -> str:
        """The answer to "does it help?" in a word or two; empty where nothing is said."""
        return str(self.lift.get("answer", ""))


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
        return total_bytes(self.files)

    @property
    def parts(self) -> Sequence[FilePart]:
        """The parts in which the list of files lies; none where the manifest lists them itself."""
        return self.files.parts if isinstance(self.files, PartedFiles) else ()

    def to_json(self) -> bytes:
        """Return canonical JSON; equal manifests give equal bytes."""
        schema = {
            "fields": [
                {"name": item.name, "type": str(item.type), "nullable": item.nullable}
                for item in self.schema
            ],
            "arrow_ipc": schema_text(self.schema),
        }
        if self.parts:
            files: dict[str, Any] = {"parts": [asdict(part) for part in self.parts]}
        else:
            files = {"files": [entry_json(entry) for entry in self.files]}
        return canonical_json(
            {
                "format": PARTED_FORMAT if self.parts else FORMAT,
                **{name: getattr(self, name) for name in _PLAIN},
                **asdict(self.fields),
                "synthetic": True,
                "digital_source_type": DIGITAL_SOURCE_TYPE,
                "schema": schema,
                "splits": list(self.splits),
                "class_counts": self.class_counts,
                **files,
                "documents": [entry_json(entry) for entry in self.documents],
            }
        )

    @classmethod
    def from_json(cls, data: bytes, read: ReadPart = not_read) -> Self:
        """Read a manifest.

        Args:
            data: its bytes.
            read: of the parts in which its list of files may lie; called when they are needed.

        Raises:
            IntegrityError: these bytes are no manifest that this version of ganmill reads.
        """
        try:
            return cls(**_fields(json.loads(data), read))
        except (
            ValueError, KeyError, TypeError, AttributeError, RecursionError, pa.ArrowInvalid,
        ) as error:  # fmt: skip
            msg = f"this is no {FORMAT} manifest ({error!r}); read it with a newer ganmill"
            raise IntegrityError(msg) from error


def _fields(raw: Mapping[str, Any], read: ReadPart) -> dict[str, Any]:
    if raw["format"] not in (FORMAT, PARTED_FORMAT):
        msg = f"format is {raw['format']!r}"
        raise ValueError(msg)
    fields = ManifestFields(
        modality=raw["modality"],
        real_class_counts=read_class_counts(raw["real_class_counts"]),
        provenance=raw["provenance"],
        gate=raw["gate"],
        license=raw["license"],
        retention=raw["retention"],
        cost=raw.get("cost"),
        composition=raw.get("composition", {}),
        losses=tuple(raw.get("losses", ())),
        lift=raw.get("lift", {}),
        privacy=raw.get("privacy", {}),
    )
    return {
        **{name: raw[name] for name in _PLAIN},
        "fields": fields,
        "schema": schema_from_text(raw["schema"]["arrow_ipc"]),
        "class_counts": read_class_counts(raw["class_counts"]),
        "files": _files(raw, read),
        "documents": tuple(read_entry(item) for item in raw["documents"]),
        "splits": tuple(raw["splits"]),
    }


def _files(raw: Mapping[str, Any], read: ReadPart) -> Sequence[FileEntry]:
    if raw["format"] == PARTED_FORMAT:
        return PartedFiles([FilePart(**part) for part in raw["parts"]], read)
    return tuple(read_entry(item) for item in raw["files"])


def root_readme(name: str, newest: str | None = None) -> bytes:
    """Return the page beside the versions; `newest` is the version to be read, None before it is.

    It also makes readers fail that are pointed at the folder of versions by mistake: pandas and
    pyarrow try to read it as Parquet and stop, where they would mix all versions without it.
    Hugging Face's `load_dataset` reads what the front matter names: one version.
    """
    text = f"""\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: {newest or "no-version-yet"}/train-*
---
# {name}: synthetic data, in versions

Every folder beside this file is one version. Read one version, never this folder:

    import json, pandas
    hint = json.load(open("_latest.json"))        # {{"path": "datasets/{name}/<version>/", ...}}
    frame = pandas.read_parquet("<lake>/" + hint["path"])

A reader that stops here with "Parquet magic bytes not found" was pointed at all versions at once.
Hugging Face's `load_dataset("<lake>/datasets/{name}")` takes the newest version, which the head of
this file names, and another one with `data_dir="<version>"`.

- A version in CSV is read file by file; `_meta/<version>/README.md` says how.
- `_latest.json` and this file name the newest version and may lag for a moment; `_versions/` is
  the truth.
- `_meta/<version>/manifest.json` lists every file with its sha256 and says where the data is from.
- A version that is not committed in `_versions/` is not finished: do not read it.
"""
    return text.encode()


def version_readme(manifest: Manifest) -> bytes:
    """Return the card of one version."""
    gate, shard_format = manifest.fields.gate, load_format(manifest.shard_format)
    word = words_of(manifest.fields.modality).records
    folder = f"<lake>/{version_folder(manifest.name, manifest.version)}/"
    reading = shard_format.how_to_read(folder, len(manifest.files), manifest.schema)
    override, approval = gate.get("override"), gate.get("approval")
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        f"{manifest.rows:,} synthetic {word} in {len(manifest.files)} shards, made by the "
        f"generator {manifest.generator}. No record is real.",
        "",
        *[f"    {one_line(line)}" for line in reading],
        "",
        f"- Verdict of the gate: {plain(gate.get('verdict', 'not judged'))}"
        + (f", overridden by {_signed(override)}" if override else "")
        + (f", approved by {_signed(approval)}" if approval else ""),
        *[f"  - {plain(reason, LONGEST_REASON)}" for reason in gate.get("reasons", ())],
        *(
            line
            for text, below in statements(manifest)
            for line in (
                f"- {plain(text, LONGEST_REASON)}",
                *(f"  - {plain(each, LONGEST_REASON)}" for each in below),
            )
        ),
        *[f"- {plain(remark)}" for remark in shard_format.remarks(manifest.schema)],
        f"- Created: {manifest.created}",
        f"- License: {plain(manifest.fields.license or 'not stated', LONGEST_NAME)}",
        "",
        "| column | type |",
        "|---|---|",
        *[
            f"| {plain(field.name, LONGEST_NAME)} | {plain(field.type, LONGEST_NAME)} |"
            for field in manifest.schema
        ],
    ]
    if manifest.class_counts:
        lines += ["", f"| class | {word} |", "|---|---|"]
        names = next(iter(read_class_names(manifest.schema).values()), ())
        titles = [(class_title(names, label), count) for label, count in manifest.class_counts]
        lines += [f"| {plain(title, LONGEST_NAME)} | {count} |" for title, count in titles]
    return ("\n".join(lines) + "\n").encode()


LONGEST_NAME = 200
"""Letters of a column or class that a card shows."""
LONGEST_REASON = 1000


def _signed(record: Mapping[str, Any]) -> str:
    return f"{plain(record['by'], LONGEST_NAME)}: {plain(record['reason'], LONGEST_REASON)}"


def statements(manifest: Manifest) -> list[tuple[str, Sequence[str]]]:
    """Return of which records the verdict speaks, what it leaves open, and what privacy takes.

    Each is a sentence, or a title with the sentences below it.
    """
    gate, fields = manifest.fields.gate, manifest.fields
    found: list[tuple[str, Sequence[str]]] = [(gate["judged"], ())] if gate.get("judged") else []
    found += [(text, ()) for text in fields.composition.get("sentences", ())]
    if fields.lift_answer:
        said = fields.lift.get("text") or f"{fields.lift_answer.capitalize()}."
        found.append((f"Does it help? {said}", ()))
    copies = fields.privacy.get("copies", {})
    found += [(f"Copies: {copies['text']}.", ())] if copies else []
    titled = (
        ("Differential privacy", fields.privacy.get("guarantee", {}).get("sentences", ())),
        ("Measured and not judged", gate.get("not_judged", ())),
        ("What privacy takes from the columns", fields.losses),
    )
    return [*found, *((f"{title}:", texts) for title, texts in titled if texts)]


def version_stats(manifest: Manifest) -> bytes:
    """Return rows, bytes and class counts, in all and per shard (or part of them), as JSON."""
    shards: dict[str, Any] = {
        "shards": [
            {"path": e.path, "rows": e.rows, "bytes": e.bytes, "class_counts": e.class_counts}
            for e in (() if manifest.parts else manifest.files)
        ]
    }
    if manifest.parts:
        shards = {"parts": [asdict(part) for part in manifest.parts]}
    return canonical_json(
        {
            "format": "ganmill-stats/1",
            "rows": manifest.rows,
            "bytes": manifest.total_bytes,
            "class_counts": manifest.class_counts,
            **shards,
        }
    )


def version_croissant(manifest: Manifest) -> bytes:
    """Return the version in Croissant 1.0 (MLCommons), paths relative to the lake."""
    shard_format = load_format(manifest.shard_format)
    files, source = _distribution(manifest, shard_format.media_type, shard_format.extension)
    document = {
        "@context": _CONTEXT | (_SET_CONTEXT if manifest.parts else {}),
        "@type": "sc:Dataset",
        "name": manifest.name,
        "description": f"{manifest.rows} synthetic records made by {manifest.generator}.",
        "version": manifest.version,
        "datePublished": manifest.created,
        "license": manifest.fields.license or "unknown",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "isLiveDataset": False,
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
        "distribution": files,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "records",
                "name": "records",
                "field": [_field(field, source) for field in manifest.schema],
            }
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _distribution(
    manifest: Manifest, media_type: str, extension: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the files, and what every field is a column of: each file, or the set of them all."""
    if not manifest.parts:
        sources = [{"fileObject": {"@id": entry.path}} for entry in manifest.files]
        return [_file_object(entry, media_type) for entry in manifest.files], sources
    folder = version_folder(manifest.name, manifest.version)
    shards = {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "encodingFormat": media_type,
        "includes": f"{folder}/train-*.{extension}",
    }
    return [shards], [{"fileSet": {"@id": "shards"}}]


def _file_object(entry: FileEntry, media_type: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path.rpartition("/")[2],
        "contentUrl": entry.path,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": media_type,
        "sha256": entry.sha256,
    }


def _field(field: pa.Field, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    is_list = pa.types.is_list(field.type)
    return {
        "@type": "cr:Field",
        "@id": f"records/{field.name}",
        "name": field.name,
        "dataType": _data_type(field.type.value_type if is_list else field.type),
        **({"cr:repeated": True} if is_list else {}),
        "source": [{**one, "extract": {"column": field.name}} for one in sources],
    }


def _data_type(kind: pa.DataType) -> str:
    """Return Croissant's word for a type; text for everything it has none for."""
    for test, name in _DATA_TYPES:
        if test(kind):
            return name
    return "sc:Text"
