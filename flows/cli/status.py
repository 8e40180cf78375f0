"""How every name stands in a lake: its champion, what was published last, what was tried last.

It is read from what runs leave behind: plans, candidates and the two logs. No process is asked, so
that a training that goes on right now and one that was killed look the same: unfinished. Where a
Prefect API is known, the runs that wait for a person's answer are shown too.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from flows.by_hand import newest_report
from flows.cli.lake import LakeRef, verdict_text
from flows.cli.output import Output, with_owners
from flows.report_links import report_link
from storage.errors import IntegrityError
from storage.lake import promotions
from storage.lake.datasets import load_manifest
from storage.lake.layout import (
    generator_report_key,
    meta_key,
    snapshot_key,
    version_folder,
    version_time,
)
from storage.lake.ledger import Balance, balance_of
from storage.lake.log import Commit, Versions, read_versions
from storage.lake.manifest import Manifest
from storage.lake.plan import FORMAT as DATASET_PLAN
from storage.lake.promotions import Standing
from storage.lake.registry import TRAINING_FORMAT as TRAINING_PLAN
from storage.lake.registry import complete_checkpoints, read_owner
from storage.stores.interface import ObjectStore
from storage.stores.settings import load_settings

if TYPE_CHECKING:
    from flows.tracked.waiting import WaitingRun

PAGE = "report.html"
Step = Literal["training", "trained", "promoted", "rejected", "synthesizing", "published"]
STEP_ORDER: tuple[Step, ...] = get_args(Step)
"""How far an attempt came, in order; training and synthesizing are unfinished."""

_PLAN = re.compile(r"runs/([0-9a-f]{8})[0-9a-f]*/plan(-\d+)?\.json")
_NAME = re.compile(r"(?:generators|datasets)/([a-z0-9][a-z0-9-]*)/.+")
_JUDGED = re.compile(r"generators/([^/]+)/(\d{8}T\d{6}Z-[0-9a-f]{8})/reports/.+")
_CANDIDATE = re.compile(r"generators/([^/]+)/(\d{8}T\d{6}Z-[0-9a-f]{8})/snapshot\.json")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Something that was tried under a name, and what became of it."""

    name: str
    step: Step
    at: datetime
    """UTC; of unfinished work, when it was begun."""
    detail: str
    """A version, the reason of a rejection, or how far unfinished work is."""
    samples_seen: int | None = None
    """Of an unfinished training, by its newest checkpoint in the lake."""

    @property
    def order(self) -> tuple[datetime, int]:
        """Grows with time; within one second with the step."""
        return self.at, STEP_ORDER.index(self.step)


@dataclass(frozen=True, kw_only=True)
class NameStatus:
    """Everything about one name."""

    name: str
    owner: str | None
    champion: str | None
    latest: Commit | None
    """Of the newest version that readers see."""
    manifest: Manifest | None
    """Of the latest version."""
    last_success: Commit | None
    """The newest commit, even when its version was retired since."""
    last_attempt: Attempt | None
    unfinished: tuple[Attempt, ...]
    """What was begun and is not done."""
    privacy: Balance | None = None
    """What differentially private trainings took of its source; None where none did."""
    report_key: str | None = None
    """The page on the last attempt where it ended in a report, else on the latest version."""


class GeneratorsOfName(NamedTuple):
    """The generators of a name."""

    versions: Sequence[str]
    """In order of time."""
    judged: Set[str]
    """Those that were evaluated."""


def read_status(lake: ObjectStore) -> tuple[NameStatus, ...]:
    """Return the status of every name, by name.

    Raises:
        LakeError: the lake failed.
    """
    keys = [info.key for prefix in ("generators/", "datasets/") for info in lake.list(prefix)]
    found = {match[1] for match in map(_NAME.fullmatch, keys) if match}
    logs = {name: read_versions(lake, name) for name in found}
    candidates = [(match[1], match[2]) for match in map(_CANDIDATE.fullmatch, keys) if match]
    done = {version for _, version in candidates}
    judged = {(match[1], match[2]) for match in map(_JUDGED.fullmatch, keys) if match}
    for log in logs.values():
        done |= {commit.version for commit in log.commits} | log.abandoned
    begun = list(_unfinished(lake, done))
    statuses = []
    for name in sorted(found | {one.name for one in begun}):
        log = logs.get(name) or Versions(commits=(), abandoned=frozenset())
        made = sorted(version for owner, version in candidates if owner == name)
        mine = [attempt for attempt in begun if attempt.name == name]
        mine_judged = {version for owner, version in judged if owner == name}
        statuses.append(_status(lake, name, log, GeneratorsOfName(made, mine_judged), mine))
    return tuple(statuses)


