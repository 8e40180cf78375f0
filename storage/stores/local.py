"""A store in a local folder that keeps the put-once contract through hard links.

A new object is written to `.staging/<uuid>` and synced, then linked to its name: link(2) fails when
the name exists, so exactly one of several writers creates it, and nobody ever sees half an object.
A staged file is locked as long as its writer lives: however wrong a clock is, a sweep removes only
what nobody is writing.
"""

import errno
import fcntl
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from storage.errors import (
    AccessDeniedError,
    LakeError,
    LakeFullError,
    NotWritableError,
    ObjectNotFoundError,
)
from storage.records.durable import FULL, REFUSED, sync_folder
from storage.stores.interface import STAGING, ObjectInfo, ObjectStore, check_key

STALE_STAGED_S = 86_400.0
"""A staged file this old, by the clock of the file system, that no living process has locked,
belongs to one that was killed; the next writer removes it."""

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})
_NO_LINKS = frozenset({errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EPERM})
_LINK_ATTEMPTS = 100
"""A folder can be removed by a deleter between its creation and the link into it."""


class LocalStore(ObjectStore):
    """The objects below one folder, which is created by the first write."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder)
        self._root = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
        self._swept = False

    def get(self, key: str) -> bytes:
        """Return the whole object."""
        path = self._path(key)
        with self._reading(key):
            return path.read_bytes()

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading; the operating system seeks."""
        path = self._path(key)
        with self._reading(key):
            return cast(BinaryIO, path.open("rb", buffering=0))

    def put_once(self, key: str, data: bytes) -> bool:
        """Create the object if nothing is there: stage, sync, link, sync the folder, unstage."""
        target = self._path(key)
        with self._writing(key):
            if target.is_file():  # nothing is written where nothing is to be created
                return False
            with self._staged(data) as staged:
                return self._link(staged, target)

    def replace(self, key: str, data: bytes) -> None:
        """Put the object whatever was there: stage, sync, rename, sync the folder."""
        target = self._path(key)
        with self._writing(key), self._staged(data) as staged:
            _make_folder(target.parent)
            staged.replace(target)
            sync_folder(target.parent)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return the size of the object, or None."""
        path = self._path(key)
        try:
            with self._reading(key):
                return _info(key, path) if path.is_file() else None
        except ObjectNotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, sorted by key.

        Links to files and folders are followed; staged files are not objects.
        """
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        with self._reading(prefix):
            for key, path in _walk(self._root / folder, folder, (), Counter()):
                if key.startswith(prefix):
                    with suppress(FileNotFoundError):
                        yield _info(key, path)

    def delete(self, key: str) -> None:
        """Delete the object and the folders that become empty by it."""
        path = self._path(key)
        with self._writing(key):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            sync_folder(path.parent)
            with suppress(OSError):  # not empty, or a writer was faster: both are fine
                for folder in path.parents:
                    if folder == self._root:
                        break
                    folder.rmdir()

    def now(self) -> datetime | None:
        """Return the time by the file system's clock, which is another machine's on a network."""
        if not self._root.is_dir():
            return None
        try:
            with self._staged(b"") as staged:
                return _stamp(staged.stat())
        except OSError:
            return None

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    @contextmanager
    def _staged(self, data: bytes) -> Iterator[Path]:
        staging = self._root / STAGING
        _make_folder(staging)
        staged = staging / uuid.uuid4().hex
        try:
            with staged.open("xb") as file:
                _try_lock(file.fileno())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if not self._swept:
                    _sweep(staging, now_s=staged.stat().st_mtime)
                    self._swept = True
                yield staged
        finally:
            staged.unlink(missing_ok=True)

    def _link(self, staged: Path, target: Path) -> bool:
        for _ in range(_LINK_ATTEMPTS):
            _make_folder(target.parent)
            try:
                os.link(staged, target)
            except FileExistsError:
                if target.is_dir():
                    raise
                return False
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                msg = (
                    f"The file system of {self.uri} refuses hard links ({error.strerror}), without "
                    "which objects cannot be created safely; use another folder or "
                    "s3://bucket/prefix."
                )
                raise NotWritableError(msg) from error
            sync_folder(target.parent)
            return True
        msg = f"The folder {target.parent} vanishes whenever it is created; stop what deletes it."
        raise NotWritableError(msg)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _MISSING:
                msg = f"There is no object {self.uri}/{key}; check the name or list the lake."
                raise ObjectNotFoundError(msg) from error
            if error.errno in REFUSED:
                msg = (
                    f"{self.uri}/{key} may not be read ({error.strerror}); change its permissions."
                )
                raise AccessDeniedError(msg) from error
            raise self._other(key, error) from error

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                msg = (
                    f"{self.uri} is full ({error.strerror}) while writing {key!r}; "
                    "free space and run again, nothing half-written is visible."
                )
                raise LakeFullError(msg) from error
            if error.errno in REFUSED | _MISSING | {errno.EEXIST}:
                msg = (
                    f"{key!r} cannot be written in {self.uri} ({error.strerror}: "
                    f"{error.filename}); choose a folder you may write to."
                )
                raise NotWritableError(msg) from error
            raise self._other(key, error) from error

    def _other(self, key: str, error: OSError) -> LakeError:
        return LakeError(f"{self.uri}/{key} failed ({error.strerror or error}); check the disk.")


