"""Whether a source can read what a lake holds."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from storage.errors import SettingsError
from storage.sources.globs import compile_glob, is_hidden, split_glob
from storage.sources.open import EXAMPLE
from storage.stores.settings import StorageProfile, load_profile

Overlap = Literal["is", "lies below", "holds"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a URI points to, relative paths and links resolved."""

    server: str
    """Empty for this machine, else the endpoint of S3."""
    parts: tuple[str, ...]
    """Of the folder, the file, or bucket and prefix."""
    glob: tuple[str, ...] = ()
    """What is matched below."""
    is_file: bool = False


def find_overlap(
    source: str, lake: str, *, source_storage: str | None = None, lake_storage: str | None = None
) -> Overlap | None:
    """Return how a source lies to a lake, as in "the source … the lake"; None: they are apart.

    A glob overlaps when it could match a file of the lake; hidden folders are never read. S3
    servers are told apart by their endpoint.

    Args:
        source: a folder, a file, a glob or an `s3://` URI.
        lake: a folder or an `s3://` URI.
        source_storage: storage profile of the source.
        lake_storage: storage profile of the lake.
    """
    read, written = _place(source, source_storage), _place(lake, lake_storage)
    if read is None or written is None or read.server != written.server:
        return None
    if read.parts[: len(written.parts)] == written.parts:
        return "is" if len(read.parts) == len(written.parts) else "lies below"
    if read.is_file or written.parts[: len(read.parts)] != read.parts:
        return None
    between = written.parts[len(read.parts) :]
    if is_hidden("/".join(between)) or (read.glob and not _reaches(read.glob, between)):
        return None
    return "holds"


def _place(uri: str, storage: str | None) -> Place | None:
    """Return where a URI points to; None for what is no place, such as an example."""
    if uri.startswith("s3://"):
        folder, glob = _cut(uri.removeprefix("s3://"))
        server = _endpoint(storage)
        return None if server is None else Place(server=server, parts=_parts(folder), glob=glob)
    is_file_uri = uri.lower().startswith("file:")
    if uri.startswith(EXAMPLE) or ("://" in uri and not is_file_uri) or "\0" in uri:
        return None
    path = str(Path(unquote(urlsplit(uri).path) if is_file_uri else uri).expanduser())
    folder, glob = (path, ()) if Path(path).exists() else _cut(path)
    resolved = Path(os.path.realpath(folder))
    return Place(server="", parts=resolved.parts, glob=glob, is_file=resolved.is_file())


def _cut(path: str) -> tuple[str, tuple[str, ...]]:
    """Cut a path into the folder above the first wildcard, and the parts of the glob below it."""
    folder, glob = split_glob(path)
    return (folder, _parts(glob)) if _parts(glob) and set(path) & set("*?[") else (path, ())


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _endpoint(storage: str | None) -> str | None:
    """Return the server of a storage profile; None where there is no such profile."""
    try:
        profile = StorageProfile() if storage is None else load_profile(storage)
    except SettingsError:  # whoever opens the store says so
        return None
    return (profile.endpoint_url or "aws").rstrip("/")


def _reaches(glob: tuple[str, ...], folders: tuple[str, ...]) -> bool:
    """Say whether a glob can match a file below these folders."""
    if not folders or not glob:
        return bool(glob)
    if "**" in glob[0]:
        return True
    matches = compile_glob(glob[0]).fullmatch(folders[0])
    return matches is not None and _reaches(glob[1:], folders[1:])
