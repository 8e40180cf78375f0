"""The commands on a lake: its data sets, its generators, and what it no longer needs.

The declaration of a command is its implementation. What reads the lake is imported when a command
runs, so that `ganmill --help` answers at once.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output import Output, with_owners
from flows.errors import DONE, LAKE
from flows.progress import shards_words

if TYPE_CHECKING:
    from flows.maintain import Kept
    from storage.lake.log import Commit
    from storage.lake.manifest import Manifest
    from storage.lake.promotions import Promotion
    from storage.stores.interface import ObjectStore

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Lake = Annotated[
    str | None, typer.Option("--lake", metavar="URI", help="Folder or s3://…; else GANMILL_LAKE.")
]
Storage = Annotated[
    str | None, typer.Option("--storage", metavar="NAME", help="Storage profile of the lake.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Data set.")]
OneVersion = Annotated[str, typer.Argument(metavar="VERSION", help="See `datasets list`.")]
LatestVersion = Annotated[
    str | None, typer.Argument(metavar="[VERSION]", help="The latest one unless given.")
]
GeneratorName = Annotated[str, typer.Argument(metavar="NAME", help="Generator.")]
Person = Annotated[str, typer.Option("--by", metavar="WHO", help="Your name, for the log.")]
Reason = Annotated[str, typer.Option("--reason", metavar="WHY", help="In writing, for the log.")]

OVERRIDDEN = " (overridden)"
"""Behind what a person published although the gate refused it."""

datasets = typer.Typer(no_args_is_help=True, help="Show and check published data sets.")
generators = typer.Typer(
    no_args_is_help=True, help="Show trained generators, and choose the champion by hand."
)


@dataclass(frozen=True, kw_only=True)
class LakeRef:
    """A lake as the command line names it: `--lake`, else `GANMILL_LAKE`, else `./lake`."""

    lake: str | None = None
    storage: str | None = None

    @property
    def uri(self) -> str:
        """The lake's URI as the user would type it."""
        from storage.stores.settings import load_settings

        return self.lake or load_settings().lake

    def open(self, *, read_only: bool = True) -> "ObjectStore":
        """Open the lake; to write, for a person's decision, which is one more record of a log.

        Raises:
            SettingsError: the profile does not exist, or the URI is not served.
        """
        from storage.stores.open import open_store
        from storage.stores.settings import load_profile

        profile = None if self.storage is None else load_profile(self.storage)
        return open_store(self.uri, profile, read_only=read_only)

    def path(self, key: str) -> str:
        """Return an object of the lake as the user would type it."""
        return f"{self.uri.rstrip('/').removeprefix('./')}/{key}"

    def shards(self, version: "Commit") -> str:
        """Return the folder to read a version from."""
        from storage.lake.layout import version_folder

        return self.path(version_folder(version.name, version.version)) + "/"


@datasets.command("list")
def datasets_list(*, lake: Lake = None, storage: Storage = None, as_json: AsJson = False) -> int:
    """List published data sets and their versions."""
    from storage.lake.datasets import list_datasets, read_manifest, versions

    ref, output = LakeRef(lake=lake, storage=storage), Output()
    store = ref.open()
    found = [
        (one, read_manifest(store, name, one.version))
        for name in list_datasets(store)
        for one in versions(store, name)
    ]
    owners = _owners(store, {one.name for one, _ in found})
    if as_json:
        output.json([_summary(ref, *pair) | {"owner": owners[pair[0].name]} for pair in found])
    elif not found:
        output.line(f"No data sets in {ref.uri}")
    else:
        rows = [
            (
                one.name,
                one.version,
                f"{manifest.rows:,}",
                str(len(manifest.files)),
                verdict_text(manifest.fields.gate),
                manifest.fields.lift_answer or "-",
            )
            for one, manifest in found
        ]
        columns = ("data set", "version", "rows", "shards", "verdict", "helps")
        output.table(*with_owners(columns, rows, owners))
    return DONE


