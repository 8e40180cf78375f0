"""Generators: candidates, reports, and the log that says which one is champion.

A candidate exists when its snapshot.json does, which names the digest of every other file and is
put last. The log of promotions is create-only: a decision holds for the standing it was made on.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, PromotionConflictError
from storage.layout import (
    generator_folder,
    generator_internal_key,
    generator_key,
    generator_report_key,
    make_version,
    plan_key,
    promotions_folder,
    snapshot_key,
)
from storage.log import AppendLog, Entry
from storage.objects import ObjectStore
from storage.snapshot_index import checked, read_index

Kind = Literal["promote", "rollback", "reject", "override"]

TRAINING_FORMAT = "ganmill-training-plan/1"
_SNAPSHOT = re.compile(r"generators/([^/]+)/([^/]+)/snapshot\.json")


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
        stamp = created.astimezone(UTC).replace(microsecond=0)
        version = make_version(stamp, train_key)
        return cls(
            name=name, train_key=train_key, version=version, created=stamp, resolved=resolved
        )

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        fields = asdict(self) | {"created": self.created.isoformat()}
        return canonical_json({"format": TRAINING_FORMAT, **fields})

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a plan.

        Raises:
            IntegrityError: these bytes are no plan that this version of ganmill reads.
        """
        try:
            raw = json.loads(data)
            if raw.pop("format") != TRAINING_FORMAT:
                raise ValueError(data[:40])  # noqa: TRY301 - one sentence for every defect
            return cls(**raw | {"created": datetime.fromisoformat(raw["created"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"this is no {TRAINING_FORMAT} plan ({error!r}); delete it and run again"
            raise IntegrityError(msg) from error


def agree_training(lake: ObjectStore, proposal: TrainingPlan) -> TrainingPlan:
    """Store the plan of this train key, or return the one that is stored.

    Raises:
        IntegrityError: the stored plan cannot be read or is another training's.
    """
    key = plan_key(proposal.train_key)
    plan = TrainingPlan.from_json(lake.put_or_adopt(key, proposal.to_json()))
    if (plan.name, plan.train_key) != (proposal.name, proposal.train_key):
        msg = (
            f"{lake.uri}/{key} plans the generator {plan.name!r}, not {proposal.name!r}; delete it"
        )
        raise IntegrityError(msg)
    return plan


# Candidates


def put_candidate(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Store a snapshot folder; files that are there already are adopted, snapshot.json comes last.

    Returns:
        The snapshot digest (sha256 of snapshot.json) of what is stored, which may be what another
        trainer of the same key put first: fetch it before use.

    Raises:
        IntegrityError: the folder's files are not those its snapshot.json names.
    """
    own = (folder / "snapshot.json").read_bytes()
    index = read_index(own, str(folder))
    stored: dict[str, str] = {}
    for file, digest in index["files"].items():
        data = checked((folder / file).read_bytes(), digest, f"{folder}/{file}")
        stored[file] = sha256_hex(lake.put_or_adopt(generator_key(name, version, file), data))
    mine = own if stored == index["files"] else canonical_json(index | {"files": stored})
    standing_index = lake.put_or_adopt(snapshot_key(name, version), mine)
    where = f"{lake.uri}/{snapshot_key(name, version)}"
    if read_index(standing_index, where)["files"] != stored:
        msg = f"{where} does not name the files beside it; delete that folder and train again"
        raise IntegrityError(msg)
    return sha256_hex(standing_index)


def candidates(lake: ObjectStore, name: str) -> list[str]:
    """Return the versions whose snapshot is complete, oldest first."""
    return sorted(version for _, version in _snapshots(lake, f"{generator_folder(name)}/"))


def list_generators(lake: ObjectStore) -> list[str]:
    """Return the names of the generators with at least one complete snapshot, sorted."""
    return sorted({name for name, _ in _snapshots(lake, "generators/")})


def fetch(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Copy a stored snapshot into `folder` (made new) with every digest verified.

    Returns:
        The snapshot digest.

    Raises:
        FileExistsError: the folder is there already.
        ObjectNotFoundError: there is no complete snapshot of that version.
        IntegrityError: a file is not what snapshot.json says.
    """
    where = f"{lake.uri}/{snapshot_key(name, version)}"
    raw = lake.get(snapshot_key(name, version))
    files = {"snapshot.json": raw}
    for file, digest in read_index(raw, where)["files"].items():
        key = generator_key(name, version, file)
        files[file] = checked(lake.get(key), digest, f"{lake.uri}/{key}")
    folder.mkdir(parents=True)
    for file, data in reversed(files.items()):  # snapshot.json last, as in the lake
        (folder / file).write_bytes(data)
    return sha256_hex(raw)


def put_report(lake: ObjectStore, name: str, version: str, files: Mapping[str, bytes]) -> str:
    """Store an evaluation beside its generator, under reports/<digest>/, report.json last.

    Args:
        lake: where.
        name: the generator.
        version: its version.
        files: `report.json`, and whatever goes with it (`report.html`).

    Returns:
        The report digest: sha256 of report.json.
    """
    digest = sha256_hex(files["report.json"])
    for file in sorted(files, key=lambda file: (file == "report.json", file)):
        lake.put_once(generator_report_key(name, version, f"{digest[:16]}/{file}"), files[file])
    return digest


def put_internal(lake: ObjectStore, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """Store what may hold real records, under internal/, which has its own read policy."""
    for file, data in files.items():
        lake.put_once(generator_internal_key(name, version, file), data)


def _snapshots(lake: ObjectStore, prefix: str) -> list[tuple[str, str]]:
    matches = (_SNAPSHOT.fullmatch(info.key) for info in lake.list(prefix))
    return [(match[1], match[2]) for match in matches if match]


# The log of promotions


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be recorded, and about which generator."""

    kind: Kind
    version: str
    snapshot_digest: str
    report_digest: str
    by: str
    """`gate`, or the person."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Promotion(Decision):
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
    lake: ObjectStore, name: str, decision: Decision, *, read: Standing, created: datetime
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


def _recorded(read: Standing, decision: Decision) -> Promotion | None:
    """Return the record that says this already: the champion's, or a refusal against it."""
    current = read.champion
    if decision.kind != "reject":
        reigns = current is not None and current.version == decision.version
        return current if reigns else None
    since = current.number if current else 0
    return next((r for r in read.records if r.number > since and _is_same(r, decision)), None)


def _is_same(record: Promotion, decision: Decision) -> bool:
    mine = (decision.kind, decision.version, decision.snapshot_digest)
    return (record.kind, record.version, record.snapshot_digest) == mine


def _check_allowed(name: str, decision: Decision, read: Standing) -> None:
    promoted = read.was_promoted(decision.version)
    if decision.kind == "promote" and promoted:
        msg = (
            f"generator {name}/{decision.version} was champion before and has been replaced; "
            "a person may bring it back: ganmill generators rollback"
        )
        raise PromotionConflictError(msg)
    if decision.kind == "rollback" and not promoted:
        msg = (
            f"generator {name}/{decision.version} was never champion, so it cannot be rolled back "
            "to; promote it instead"
        )
        raise PromotionConflictError(msg)


def _check_candidate(lake: ObjectStore, name: str, decision: Decision) -> None:
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
        )
    except KeyError as error:
        msg = f"promotion record {entry.number} lacks {error}; restore it from a backup"
        raise IntegrityError(msg) from error