def unfinished_trainings(names: Sequence[NameStatus]) -> list[Attempt]:
    """Return the trainings that were begun and are not done, the oldest first."""
    begun = (each for one in names for each in one.unfinished if each.samples_seen is not None)
    return sorted(begun, key=lambda attempt: attempt.order)


def _status(
    lake: ObjectStore, name: str, log: Versions, made: GeneratorsOfName, begun: Sequence[Attempt]
) -> NameStatus:
    standing = promotions.standing(lake, name)
    visible = log.visible
    newest = visible[-1] if visible else None
    manifest = None if newest is None else load_manifest(lake, newest)
    attempts = [*_published(name, log, standing, manifest), *_decided(name, standing, made), *begun]
    last = max(attempts, key=lambda attempt: attempt.order, default=None)
    owner = read_owner(lake, name)
    return NameStatus(
        name=name,
        owner=None if owner is None else owner.owner,
        champion=None if standing.champion is None else standing.champion.version,
        latest=newest,
        manifest=manifest,
        last_success=log.commits[-1] if log.commits else None,
        last_attempt=last,
        unfinished=tuple(begun),
        privacy=balance_of(lake, name),
        report_key=_report_key(lake, name, newest, made, last),
    )


def _report_key(
    lake: ObjectStore,
    name: str,
    newest: Commit | None,
    made: GeneratorsOfName,
    last: Attempt | None,
) -> str | None:
    judged = [version for version in made.versions if version in made.judged]
    if judged and (newest is None or (last is not None and last.step in ("trained", "rejected"))):
        found = newest_report(lake, name, judged[-1])
        if found is not None:
            return generator_report_key(name, judged[-1], found[0], PAGE)
    return None if newest is None else meta_key(name, newest.version, PAGE)


def _published(
    name: str, log: Versions, standing: Standing, manifest: Manifest | None
) -> Iterator[Attempt]:
    """Yield the newest commit; one that the champion stepped in for says why it had to."""
    if not log.commits:
        return
    commit = log.commits[-1]
    detail = commit.version
    rejected = [record for record in standing.records if record.kind == "reject"]
    is_kept = manifest is not None and manifest.fields.gate.get("choice") == "kept"
    if is_kept and rejected and manifest is not None and manifest.version == commit.version:
        detail = f"{detail} from the champion, as {rejected[-1].reason}"
    at = datetime.fromisoformat(commit.created)
    yield Attempt(name=name, step="published", at=at, detail=detail)


def _decided(name: str, standing: Standing, made: GeneratorsOfName) -> Iterator[Attempt]:
    """Yield the newest decision, and the newest generator that nobody has decided on."""
    if standing.records:
        last = standing.records[-1]
        step: Step = "rejected" if last.kind == "reject" else "promoted"
        at = datetime.fromisoformat(last.created)
        yield Attempt(name=name, step=step, at=at, detail=last.reason)
    decided = {record.version for record in standing.records}
    open_ = [version for version in made.versions if version not in decided]
    if open_:
        is_judged = open_[-1] in made.judged
        what = "is judged, and nobody has decided on it" if is_judged else "is not judged yet"
        at = version_time(open_[-1])
        yield Attempt(name=name, step="trained", at=at, detail=f"{open_[-1]} {what}")


