"""Generators: trainings agreed by their key, candidates, and their reports.

A candidate exists when its snapshot.json does, which names the digest of every other file and is
put last. Which one is champion says the log of promotions (`storage.promotions`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError
from storage.layout import (
    generator_folder,
    generator_internal_key,
    generator_key,
    generator_report_key,
    make_version,
    plan_key,
    snapshot_key,
)
from storage.objects import ObjectStore
from storage.snapshot_index import checked, read_index

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

    The key knows no name, so the stored plan may be that of a recipe with another name: version and
    choices are shared, each name has its own folder.

    Raises:
        IntegrityError: the stored plan cannot be read or is another training's.
    """
    key = plan_key(proposal.train_key)
    plan = TrainingPlan.from_json(lake.put_or_adopt(key, proposal.to_json()))
    if plan.train_key != proposal.train_key:
        msg = f"{lake.uri}/{key} is the plan of training {plan.train_key}; delete it and run again"
        raise IntegrityError(msg)
    return plan


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
        lake.put_once(generator_report_key(name, version, digest, file), files[file])
    return digest


def put_internal(lake: ObjectStore, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """Store what may hold real records, under internal/, which has its own read policy."""
    for file, data in files.items():
        lake.put_once(generator_internal_key(name, version, file), data)


def _snapshots(lake: ObjectStore, prefix: str) -> list[tuple[str, str]]:
    matches = (_SNAPSHOT.fullmatch(info.key) for info in lake.list(prefix))
    return [(match[1], match[2]) for match in matches if match]
