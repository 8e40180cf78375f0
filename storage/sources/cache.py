"""A folder of finished entries: built aside, renamed into place, reused, and pruned.

One process builds an entry while others that want it wait, through a lock file beside it. The
operating system releases the lock of a killed process, so whoever gets it knows that an unfinished
build of the same name can be removed. Without working locks (some network file systems) the rename
still lets exactly one entry win.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from storage.errors import LakeFullError, NotWritableError
from storage.records.durable import FULL, REFUSED, hold_lock, move_folder

Entry = TypeVar("Entry")

IDLE: Final = timedelta(days=1)
"""An older entry of a source is pruned when nobody used it for this long."""

_BUILDING: Final = ".building-"
_REFUSED: Final = REFUSED | {errno.ENOTDIR, errno.EEXIST}


def obtain(
    folder: Path,
    name: str,
    *,
    load: Callable[[Path], Entry | None],
    build: Callable[[Path], None],
) -> Entry:
    """Return the entry `name`, built first when it is missing or broken.

    Args:
        folder: holds the entries; created when missing.
        name: `<slot>-<key>`; entries of one slot replace each other over time.
        load: opens the entry at a path, None when it is missing or broken.
        build: fills the empty folder it is given.

    Raises:
        LakeFullError: the disk is full.
        NotWritableError: the folder cannot be written.
    """
    target = folder / name
    with _disk_errors(folder):
        entry = load(target)
        if entry is not None:
            os.utime(target)
            return entry
        folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder / f"{name}.lock") as locked:
            entry = load(target)
            if entry is not None:
                return entry
            if locked:
                _discard(target)
                _remove_unfinished(folder, name)
                _prune(folder, name)
            aside = _aside(target)
            aside.mkdir()
            try:
                build(aside)
                move_folder(aside, target)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        entry = load(target)
    if entry is None:
        msg = f"The cache entry {target} is broken right after it was written; check the disk."
        raise NotWritableError(msg)
    return entry


def _aside(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}{_BUILDING}{uuid.uuid4().hex}")


def _remove_unfinished(folder: Path, name: str) -> None:
    """Remove the unfinished builds of killed processes; `name` is locked by the caller."""
    for unfinished in folder.glob(f"*{_BUILDING}*"):
        owner = unfinished.name.partition(_BUILDING)[0]
        if owner == name:
            shutil.rmtree(unfinished, ignore_errors=True)
            continue
        with hold_lock(folder / f"{owner}.lock", wait=False) as locked:
            if locked:
                shutil.rmtree(unfinished, ignore_errors=True)


def _prune(folder: Path, name: str) -> None:
    """Remove idle entries of the same slot: the source changed since."""
    slot = name.partition("-")[0]
    oldest = (datetime.now(UTC) - IDLE).timestamp()
    for entry in folder.glob(f"{slot}-*"):
        if entry.is_dir() and _BUILDING not in entry.name and entry.stat().st_mtime < oldest:
            _discard(entry)


def _discard(entry: Path) -> None:
    """Remove an entry so that nobody sees half of it."""
    aside = _aside(entry)
    with suppress(FileNotFoundError):
        entry.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            msg = (
                f"The disk of {folder} is full ({error.strerror}) while the source is prepared; "
                "free space there or set GANMILL_WORK_FOLDER to another disk."
            )
            raise LakeFullError(msg) from error
        if error.errno in _REFUSED:
            msg = (
                f"The folder {folder} for prepared sources cannot be written ({error.strerror}: "
                f"{error.filename}); change its permissions or set GANMILL_WORK_FOLDER."
            )
            raise NotWritableError(msg) from error
        raise
