"""What trainings leave in a lake: plans, checkpoints, candidates with reports, owners of names.

    runs/<key>/plan.json                                       a training, agreed by its key
    runs/<key>/plan-2.json                                     once more: the first one's is damaged
    runs/<key>/checkpoint/<samples_seen>/<sha256 of a file>    the files, by content
    runs/<key>/checkpoint/<samples_seen>/index.json            put last: it is the checkpoint
    generators/<name>/<version>/snapshot.json                  put last: it is the candidate
    generators/<name>/<version>/_damaged.json                  its files are not to be used
    generators/<name>/_owner.json                              create-only

Checkpoints are mirrored so that another machine can go on; named by content, the files of two
machines that train the same never mix. A candidate's snapshot.json names the digest of every other
file; which candidate is champion says the log of promotions (`storage.lake.promotions`). One whose
files are damaged is set aside until the training that made it has made it again: the same bytes go
back to their place, others become another version. An owner
keeps two teams from using one name by mistake. It is no lock: who may write where is the business
of the store's own policies.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, LakeError, ObjectNotFoundError
from storage.lake.layout import (
    checkpoint_folder,
    checkpoint_prefix,
    generator_folder,
    generator_key,
    generator_report_key,
    make_version,
    owner_key,
    plan_key,
    snapshot_key,
)
from storage.records.durable import move_folder, write_file
from storage.stores.interface import (
    ObjectStore,
    check_key,
    put_or_agree,
    read_agreed,
    read_checked,
)

TRAINING_FORMAT = "ganmill-training-plan/1"
CHECKPOINT_FORMAT: Final = "ganmill-checkpoint/1"

KEEP = 2
"""Complete checkpoints that stay; the second is there for the day the first is broken."""

_INDEX = "index.json"
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
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
        created = created.astimezone(UTC).replace(microsecond=0)
        version = make_version(created, train_key)
        return cls(
            name=name, train_key=train_key, version=version, created=created, resolved=resolved
        )

    def once_more(self, created: datetime) -> Self:
        """Return the same training under a version of its own, later than this one's."""
        later = max(created, self.created + timedelta(seconds=1))
        return self.propose(self.name, self.train_key, later, self.resolved)

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


def agree_training(lake: ObjectStore, proposal: TrainingPlan, attempt: int = 1) -> TrainingPlan:
    """Store the plan of this train key, or return the one that is stored.

    The key knows no name, so the stored plan may be that of a recipe with another name: version and
    choices are shared, each name has its own folder. Attempts after the first one are for a name
    whose generator of the attempt before is damaged.

    Raises:
        IntegrityError: the stored plan cannot be read or is another training's.
    """
    key = plan_key(proposal.train_key, attempt)
    plan = TrainingPlan.from_json(put_or_agree(lake, key, proposal.to_json()))
    if plan.train_key != proposal.train_key:
        msg = f"{lake.uri}/{key} is the plan of training {plan.train_key}; delete it and run again"
        raise IntegrityError(msg)
    return plan


def training_plans(lake: ObjectStore, train_key: str) -> Iterator[TrainingPlan]:
    """Yield the plans of a training, the first attempt's first.

    Raises:
        IntegrityError: a plan cannot be read.
    """
    for attempt in count(1):
        try:
            yield read_checked(lake, plan_key(train_key, attempt), TrainingPlan.from_json)
        except ObjectNotFoundError:
            return


class _CheckpointIndex(BaseModel):
    """What a complete checkpoint is made of."""

    model_config = ConfigDict(frozen=True)

    schema_name: Literal["ganmill-checkpoint/1"] = Field(alias="schema")
    folder: str = Field(pattern=r"^[^/]+$")
    """The checkpoint's own name where it was written."""
    samples_seen: int
    files: dict[str, str]
    """SHA-256 by path inside the folder."""


def mirror_checkpoint(store: ObjectStore, run_key: str, folder: Path, samples_seen: int) -> None:
    """Put the complete checkpoint in `folder` into the lake, its index last, and drop older ones.

    Nothing happens when a checkpoint at `samples_seen` is complete in the lake already.
    """
    base = checkpoint_folder(run_key, samples_seen)
    if store.stat(f"{base}/{_INDEX}") is None:
        files: dict[str, str] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            digest = sha256_hex(data)
            store.put_once(f"{base}/{digest}", data)
            files[path.relative_to(folder).as_posix()] = digest
        index = _CheckpointIndex(
            schema=CHECKPOINT_FORMAT, folder=folder.name, samples_seen=samples_seen, files=files
        )
        store.put_once(f"{base}/{_INDEX}", canonical_json(index.model_dump(by_alias=True)))
    kept = complete_checkpoints(store, run_key)[:KEEP]
    if len(kept) == KEEP:
        drop_checkpoints(store, run_key, below=checkpoint_folder(run_key, kept[-1]))


