"""A person moves the champion by hand: promotes a generator, or rolls back to a former champion.

Every move is a new record of the log, by name and with a reason; nothing is trained, measured or
published. The next run of the recipe finds the new champion and judges it on its records: a block
keeps it from publishing unless that very report was overridden.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flows.approval import LONGEST_REASON
from flows.errors import AnswerError, RecipeError
from flows.job import now
from gan.report import Report, Verdict
from storage.digests import sha256_hex
from storage.errors import PromotionConflictError
from storage.lake import promotions, registry
from storage.lake.layout import check_name, generator_key, is_version, snapshot_key
from storage.lake.promotions import GATE, Decision, Kind, Promotion, Standing
from storage.stores.interface import ObjectStore

ATTEMPTS = 5
"""How often a move is tried again when another record was faster and the champion stayed."""
SHOWN = 6
"""As many known versions as a message lists."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """The newest report on a generator, as far as a move needs it."""

    digest: str
    verdict: Verdict
    created: str


def promote_by_hand(
    lake: ObjectStore, name: str, version: str, *, by: str, reason: str
) -> Promotion:
    """Make a generator champion on a person's word, and return the record that says so.

    Where the gate refused its newest report the record is an override, which holds for that report
    alone; else it is a promotion.

    Args:
        lake: writable.
        name: of the generator.
        version: a complete one; it may have been champion before.
        by: the person.
        reason: in writing.

    Raises:
        AnswerError: the name or the reason is missing.
        RecipeError: there is no such generator, or it was never evaluated.
        PromotionConflictError: the champion changed meanwhile.
    """
    by, reason = _signed(by, reason)
    _check_known(lake, name, version)
    told = newest_report(lake, name, version)
    if told is None:
        msg = f"generator {name}/{version} was never evaluated: run `ganmill evaluate RECIPE` first"
        raise RecipeError(msg)

    def kind(read: Standing) -> Kind:
        refused = told.verdict == "block" or any(
            record.kind == "reject" and record.report_digest == told.digest
            for record in read.records
        )
        return "override" if refused else "promote"

    move = _Move(version=version, report_digest=told.digest, by=by, reason=reason, kind=kind)
    return _record(lake, name, move)


def roll_back(
    lake: ObjectStore, name: str, version: str | None = None, *, by: str, reason: str
) -> Promotion:
    """Make a former champion champion again, and return the record that says so.

    Args:
        lake: writable.
        name: of the generator.
        version: a former champion; None takes the one before the champion.
        by: the person.
        reason: in writing.

    Raises:
        AnswerError: the name or the reason is missing.
        RecipeError: there is no such former champion.
        PromotionConflictError: the champion changed meanwhile.
    """
    by, reason = _signed(by, reason)
    if version is not None:
        _check_known(lake, name, version)
    elif name not in registry.list_generators(lake):
        raise RecipeError(_no_generators(lake, name))
    read = promotions.standing(lake, name)
    target = _rollback_target(name, read, version)
    told = newest_report(lake, name, target)
    digest = "" if told is None else told.digest
    move = _Move(
        version=target, report_digest=digest, by=by, reason=reason, kind=lambda _: "rollback"
    )
    return _record(lake, name, move)


def reigns(records: Sequence[Promotion]) -> tuple[str, ...]:
    """Return the champions that a rollback can go back through, the reigning one last.

    A promotion puts a generator on top; a rollback takes off all that came after its target.
    """
    found: list[str] = []
    for record in records:
        if record.kind == "reject":
            continue
        if record.kind == "rollback" and record.version in found:
            last = len(found) - found[::-1].index(record.version)
            del found[last:]
        elif not found or found[-1] != record.version:
            found.append(record.version)
    return tuple(found)


def newest_report(lake: ObjectStore, name: str, version: str) -> Told | None:
    """Return the report on a generator that was made last; None when it was never evaluated."""
    folder = generator_key(name, version, "reports/")
    found = []
    for info in list(lake.list(folder)):
        if info.key.endswith("/report.json"):
            data = lake.get(info.key)
            report = Report.from_json(data)
            digest = sha256_hex(data)
            found.append(Told(digest=digest, verdict=report.verdict, created=report.created))
    return max(found, key=lambda told: (told.created, told.digest), default=None)


def _rollback_target(name: str, read: Standing, version: str | None) -> str:
    past = reigns(read.records)
    champion = read.champion
    former = sorted({r.version for r in read.records if r.kind != "reject"})
    if version is None:
        if len(past) > 1:
            return past[-2]
        reigning = "no champion" if champion is None else f"{champion.version} as only champion"
        msg = f"generator {name!r} has {reigning}, so there is nothing to roll back to"
        raise RecipeError(msg)
    if champion is not None and champion.version == version:
        msg = f"{version} is the champion of {name!r} already; name a former one"
        raise RecipeError(msg)
    if version not in former:
        known = ", ".join(former) or "none"
        msg = (
            f"{version} of {name!r} was never champion, so promote it instead; champions were: "
            f"{known}"
        )
        raise RecipeError(msg)
    return version


@dataclass(frozen=True, kw_only=True)
class _Move:
    """What a person wants to be recorded."""

    version: str
    report_digest: str
    by: str
    reason: str
    kind: Callable[[Standing], Kind]


def _record(lake: ObjectStore, name: str, move: _Move) -> Promotion:
    """Append it; a refusal that was recorded meanwhile does not matter, another champion does."""
    snapshot_digest = sha256_hex(lake.get(snapshot_key(name, move.version)))
    read = promotions.standing(lake, name)
    for _ in range(ATTEMPTS):
        decision = Decision(
            kind=move.kind(read),
            version=move.version,
            snapshot_digest=snapshot_digest,
            report_digest=move.report_digest,
            by=move.by,
            reason=move.reason,
        )
        try:
            return promotions.decide(lake, name, decision, read=read, created=now())
        except PromotionConflictError:
            after = promotions.standing(lake, name)
            if after.champion != read.champion:
                break
            read = after
    msg = (
        f"the champion of {name!r} changed while this was decided: look at `ganmill generators "
        "list` and decide again"
    )
    raise PromotionConflictError(msg)


def _signed(by: str, reason: str) -> tuple[str, str]:
    by, reason = by.strip(), reason.strip()
    if not by or by == GATE:
        msg = f"a move of the champion is signed {by!r}: write the name of the person who decides"
        raise AnswerError(msg)
    if not reason or len(reason) > LONGEST_REASON:
        msg = (
            f"the reason has {len(reason)} characters: write 1 to {LONGEST_REASON}, they go into "
            "log and manifest"
        )
        raise AnswerError(msg)
    return by, reason


def _check_known(lake: ObjectStore, name: str, version: str) -> None:
    known = registry.candidates(lake, check_name(name))
    if not known:
        raise RecipeError(_no_generators(lake, name))
    if not is_version(version) or version not in known:
        newest = ", ".join(reversed(known[-SHOWN:]))
        msg = f"there is no generator {version!r} of {name!r}; the newest are {newest}"
        raise RecipeError(msg)


def _no_generators(lake: ObjectStore, name: str) -> str:
    known = ", ".join(registry.list_generators(lake)) or "none"
    return f"{lake.uri} has no generator {name!r}; its generators are: {known}"
