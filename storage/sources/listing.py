"""The files of a source: listed, grouped by kind, and those of one kind chosen.

What lies in archives is chosen as the files of a folder are.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.config import SourceConfig
from storage.sources.files import ARCHIVE_FILES, FILE_KINDS, PACKED, FileKind, SourceFiles
from storage.sources.foreign import foreign_file
from storage.sources.globs import (
    WILDCARD,
    any_of,
    compile_glob,
    is_hidden,
    literal_prefix,
    split_glob,
)
from storage.sources.synthetic import is_sidecar
from storage.stores.archive import ArchiveStore
from storage.stores.interface import ObjectInfo, ObjectStore
from storage.stores.local import leaving_links
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

_COMMON_SUFFIX: Final = re.compile(r"(\.[a-z0-9]{1,5}){1,2}")


def find_files(
    config: SourceConfig,
    profile: StorageProfile | None,
    *,
    known: Sequence[FileKind] = FILE_KINDS,
    wanted: Sequence[FileKind] = FILE_KINDS,
) -> SourceFiles:
    """List a source and choose its files.

    Args:
        config: the recipe's `source`.
        profile: credentials.
        known: the kinds by which an URI is seen to be a file.
        wanted: the kinds to choose; files of others are ignored.

    Raises:
        SourceError: nothing is there, nothing is readable, or two kinds are mixed.
        LakeError: the store fails.
    """
    store, listed, glob = _list(config.uri, profile, (*known, ARCHIVE_FILES))
    found = _choose(config, store, listed, (*wanted, ARCHIVE_FILES), glob=glob)
    if found.kind is not ARCHIVE_FILES:
        return found
    inside = ArchiveStore(config.uri, store, found.files)
    if any(map(_names_archive, config.include)):  # they chose the archives
        config = config.model_copy(update={"include": ()})
    return _choose(config, inside, list(inside.list()), wanted)


def _choose(
    config: SourceConfig,
    store: ObjectStore,
    listed: Sequence[ObjectInfo],
    wanted: Sequence[FileKind],
    *,
    glob: str | None = None,
) -> SourceFiles:
    """Choose the files of one kind."""
    by_kind, beside = _grouped(config, listed, wanted, glob)
    if not by_kind:
        refusal = foreign_file(config.uri, store, listed) or _nothing(config, listed, wanted)
        raise SourceError(refusal)
    chosen_inside = config.include and not any(map(_names_archive, config.include))
    for kind in [kind for kind in by_kind if kind.alone and len(by_kind) > 1]:
        others = [other for other in by_kind if other is not kind]
        if not all(other.alone for other in others) or (kind is ARCHIVE_FILES and chosen_inside):
            beside += by_kind.pop(kind)
    described = {name for kind in by_kind for name in kind.companions}
    kinds = sorted(
        (kind for kind in by_kind if kind.name not in described), key=lambda one: one.name.lower()
    )
    if len(kinds) > 1:
        (one, first), (other, second) = ((each.name, by_kind[each][0].key) for each in kinds[:2])
        msg = (
            f"The source {config.uri!r} holds both {one} files ({first!r}) and {other} files "
            f"({second!r}); choose one kind with source.include, such as ['*.parquet']."
        )
        raise SourceError(msg, proposals=(_most_common(by_kind),))
    kind, files = kinds[0], by_kind[kinds[0]]
    beside += [info for other, infos in by_kind.items() if other is not kind for info in infos]
    reads_labels = config.labels is not None and kind.takes_labels
    described_by = _label_files(config, store, beside) if reads_labels else ()
    chosen = {info.key for info in (*files, *described_by)}
    left = [info.key for info in listed if info.key not in chosen]
    left_out = Counter(_left_out_as(key, _kind(key, config, (kind,))) for key in left)
    return SourceFiles(
        uri=config.uri,
        store=store,
        files=tuple(files),
        kind=kind,
        left_out=dict(left_out.most_common()),
        beside=tuple(sorted(beside, key=lambda info: info.key)),
        described_by=described_by,
        sidecars=tuple(info for info in listed if is_sidecar(info.key)),
        notes=outside_links(store, files),
    )


def _label_files(
    config: SourceConfig, store: ObjectStore, beside: Sequence[ObjectInfo]
) -> tuple[ObjectInfo, ...]:
    """Return the files of `source.labels`, a path below the source or a glob of such paths."""
    wanted = compile_glob((config.labels or "").removeprefix("./"))
    found = [info for info in beside if wanted.fullmatch(info.key)]
    if not found and not WILDCARD.search(config.labels or ""):
        info = store.stat(config.labels or "")
        found = [] if info is None else [info]
    if not found:
        there = ", ".join(repr(one.key) for one in beside[:3]) or "no other file"
        msg = (
            f"There is no label file {config.labels!r} in the source {config.uri!r}, which holds "
            f"{there} beside the records; correct source.labels, a path below the source."
        )
        raise SourceError(msg)
    return tuple(found)


def _grouped(
    config: SourceConfig,
    listed: Sequence[ObjectInfo],
    wanted: Sequence[FileKind],
    glob: str | None,
) -> tuple[dict[FileKind, list[ObjectInfo]], list[ObjectInfo]]:
    """Return the files that the globs choose, by kind, and those that lie beside them."""
    matched = compile_glob(glob).fullmatch if glob else bool
    included = any_of(config.include) if config.include else bool
    excluded = any_of(config.exclude)
    describes = any_of((config.labels,) if config.labels else ())
    by_kind: dict[FileKind, list[ObjectInfo]] = {}
    beside: list[ObjectInfo] = []
    for info in sorted(listed, key=lambda info: info.key):
        if is_hidden(info.key) or excluded(info.key):
            continue
        kind = None if describes(info.key) else _kind(info.key, config, wanted)
        inside = kind is ARCHIVE_FILES and not any(map(_names_archive, config.include))
        if kind is not None and matched(info.key) and (inside or included(info.key)):
            by_kind.setdefault(kind, []).append(info)
        else:
            beside.append(info)
    return by_kind, beside


def _most_common(by_kind: Mapping[FileKind, Sequence[ObjectInfo]]) -> Proposal:
    """Return the globs that choose the kind with the most files."""
    kind, files = max(by_kind.items(), key=lambda item: len(item[1]))
    globs = sorted({f"*{Path(info.key).suffix}" for info in files})
    why = f"{len(files):,} {kind.name} files, among files of other kinds"
    return Proposal(setting="source.include", value=globs, why=why)


def _left_out_as(key: str, kind: FileKind | None) -> str:
    """Return under what a file that is not read is counted: its suffix, if it is a common one."""
    if is_hidden(key):
        return "hidden or of a system"
    suffix = _suffix(key)
    shown = suffix if _COMMON_SUFFIX.fullmatch(suffix) else "other"
    return shown if kind is None else f"{shown} outside the globs"


def outside_links(store: ObjectStore, files: Sequence[ObjectInfo]) -> tuple[str, ...]:
    """Return a note on the files that links bring in from outside of a folder of this machine."""
    if "://" in store.uri or isinstance(store, ArchiveStore):
        return ()
    found = leaving_links(Path(store.uri), [info.key for info in files])
    if not found:
        return ()
    key, target = found[0]
    many = f"{len(found):,} files are" if len(found) > 1 else "1 file is"
    return (
        f"{many} reached through links that lead out of {store.uri!r}, the first of them "
        f"{key!r}, which is {target!r}",
    )


def _list(
    uri: str, profile: StorageProfile | None, known: Sequence[FileKind]
) -> tuple[ObjectStore, list[ObjectInfo], str | None]:
    """Return the store of the folder, what lies below, and the glob of the URI if it has one."""
    local = _local_path(uri)
    if WILDCARD.search(uri) and not (local is not None and local.exists()):
        folder, glob = split_glob(uri)
        if folder.endswith(":/"):
            msg = f"The source {uri!r} has a wildcard in the bucket; name one bucket."
            raise SourceError(msg)
        store = open_store(folder, profile, read_only=True)
        return store, list(store.list(literal_prefix(glob))), glob
    named = (kind.suffixes | kind.named_suffixes | kind.unread for kind in known)
    suffixes = frozenset().union(*named)
    patterns = [kind.pattern for kind in known if kind.pattern is not None]
    is_file = _suffix(uri) in suffixes or _names_archive(uri)
    is_file = is_file or any(one.fullmatch(uri.lower()) for one in patterns)
    if is_file and not (local and local.is_dir()):
        folder, _, name = uri.rstrip("/").rpartition("/")
        store = open_store(folder or ("/" if uri.startswith("/") else "."), profile, read_only=True)
        info = store.stat(name)
        if info is not None:
            return store, [info], None
    if local is not None and not local.is_dir():
        folder, _, name = uri.rstrip("/").rpartition("/")
        store = open_store(folder or ("/" if uri.startswith("/") else "."), profile, read_only=True)
        info = store.stat(name) if local.is_file() else None
        refusal = None if info is None else foreign_file(uri, store, [info])
        if refusal is not None:
            raise SourceError(refusal)
        state = "is a file of no known kind" if local.exists() else "does not exist"
        msg = (
            f"The source {uri!r} {state}; point source.uri at a folder of images, a Parquet or CSV "
            "file (also JSON Lines, Arrow, ORC, Excel), a glob, s3://bucket/prefix or "
            "example:digits."
        )
        raise SourceError(msg)
    store = open_store(uri, profile, read_only=True)
    return store, list(store.list()), None


def _local_path(uri: str) -> Path | None:
    if uri.startswith("file://"):
        return Path(unquote(urlsplit(uri).path))
    return None if "://" in uri else Path(uri).expanduser()


def _kind(key: str, config: SourceConfig, wanted: Sequence[FileKind]) -> FileKind | None:
    """Return what a file is by its name; None for none that is wanted."""
    suffix = _suffix(key)
    texts = (config.uri, *config.include)
    for kind in wanted:
        if suffix in kind.suffixes | kind.unread:
            return kind
        if kind is ARCHIVE_FILES and _names_archive(key):
            return kind
        if kind.pattern is not None and kind.pattern.fullmatch(key.lower()):
            return kind
        if suffix in kind.named_suffixes and any(_suffix(x) in kind.named_suffixes for x in texts):
            return kind
    return None


def _names_archive(path: str) -> bool:
    return path.lower().endswith(tuple(ARCHIVE_FILES.suffixes))


def _suffix(path: str) -> str:
    """Return the last suffix in small letters, two where the last says how it is packed."""
    suffixes = Path(path.lower()).suffixes
    packed = bool(suffixes) and suffixes[-1] in PACKED
    return "".join(suffixes[-2:] if packed else suffixes[-1:])


def _nothing(config: SourceConfig, listed: Sequence[ObjectInfo], wanted: Sequence[FileKind]) -> str:
    if not listed:
        return (
            f"The source {config.uri!r} is missing or empty; "
            "check source.uri, and that these credentials may list it."
        )
    chosen = " that source.include and source.exclude leave" if config.include else ""
    chosen = chosen or (" that source.exclude leaves" if config.exclude else "")
    *first, last = (kind.name for kind in wanted)
    names = f"{', '.join(first)} or {last}" if first else last
    remedy = "the globs" if config.modality == "auto" else "the globs, or source.modality"
    return (
        f"The source {config.uri!r} holds no {names} file{chosen}, only other files "
        f"({len(listed)}, one of them {listed[0].key!r}); correct source.uri or {remedy}."
    )
