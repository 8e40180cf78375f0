"""The log of promotions: which generator is champion, since when, and why.

The log is create-only, and a record is decided on the log as it was read: whoever meets a newer
record reads the champion again and decides again.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

from storage.digests import sha256_hex
from storage.errors import IntegrityError, PromotionConflictError
from storage.lake.layout import promotions_folder, snapshot_key
from storage.lake.log import AppendLog
from storage.stores.interface import ObjectStore, read_checked

Kind = Literal["promote", "rollback", "reject", "override"]
Then = Literal["", "keep champion", "stop"]
GATE = "gate"
"""Who decides when no person does."""
ATTEMPTS = 5
"""How often a person's decision is recorded anew when another record was faster."""


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

    def is_of(self, version: str, snapshot_digest: str) -> bool:
        """Say whether it speaks of that generator: of the version, and of the very files."""
        return (self.version, self.snapshot_digest) == (version, snapshot_digest)

    def overrides(self, report_digest: str) -> bool:
        """Say whether a person lets the generator publish although the gate refuses that report."""
        return self.kind == "override" and self.report_digest == report_digest

    def outlasts_reports(self, snapshot_digest: str) -> bool:
        """Say whether a person chose these very files whatever the gate says of them later."""
        chosen = self.by != GATE and self.kind in ("override", "rollback")
        return chosen and self.snapshot_digest == snapshot_digest


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The log as it was read; a decision holds only as long as nothing was added."""

    records: tuple[Promotion, ...] = ()

    @property
    def number(self) -> int:
        """Of the last record; 0 in an empty log."""
        return self.records[-1].number if self.records else 0

    @property
    def champion(self) -> Promotion | None:
        """The last record that made a champion."""
        return next((r for r in reversed(self.records) if r.kind != "reject"), None)

    @property
    def champion_history(self) -> tuple[str, ...]:
        """The versions that a rollback can go back through, today's champion last.

        A promotion puts a generator on top; a rollback takes off all that came after its target.
        """
        found: list[str] = []
        for record in self.records:
            if record.kind == "reject":
                continue
            if record.kind == "rollback" and record.version in found:
                last = len(found) - found[::-1].index(record.version)
                del found[last:]
            elif not found or found[-1] != record.version:
                found.append(record.version)
        return tuple(found)

    def was_promoted(self, version: str) -> bool:
        """Say whether that generator is or ever was champion."""
        return any(r.version == version and r.kind != "reject" for r in self.records)

    def digests_of(self, version: str) -> frozenset[str]:
        """Return the snapshot digests under which that version was decided on: at most one."""
        return frozenset(r.snapshot_digest for r in self.records if r.version == version)

    def was_set_aside(self, version: str) -> bool:
        """Say whether a person chose today's champion after that generator had been decided on."""
        champion = self.champion
        if champion is None or not champion.outlasts_reports(champion.snapshot_digest):
            return False
        before = [r for r in self.records if r.number < champion.number]
        return champion.version != version and any(r.version == version for r in before)

    def last_refusal(self, version: str) -> Promotion | None:
        """Return the last decision on that generator when it is a refusal."""
        last = next((r for r in reversed(self.records) if r.version == version), None)
        return last if last is not None and last.kind == "reject" else None

    def was_refused(self, version: str, report_digest: str) -> bool:
        """Say whether that generator was ever refused on that report."""
        refused = ("reject", version, report_digest)
        return any((r.kind, r.version, r.report_digest) == refused for r in self.records)


def standing(lake: ObjectStore, name: str) -> Standing:
    """Read the log of promotions of a generator."""
    entries = AppendLog(lake, promotions_folder(name)).read()
    return Standing(records=tuple(_promotion(entry.number, entry.record) for entry in entries))


def champion(lake: ObjectStore, name: str) -> Promotion | None:
    """Return the promotion that made today's champion, or None."""
    return standing(lake, name).champion


def decide(
    lake: ObjectStore, name: str, draft: PromotionDraft, *, read: Standing, created: datetime
) -> Promotion:
    """Record a decision that was made on the log as it was `read`.

    Deciding the same again (after an interruption, or twice at once) returns the one record.

    Raises:
        PromotionConflictError: the log has moved on since it was read (read it again and gate
            again), or a generator that was once champion is to be promoted again without a person.
        ObjectNotFoundError: that generator has no complete snapshot.
        IntegrityError: its snapshot is not the one that was judged, or decided on before.
    """
    recorded = _recorded(read, draft)
    if recorded:
        return recorded
    _check_allowed(name, draft, read)
    _check_identity(name, draft, read)
    _check_snapshot(lake, name, draft)
    previous = read.champion.number if read.champion else 0
    stamp = created.astimezone(UTC).isoformat(timespec="seconds")
    record = asdict(draft) | {"previous": previous, "created": stamp}
    if not draft.then:
        del record["then"]
    log, number = AppendLog(lake, promotions_folder(name)), read.number + 1
    if log.append_at(number, record):
        return _promotion(number, record)
    after = standing(lake, name)
    winner = next((r for r in after.records if r.number == number), None)
    if winner and _is_same(winner, draft) and winner.previous == previous:
        return winner
    msg = (
        f"the log of promotions of {name!r} moved on to record {after.number} since record "
        f"{read.number} was read; read the champion again and gate again"
    )
    raise PromotionConflictError(msg)