def _unfinished(lake: ObjectStore, done: set[str]) -> Iterator[Attempt]:
    """Yield the work that was planned and has no result.

    A version ends in the first digits of its key, so that the plans of what is done are not read.
    """
    ends = {version.rpartition("-")[2] for version in done}
    for info in list(lake.list("runs/")):
        match = _PLAN.fullmatch(info.key)
        if match is None or (match[1] in ends and match[2] is None):
            continue
        plan = _plan(lake, info.key)
        if plan.get("format") == TRAINING_PLAN:
            if lake.stat(snapshot_key(plan["name"], plan["version"])) is None:
                yield _training(lake, plan)
        elif plan.get("format") == DATASET_PLAN and plan["version"] not in done:
            yield _synthesis(lake, plan)


def _plan(lake: ObjectStore, key: str) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads(lake.get(key))
    except ValueError as error:
        msg = f"{lake.uri}/{key} is no plan ({error}); delete it and run its recipe again"
        raise IntegrityError(msg) from error
    return plan


def _training(lake: ObjectStore, plan: dict[str, Any]) -> Attempt:
    seen = complete_checkpoints(lake, plan["train_key"])
    samples = seen[0] if seen else 0
    return Attempt(
        name=plan["name"],
        step="training",
        at=datetime.fromisoformat(plan["created"]),
        detail=f"{samples:,} samples in the lake",
        samples_seen=samples,
    )


def _synthesis(lake: ObjectStore, plan: dict[str, Any]) -> Attempt:
    folder = version_folder(plan["name"], plan["version"])
    stored = sum(1 for _ in lake.list(f"{folder}/"))
    return Attempt(
        name=plan["name"],
        step="synthesizing",
        at=datetime.fromisoformat(plan["created"]),
        detail=f"{stored} of {len(plan['shards'])} shards in the lake",
    )


STEPS: Mapping[str, str] = {"training": "training begun", "synthesizing": "synthesis begun"}
"""How an unfinished step is shown; every other one is its own word."""

AGES: Mapping[str, int] = {"day": 86_400, "hour": 3_600, "minute": 60}
"""Unit → its seconds, the largest first."""
COLUMNS = (
    "name", "champion", "latest version", "rows", "verdict", "helps", "published", "last attempt",
)  # fmt: skip


Waiting = Sequence["WaitingRun"]
"""The runs that wait for an answer, the oldest first."""


def find_waiting(ref: LakeRef, api_url: str | None) -> tuple["WaitingRun", ...] | None:
    """Return the runs that wait for an answer about a lake; None where no Prefect is known.

    Without an API that is named, the cockpit of this folder is asked if it runs.

    Raises:
        EngineError: the API does not answer.
    """
    from flows.cockpit.local import running
    from flows.prefect_defaults import apply_defaults

    variables = {} if api_url else running(load_settings().work_folder.absolute() / "cockpit")
    if not api_url and not variables:
        return None
    apply_defaults(api_url or None, variables)
    from flows.tracked.waiting import read_waiting

    return tuple(one for one in read_waiting() if one.is_of(ref.uri))


def write_status(
    ref: LakeRef, names: Sequence[NameStatus], at: datetime, output: Output, waiting: Waiting = ()
) -> None:
    """Write the status for a person, with ages as of `at`; what waits for an answer comes first."""
    for one in waiting:
        output.line(_waits(one, at), "bold yellow")
    if not names:
        output.line(f"Nothing in {ref.uri} yet: ganmill run RECIPE")
    else:
        _write_names(names, output, at)
        for name, page in _reports(ref, names).items():
            output.line(f"{name}: report {page}")
    for begun in unfinished_trainings(names):
        output.line(
            f"Unfinished training of {begun.name}, begun {begun.at.isoformat()}, "
            f"{begun.samples_seen:,} samples in the lake: run its recipe again to continue"
        )


def _reports(ref: LakeRef, names: Sequence[NameStatus]) -> dict[str, str]:
    """Return where the report of every name opens, or else lies."""
    lake = ref.open()
    keys = {one.name: one.report_key for one in names if one.report_key is not None}
    return {name: report_link(lake, ref.uri, key) or ref.path(key) for name, key in keys.items()}