@datasets.command("show")
def datasets_show(
    name: Name,
    version: LatestVersion = None,
    *,
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Show one version: rows, classes, verdict, provenance, and how to read it."""
    from storage.lake.datasets import find, read_manifest

    ref, output = LakeRef(lake=lake, storage=storage), Output()
    store = ref.open()
    one = find(store, name, version)
    manifest = read_manifest(store, name, one.version)
    if as_json:
        details = {
            "provenance": dict(manifest.fields.provenance),
            "gate": dict(manifest.fields.gate),
            "cost": manifest.fields.cost,
            "owner": _owners(store, {name})[name],
        }
        output.json(_summary(ref, one, manifest) | details)
    else:
        _write_version(ref, one, manifest, output)
    return DONE


@datasets.command("verify")
def datasets_verify(
    name: Name,
    version: LatestVersion = None,
    *,
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Read every file of a version and name each one that is not what was committed."""
    from flows.progress import make_reporter
    from storage.lake.datasets import find
    from storage.lake.verify import verify

    store, output = LakeRef(lake=lake, storage=storage).open(), Output()
    one = find(store, name, version)
    with make_reporter().meter(f"Verifying {name}/{one.version}", "files") as meter:
        problems = verify(store, name, one.version, progress=meter.update)
    if as_json:
        found = [{"key": problem.key, "what": problem.what} for problem in problems]
        output.json({"name": name, "version": one.version, "problems": found})
    elif problems:
        for problem in problems:
            output.line(f"{problem.key}: {problem.what}")
    else:
        output.line(f"{name}/{one.version} is what was committed")
    return LAKE if problems else DONE


@datasets.command("pin")
def datasets_pin(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Keep a version for good, whatever output.keep_last says."""
    from storage.lake import retention

    store = LakeRef(lake=lake, storage=storage).open(read_only=False)
    done = retention.pin(store, name, version, by=by, reason=reason)
    Output().line(f"{'Pinned' if done else 'Is pinned'}  {name}/{version}")
    return DONE


@datasets.command("unpin")
def datasets_unpin(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Let retention have a version again."""
    from storage.lake import retention

    store = LakeRef(lake=lake, storage=storage).open(read_only=False)
    done = retention.unpin(store, name, version, by=by, reason=reason)
    Output().line(f"{'Unpinned' if done else 'Is not pinned'}  {name}/{version}")
    return DONE


@datasets.command("retract")
def datasets_retract(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Take a version out of readers' sight at once; gc deletes its files a day later."""
    from flows.lake_page import bring_up_lake_page
    from storage.lake import retention

    store = LakeRef(lake=lake, storage=storage).open(read_only=False)
    retention.retract(store, name, version, by=by, reason=reason)
    output, hours = Output(), int(retention.GRACE_PERIOD.total_seconds() // 3600)
    output.line(f"Retracted  {name}/{version}: no reader is led to it any more")
    output.line("           the same run does not publish it again, until a person permits it")
    output.line(f"Next       ganmill gc --apply deletes its files, {hours} hours from now")
    if (problem := bring_up_lake_page(store, name)) is not None:
        output.line(f"           {problem}")
    return DONE


@datasets.command("permit")
def datasets_permit(
    name: Name,
    version: OneVersion,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Let the run that made a retracted version publish it again, under a new version."""
    from storage.lake import retention

    store = LakeRef(lake=lake, storage=storage).open(read_only=False)
    done = retention.permit(store, name, version, by=by, reason=reason)
    output = Output()
    output.line(f"{'Permitted' if done else 'Is permitted'}  {name}/{version} may be made again")
    output.line("Next       ganmill run RECIPE publishes it under a new version")
    return DONE


@generators.command("list")
def generators_list(*, lake: Lake = None, storage: Storage = None, as_json: AsJson = False) -> int:
    """List trained generators, and which one is champion."""
    from storage.lake.registry import list_generators

    ref, output = LakeRef(lake=lake, storage=storage), Output()
    store = ref.open()
    found = [one for name in list_generators(store) for one in _generators(store, name)]
    owners = _owners(store, {str(one["name"]) for one in found})
    if as_json:
        output.json([one | {"owner": owners[str(one["name"])]} for one in found])
    elif not found:
        output.line(f"No generators in {ref.uri}")
    else:
        columns = ("version", "standing", "by", "reason")
        for one in found:
            one["standing"] = f"{one['standing']}{OVERRIDDEN if one['kind'] == 'override' else ''}"
        rows = [tuple(str(one[column] or "") for column in ("name", *columns)) for one in found]
        output.table(*with_owners(("generator", *columns), rows, owners))
    return DONE


@generators.command("promote")
def generators_promote(
    name: GeneratorName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="See `generators list`.")],
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Make a generator champion by hand; where the gate refused it this is an override."""
    from flows.by_hand import promote_by_hand

    store = LakeRef(lake=lake, storage=storage).open(read_only=False)
    return _write_promotion(name, promote_by_hand(store, name, version, by=by, reason=reason))


@generators.command("rollback")
def generators_rollback(
    name: GeneratorName,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="The former champion unless given.")
    ] = None,
    *,
    by: Person,
    reason: Reason,
    lake: Lake = None,
    storage: Storage = None,
) -> int:
    """Make a former champion champion again."""
    from flows.by_hand import roll_back

    store = LakeRef(lake=lake, storage=storage).open(read_only=False)
    return _write_promotion(name, roll_back(store, name, version, by=by, reason=reason))


def gc(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, it is only said.")] = (
        False
    ),
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Drop what a lake no longer needs: old versions, what was never finished, checkpoints."""
    from flows.maintain import maintain_lake

    ref, output = LakeRef(lake=lake, storage=storage), Output()
    kept = maintain_lake(ref.open(read_only=not apply), apply=apply)
    if as_json:
        output.json(dataclasses.asdict(kept))
    elif not kept.removals and not kept.checkpoints and not kept.hints:
        output.line(f"Nothing to collect in {ref.uri}")
    else:
        _write_removals(kept, output)
        if not apply:
            output.line("Next      ganmill gc --apply does it")
    if kept.problems and not as_json:
        for text in kept.problems:
            output.line(text)
    return LAKE if kept.problems else DONE


def verdict_text(gate: Mapping[str, Any]) -> str:
    """Return a manifest's verdict, marked when a person published the version all the same."""
    return f"{gate.get('verdict', '-')}{OVERRIDDEN if gate.get('override') else ''}"


def _owners(store: "ObjectStore", names: Collection[str]) -> dict[str, str | None]:
    """Return whose each name is; None when it is nobody's."""
    from storage.lake.registry import read_owner

    found = {name: read_owner(store, name) for name in names}
    return {name: None if one is None else one.owner for name, one in found.items()}


def _summary(ref: LakeRef, one: "Commit", manifest: "Manifest") -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "created": one.created,
        "path": ref.shards(one),
        "rows": manifest.rows,
        "shards": len(manifest.files),
        "bytes": manifest.total_bytes,
        "class_counts": [list(pair) for pair in manifest.class_counts],
        "verdict": manifest.fields.gate.get("verdict"),
        "lift": dict(manifest.fields.lift),
        "composition": manifest.fields.composition,
        "override": manifest.fields.gate.get("override"),
        "approval": manifest.fields.gate.get("approval"),
        "generator": manifest.generator,
        "pinned": one.pinned,
    }


def _write_version(ref: LakeRef, one: "Commit", manifest: "Manifest", output: Output) -> None:
    from flows.job import cost_text, how_to_read
    from flows.report_links import report_link
    from storage.lake.layout import meta_key
    from storage.lake.manifest import statements
    from storage.records.schema import class_title, read_class_names

    gate = manifest.fields.gate
    names = next(iter(read_class_names(manifest.schema).values()), ())
    titled = ((class_title(names, label), count) for label, count in manifest.class_counts)
    counts = ", ".join(f"{title}: {count:,}" for title, count in titled)
    size = f"{manifest.total_bytes / 2**20:,.1f} MiB in {shards_words(len(manifest.files))}"
    output.line(f"Data set   {one.name} {one.version}")
    output.line(f"Rows       {manifest.rows:,} ({size})")
    if counts:
        output.line(f"Classes    {counts}")
    output.line(f"Verdict    {verdict_text(gate)}")
    said = [(reason, ()) for reason in gate.get("reasons", ())]
    for text, below in (*said, *statements(manifest)):
        output.line("\n".join([f"           {text}", *(f"             {one}" for one in below)]))
    for word in ("override", "approval"):
        signed = gate.get(word)
        if signed:
            what = f"{signed['by']}, {signed['at'][:10]}: {signed['reason']}"
            output.line(f"{word.capitalize():<10} {what}")
    output.line(f"Generator  {manifest.generator}")
    key = meta_key(one.name, one.version, "report.html")
    link = report_link(ref.open(), ref.uri, key)
    output.line(f"Report     {ref.path(key)}{f'  {link}' if link else ''}")
    if manifest.fields.cost is not None:
        output.line(f"Cost       {cost_text(manifest.fields.cost)}")
    lines = how_to_read(manifest, ref.shards(one))
    for lead, line in zip_longest(("Read it    ",), lines, fillvalue=" " * 11):
        output.line(lead + line, "bold")


def _generators(store: "ObjectStore", name: str) -> list[dict[str, str | None]]:
    """Return every complete generator of a name, with the record that says how it stands."""
    from storage.lake import promotions, registry
    from storage.lake.damage import damaged_versions

    standing, damaged = promotions.standing(store, name), damaged_versions(store, name)
    champion = standing.champion
    found = []
    for version in registry.candidates(store, name):
        records = [record for record in standing.records if record.version == version]
        last = records[-1] if records else None
        word = "candidate" if last is None else {"reject": "rejected"}.get(last.kind, "promoted")
        if champion is not None and champion.version == version:
            last, word = champion, "champion"
        if version in damaged:
            word = f"{word}, damaged"
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


def _write_promotion(name: str, record: "Promotion") -> int:
    output = Output()
    output.line(f"Champion  {name}/{record.version}")
    output.line(f"Record    {record.number}: {record.kind} by {record.by}, {record.reason}")
    if record.kind == "override":
        output.line("Note      the gate refused it; what it publishes says who overrode that")
    but = ", unless today's verdict on it is block" if record.kind == "promote" else ""
    output.line(f"Next      ganmill run RECIPE publishes from it without training again{but}")
    return DONE


def _write_removals(kept: "Kept", output: Output) -> None:
    rows: list[tuple[str, str, str, str]] = [
        (one.step, f"{one.name}/{one.version}", f"{one.total_bytes / 2**20:,.1f}", one.reason)
        for one in kept.removals
    ]
    rows += [("drop", f"checkpoints {key[:12]}", "", "trained") for key in kept.checkpoints]
    rows += [("refresh", name, "", "the hint to the newest version lags") for name in kept.hints]
    output.table(("step", "what", "MiB", "why"), rows)