def complete_checkpoints(store: ObjectStore, run_key: str) -> list[int]:
    """Return the `samples_seen` of every complete checkpoint of a run in the lake, newest first."""
    keys = (info.key.split("/") for info in store.list(f"{checkpoint_prefix(run_key)}/"))
    found = (folder for *_, folder, file in keys if file == _INDEX and folder.isdigit())
    return sorted(map(int, found), reverse=True)


def fetch_checkpoint(store: ObjectStore, run_key: str, folder: Path) -> Path | None:
    """Bring the newest complete checkpoint of a run to this machine.

    Every digest is verified; a checkpoint that is broken, or deleted while it is read, gives way to
    the next older one.

    Returns:
        The checkpoint's folder below `folder`, there at once or not at all; None when the lake has
        none. A folder of that name that is there already is complete and is returned as it is.
    """
    for samples_seen in complete_checkpoints(store, run_key):
        try:
            return _fetch_files(store, checkpoint_folder(run_key, samples_seen), folder)
        except (ObjectNotFoundError, IntegrityError):
            continue
    return None


def _fetch_files(store: ObjectStore, base: str, folder: Path) -> Path:
    index = _checkpoint_index(store, f"{base}/{_INDEX}")
    target = folder / index.folder
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        staged = Path(scratch) / index.folder
        for name, digest in index.files.items():
            data = _read_content(store, f"{base}/{digest}", name)
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, data)
        move_folder(staged, target)
    return target


def _read_content(store: ObjectStore, key: str, name: str) -> bytes:
    """Return an object that is named by its digest."""

    def check(data: bytes) -> bytes:
        if sha256_hex(data) != key.rpartition("/")[2]:
            msg = f"{key} ({name}) has another content than its name says; delete it."
            raise IntegrityError(msg)
        return data

    return read_checked(store, key, check)


def _checkpoint_index(store: ObjectStore, key: str) -> _CheckpointIndex:
    data = store.get(key)
    try:
        index = _CheckpointIndex.model_validate_json(data)
        for name in (index.folder, *index.files, *index.files.values()):
            check_key(name)
    except (ValidationError, LakeError) as error:
        msg = f"The checkpoint index {key} is no {CHECKPOINT_FORMAT} index ({error}); delete it."
        raise IntegrityError(msg) from error
    return index


def drop_checkpoints(store: ObjectStore, run_key: str, *, below: str | None = None) -> None:
    """Delete the checkpoints of a run, or those before the folder `below`.

    Indexes go first, so that none is half there.
    """
    keys = [info.key for info in store.list(f"{checkpoint_prefix(run_key)}/")]
    keys = [key for key in keys if below is None or key.rpartition("/")[0] < below]
    for key in sorted(keys, key=lambda key: not key.endswith(f"/{_INDEX}")):
        store.delete(key)


