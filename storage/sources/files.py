"""The files of a source: kinds, the choice of a listing, digests, and reading those in Parquet."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from storage.digests import digest_json, sha256_hex
from storage.errors import SourceError
from storage.stores.archive import ARCHIVE_SUFFIXES
from storage.stores.interface import ObjectInfo, ObjectStore

REMOTE_THREADS: Final = 32
"""Requests in flight against a remote store, where waiting costs more than computing."""

_DIGEST_BLOCK_BYTES: Final = 1 << 20
_DIGEST_FILES: Final = 64
_FEW_FILES: Final = 16
_READ_BUFFER_BYTES: Final = 4 << 20
"""Column chunks are streamed through buffers of this size instead of being read whole."""


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
    takes_labels: bool = False
    """Whether a file of `source.labels` may say what they are of."""
    unread: frozenset[str] = frozenset()
    """Suffixes of files that are of this kind and that nothing here decodes: they count as records
    that cannot be read."""
    pattern: re.Pattern[str] | None = None
    """Of the names, in small letters, that have no suffix of their own."""
    alone: bool = False
    """Chosen only where no other kind is there: beside other files they often serve another end."""


HEIF_SUFFIXES: Final = frozenset({".heic", ".heif", ".hif"})
"""What many phones write; read through pillow-heif."""
CAMERA_RAW_SUFFIXES: Final = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".rw2", ".sr2", ".srf", ".srw", ".x3f"}
)
"""What the sensors of cameras saw, before it is a picture."""
PACKED: Final = frozenset({".gz", ".zst", ".bz2", ".xz", ".zip"})
"""Suffixes of packed texts; a zip holds one file."""


def _texts(*suffixes: str) -> frozenset[str]:
    """Return the suffixes of texts, plain and packed."""
    return frozenset(suffix + packed for suffix in suffixes for packed in ("", *PACKED))


OTHER_TABLES: Final = frozenset({"JSON Lines", "Arrow", "ORC", "Excel"})
"""Kinds that are left out beside files of kinds that are more usual sources."""

IMAGE_FILES: Final = FileKind(
    name="image",
    suffixes=frozenset(
        {".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"}
        | {".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
        | HEIF_SUFFIXES
    ),
    companions=frozenset({"CSV"}) | OTHER_TABLES,
    takes_labels=True,
    unread=CAMERA_RAW_SUFFIXES | frozenset({".jxl"}),
)
PARQUET_FILES: Final = FileKind(
    name="Parquet", suffixes=frozenset({".parquet", ".pq"}), companions=OTHER_TABLES
)
CSV_FILES: Final = FileKind(
    name="CSV",
    suffixes=_texts(".csv", ".tsv"),
    named_suffixes=_texts(".txt"),
    companions=OTHER_TABLES,
)
JSON_FILES: Final = FileKind(
    name="JSON Lines", suffixes=_texts(".jsonl", ".ndjson"), named_suffixes=_texts(".json")
)
ARROW_FILES: Final = FileKind(
    name="Arrow", suffixes=frozenset({".arrow", ".arrows", ".feather", ".ipc"})
)
ORC_FILES: Final = FileKind(name="ORC", suffixes=frozenset({".orc"}))
EXCEL_FILES: Final = FileKind(name="Excel", suffixes=frozenset({".xlsx", ".xlsm"}))
ARRAY_FILES: Final = FileKind(
    name="array",
    suffixes=frozenset({".npz", ".npy"}),
    pattern=re.compile(r".*[-.]idx\d-ubyte(\.gz)?"),
    alone=True,
)
ARCHIVE_FILES: Final = FileKind(name="archive", suffixes=ARCHIVE_SUFFIXES, alone=True)
"""What is in them is chosen as the files of a folder are."""
SERIES_FILES: Final = FileKind(name="time series", suffixes=frozenset({".ts"}), alone=True)
"""The archives of time series that researchers compare on."""
FILE_KINDS: Final = (
    *(IMAGE_FILES, PARQUET_FILES, CSV_FILES),
    *(JSON_FILES, ARROW_FILES, ORC_FILES, EXCEL_FILES, ARRAY_FILES),
)


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """The files of a source, all of one kind, sorted by relative path."""

    uri: str
    """As the user wrote it."""
    store: ObjectStore
    """Rooted at the folder of the source; the keys are the relative paths."""
    files: tuple[ObjectInfo, ...]
    """Never empty."""
    kind: FileKind
    """What they are, by their names."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Files below the source that were not chosen, counted by suffix or by what they are."""
    beside: tuple[ObjectInfo, ...] = ()
    """Those of them that may describe the others: neither hidden nor excluded."""
    described_by: tuple[ObjectInfo, ...] = ()
    """The files of `source.labels`: none of `files`, and read like them."""
    sidecars: tuple[ObjectInfo, ...] = ()
    """Documents below the source that may say that files are synthetic."""
    notes: tuple[str, ...] = ()
    """Sentences on how the files were found."""

    @property
    def read(self) -> tuple[ObjectInfo, ...]:
        """All that decides the records."""
        return (*self.files, *self.described_by)

    @property
    def ignored(self) -> int:
        """Files below the source that were not chosen."""
        return sum(self.left_out.values())

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


def digest_files(store: ObjectStore, files: Sequence[ObjectInfo]) -> str:
    """Return the source digest: sorted (relative path, size, S3 ETag or sha256)."""

    def tagged(part: Sequence[ObjectInfo]) -> list[tuple[str, int, str]]:
        return [(info.key, info.size_bytes, info.etag or _sha256(store, info)) for info in part]

    parts = [files[start : start + _DIGEST_FILES] for start in range(0, len(files), _DIGEST_FILES)]
    with ThreadPoolExecutor(4) as pool:
        rows = [row for part in pool.map(tagged, parts) for row in part]
    return digest_json(sorted(rows))


def verify_files(found: SourceFiles) -> None:
    """Check that every file still has the size and tag of the listing.

    Raises:
        SourceError: one of them changed or vanished.
    """
    few = len(found.files) <= _FEW_FILES
    now = {} if few else {info.key: info for info in found.store.list()}
    for info in found.read:
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


@dataclass(frozen=True, kw_only=True)
class Footer:
    """What one file says of itself."""

    rows: int
    schema: pa.Schema
    metadata: Mapping[bytes, bytes]
    """The file's own key-value metadata."""


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
            return Footer(
                rows=file.metadata.num_rows,
                schema=file.schema_arrow,
                metadata=file.metadata.metadata or {},
            )
