"""Generators: candidates, reports, and the log that says which one is champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from storage.objects import ObjectStore

Kind = Literal["promote", "rollback", "reject", "override"]


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """One training, agreed by its key: the first trainer to arrive decides the version."""

    name: str
    train_key: str
    version: str
    created: datetime
    """UTC, whole seconds."""
    resolved: Mapping[str, Any]
    """What every `auto` became, and the thread count; plain JSON."""

    @classmethod
    def propose(
        cls, name: str, train_key: str, created: datetime, resolved: Mapping[str, Any]
    ) -> Self:
        """Return the plan of this training, if it is the first to arrive."""
        raise NotImplementedError


def agree_training(lake: ObjectStore, proposal: TrainingPlan) -> TrainingPlan:
    """Store the plan of this train key, or return the one that is stored."""
    raise NotImplementedError


def put_candidate(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Store a snapshot folder; files that are there already are adopted, snapshot.json comes last.

    Returns:
        The snapshot digest (sha256 of snapshot.json) of what is stored, which may be what another
        trainer of the same key put first: fetch it before use.

    Raises:
        IntegrityError: the folder's files are not those its snapshot.json names.
    """
    raise NotImplementedError


def candidates(lake: ObjectStore, name: str) -> list[str]:
    """Return the versions whose snapshot is complete, oldest first."""
    raise NotImplementedError


def list_generators(lake: ObjectStore) -> list[str]:
    """Return the names of the generators with at least one complete snapshot, sorted."""
    raise NotImplementedError


def fetch(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Copy a stored snapshot into `folder` (made new) with every digest verified.

    Returns:
        The snapshot digest.

    Raises:
        ObjectNotFoundError: there is no complete snapshot of that version.
        IntegrityError: a file is not what snapshot.json says.
    """
    raise NotImplementedError


def put_report(lake: ObjectStore, name: str, version: str, files: Mapping[str, bytes]) -> str:
    """Store an evaluation beside its generator, under reports/<digest>/.

    Args:
        lake: where.
        name: the generator.
        version: its version.
        files: `report.json`, and whatever goes with it (`report.html`).

    Returns:
        The report digest: sha256 of report.json.
    """
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One record of the log of promotions."""

    number: int
    kind: Kind
    version: str
    """Of the generator."""
    snapshot_digest: str
    previous: int
    """Number of the champion's record when the decision was made; 0 without a champion."""
    report_digest: str
    by: str
    """`gate`, or the person."""
    reason: str
    created: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The log of promotions as it was read; a decision holds only while it still stands."""

    records: tuple[Promotion, ...]

    @property
    def number(self) -> int:
        """Of the last record; 0 in an empty log."""
        return self.records[-1].number if self.records else 0

    @property
    def champion(self) -> Promotion | None:
        """The last record that made a champion."""
        made = [record for record in self.records if record.kind != "reject"]
        return made[-1] if made else None

    def was_promoted(self, version: str) -> bool:
        """Say whether that generator has ever been champion."""
        return any(r.version == version and r.kind != "reject" for r in self.records)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be recorded, and about which generator."""

    kind: Kind
    version: str
    snapshot_digest: str
    report_digest: str
    by: str
    reason: str


def standing(lake: ObjectStore, name: str) -> Standing:
    """Read the log of promotions of a generator."""
    raise NotImplementedError


def champion(lake: ObjectStore, name: str) -> Promotion | None:
    """Return the promotion that made today's champion, or None."""
    return standing(lake, name).champion


def decide(
    lake: ObjectStore, name: str, decision: Decision, *, read: Standing, created: datetime
) -> Promotion:
    """Record a decision that was made on the standing `read`.

    Deciding the same again (after an interruption, or twice at once) returns the one record.

    Raises:
        PromotionConflictError: the log has moved on since it was read (read it again and gate
            again), or a generator that was once champion is to be promoted again without a person.
        ObjectNotFoundError: that generator has no complete snapshot.
    """
    raise NotImplementedError
