"""From an URI to a source: its files are listed and chosen, and their kind decides what it is.

In globs over '/'-separated relative paths `*` and `?` stay within one folder, `**` crosses folders,
`[ab]` and `[!ab]` match one character.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from storage.errors import SourceError
from storage.sources.builder import Source
from storage.sources.config import SourceConfig
from storage.sources.examples import SCHEME, open_example
from storage.sources.files import FileKind, ParquetFiles, SourceFiles
from storage.sources.images.source import ImageFolderSource, ParquetImages, find_image_column
from storage.sources.tables.csv_source import DelimitedTable
from storage.sources.tables.source import ParquetTable
from storage.stores.interface import ObjectInfo, ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile, load_profile

IMAGE_SUFFIXES: Final = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
PARQUET_SUFFIXES: Final = frozenset({".parquet", ".pq"})
CSV_SUFFIXES: Final = frozenset({".csv", ".tsv", ".csv.gz", ".tsv.gz"})
TEXT_SUFFIXES: Final = frozenset({".txt", ".txt.gz"})
"""Read as CSV where the recipe names them, not where they just lie in the folder."""

_NAMES: Final[dict[FileKind, str]] = {
    "images": "image files",
    "parquet": "Parquet files",
    "csv": "CSV files",
}
_KNOWN_SUFFIXES: Final = IMAGE_SUFFIXES | PARQUET_SUFFIXES | CSV_SUFFIXES | TEXT_SUFFIXES


def open_source(config: SourceConfig, profile: StorageProfile | None = None) -> Source:
    """List a source, find out what it is, and check that it has what the recipe names.

    No image is decoded. The kind follows from the content: `example:`, image files, CSV, Parquet
    with a column of encoded images, or other Parquet, which is a table; `source.modality`
    overrides.

    Args:
        config: the recipe's `source`.
        profile: credentials; None = those that `config.storage` names.

    Raises:
        SourceError: it is missing, empty, of mixed kinds, of another modality, or lacks a column.
        SettingsError: there is no such storage profile, or the URI is wrong.
        LakeError: the store fails, such as AccessDeniedError or BucketMissingError.
    """
    source = open_example(config) if config.uri.startswith(SCHEME) else _open(config, profile)
    if config.modality not in ("auto", source.modality):
        msg = (
            f"The source {config.uri!r} holds {source.modality} and source.modality says "
            f"{config.modality!r}; set it to auto or name another source."
        )
        raise SourceError(msg)
    source.check(config)
    return source


def _open(config: SourceConfig, profile: StorageProfile | None) -> Source:
    found = find_files(config, profile or load_profile(config.storage))
    if found.kind == "images":
        return ImageFolderSource(config, found)
    if found.kind == "csv":
        return DelimitedTable(config, found)
    files = ParquetFiles(found)
    if config.modality == "images" or (
        config.modality == "auto" and find_image_column(files) is not None
    ):
        return ParquetImages(files)
    return ParquetTable(config, files)


def find_files(config: SourceConfig, profile: StorageProfile | None) -> SourceFiles:
    """List a source and choose its files.

    Image files count before CSV files beside them, which may describe them; `source.modality`
    leaves out what is of the other.

    Raises:
        SourceError: nothing is there, nothing is readable, or two kinds are mixed.
        LakeError: the store fails.
    """
    store, listed, glob = _list(config.uri, profile)
    wanted = compile_glob(glob).fullmatch if glob else bool
    included = any_of(config.include) if config.include else bool
    excluded = any_of(config.exclude)
    by_kind: dict[FileKind, list[ObjectInfo]] = {}
    for info in sorted(listed, key=lambda info: info.key):
        kind = _kind(info.key, config)
        chosen = wanted(info.key) and included(info.key) and not excluded(info.key)
        if kind is not None and chosen and not is_hidden(info.key):
            by_kind.setdefault(kind, []).append(info)
    if not by_kind:
        raise SourceError(_nothing(config, listed))
    if "images" in by_kind:
        by_kind.pop("csv", None)
    if len(by_kind) > 1:
        (one, first), (other, second) = ((kind, by_kind[kind][0].key) for kind in sorted(by_kind))
        msg = (
            f"The source {config.uri!r} holds both {_NAMES[one]} ({first!r}) and {_NAMES[other]} "
            f"({second!r}); choose one kind with source.include, such as ['*.parquet']."
        )
        raise SourceError(msg)
    ((kind, files),) = by_kind.items()
    ignored = len(listed) - len(files)
    return SourceFiles(uri=config.uri, store=store, files=tuple(files), ignored=ignored, kind=kind)


def _list(
    uri: str, profile: StorageProfile | None
) -> tuple[ObjectStore, list[ObjectInfo], str | None]:
    """Return the store of the folder, what lies below, and the glob of the URI if it has one."""
    local = _local_path(uri)
    if has_wildcard(uri) and not (local is not None and local.exists()):
        folder, glob = split_glob(uri)
        if folder.endswith(":/"):
            msg = f"The source {uri!r} has a wildcard in the bucket; name one bucket."
            raise SourceError(msg)
        store = open_store(folder, profile, read_only=True)
        return store, list(store.list(literal_prefix(glob))), glob
    if _suffix(uri) in _KNOWN_SUFFIXES and not (local and local.is_dir()):
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


def _kind(key: str, config: SourceConfig) -> FileKind | None:
    """Return what a file is by its name; None for none that this recipe reads."""
    suffix = _suffix(key)
    kind: FileKind | None = None
    if suffix in IMAGE_SUFFIXES:
        kind = "images"
    elif suffix in PARQUET_SUFFIXES:
        kind = "parquet"
    elif suffix in CSV_SUFFIXES or (suffix in TEXT_SUFFIXES and _names_text(config)):
        kind = "csv"
    other = {"images": "csv", "tables": "images"}.get(config.modality)
    return None if kind == other else kind


def _names_text(config: SourceConfig) -> bool:
    return any(_suffix(text) in TEXT_SUFFIXES for text in (config.uri, *config.include))


def _suffix(path: str) -> str:
    """Return the last suffix in small letters, two where the last says how it is packed."""
    suffixes = Path(path.lower()).suffixes
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _nothing(config: SourceConfig, listed: Sequence[ObjectInfo]) -> str:
    if not listed:
        return (
            f"The source {config.uri!r} is missing or empty; "
            "check source.uri, and that these credentials may list it."
        )
    chosen = " that source.include and source.exclude leave" if config.include else ""
    chosen = chosen or (" that source.exclude leaves" if config.exclude else "")
    names = {"images": "image or Parquet", "tables": "Parquet or CSV"}
    wanted = names.get(config.modality, "image, Parquet or CSV")
    remedy = "the globs" if config.modality == "auto" else "the globs, or source.modality"
    return (
        f"The source {config.uri!r} holds no {wanted} file{chosen}, only other files "
        f"({len(listed)}, one of them {listed[0].key!r}); correct source.uri or {remedy}."
    )


_WILDCARD = re.compile(r"[*?\[]")


def has_wildcard(text: str) -> bool:
    """Say whether `text` is a glob."""
    return _WILDCARD.search(text) is not None


def split_glob(uri: str) -> tuple[str, str]:
    """Cut an URI with wildcards into the folder above the first one and the glob below it."""
    wildcard = _WILDCARD.search(uri)
    cut = uri.rfind("/", 0, wildcard.start() if wildcard else len(uri))
    if cut < 0:
        return ".", uri
    return uri[:cut] or "/", uri[cut + 1 :]


def literal_prefix(glob: str) -> str:
    """Return what every match of `glob` starts with."""
    wildcard = _WILDCARD.search(glob)
    return glob if wildcard is None else glob[: wildcard.start()]


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
    """Say whether a file or a folder of the path is hidden (`.name`) or an archive's own."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _translate(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and len(token) > 2:
        body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token)
