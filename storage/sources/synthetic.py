"""Synthetic data as a source: refused where a mark shows them, unless the recipe allows them.

A generator that is trained on another one's output imitates an imitation, and a report on it
compares synthetic data with synthetic data. Marks are in the metadata of Parquet and Arrow, in
images, and in the manifest that lies beside published files; a CSV file that was taken away from
its manifest says nothing of itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from storage.errors import LakeError, SettingsError, SourceError
from storage.sources.files import IMAGE_FILES, PARQUET_FILES, SourceFiles
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile
from storage.synthetic_marks import is_marked_image, is_marked_metadata, marked_files

_SIDECAR: Final = re.compile(r"(?:.*/)?_meta/[^/]+/(?:manifest|shards|files-\d+)\.json")
_DOCUMENTS: Final = ("manifest.json", "shards.json")
_MOST_SIDECARS: Final = 64
_MOST_FOLDERS: Final = 16
_MOST_SIDECAR_BYTES: Final = 64 << 20


def is_sidecar(key: str) -> bool:
    """Say whether a file's name is that of a document which describes published files."""
    return _SIDECAR.fullmatch(key) is not None


def check_files(found: SourceFiles, profile: StorageProfile | None) -> None:
    """Check that no file of a source is marked as synthetic; images are looked at when decoded.

    Raises:
        SourceError: one is, or it cannot be read.
        LakeError: the store fails.
    """
    if found.kind is PARQUET_FILES:
        for key, footer in found.parquet.footers.items():
            check_metadata(found.uri, key, footer.metadata)
        return
    if found.kind is IMAGE_FILES:
        return
    sizes = {(info.key.rpartition("/")[2], info.size_bytes): info.key for info in found.files}
    names = {name: key for (name, _), key in sizes.items()}
    for place, sidecar in _sidecars(found, profile):
        for name, size in marked_files(sidecar):
            listed = names.get(name) if size is None else sizes.get((name, size))
            if listed is not None:
                raise _refusal(found.uri, listed, f"{place} lists it")


def check_metadata(uri: str, key: str, metadata: Mapping[bytes, bytes] | None) -> None:
    """Check that a file's key-value metadata do not mark it as synthetic.

    Raises:
        SourceError: they do.
    """
    if is_marked_metadata(metadata):
        raise _refusal(uri, key, "its metadata says so")


def check_images(uri: str, names: Sequence[str], images: Any) -> None:
    """Check that no encoded image of a batch is marked as synthetic.

    Args:
        uri: of the source.
        names: of the images.
        images: encoded ones, None where there is none; decoded ones carry no mark.

    Raises:
        SourceError: one is.
    """
    for name, data in zip(names, images, strict=True):
        if isinstance(data, bytes) and is_marked_image(data):
            raise _refusal(uri, name, "the image says so")


def _refusal(uri: str, key: str, why: str) -> SourceError:
    return SourceError(
        f"The source {uri!r} holds synthetic data: {key!r} was made by a trained generator "
        f"({why}); name the real data, or set source.allow_synthetic to true."
    )


def _sidecars(found: SourceFiles, profile: StorageProfile | None) -> Iterator[tuple[str, bytes]]:
    """Yield place and bytes of the documents that lie below a source and beside its folders."""
    for info in found.sidecars[:_MOST_SIDECARS]:
        if info.size_bytes <= _MOST_SIDECAR_BYTES:
            yield repr(info.key), found.store.get(info.key)
    for folder in _folders(found):
        parent, slash, version = folder.rpartition("/")
        yield from _beside(found.store, f"{parent}{slash}", version)
    above = _above(found.store.uri, profile)
    if above is not None:
        yield from _beside(above[0], "", above[1])


def _beside(store: ObjectStore, parent: str, version: str) -> Iterator[tuple[str, bytes]]:
    """Yield what lies where a lake keeps the documents of a version."""
    parts = (f"files-{number:05d}.json" for number in range(_MOST_SIDECARS))
    for document in chain(_DOCUMENTS, parts):
        key = f"{parent}_meta/{version}/{document}"
        data = _read(store, key)
        if data is not None:
            yield repr(f"{store.uri}/{key}"), data
        elif document not in _DOCUMENTS:  # they are numbered without a gap
            return


def _folders(found: SourceFiles) -> list[str]:
    """Return the folders of the files, relative to the source; the first ones are enough."""
    folders = dict.fromkeys(info.key.rpartition("/")[0] for info in found.files)
    return [folder for folder in folders if folder][:_MOST_FOLDERS]


def _above(uri: str, profile: StorageProfile | None) -> tuple[ObjectStore, str] | None:
    """Return the store of the folder above a source, and the name of its own folder."""
    folder, _, name = uri.rstrip("/").rpartition("/")
    if not folder or folder.endswith(":/") or name in ("", ".", ".."):
        return None
    try:
        return open_store(folder, profile, read_only=True), name
    except SettingsError:
        return None


def _read(store: ObjectStore, key: str) -> bytes | None:
    """Return a document, None where there is none or it may not be read."""
    try:
        info = store.stat(key)
        if info is None or info.size_bytes > _MOST_SIDECAR_BYTES:
            return None
        return store.get(key)
    except LakeError:  # the source itself can be read; what lies beside it need not be ours
        return None
