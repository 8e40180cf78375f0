"""A read-only store of what is inside archives: zip, tar, and tar packed with gzip, bzip2 or xz.

Nothing is unpacked to disk under its own name, so that no member can leave a folder. A packed tar
is unpacked once into an unnamed temporary file; the members of the others are read where they lie.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Final, NoReturn

from storage.errors import IntegrityError, LakeError, NotWritableError, ObjectNotFoundError
from storage.stores.interface import ObjectInfo, ObjectStore

ARCHIVE_SUFFIXES: Final = frozenset(
    {".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz"}
)
MAX_UNPACKED: Final = 200
"""A packed tar or a member that grows by more than this is taken for an attack."""
MAX_UNPACKED_BYTES: Final = 1 << 30
"""Up to this size how much it grows does not matter."""

_DAMAGED: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
    RuntimeError, OSError, ValueError, UnicodeError,
)  # fmt: skip
"""What the readers of the standard library raise on broken, encrypted or foreign archives."""
_UNPACKERS: Final[dict[str, Callable[[BinaryIO], BinaryIO]]] = {
    ".tgz": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item, return-value]
    ".gz": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item, return-value]
    ".tbz2": bz2.BZ2File,  # type: ignore[dict-item]
    ".bz2": bz2.BZ2File,  # type: ignore[dict-item]
    ".txz": lzma.LZMAFile,  # type: ignore[dict-item]
    ".xz": lzma.LZMAFile,  # type: ignore[dict-item]
}


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One file of an archive."""

    size_bytes: int
    read: Callable[[], bytes]


class ArchiveStore(ObjectStore):
    """The members of some archives of a store; keys are their paths, which nothing can change.

    With several archives a key begins with the archive's name, without suffix where that is enough
    to tell them apart. Members that lie outside (`..`), links and folders are left out.
    """

    def __init__(self, uri: str, store: ObjectStore, archives: Sequence[ObjectInfo]) -> None:
        """List the archives.

        Raises:
            IntegrityError: one is damaged, encrypted, or grows out of measure.
        """
        self.uri = uri
        self._store = store
        self._archives = tuple(archives)
        self._files = ExitStack()
        weakref.finalize(self, self._files.close)
        self._members: dict[str, _Member] = {}
        stems = [_stem(info.key) for info in archives]
        for info, stem in zip(archives, stems, strict=True):
            folder = stem if stems.count(stem) == 1 else info.key
            before = f"{folder}/" if len(archives) > 1 else ""
            try:
                members = _list_zip(self._open(info)) if _is_zip(info) else self._list_tar(info)
            except _DAMAGED as error:
                raise self._damaged(info.key, error) from error
            for name, member in members.items():
                key = _plain(name)
                if key is not None:
                    self._members[before + key] = member

    def get(self, key: str) -> bytes:
        """Return the whole member."""
        member = self._members.get(key)
        if member is None:
            msg = f"There is no {key!r} in the archive {self.uri!r}; list what it holds."
            raise ObjectNotFoundError(msg)
        try:
            return member.read()
        except _DAMAGED as error:
            raise self._damaged(key, error) from error

    def open(self, key: str) -> BinaryIO:
        """Open a member for reading."""
        return io.BytesIO(self.get(key))

    def stat(self, key: str) -> ObjectInfo | None:
        """Return the size of a member; None when there is none, or when the archive changed."""
        member = self._members.get(key)
        if member is None or not self._unchanged():
            return None
        return ObjectInfo(key=key, size_bytes=member.size_bytes)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every member; none when an archive changed since it was listed."""
        if self._unchanged():
            for key in sorted(self._members):
                if key.startswith(prefix):
                    yield ObjectInfo(key=key, size_bytes=self._members[key].size_bytes)

    def put_once(self, key: str, data: bytes) -> bool:  # noqa: ARG002
        """Refuse."""
        self._refuse(key)

    def replace(self, key: str, data: bytes) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse(key)

    def delete(self, key: str) -> None:
        """Refuse."""
        self._refuse(key)

    def _refuse(self, key: str) -> NoReturn:
        msg = f"The archive {self.uri!r} is read only, so {key!r} cannot change; write elsewhere."
        raise NotWritableError(msg)

    def _damaged(self, key: str, error: Exception) -> LakeError:
        reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        return IntegrityError(
            f"The archive {self.uri!r} cannot be read at {key!r} ({reason}); unpack it and name "
            "the folder, or replace it."
        )

    def _unchanged(self) -> bool:
        return all(self._store.stat(info.key) == info for info in self._archives)

    def _open(self, info: ObjectInfo) -> BinaryIO:
        return self._files.enter_context(self._store.open(info.key))

    def _list_tar(self, info: ObjectInfo) -> dict[str, _Member]:
        file, lock = self._open(info), threading.Lock()
        suffix = f".{info.key.lower().rpartition('.')[2]}"
        if suffix in _UNPACKERS:
            whole = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            _unpack(_UNPACKERS[suffix](file), info.size_bytes, whole)
            file = whole
        members = {}
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for one in archive:
                if one.isreg() and not one.issparse():
                    start, size = one.offset_data, one.size
                    read = _reader_of(file, lock, start, size)
                    members[one.name] = _Member(size_bytes=size, read=read)
        return members


def _list_zip(file: BinaryIO) -> dict[str, _Member]:
    archive, lock = zipfile.ZipFile(file), threading.Lock()
    members = {}
    for one in archive.infolist():
        if not one.is_dir():
            members[one.filename] = _Member(
                size_bytes=one.file_size, read=_zip_reader(archive, lock, one)
            )
    return members


def _zip_reader(
    archive: zipfile.ZipFile, lock: threading.Lock, one: zipfile.ZipInfo
) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_growth(one.compress_size, one.file_size)
        with lock:
            return archive.read(one)

    return read


def _reader_of(file: BinaryIO, lock: threading.Lock, start: int, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with lock:
            file.seek(start)
            data = file.read(size)
        if len(data) != size:
            msg = "it ends too early"
            raise EOFError(msg)
        return data

    return read


def _unpack(packed: BinaryIO, size_bytes: int, file: BinaryIO) -> None:
    while block := packed.read(1 << 20):
        file.write(block)
        _check_growth(size_bytes, file.tell())
    file.seek(0)


def _check_growth(packed_bytes: int, unpacked_bytes: int) -> None:
    most = max(MAX_UNPACKED * packed_bytes, MAX_UNPACKED_BYTES)
    if unpacked_bytes > most:
        msg = f"{packed_bytes:,} bytes grow to {unpacked_bytes:,} or more"
        raise ValueError(msg)


def _is_zip(info: ObjectInfo) -> bool:
    return info.key.lower().endswith(".zip")


def _stem(key: str) -> str:
    lower = key.lower()
    suffix = max((one for one in ARCHIVE_SUFFIXES if lower.endswith(one)), key=len, default="")
    return key[: len(key) - len(suffix)]


def _plain(name: str) -> str | None:
    """Return the name as a key; None when it lies outside of the archive's own tree."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return None if ".." in parts or not parts else "/".join(parts)
