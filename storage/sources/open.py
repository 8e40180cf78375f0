"""From an URI to a source: its files are listed and chosen, and a builder recognises what they are.

Globs apply to '/'-separated relative paths: `*` and `?` stay within one folder, `**` crosses
folders, `[ab]` and `[!ab]` match one character.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from storage.errors import SourceError
from storage.records.modalities import MODALITIES
from storage.records.proposal import Proposal
from storage.sources.builder import Builder, Source, load_builder
from storage.sources.config import SourceConfig
from storage.sources.files import ARCHIVE_FILES, EVERY, FILE_KINDS, FileKind, SourceFiles
from storage.stores.archive import ArchiveStore
from storage.stores.interface import ObjectInfo, ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile, load_profile

EXAMPLE: Final = "example:"
"""How the URI of an example begins."""

_FEW_FILES: Final = 20
_PICKLES: Final = frozenset({".pkl", ".pickle", ".p", ".joblib", ".pk"})
_PICKLE_PROBE_BYTES: Final = 1 << 16
_PICKLED_TABLE: Final = (
    "python -c \"import pandas as pd; pd.read_pickle('{name}').to_parquet('{name}.parquet')\""
)
_PICKLED_IMAGES: Final = (
    "python -c \"import pickle, numpy as np; d = pickle.load(open('{name}', 'rb'), "
    "encoding='latin1'); np.savez('{name}.npz', **{{k.decode() if isinstance(k, bytes) else k: "
    'np.asarray(v) for k, v in d.items()}})"'
)
READ_BY_SOME: Final = frozenset({"labels", "image", "frames", "bits"})
"""Settings that only some sources know."""

_WILDCARD: Final = re.compile(r"[*?\[]")
_COMMON_SUFFIX: Final = re.compile(r"(\.[a-z0-9]{1,5}){1,2}")
_OF_SYSTEMS: Final = frozenset(
    {"__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "recycler", "lost+found"}
    | {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
    | {"__pycache__", "@tmp", "#snapshot", "@sharebin"}
)
"""Files and folders of macOS, Windows and network disks: thumbnails, metadata, waste."""


def open_source(config: SourceConfig, profile: StorageProfile | None = None) -> Source:
    """List a source, find out what it is, and check that it has what the recipe names.

    No record is decoded. The first modality whose builder knows the files has them, unless
    `source.modality` names one. No profile: the credentials that `config.storage` names.

    Raises:
        SourceError: it is missing, empty, of mixed kinds, of another modality, or lacks a column.
        SettingsError: there is no such storage profile, or the URI is wrong.
        LakeError: the store fails, such as AccessDeniedError or BucketMissingError.
    """
    source = _open_example(config.uri) if config.uri.startswith(EXAMPLE) else _open(config, profile)
    if config.modality not in ("auto", source.modality):
        msg = (
            f"The source {config.uri!r} holds {source.modality} and source.modality says "
            f"{config.modality!r}; set it to auto or name another source."
        )
        raise SourceError(msg)
    _check_used(config, source)
    source.check(config)
    return source


def _check_used(config: SourceConfig, source: Source) -> None:
    """Check that this source reads what the recipe sets of what only some sources read."""
    fields = type(config).model_fields
    for name in sorted(READ_BY_SOME - source.reads_settings):
        value = getattr(config, name)
        if value != fields[name].default:
            msg = (
                f"source.{name} {value!r} has no effect on the source {config.uri!r} of "
                f"{source.modality} ({type(source).__name__}); remove it."
            )
            raise SourceError(msg)


def _open_example(uri: str) -> Source:
    examples = {
        name: opener for row in MODALITIES for name, opener in load_builder(row).examples.items()
    }
    if uri not in examples:
        msg = f"There is no source {uri!r}; the examples are {', '.join(examples)}."
        raise SourceError(msg)
    return examples[uri](uri)


def _open(config: SourceConfig, profile: StorageProfile | None) -> Source:
    builders = {name: load_builder(name) for name in MODALITIES}
    candidates = {name: one for name, one in builders.items() if config.modality in ("auto", name)}
    found = find_files(
        config,
        profile or load_profile(config.storage),
        known=_kinds(builders.values()),
        wanted=_kinds(candidates.values()),
    )
    for builder in candidates.values():
        source = builder.open(config, found) if found.kind in builder.files else None
        if source is not None:
            return source
    msg = (
        f"The {found.kind.name} files of the source {config.uri!r} hold no "
        f"{' or '.join(candidates)}; correct source.uri or source.modality."
    )
    raise SourceError(msg)


def _kinds(builders: Iterable[Builder]) -> tuple[FileKind, ...]:
    """Return what these builders read from, each kind once."""
    return tuple(dict.fromkeys(kind for builder in builders for kind in builder.files))


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
        raise SourceError(_pickled(config, store, listed) or _nothing(config, listed, wanted))
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
    is_outside = config.labels is None or kind is ARCHIVE_FILES
    described_by = () if is_outside else _label_files(config, store, beside)
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
    )


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
    by_kind: dict[FileKind, list[ObjectInfo]] = {}
    beside: list[ObjectInfo] = []
    for info in sorted(listed, key=lambda info: info.key):
        if is_hidden(info.key) or excluded(info.key):
            continue
        kind = None if info.key == config.labels else _kind(info.key, config, wanted)
        inside = kind is ARCHIVE_FILES and not any(map(_names_archive, config.include))
        if kind is not None and matched(info.key) and (inside or included(info.key)):
            by_kind.setdefault(kind, []).append(info)
        else:
            beside.append(info)
    return by_kind, beside


def _pickled(config: SourceConfig, store: ObjectStore, listed: Sequence[ObjectInfo]) -> str | None:
    """Return the refusal of files that only running code could read, None where there are none."""
    for info in listed[:_FEW_FILES]:
        suffix = _suffix(info.key)
        if suffix not in _PICKLES and (suffix or info.size_bytes < 2):
            continue
        with store.open(info.key) as file:
            start = file.read(_PICKLE_PROBE_BYTES)
        if suffix in _PICKLES or (start[:1] == b"\x80" and start[1] in range(2, 6)):
            convert = _PICKLED_TABLE if b"pandas" in start else _PICKLED_IMAGES
            return (
                f"The file {info.key!r} of the source {config.uri!r} is a Python pickle, which can "
                "run any code when it is read, so it is refused; where you trust it, convert it "
                f"once: {convert.format(name=info.key.rpartition('/')[2])}"
            )
    return None


def _label_files(
    config: SourceConfig, store: ObjectStore, beside: Sequence[ObjectInfo]
) -> tuple[ObjectInfo, ...]:
    """Return the file of `source.labels`, or with `*.suffix` all of that suffix."""
    labels = config.labels or ""
    if labels.startswith(EVERY):
        companions = tuple(info for info in beside if info.key.endswith(labels[1:]))
        if companions:
            return companions
    info = None if labels.startswith(EVERY) else store.stat(labels)
    if info is None:
        there = ", ".join(repr(one.key) for one in beside[:3]) or "no other file"
        msg = (
            f"There is no label file {labels!r} in the source {config.uri!r}, which holds "
            f"{there} beside the records; correct source.labels, a path below the source."
        )
        raise SourceError(msg)
    return (info,)


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
    if kind is not None:
        return "outside the globs"
    suffix = _suffix(key)
    return suffix if _COMMON_SUFFIX.fullmatch(suffix) else "other"


def _list(
    uri: str, profile: StorageProfile | None, known: Sequence[FileKind]
) -> tuple[ObjectStore, list[ObjectInfo], str | None]:
    """Return the store of the folder, what lies below, and the glob of the URI if it has one."""
    local = _local_path(uri)
    if _WILDCARD.search(uri) and not (local is not None and local.exists()):
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
        state = "is a file of no known kind" if local.exists() else "does not exist"
        msg = (
            f"The source {uri!r} {state}; point source.uri at a folder of images, a Parquet or CSV "
            "file, a glob, s3://bucket/prefix or example:digits."
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
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


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


def split_glob(uri: str) -> tuple[str, str]:
    """Cut an URI with wildcards into the folder above the first one and the glob below it."""
    cut = literal_prefix(uri).rfind("/")
    if cut < 0:
        return ".", uri
    return uri[:cut] or "/", uri[cut + 1 :]


def literal_prefix(glob: str) -> str:
    """Return what every match of `glob` starts with."""
    return _WILDCARD.split(glob, maxsplit=1)[0]


def compile_glob(glob: str) -> re.Pattern[str]:
    """Translate a glob to a regular expression for `fullmatch` on a relative path."""
    tokens = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|[^*?\[]+|\[")
    return re.compile("".join(_translate(token) for token in tokens.findall(glob)), re.DOTALL)


def any_of(globs: Sequence[str]) -> Callable[[str], bool]:
    """Return a test whether a relative path matches one of `globs`.

    A glob without a slash applies to the file name alone; `folder/` means everything below it.
    """
    by_name = [compile_glob(glob) for glob in globs if "/" not in glob]
    by_path = [
        compile_glob(glob.removeprefix("./").lstrip("/") + ("**" if glob.endswith("/") else ""))
        for glob in globs
        if "/" in glob
    ]

    def matches(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(p.fullmatch(name) for p in by_name) or any(p.fullmatch(path) for p in by_path)

    return matches


def is_hidden(path: str) -> bool:
    """Say whether a file or a folder of the path is hidden (`.name`) or a system's own."""
    return any(part.startswith(".") or part.lower() in _OF_SYSTEMS for part in path.split("/"))


def _translate(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and len(token) > 2:
        body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token)