def _waits(one: "WaitingRun", at: datetime) -> str:
    where = f"press Resume on {one.page}" if one.page else f"resume the flow run {one.run_name!r}"
    said = one.message or f"waits for your answer since {one.since:%Y-%m-%d %H:%M} UTC"
    return f"{one.name}: {said} ({_ago(one.since, at)}); {where}"


def status_json(
    ref: LakeRef, names: Sequence[NameStatus], at: datetime, waiting: Waiting | None = None
) -> dict[str, Any]:
    """Return the status for machines: ages in seconds as of `at`."""
    reports = _reports(ref, names)
    return {
        "names": [_name_json(ref, one, at) | {"report": reports.get(one.name)} for one in names],
        "unfinished": [
            {"name": one.name, "began": one.at.isoformat(), "samples_seen": one.samples_seen}
            for one in unfinished_trainings(names)
        ],
        "waiting": None if waiting is None else [_waiting_json(one, at) for one in waiting],
    }


def _waiting_json(one: "WaitingRun", at: datetime) -> dict[str, Any]:
    return {
        "name": one.name,
        "run": one.run_name,
        "since": one.since.isoformat(),
        "age_s": _age_s(one.since, at),
        "question": one.message,
        "page": one.page,
    }


def _name_json(ref: LakeRef, one: NameStatus, at: datetime) -> dict[str, Any]:
    latest, success, attempt = one.latest, one.last_success, one.last_attempt
    gate = {} if one.manifest is None else one.manifest.fields.gate
    folder = None if latest is None else version_folder(one.name, latest.version)
    return {
        "name": one.name,
        "owner": one.owner,
        "champion": one.champion,
        "generator": None if one.manifest is None else one.manifest.generator,
        "latest version": None if latest is None else latest.version,
        "age_s": None if latest is None else _age_s(latest.created, at),
        "rows": None if one.manifest is None else one.manifest.rows,
        "verdict": gate.get("verdict"),
        "lift": None if one.manifest is None else dict(one.manifest.fields.lift),
        "override": gate.get("override"),
        "privacy": None if one.privacy is None else one.privacy.to_json(),
        "path": None if folder is None else f"{ref.path(folder)}/",
        "last_success": success
        and {
            "version": success.version,
            "at": success.created,
            "age_s": _age_s(success.created, at),
        },
        "last_attempt": attempt
        and {
            "step": attempt.step,
            "at": attempt.at.isoformat(),
            "age_s": _age_s(attempt.at, at),
            "detail": attempt.detail,
        },
    }


def _write_names(names: Sequence[NameStatus], output: Output, at: datetime) -> None:
    rows = [
        (
            one.name,
            one.champion or "-",
            "-" if one.latest is None else one.latest.version,
            "-" if one.manifest is None else str(one.manifest.rows),
            "-" if one.manifest is None else verdict_text(one.manifest.fields.gate),
            "-" if one.manifest is None else one.manifest.fields.lift_answer or "-",
            "-" if one.last_success is None else _ago(one.last_success.created, at),
            "-" if one.last_attempt is None else _tried(one.last_attempt, at),
        )
        for one in names
    ]
    owners = {one.name: one.owner for one in names}
    output.table(*with_owners(COLUMNS, rows, owners))
    for one in names:
        attempt = one.last_attempt
        if attempt is not None and (attempt.step != "published" or " " in attempt.detail):
            output.line(f"{one.name}: {attempt.step}, {attempt.detail}")
        if one.privacy is not None:
            output.line(f"{one.name}: {one.privacy.sentence}")


def age_words(seconds: int) -> str:
    """Return an age as people say it: the largest unit that fits, rounded down."""
    for unit, size in AGES.items():
        count = seconds // size
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


def _tried(attempt: Attempt, at: datetime) -> str:
    return f"{STEPS.get(attempt.step, attempt.step)} {_ago(attempt.at, at)}"


def _ago(then: str | datetime, at: datetime) -> str:
    return f"{age_words(_age_s(then, at))} ago"


def _age_s(then: str | datetime, at: datetime) -> int:
    """Return an age in whole seconds; 0 when the clock of the other machine is ahead."""
    moment = datetime.fromisoformat(then) if isinstance(then, str) else then
    return max(0, int((at - moment).total_seconds()))
