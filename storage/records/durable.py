"""Files and folders that a kill or a power cut leaves whole or absent, and locks that it releases.

A name is durable only once the folder that holds it is synced too: `replace_file`, `create_file`
and `move_folder` do that, `sync_file` and `write_file` leave it to whoever completes the folder.
"""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

POLL_S: Final = 0.2
"""Between two attempts at a lock that another process holds."""

TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Numbers of `OSError`: a name is taken, a disk is full, permission is refused."""


def sync_file(path: Path) -> None:
    """Force the bytes of a written file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk; one that was removed meanwhile needs nothing."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Write a file and force its bytes to the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file so that a reader or a kill sees the old or the new one, never a part."""
    staged = path.with_name(f".{path.name}")
    write_file(staged, data)
    staged.replace(path)
    sync_folder(path.parent)


def create_file(path: Path, data: bytes) -> bool:
    """Create a file with these bytes, whole or not at all; False when the name is taken."""
    folder = path.absolute().parent
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{path.name}-") as staged:
        staged.write(data)
        staged.flush()
        os.fchmod(staged.fileno(), 0o644)
        os.fsync(staged.fileno())
        try:
            os.link(staged.name, path)
        except FileExistsError:
            return False
    sync_folder(folder)
    return True


def move_folder(staged: Path, target: Path) -> bool:
    """Rename a folder whose files are synced into place; False when the name is taken."""
    sync_folder(staged)
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        return False
    sync_folder(target.parent)
    return True


@contextmanager
def hold_lock(
    path: Path, *, wait: bool = True, on_wait: Callable[[], None] = lambda: None
) -> Iterator[bool]:
    """Hold a lock file within the block; the system releases it however the process ends.

    Yields True while the lock is held, False where another process holds it and `wait` is off, or
    where the file system has no locks (some network file systems). `on_wait` is called once when
    another process holds the lock. The file and its folder are made when they are missing.

    Raises:
        OSError: the lock file cannot be made, because the disk is full or the folder is read-only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        held = _try_lock(file.fileno())
        if held is False and wait:
            on_wait()
            while (held := _try_lock(file.fileno())) is False:
                time.sleep(POLL_S)
        yield bool(held)


def _try_lock(descriptor: int) -> bool | None:
    """Return whether the lock is held now; None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in FULL | REFUSED:
            raise
        return None
    return True
