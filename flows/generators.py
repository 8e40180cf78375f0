"""A generator of the lake, on this machine."""

import shutil
import tempfile
from pathlib import Path

from flows.job import Job
from storage.digests import sha256_file
from storage.errors import IntegrityError
from storage.lake import registry
from storage.records.durable import move_folder


def local_snapshot(job: Job, version: str, snapshot_digest: str) -> Path:
    """Return the folder of a snapshot, fetched unless it is here already.

    The digest of every file is checked when the snapshot is loaded.

    Raises:
        IntegrityError: the lake holds another snapshot under that version.
    """
    folder = job.work / "generators" / job.name / version
    index = folder / "snapshot.json"
    if index.is_file() and sha256_file(index) == snapshot_digest:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        staged = Path(scratch) / version
        found = registry.fetch(job.lake, job.name, version, staged)
        if found != snapshot_digest:
            msg = (
                f"generator {job.name}/{version} has snapshot digest {found[:12]}, but "
                f"{snapshot_digest[:12]} was decided on; restore it or train again"
            )
            raise IntegrityError(msg)
        move_folder(staged, folder)
    return folder
