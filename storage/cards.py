"""What stands beside a version for people and catalogues, made from its manifest alone."""

import json
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from storage.digests import canonical_json
from storage.layout import version_folder
from storage.manifest import DIGITAL_SOURCE_TYPE, FileEntry, Manifest
from storage.shards import load_format


def root_readme(name: str) -> bytes:
    """Return the page beside the versions.

    It also makes readers fail that are pointed at the folder of versions by mistake: pandas and
    pyarrow try to read it as Parquet and stop, where they would mix all versions without it.
    """
    text = f"""\
# {name}: synthetic data, in versions

Every folder beside this file is one version. Read one version, never this folder:

    import json, pandas
    hint = json.load(open("_latest.json"))        # {{"path": "datasets/{name}/<version>/", ...}}
    frame = pandas.read_parquet("<lake>/" + hint["path"])

A reader that stops here with "Parquet magic bytes not found" was pointed at all versions at once.

- A version in CSV is read file by file; `_meta/<version>/README.md` says how.
- `_latest.json` names the newest version and may lag for a moment; `_versions/` is the truth.
- `_meta/<version>/manifest.json` lists every file with its sha256 and says where the data is from.
- A version that is not committed in `_versions/` is not finished: do not read it.
"""
    return text.encode()


def version_readme(manifest: Manifest) -> bytes:
    """Return the card of one version."""
    gate, shard_format = manifest.fields.gate, load_format(manifest.shard_format)
    word = "rows" if shard_format.modality == "tables" else "records"
    folder = f"<lake>/{version_folder(manifest.name, manifest.version)}/"
    reading = shard_format.how_to_read(folder, len(manifest.files), manifest.schema)
    override, approval = gate.get("override"), gate.get("approval")
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        f"{manifest.rows:,} synthetic {word} in {len(manifest.files)} shards, made by the "
        f"generator {manifest.generator}. No record is real.",
        "",
        *[f"    {line}" for line in reading],
        "",
        f"- Verdict of the gate: {gate.get('verdict', 'not judged')}"
        + (f", overridden by {override['by']}: {override['reason']}" if override else "")
        + (f", approved by {approval['by']}: {approval['reason']}" if approval else ""),
        *[f"  - {reason}" for reason in gate.get("reasons", ())],
        f"- Created: {manifest.created}",
        f"- License: {manifest.fields.license or 'not stated'}",
        "",
        "| column | type |",
        "|---|---|",
        *[f"| {field.name} | {field.type} |" for field in manifest.schema],
    ]
    if manifest.class_counts:
        lines += ["", f"| class | {word} |", "|---|---|"]
        lines += [f"| {label} | {count} |" for label, count in manifest.class_counts]
    return ("\n".join(lines) + "\n").encode()


def stats(manifest: Manifest) -> bytes:
    """Return rows, bytes and class counts, in all and per shard, as JSON."""
    return canonical_json(
        {
            "format": "ganmill-stats/1",
            "rows": manifest.rows,
            "bytes": manifest.total_bytes,
            "class_counts": manifest.class_counts,
            "shards": [
                {"path": e.path, "rows": e.rows, "bytes": e.bytes, "class_counts": e.class_counts}
                for e in manifest.files
            ],
        }
    )


def croissant(manifest: Manifest) -> bytes:
    """Return the version in Croissant 1.0 (MLCommons), paths relative to the lake."""
    media_type = load_format(manifest.shard_format).media_type
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest.name,
        "description": f"{manifest.rows} synthetic records made by {manifest.generator}.",
        "version": manifest.version,
        "datePublished": manifest.created,
        "license": manifest.fields.license or "unknown",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "isLiveDataset": False,
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
        "distribution": [_file_object(entry, media_type) for entry in manifest.files],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "records",
                "name": "records",
                "field": [_field(field, manifest.files) for field in manifest.schema],
            }
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()


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


def _field(field: pa.Field, files: Any) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"records/{field.name}",
        "name": field.name,
        "dataType": _data_type(field.type),
        "source": [
            {"fileObject": {"@id": entry.path}, "extract": {"column": field.name}}
            for entry in files
        ],
    }


def _data_type(kind: pa.DataType) -> str:
    """Return Croissant's word for a type; text for everything it has none for."""
    for test, name in _DATA_TYPES:
        if test(kind):
            return name
    return "sc:Text"


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
