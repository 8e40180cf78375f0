"""The commands that only read a lake."""

from collections.abc import Collection
from itertools import zip_longest
from typing import Any

from flows.cli.output import DONE, LAKE, Output, with_owners
from flows.cli.places import LakeRef
from flows.job import cost_text, how_to_read
from flows.progress import OVERRIDDEN, make_reporter, verdict_text
from storage.lake import promotions, registry
from storage.lake.datasets import Version, find, list_datasets, read_manifest, verify, versions
from storage.lake.layout import meta_key
from storage.lake.manifest import Manifest
from storage.lake.registry import read_owner
from storage.records.modalities import MODALITIES
from storage.stores.interface import ObjectStore


def show_presets(*, as_json: bool) -> int:
    """List the presets of every modality."""
    from gan.modalities import load_modality

    rows = [
        (modality, name, text)
        for modality in MODALITIES
        for name, text in load_modality(modality).presets.items()
    ]
    output = Output()
    if as_json:
        output.json(
            [dict(zip(("modality", "name", "description"), row, strict=True)) for row in rows]
        )
    else:
        output.table(("modality", "preset", "what it is"), rows)
    return DONE


def show_datasets(place: LakeRef, *, as_json: bool) -> int:
    """List every committed version of every data set."""
    lake, output = place.open(), Output()
    found = [
        (one, read_manifest(lake, name, one.version))
        for name in list_datasets(lake)
        for one in versions(lake, name)
    ]
    owners = _owners(lake, {one.name for one, _ in found})
    if as_json:
        output.json(
            [
                _summary(place, one, manifest) | {"owner": owners[one.name]}
                for one, manifest in found
            ]
        )
        return DONE
    if not found:
        output.line(f"No data sets in {place.uri}")
        return DONE
    rows = [
        (
            one.name,
            one.version,
            f"{manifest.rows:,}",
            str(len(manifest.files)),
            verdict_text(manifest),
        )
        for one, manifest in found
    ]
    columns = ("data set", "version", "rows", "shards", "verdict")
    output.table(*with_owners(columns, rows, owners))
    return DONE


def show_dataset(place: LakeRef, name: str, version: str | None, *, as_json: bool) -> int:
    """Show one version."""
    lake, output = place.open(), Output()
    one = find(lake, name, version)
    manifest = read_manifest(lake, name, one.version)
    if as_json:
        details = {
            "provenance": dict(manifest.fields.provenance),
            "gate": dict(manifest.fields.gate),
            "cost": manifest.fields.cost,
            "owner": _owners(lake, {name})[name],
        }
        output.json(_summary(place, one, manifest) | details)
        return DONE
    counts = ", ".join(f"{label}: {count:,}" for label, count in manifest.class_counts)
    size = f"{manifest.total_bytes / 2**20:,.1f} MiB in {len(manifest.files)} shards"
    output.line(f"Data set   {name} {one.version}")
    output.line(f"Rows       {manifest.rows:,} ({size})")
    if counts:
        output.line(f"Classes    {counts}")
    output.line(f"Verdict    {verdict_text(manifest)}")
    for reason in manifest.fields.gate.get("reasons", ()):
        output.line(f"           {reason}")
    for word in ("override", "approval"):
        signed = manifest.fields.gate.get(word)
        if signed:
            said = f"{signed['by']}, {signed['at'][:10]}: {signed['reason']}"
            output.line(f"{word.capitalize():<10} {said}")
    output.line(f"Generator  {manifest.generator}")
    output.line(f"Report     {place.path(meta_key(name, one.version, 'report.html'))}")
    if manifest.fields.cost is not None:
        output.line(f"Cost       {cost_text(manifest.fields.cost)}")
    lines = how_to_read(manifest, place.shards(one))
    for lead, line in zip_longest(("Read it    ",), lines, fillvalue=" " * 11):
        output.line(lead + line, "bold")
    return DONE


def verify_dataset(place: LakeRef, name: str, version: str | None, *, as_json: bool) -> int:
    """Read every file of a version; 5 when one is not what was committed."""
    lake, output = place.open(), Output()
    one = find(lake, name, version)
    with make_reporter().meter(f"Verifying {name}/{one.version}", "files") as meter:
        problems = verify(lake, name, one.version, progress=meter.update)
    if as_json:
        found = [{"key": problem.key, "what": problem.what} for problem in problems]
        output.json({"name": name, "version": one.version, "problems": found})
    elif problems:
        for problem in problems:
            output.line(f"{problem.key}: {problem.what}")
    else:
        output.line(f"{name}/{one.version} is what was committed")
    return LAKE if problems else DONE


def show_generators(place: LakeRef, *, as_json: bool) -> int:
    """List every complete generator."""
    lake, output = place.open(), Output()
    found = [
        generator
        for name in registry.list_generators(lake)
        for generator in _generators(lake, name)
    ]
    owners = _owners(lake, {str(one["name"]) for one in found})
    if as_json:
        output.json([one | {"owner": owners[str(one["name"])]} for one in found])
    elif not found:
        output.line(f"No generators in {place.uri}")
    else:
        columns = ("version", "standing", "by", "reason")
        for one in found:
            one["standing"] = f"{one['standing']}{OVERRIDDEN if one['kind'] == 'override' else ''}"
        rows = [tuple(str(one[column] or "") for column in ("name", *columns)) for one in found]
        output.table(*with_owners(("generator", *columns), rows, owners))
    return DONE


def _owners(lake: ObjectStore, names: Collection[str]) -> dict[str, str | None]:
    """Return whose each name is; None when it is nobody's."""
    found = {name: read_owner(lake, name) for name in names}
    return {name: None if one is None else one.owner for name, one in found.items()}


def _generators(lake: ObjectStore, name: str) -> list[dict[str, str | None]]:
    standing = promotions.standing(lake, name)
    champion = standing.champion
    found = []
    for version in registry.candidates(lake, name):
        records = [record for record in standing.records if record.version == version]
        last = records[-1] if records else None
        word = "candidate" if last is None else {"reject": "rejected"}.get(last.kind, "promoted")
        if champion is not None and champion.version == version:
            last, word = champion, "champion"
        found.append(
            {
                "name": name,
                "version": version,
                "standing": word,
                "kind": None if last is None else last.kind,
                "by": None if last is None else last.by,
                "at": None if last is None else last.created,
                "reason": None if last is None else last.reason,
            }
        )
    return found


def _summary(place: LakeRef, one: Version, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "created": one.created,
        "path": place.shards(one),
        "rows": manifest.rows,
        "shards": len(manifest.files),
        "bytes": manifest.total_bytes,
        "class_counts": [list(pair) for pair in manifest.class_counts],
        "verdict": manifest.fields.gate.get("verdict"),
        "override": manifest.fields.gate.get("override"),
        "approval": manifest.fields.gate.get("approval"),
        "generator": manifest.generator,
        "pinned": one.pinned,
    }
