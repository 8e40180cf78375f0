"""Snapshots of generators on their way from the lake: whole, and the files that were decided on.

What is not whole is set aside in the lake, and trained again by the next run that may.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flows.job import Candidate, Job, now
from gan.errors import OutdatedError, SnapshotError
from gan.report import Report
from storage.digests import sha256_file
from storage.errors import IntegrityError, ObjectNotFoundError, SnapshotDamagedError
from storage.lake import registry
from storage.lake.damage import Damage
from storage.lake.damage import set_aside as record_damage
from storage.lake.layout import generator_report_key
from storage.lake.promotions import GATE, Promotion, Standing
from storage.records.durable import move_folder

if TYPE_CHECKING:
    from gan.sample import Sampler


def local_snapshot(job: Job, version: str, snapshot_digest: str) -> Path:
    """Return the folder of a snapshot, fetched unless it is here already and whole.

    Raises:
        SnapshotDamagedError: the lake does not hold it, whole and under that version.
    """
    folder = job.work / "generators" / job.name / version
    if _is_whole(folder, snapshot_digest):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        staged = Path(scratch) / version
        try:
            found = registry.fetch_generator(job.lake, job.name, version, staged)
        except (ObjectNotFoundError, IntegrityError) as error:
            raise damaged(job, version, snapshot_digest, str(error)) from error
        if found != snapshot_digest:
            why = f"its snapshot digest is {found[:12]}, and {snapshot_digest[:12]} was decided on"
            raise damaged(job, version, snapshot_digest, why)
        move_folder(staged, folder)
    return folder


def load_sampler(job: Job, version: str, snapshot_digest: str) -> "Sampler":
    """Return a generator of the lake, ready to make records on the job's device.

    Raises:
        SnapshotDamagedError: the lake does not hold it, whole and under that version.
        OutdatedError: it is of an algorithm version that cannot be run any more.
    """
    from gan.device import choose_device
    from gan.sample import Sampler

    folder = local_snapshot(job, version, snapshot_digest)
    try:
        return Sampler.load(folder, choose_device(job.recipe.training.device))
    except OutdatedError:
        raise
    except SnapshotError as error:  # its digests are right: it was stored like this
        raise damaged(job, version, snapshot_digest, str(error)) from error


def _is_whole(folder: Path, snapshot_digest: str) -> bool:
    """Say whether a folder holds the snapshot with that digest and every file it names."""
    index = folder / "snapshot.json"
    try:
        if sha256_file(index) != snapshot_digest:
            return False
        files = json.loads(index.read_bytes())["files"].items()
        return all(sha256_file(folder / file) == digest for file, digest in files)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def damaged(job: Job, version: str, snapshot_digest: str, why: str) -> SnapshotDamagedError:
    """Return the error of a generator whose files cannot be used."""
    found = why.partition("; ")[0].rstrip(".")
    return SnapshotDamagedError(
        f"the files of generator {job.name}/{version} are damaged ({found}): run the whole job, "
        "which trains it again",
        version=version,
        snapshot_digest=snapshot_digest,
        why=found,
    )


def check_identity(job: Job, candidate: Candidate, standing: Standing) -> None:
    """Refuse files that lie under a version on which other files were decided.

    Raises:
        SnapshotDamagedError: they do.
    """
    for digest in standing.digests_of(candidate.version) - {candidate.snapshot_digest}:
        why = (
            f"its snapshot digest is {candidate.snapshot_digest[:12]}, not {digest[:12]} as judged"
        )
        raise damaged(job, candidate.version, digest, why)


def set_aside(job: Job, error: SnapshotDamagedError) -> Damage:
    """Say in the lake that a generator is damaged, so that every run trains it again."""
    job.reporter.say(f"Generator {error.version} is damaged and set aside: {error.why}")
    damage = Damage(
        reason=error.why, snapshot_digest=error.snapshot_digest, found=now().isoformat()
    )
    record_damage(job.lake, job.name, error.version, damage)
    return damage


def seen_by_a_person(job: Job, champion: Promotion | None) -> frozenset[str]:
    """Return what blocked in the report on which a person made the champion, by name."""
    if champion is None or champion.by == GATE or not champion.report_digest:
        return frozenset()
    key = generator_report_key(job.name, champion.version, champion.report_digest, "report.json")
    try:
        report = Report.from_json(job.lake.get(key))
    except ObjectNotFoundError:
        return frozenset()
    return frozenset(reason.metric for reason in report.reasons if reason.outcome == "block")