def decide_by_hand(
    lake: ObjectStore, name: str, rule: Callable[[Standing], PromotionDraft], *, created: datetime
) -> Promotion:
    """Record what a person decides on the log as it is now.

    A refusal that is recorded meanwhile does not matter, another champion does.

    Raises:
        PromotionConflictError: the champion changed meanwhile, or records kept being added.
    """
    read = standing(lake, name)
    for _ in range(ATTEMPTS):
        try:
            return decide(lake, name, rule(read), read=read, created=created)
        except PromotionConflictError:
            after = standing(lake, name)
            if after.champion != read.champion:
                break
            read = after
    msg = (
        f"the champion of {name!r} changed while this was decided: look at `ganmill generators "
        "list` and decide again"
    )
    raise PromotionConflictError(msg)


def _recorded(read: Standing, draft: PromotionDraft) -> Promotion | None:
    """Return the record that says this already: the champion's, or a refusal against it."""
    current = read.champion
    if draft.kind != "reject":
        if current is None or not current.is_of(draft.version, draft.snapshot_digest):
            return None
        return current if _adds_nothing(current, draft) else None
    since = current.number if current else 0
    return next((r for r in read.records if r.number > since and _is_same(r, draft)), None)


def _adds_nothing(current: Promotion, draft: PromotionDraft) -> bool:
    """Say whether a champion's record covers a decision for it: a person may add her yes."""
    if draft.by == GATE or draft.kind == "rollback":
        return True
    said = (current.kind, current.report_digest)
    return current.by != GATE and said == (draft.kind, draft.report_digest)


def _is_same(record: Promotion, draft: PromotionDraft) -> bool:
    mine = (draft.kind, draft.version, draft.snapshot_digest)
    if (record.kind, record.version, record.snapshot_digest) != mine:
        return False
    if draft.kind == "reject" and record.report_digest != draft.report_digest:
        return False
    return draft.by == GATE or (record.by, record.then) == (draft.by, draft.then)


def _check_allowed(name: str, draft: PromotionDraft, read: Standing) -> None:
    promoted = read.was_promoted(draft.version)
    if draft.kind == "promote" and promoted and draft.by == GATE:
        msg = (
            f"generator {name}/{draft.version} was champion before and has been replaced; "
            "only a person may bring it back"
        )
        raise PromotionConflictError(msg)
    if draft.kind == "rollback" and not promoted:
        msg = (
            f"generator {name}/{draft.version} was never champion, so it cannot be rolled back "
            "to; promote it instead"
        )
        raise PromotionConflictError(msg)


def _check_identity(name: str, draft: PromotionDraft, read: Standing) -> None:
    """Refuse to decide on a version with other files than those that were decided on before."""
    for digest in read.digests_of(draft.version) - {draft.snapshot_digest}:
        msg = (
            f"generator {name}/{draft.version} was decided on with the snapshot digest "
            f"{digest[:12]}, and its files have {draft.snapshot_digest[:12]} now; run its recipe, "
            "which trains it again"
        )
        raise IntegrityError(msg)


def _check_snapshot(lake: ObjectStore, name: str, draft: PromotionDraft) -> None:
    key = snapshot_key(name, draft.version)

    def check(data: bytes) -> None:
        digest = sha256_hex(data)
        if digest != draft.snapshot_digest:
            msg = (
                f"{lake.uri}/{key} has the sha256 {digest}, and {draft.snapshot_digest} was "
                "judged; evaluate what is stored"
            )
            raise IntegrityError(msg)

    read_checked(lake, key, check)


def _promotion(number: int, record: Mapping[str, Any]) -> Promotion:
    names = [field.name for field in fields(Promotion) if field.name not in ("number", "then")]
    try:
        known = {name: record[name] for name in names}
    except KeyError as error:
        msg = f"promotion record {number} lacks {error}; restore it from a backup"
        raise IntegrityError(msg) from error
    return Promotion(number=number, then=record.get("then", ""), **known)
