"""The log of promotions: which generator is champion, since when, and why.

The log is create-only, and a decision holds only for the standing it was made on: whoever meets a
newer record reads the champion again and gates again.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from storage.digests import sha256_hex
from storage.errors import IntegrityError, PromotionConflictError
from storage.lake.layout import promotions_folder, snapshot_key
from storage.lake.log import AppendLog, Entry
from storage.stores.interface import ObjectStore

Kind = Literal["promote", "rollback", "reject", "override"]
Then = Literal["", "keep champion", "stop"]
GATE = "gate"
"""Who decides when no person does."""


@dataclass(frozen=True, kw_only=True)
class PromotionDraft:
    """What is to be recorded, and about which generator."""

    kind: Kind
    version: str
    snapshot_digest: str
    report_digest: str
    by: str
    """`gate`, or the person."""
    reason: str
    then: Then = ""
    """What a person who refused a generator wants instead."""


@dataclass(frozen=True, kw_only=True)
class Promotion(PromotionDraft):
    """One record of the log."""

    number: int
    previous: int
    """Number of the champion's record when the decision was made; 0 without a champion."""
    created: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The log as it was read; a decision holds only while it still stands."""

    records: tuple[Promotion, ...] = ()

    @property
    def number(self) -> int:
        """Of the last record; 0 in an empty log."""
        return self.records[-1].number if self.records else 0

    @property
    def champion(self) -> Promotion | None:
        """The last record that made a champion."""
        return next((r for r in reversed(self.records) if r.kind != "reject"), None)

    def was_promoted(self, version: str) -> bool:
        """Say whether that generator is or ever was champion."""
        return any(r.version == version and r.kind != "reject" for r in self.records)


def standing(lake: ObjectStore, name: str) -> Standing:
    """Read the log of promotions of a generator."""
    entries = AppendLog(lake, promotions_folder(name)).read()
    return Standing(records=tuple(_promotion(entry) for entry in entries))


def champion(lake: ObjectStore, name: str) -> Promotion | None:
    """Return the promotion that made today's champion, or None."""
    return standing(lake, name).champion


def decide(
    lake: ObjectStore, name: str, decision: PromotionDraft, *, read: Standing, created: datetime
) -> Promotion:
    """Record a decision that was made on the standing `read`.

    Deciding the same again (after an interruption, or twice at once) returns the one record.

    Raises:
        PromotionConflictError: the log has moved on since it was read (read it again and gate
            again), or a generator that was once champion is to be promoted again without a person.
        ObjectNotFoundError: that generator has no complete snapshot.
        IntegrityError: its snapshot is not the one that was judged.
    """
    recorded = _recorded(read, decision)
    if recorded:
        return recorded
    _check_allowed(name, decision, read)
    _check_candidate(lake, name, decision)
    previous = read.champion.number if read.champion else 0
    stamp = created.astimezone(UTC).isoformat(timespec="seconds")
    record = asdict(decision) | {"previous": previous, "created": stamp}
    if not decision.then:
        del record["then"]
    log, number = AppendLog(lake, promotions_folder(name)), read.number + 1
    if log.append_at(number, record):
        return _promotion(Entry(number=number, record=record, digest=""))
    after = standing(lake, name)
    winner = next((r for r in after.records if r.number == number), None)
    if winner and _is_same(winner, decision) and winner.previous == previous:
        return winner
    msg = (
        f"the log of promotions of {name!r} moved on to record {after.number} since record "
        f"{read.number} was read; read the champion again and gate again"
    )
    raise PromotionConflictError(msg)


def _recorded(read: Standing, decision: PromotionDraft) -> Promotion | None:
    """Return the record that says this already: the champion's, or a refusal against it."""
    current = read.champion
    if decision.kind != "reject":
        if current is None or current.version != decision.version:
            return None
        return current if _adds_nothing(current, decision) else None
    since = current.number if current else 0
    return next((r for r in read.records if r.number > since and _is_same(r, decision)), None)


def _adds_nothing(current: Promotion, decision: PromotionDraft) -> bool:
    """Say whether a champion's record covers a decision for it: a person may add her yes."""
    if decision.by == GATE or decision.kind == "rollback":
        return True
    said = (current.kind, current.report_digest)
    return current.by != GATE and said == (decision.kind, decision.report_digest)


def _is_same(record: Promotion, decision: PromotionDraft) -> bool:
    mine = (decision.kind, decision.version, decision.snapshot_digest)
    if (record.kind, record.version, record.snapshot_digest) != mine:
        return False
    if decision.kind == "reject" and record.report_digest != decision.report_digest:
        return False
    return decision.by == GATE or (record.by, record.then) == (decision.by, decision.then)


def _check_allowed(name: str, decision: PromotionDraft, read: Standing) -> None:
    promoted = read.was_promoted(decision.version)
    if decision.kind == "promote" and promoted and decision.by == GATE:
        msg = (
            f"generator {name}/{decision.version} was champion before and has been replaced; "
            "only a person may bring it back"
        )
        raise PromotionConflictError(msg)
    if decision.kind == "rollback" and not promoted:
        msg = (
            f"generator {name}/{decision.version} was never champion, so it cannot be rolled back "
            "to; promote it instead"
        )
        raise PromotionConflictError(msg)


def _check_candidate(lake: ObjectStore, name: str, decision: PromotionDraft) -> None:
    key = snapshot_key(name, decision.version)
    digest = sha256_hex(lake.get(key))
    if digest != decision.snapshot_digest:
        msg = (
            f"{lake.uri}/{key} has the sha256 {digest}, and {decision.snapshot_digest} was judged; "
            "evaluate what is stored"
        )
        raise IntegrityError(msg)


def _promotion(entry: Entry) -> Promotion:
    record = entry.record
    try:
        return Promotion(
            number=entry.number,
            kind=record["kind"],
            version=record["version"],
            snapshot_digest=record["snapshot_digest"],
            previous=record["previous"],
            report_digest=record["report_digest"],
            by=record["by"],
            reason=record["reason"],
            created=record["created"],
            then=record.get("then", ""),
        )
    except KeyError as error:
        msg = f"promotion record {entry.number} lacks {error}; restore it from a backup"
        raise IntegrityError(msg) from error