def put_candidate(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Store a snapshot folder; files that are there already are adopted, snapshot.json comes last.

    Returns:
        The snapshot digest (sha256 of snapshot.json) of what is stored, which may be what another
        trainer of the same key put first: fetch it before use.

    Raises:
        IntegrityError: the folder's files are not those its snapshot.json names.
    """
    own = (folder / "snapshot.json").read_bytes()
    index = snapshot_index(own, str(folder))
    stored: dict[str, str] = {}
    for file, digest in index["files"].items():
        data = checked_file((folder / file).read_bytes(), digest, f"{folder}/{file}")
        stored[file] = sha256_hex(put_or_agree(lake, generator_key(name, version, file), data))
    mine = own if stored == index["files"] else canonical_json(index | {"files": stored})
    stored_index = put_or_agree(lake, snapshot_key(name, version), mine)
    where = f"{lake.uri}/{snapshot_key(name, version)}"
    if snapshot_index(stored_index, where)["files"] != stored:
        msg = f"{where} does not name the files beside it; delete that folder and train again"
        raise IntegrityError(msg)
    return sha256_hex(stored_index)


def candidates(lake: ObjectStore, name: str) -> list[str]:
    """Return the versions whose snapshot is complete, oldest first."""
    return sorted(version for _, version in _snapshots(lake, f"{generator_folder(name)}/"))


def list_generators(lake: ObjectStore) -> list[str]:
    """Return the names of the generators with at least one complete snapshot, sorted."""
    return sorted({name for name, _ in _snapshots(lake, "generators/")})


def fetch_generator(lake: ObjectStore, name: str, version: str, folder: Path) -> str:
    """Copy a stored snapshot into `folder` (made new) with every digest verified.

    Returns:
        The snapshot digest.

    Raises:
        FileExistsError: the folder is there already.
        ObjectNotFoundError: there is no complete snapshot of that version.
        IntegrityError: a file is not what snapshot.json says.
    """
    key = snapshot_key(name, version)
    raw = read_agreed(lake, key)
    files = {"snapshot.json": raw}
    for file, digest in snapshot_index(raw, f"{lake.uri}/{key}")["files"].items():
        files[file] = _fetch_file(lake, generator_key(name, version, file), digest)
    folder.mkdir(parents=True)
    for file, data in reversed(files.items()):  # snapshot.json last, as in the lake
        write_file(folder / file, data)
    return sha256_hex(raw)


def _fetch_file(lake: ObjectStore, key: str, digest: str) -> bytes:
    return read_checked(lake, key, lambda data: checked_file(data, digest, f"{lake.uri}/{key}"))


def _snapshots(lake: ObjectStore, prefix: str) -> list[tuple[str, str]]:
    matches = (_SNAPSHOT.fullmatch(info.key) for info in lake.list(prefix))
    return [(match[1], match[2]) for match in matches if match]


def snapshot_index(data: bytes, where: str) -> dict[str, Any]:
    """Return snapshot.json with at least one file, every one a plain name.

    Raises:
        IntegrityError: it is not.
    """
    try:
        index: dict[str, Any] = json.loads(data)
        names = list(index["files"])
        if not names or not all(_FILE.fullmatch(name) for name in names):
            raise ValueError(names)  # noqa: TRY301 - one sentence for every defect
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{where} does not name a snapshot's files ({error!r}); train the generator again"
        raise IntegrityError(msg) from error
    return index


def checked_file(data: bytes, digest: str, where: str) -> bytes:
    """Return the bytes of a file that snapshot.json names.

    Raises:
        IntegrityError: they have another digest.
    """
    if sha256_hex(data) != digest:
        msg = (
            f"{where} is not the file its snapshot.json names (sha256 {sha256_hex(data)}, not "
            f"{digest}); restore it from a backup or train the generator again"
        )
        raise IntegrityError(msg)
    return data


def put_report(lake: ObjectStore, name: str, version: str, files: Mapping[str, bytes]) -> str:
    """Store an evaluation beside its generator, under reports/<digest>/, report.json last.

    Returns:
        The report digest: sha256 of report.json.
    """
    digest = sha256_hex(files["report.json"])
    for file in sorted(files, key=lambda file: (file == "report.json", file)):
        lake.put_once(generator_report_key(name, version, digest, file), files[file])
    return digest


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """One name of a lake, as generator and as data set, and whose it is."""

    name: str
    owner: str
    since: str
    """UTC, ISO 8601."""


def read_owner(lake: ObjectStore, name: str) -> Ownership | None:
    """Return whose a name is; None when it is nobody's.

    Raises:
        IntegrityError: the record is not one.
    """
    key = owner_key(name)
    try:
        return _ownership(lake, key, lake.get(key))
    except ObjectNotFoundError:
        return None


def claim(lake: ObjectStore, name: str, owner: str, created: datetime) -> Ownership:
    """Claim a name that is nobody's, and return whose it is now: the first to arrive has it.

    Raises:
        IntegrityError: the record that is there is not one.
    """
    stamp = created.astimezone(UTC).isoformat(timespec="seconds")
    mine = Ownership(name=name, owner=owner, since=stamp)
    key = owner_key(name)
    return _ownership(lake, key, lake.put_or_adopt(key, canonical_json(asdict(mine))))


def _ownership(lake: ObjectStore, key: str, data: bytes) -> Ownership:
    try:
        raw = json.loads(data)
        return Ownership(name=raw["name"], owner=raw["owner"], since=raw["since"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{lake.uri}/{key} does not say who owns the name ({error!r}); restore or delete it"
        raise IntegrityError(msg) from error
