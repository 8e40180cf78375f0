"""From an URI to the files of a source: kinds of files, listing, choice, digest, Parquet footers.

Globs apply to '/'-separated relative paths: `*` and `?` stay within one folder, `**` crosses
folders, `[ab]` and `[!ab]` match one character.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from storage.digests import digest_json, sha256_hex
from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.stores.interface import ObjectInfo, ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

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
    """Say whether a file or a folder of the path is hidden (`.name`) or left by an archiver."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _translate(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and len(token) > 2:
        body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token)


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """Files that are read in one way, known by their names."""

    name: str
    """As messages say it: `image`, for image files."""
    suffixes: frozenset[str]
    """In small letters, two where the last says how the file is packed."""
    named_suffixes: frozenset[str] = frozenset()
    """Of files that are read where the recipe names them, not where they just lie in the folder."""
    companions: frozenset[str] = frozenset()
    """Names of kinds that lie beside these files to describe them and are then left out."""


IMAGE_FILES: Final = FileKind(
    name="image",
    suffixes=frozenset(
        {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm"}
        | {".tif", ".tiff", ".webp"}
    ),
    companions=frozenset({"CSV"}),
)
PARQUET_FILES: Final = FileKind(name="Parquet", suffixes=frozenset({".parquet", ".pq"}))
CSV_FILES: Final = FileKind(
    name="CSV",
    suffixes=frozenset({".csv", ".tsv", ".csv.gz", ".tsv.gz"}),
    named_suffixes=frozenset({".txt", ".txt.gz"}),
)
FILE_KINDS: Final = (IMAGE_FILES, PARQUET_FILES, CSV_FILES)

REMOTE_THREADS: Final = 32
"""Requests in flight against a remote store, where waiting costs more than computing."""

_DIGEST_BLOCK_BYTES = 1 << 20
_DIGEST_FILES = 64
_FEW_FILES = 16


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """The files of a source, all of one kind, sorted by relative path."""

    uri: str
    """As the user wrote it."""

    store: ObjectStore
    """Rooted at the folder of the source; the keys are the relative paths."""

    files: tuple[ObjectInfo, ...]
    """Never empty."""

    ignored: int
    """Files below the source that were not chosen."""

    kind: FileKind
    """What they are, by their names."""

    @property
    def remote(self) -> bool:
        """Whether every request crosses a network."""
        return self.store.uri.startswith("s3://")

    @cached_property
    def parquet(self) -> "ParquetFiles":
        """These files as Parquet, their footers read once.

        Raises:
            SourceError: one is no Parquet file, or there is no row in any.
        """
        return ParquetFiles(self)


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
    store, listed, glob = _list(config.uri, profile, known)
    matched = compile_glob(glob).fullmatch if glob else bool
    included = any_of(config.include) if config.include else bool
    excluded = any_of(config.exclude)
    by_kind: dict[FileKind, list[ObjectInfo]] = {}
    for info in sorted(listed, key=lambda info: info.key):
        kind = _kind(info.key, config, wanted)
        chosen = matched(info.key) and included(info.key) and not excluded(info.key)
        if kind is not None and chosen and not is_hidden(info.key):
            by_kind.setdefault(kind, []).append(info)
    if not by_kind:
        raise SourceError(_nothing(config, listed, wanted))
    described = {name for kind in by_kind for name in kind.companions}
    left = sorted(
        (kind for kind in by_kind if kind.name not in described), key=lambda one: one.name.lower()
    )
    if len(left) > 1:
        (one, first), (other, second) = ((each.name, by_kind[each][0].key) for each in left[:2])
        msg = (
            f"The source {config.uri!r} holds both {one} files ({first!r}) and {other} files "
            f"({second!r}); choose one kind with source.include, such as ['*.parquet']."
        )
        raise SourceError(msg)
    kind, files = left[0], by_kind[left[0]]
    ignored = len(listed) - len(files)
    return SourceFiles(uri=config.uri, store=store, files=tuple(files), ignored=ignored, kind=kind)


def digest_files(store: ObjectStore, files: Sequence[ObjectInfo]) -> str:
    """Return the source digest: sorted (relative path, size, S3 ETag or sha256)."""

    def tagged(part: Sequence[ObjectInfo]) -> list[tuple[str, int, str]]:
        return [(info.key, info.size_bytes, info.etag or _sha256(store, info)) for info in part]

    parts = [files[start : start + _DIGEST_FILES] for start in range(0, len(files), _DIGEST_FILES)]
    with ThreadPoolExecutor(4) as pool:
        rows = [row for part in pool.map(tagged, parts) for row in part]
    return digest_json(sorted(rows))


def verify_unchanged(found: SourceFiles) -> None:
    """Check that every file still has the size and tag of the listing.

    Raises:
        SourceError: one of them changed or vanished.
    """
    few = len(found.files) <= _FEW_FILES
    now = {} if few else {info.key: info for info in found.store.list()}
    for info in found.files:
        if (found.store.stat(info.key) if few else now.get(info.key)) != info:
            raise changed(found.uri, info.key)


def changed(uri: str, key: str) -> SourceError:
    """Make the error for a file that is no longer what the listing said."""
    return SourceError(
        f"The file {key!r} of the source {uri!r} changed while it was read; "
        "run again when nothing writes there."
    )


def _sha256(store: ObjectStore, info: ObjectInfo) -> str:
    if info.size_bytes <= _DIGEST_BLOCK_BYTES:
        return sha256_hex(store.get(info.key))
    digest = sha256()
    with store.open(info.key) as file:
        while block := file.read(_DIGEST_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _list(
    uri: str, profile: StorageProfile | None, known: Sequence[FileKind]
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
    suffixes = {suffix for kind in known for suffix in kind.suffixes | kind.named_suffixes}
    if _suffix(uri) in suffixes and not (local and local.is_dir()):
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
    for kind in wanted:
        named = suffix in kind.named_suffixes and _names_any(config, kind.named_suffixes)
        if suffix in kind.suffixes or named:
            return kind
    return None


def _names_any(config: SourceConfig, suffixes: Collection[str]) -> bool:
    return any(_suffix(text) in suffixes for text in (config.uri, *config.include))


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


_READ_BUFFER_BYTES: Final = 4 << 20
"""Column chunks are streamed through buffers of this size instead of being read whole."""


@dataclass(frozen=True, kw_only=True)
class Footer:
    """What one file says of itself."""

    rows: int
    schema: pa.Schema


class ParquetFiles:
    """One or more Parquet files and what their footers say.

    Raises:
        SourceError: a file is no Parquet file, or there is no row in any.
    """

    def __init__(self, found: SourceFiles) -> None:
        self.found = found
        self.uri = found.uri
        keys = [info.key for info in found.files]
        with ThreadPoolExecutor(REMOTE_THREADS if found.remote else 4) as pool:
            self.footers = dict(zip(keys, pool.map(self._footer, keys), strict=True))
        self.first = next((key for key in keys if self.footers[key].rows), keys[0])
        if not self.rows:
            msg = f"The source {self.uri!r} is empty: its Parquet files hold no row; fill them."
            raise SourceError(msg)

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(footer.rows for footer in self.footers.values())

    @property
    def schema(self) -> pa.Schema:
        """Of the first file with rows."""
        return self.footers[self.first].schema

    def batches(self, key: str, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of a file in batches of so many rows.

        Raises:
            SourceError: the file is damaged.
        """
        with self.reading(key) as file:
            yield from file.iter_batches(rows, columns=list(columns), use_threads=False)

    def lacks(self, key: str, name: str) -> SourceError:
        """Make the error for a file without a column that the first one has."""
        return SourceError(
            f"The file {key!r} of the source {self.uri!r} lacks the column {name!r} that "
            f"{self.first!r} has; leave it out with source.exclude."
        )

    @contextmanager
    def reading(self, key: str) -> Iterator[pq.ParquetFile]:
        """Open a file.

        Raises:
            SourceError: it is no Parquet file, or damaged where the caller reads.
        """
        try:
            with (
                self.found.store.open(key) as stream,
                pq.ParquetFile(stream, buffer_size=_READ_BUFFER_BYTES, pre_buffer=False) as file,
            ):
                yield file
        except (pa.ArrowException, OSError) as error:
            msg = (
                f"The file {key!r} of the source {self.uri!r} is no readable Parquet file "
                f"({str(error).splitlines()[0]}); replace it or leave it out with source.exclude."
            )
            raise SourceError(msg) from error

    def _footer(self, key: str) -> Footer:
        with self.reading(key) as file:
            return Footer(rows=file.metadata.num_rows, schema=file.schema_arrow)
