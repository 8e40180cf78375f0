"""A file that a process locks as long as it lives: the system lets go however the process ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from flows.errors import EngineError
from storage.records.durable import hold_lock


def worker_lock(work_folder: Path, name: str, pool: str) -> Path:
    """Return the file that a worker of that name locks."""
    return work_folder / "cockpit" / f"worker-{name}-{pool}.lock".replace("/", "-")


def run_lock(work_folder: Path, run: UUID) -> Path:
    """Return the file that the process of a flow run locks."""
    return work_folder / "cockpit" / "runs" / f"{run}.lock"


def is_held(lock: Path) -> bool | None:
    """Say whether the process that locks the file lives; None where no such file tells."""
    try:
        with lock.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or its file system has no locks
        return None
    return False


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock within the block.

    Raises:
        EngineError: another process holds it.
    """

    def refuse() -> None:
        msg = f"another process is at work (it holds {lock}): stop it first"
        raise EngineError(msg)

    with hold_lock(lock, on_wait=refuse):
        yield