def _info(key: str, path: Path) -> ObjectInfo:
    status = path.stat()
    return ObjectInfo(key=key, size_bytes=status.st_size, stored_at=_stamp(status))


def _stamp(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


MOST_WAYS = 1000
"""How often one folder is listed in one listing; links that lead around it reach it again."""


def _walk(
    folder: Path,
    key: str,
    above: tuple[tuple[int, int], ...],
    ways: Counter[tuple[int, int]],
) -> Iterator[tuple[str, Path]]:
    """Yield (key, path) of every file below `folder`, by key, except through links to `above`."""
    try:
        status = folder.stat()
        with os.scandir(folder) as scan:
            entries = [(entry.name, entry.is_dir(), entry.is_file()) for entry in scan]
    except (FileNotFoundError, NotADirectoryError):
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    ways[identity] += 1
    if ways[identity] > MOST_WAYS:
        msg = (
            f"The folder {folder} is reached in more than {MOST_WAYS:,} ways by links that lead "
            "around it; remove the links."
        )
        raise LakeError(msg)
    for name, is_folder, is_file in sorted(entries, key=lambda e: e[0] + "/" * e[1]):
        child = f"{key}/{name}" if key else name
        if is_folder and name != STAGING:
            yield from _walk(folder / name, child, (*above, identity), ways)
        elif is_file:
            yield child, folder / name


def leaving_links(root: Path, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return (key, where it really is) of the files below `root` that links bring from elsewhere.

    Args:
        root: a folder.
        keys: relative paths of files below it.
    """
    inside = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - ends with a slash
    folders: dict[str, str] = {}
    found = []
    for key in keys:
        folder, _, name = key.rpartition("/")
        if folder not in folders:
            folders[folder] = os.path.realpath(root / folder)
        target = f"{folders[folder]}/{name}"
        if os.path.islink(target):  # noqa: PTH114 - a text, for a hundred thousand files
            target = os.path.realpath(target)
        if not target.startswith(inside):
            found.append((key, target))
    return found


def _make_folder(folder: Path) -> None:
    """Create `folder` and those above it, each durable in its parent."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    sync_folder(folder.parent)


def _sweep(staging: Path, now_s: float) -> None:
    """Remove what killed processes left behind; `now_s` is by the clock that stamps the files."""
    with suppress(OSError), os.scandir(staging) as scan:
        for entry in scan:
            if entry.stat().st_mtime < now_s - STALE_STAGED_S and not _is_locked(Path(entry.path)):
                Path(entry.path).unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        return not _try_lock(file.fileno())


def _try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False when another process has locked it.

    True also on a file system without locks, where age alone decides.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
