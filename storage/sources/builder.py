"""The storage half of a modality: sources of its records, and the builder that makes them ready.

What every source and every builder offers, whatever the records are, and the checks that all of
them share: enough records, enough of every class.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.digests import digest_json
from storage.errors import SourceError
from storage.records.durable import sync_file
from storage.records.modalities import MODALITIES, load_code
from storage.records.proposal import Proposal
from storage.records.schema import ClassCounts, Column
from storage.records.table_metadata import read_table_metadata
from storage.sources.checks import missing_column
from storage.sources.config import SourceConfig
from storage.sources.files import FileKind, ParquetFiles, SourceFiles, digest_files, verify_files
from storage.sources.given import GivenRecords, GivenRequest, said_of_data
from storage.sources.listing import find_files
from storage.sources.paths import PathColumns, split_by_path
from storage.sources.split import SPLITS
from storage.sources.survey import Survey, label_by_name
from storage.stores.settings import load_profile


@dataclass(frozen=True, kw_only=True)
class SourceDescription:
    """What is known of a source before its records are prepared."""

    kind: str
    """`example`, `folder`, `parquet` or `csv`."""
    modality: str
    """A name in `storage.records.modalities.MODALITIES`."""
    files: int
    """Files that hold records."""
    size_bytes: int
    """Bytes of these files."""
    ignored_files: int
    """Other files beside them."""
    rows: int
    """Records, before any is found unreadable."""
    columns: tuple[str, ...]
    """What can be a label or decide the split."""


class Source(ABC):
    """Records in an order that depends on the source alone.

    Every method raises `SourceError` for an unfit source and `LakeError` for a failing store.
    """

    uri: str
    """As the user wrote it."""
    modality: str
    """A name in `storage.records.modalities.MODALITIES`."""
    ignored_files: int = 0
    """Files beside those that hold records; known from the listing."""
    left_out: Mapping[str, int] = {}
    """The same, by suffix or by what they are."""
    reads_settings: frozenset[str] = frozenset()
    """Which it knows of the settings of `source` that only some sources know."""

    def evidence(self, config: SourceConfig) -> tuple[Proposal, ...]:  # noqa: ARG002 - children's
        """Return settings for what the source shows and the recipe does not use, such as a split.

        Only names are looked at, and what lies beside the records.
        """
        return ()

    @property
    def partitions(self) -> tuple[str, ...]:
        """Columns that folders of the form `name=value` say."""
        return ()

    @property
    def listing_notes(self) -> tuple[str, ...]:
        """Sentences on how the files were found, and what they are taken for."""
        return ()

    @property
    def announcement(self) -> str | None:
        """What a person should know before a large source is read; None: nothing."""
        return None

    @cached_property
    @abstractmethod
    def digest(self) -> str:
        """Digest of everything that is read, without the root and without times."""

    @cached_property
    @abstractmethod
    def description(self) -> SourceDescription:
        """Counts and names; no image is decoded for them, but CSV files are read."""

    @abstractmethod
    def column_type(self, name: str) -> pa.DataType:
        """Return the type of a column.

        Raises:
            SourceError: there is no such column; the message lists those that exist.
        """

    @abstractmethod
    def check(self, config: SourceConfig) -> None:
        """Check what can be checked of the recipe's columns before the records are read.

        Raises:
            SourceError: a column is missing, or of a type that it must not have.
        """

    @abstractmethod
    def verify_unchanged(self) -> None:
        """Check that the source is still what `digest` says, after it was read.

        Raises:
            SourceError: files came, went or changed meanwhile.
        """


class FileSource(Source):
    """A source that consists of files."""

    def __init__(self, found: SourceFiles) -> None:
        self.uri = found.uri
        self.ignored_files = found.ignored
        self.left_out = found.left_out
        self._found = found

    @property
    def listing_notes(self) -> tuple[str, ...]:
        """Sentences on how the files were found."""
        return self._found.notes

    @cached_property
    def _paths(self) -> PathColumns:
        """The columns that the paths of the files say."""
        return PathColumns(self.uri, [info.key for info in self._found.files])

    @property
    def partitions(self) -> tuple[str, ...]:
        """Columns that folders of the form `name=value` say."""
        return self._paths.names

    def evidence(self, config: SourceConfig) -> tuple[Proposal, ...]:
        """Propose the split that the paths of the files say, where the recipe names none."""
        split = config.split
        if split.column is not None or split.holdout_uri is not None:
            return ()
        proposal = split_by_path([info.key for info in self._found.files])
        return self._split_column() if proposal is None else (proposal,)

    def _split_column(self) -> tuple[Proposal, ...]:
        """Propose a column that is called like a split, where its values name splits."""
        return ()

    @cached_property
    def digest(self) -> str:
        """Digest of the sorted (relative path, size, content tag)."""
        return digest_files(self._found.store, self._found.read)

    def verify_unchanged(self) -> None:
        """Check that every file still has the size and tag of the listing."""
        verify_files(self._found)

    def _described(self, kind: str, rows: int, columns: Sequence[str]) -> SourceDescription:
        return SourceDescription(
            kind=kind,
            modality=self.modality,
            files=len(self._found.files),
            size_bytes=sum(info.size_bytes for info in self._found.files),
            ignored_files=self.ignored_files,
            rows=rows,
            columns=tuple(columns),
        )


class ParquetSource(FileSource):
    """The rows of one or more Parquet files with equal columns, and what their paths say."""

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:  # noqa: ARG002 - children's
        super().__init__(files.found)
        self._files = files

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the footers."""
        return self._described("parquet", self._files.rows, self._known_columns())

    def column_type(self, name: str) -> pa.DataType:
        """Return the type of the column in the first file, or of what the paths say."""
        if name in self._files.schema.names:
            return self._files.schema.field(name).type
        type_ = self._paths.type(name)
        if type_ is None:
            raise missing_column(self.uri, name, self._known_columns())
        return type_

    def check(self, config: SourceConfig) -> None:
        """Check that the label is there."""
        if config.label is not None:
            self.column_type(config.label)

    def _known_columns(self) -> list[str]:
        """Return the columns that can be a label or decide the split."""
        names = self._files.schema.names
        return [*names, *(name for name in self._paths.names if name not in names)]


def scikit_learn_datasets(example: str) -> Any:
    """Return the module of the data sets that scikit-learn brings.

    Raises:
        SourceError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        msg = (
            f"The source 'example:{example}' needs scikit-learn, which is not installed; "
            "run pip install 'ganmill[jobs]'."
        )
        raise SourceError(msg) from error
    return datasets


Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""


@dataclass(frozen=True, kw_only=True)
class PrepareJob:
    """One source, or a source and its separate holdout, to be prepared."""

    config: SourceConfig
    sources: tuple[Source, ...]
    """The source, and the holdout of `split.holdout_uri` where there is one."""
    min_group: int
    progress: Progress | None
    seen_rows: int | None = None
    """Records of which the training budget can read no more; None = not known."""

    @property
    def digest(self) -> str:
        """The source digest; of both digests where the holdout is a source of its own."""
        digests = [source.digest for source in self.sources]
        return digests[0] if len(digests) == 1 else digest_json(digests)

    @property
    def ignored_files(self) -> int:
        """Files beside the records."""
        return sum(source.ignored_files for source in self.sources)


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a builder left in its folder; by split where it is a mapping."""

    split_rule: Mapping[str, Any]
    rows: Mapping[str, int]
    class_counts: Mapping[str, ClassCounts]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {name: (f"{name}.arrow",) for name in SPLITS}
    )
    """Names of the files; by default those of `write_splits`."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What `load` needs besides; JSON-able."""


class Builder(ABC):
    """Recognises the sources of one modality and prepares their records. Carries no state."""

    files: tuple[FileKind, ...]
    """What its records are read from."""
    examples: Mapping[str, Callable[[str], Source]] = {}
    """URIs `example:<name>`, and what opens them."""

    @abstractmethod
    def open(self, config: SourceConfig, found: SourceFiles) -> Source | None:
        """Return the source that these files of one of its kinds are; None: of another modality.

        Raises:
            SourceError: the files are damaged, or not what `source.modality` says.
        """

    @abstractmethod
    def settings(self, config: SourceConfig, min_group: int) -> dict[str, Any]:
        """Return the settings that shape records, for keys: no URI, no credentials, no file choice.

        Which files were read is in the source digest; how they are divided is in the split rule.

        Args:
            config: the recipe's `source`.
            min_group: `privacy.min_group`.
        """

    def limits(self, job: PrepareJob) -> dict[str, Any]:
        """Return what decides how many records are kept, beyond the source; for the cache.

        Here: nothing, or what the recipe says.
        """
        said = job.config.max_rows
        return {} if said == "auto" else {"max_rows": said}

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:  # noqa: ARG002
        """Return what a recipe for one of its sources should say; here: what names tell.

        Args:
            source: as the recipe's `source` opened it, which names no label unless the user did.
            config: that part of the recipe.
            min_group: `privacy.min_group`.

        Raises:
            SourceError: the source is unfit.
        """
        return label_by_name(source.description.columns)

    def recognise(
        self,
        source: Source,  # noqa: ARG002
        config: SourceConfig,  # noqa: ARG002
        min_group: int,  # noqa: ARG002
    ) -> tuple[Proposal, ...]:
        """Return the settings by which a source holds records of this modality after all.

        It is asked about sources that it may not have opened, of which the recipe does not say what
        they are; the values are looked at. Nothing: they are not, or the source was opened as such.
        """
        return ()

    def unused(self, config: SourceConfig, schema: pa.Schema) -> Mapping[str, str]:  # noqa: ARG002
        """Return settings of `settings` that these files do not need: its path → why.

        Args:
            config: the recipe's `source`.
            schema: of the prepared records.
        """
        return {}

    @abstractmethod
    def describe(self, schema: pa.Schema) -> str:
        """Return in a few words what prepared records are, such as their size."""

    def columns(self, schema: pa.Schema) -> tuple[Column, ...]:
        """Return what the columns of prepared records are; nothing where they have no kinds."""
        described = read_table_metadata(schema)
        return () if described is None else described.columns

    def measures(self, records: pa.Table) -> Mapping[str, int]:  # noqa: ARG002
        """Return what else is counted in records besides themselves: its name → how many."""
        return {}

    def libraries(self) -> Mapping[str, str]:
        """Return the versions that the prepared records depend on: pyarrow's, which reads files."""
        return {"pyarrow": pa.__version__}

    @abstractmethod
    def build(self, job: PrepareJob, folder: Path) -> Built:
        """Read, split and write the records into the empty `folder`.

        Raises:
            SourceError: the source is unfit.
            LakeError: the store that holds it fails.
        """

    def read_given(self, request: GivenRequest) -> GivenRecords:
        """Read records that somebody brings as records of a prepared source; no split, no mark.

        Here: what `build` makes of them, whose checks are those of a source.

        Raises:
            SourceError: they cannot be read, or lack what the known records have.
            LakeError: the store that holds them fails.
        """
        with said_of_data():
            config = request.plain_config(label=request.config.label)
            profile = request.profile or load_profile(config.storage)
            files = find_files(config, profile, known=self.files, wanted=self.files)
            source = self.open(config, files)
            if source is None:
                msg = f"The source {request.uri!r} holds other {files.kind.name} files; correct it."
                raise SourceError(msg)
            source.check(config)
            job = PrepareJob(
                config=config, sources=(source,), min_group=1, progress=request.progress
            )
            built = self.build(job, request.folder)
            source.verify_unchanged()
        splits = {name: {"rows": built.rows[name]} for name in SPLITS}
        index = {"label": config.label, "details": built.details, "splits": splits}
        parts = self.load(request.folder, index).values()
        known, found = request.known.schema, source.description.columns
        lacking = [n for n in known.names if any(n not in part.column_names for part in parts)]
        if lacking:
            raise missing_column(request.uri, lacking[0], found, place="the source's columns")
        records = pa.concat_tables([part.select(known.names).cast(known) for part in parts])
        return GivenRecords(records=records, digest=source.digest, notes=built.notes)

    def load(self, folder: Path, index: Mapping[str, Any]) -> Mapping[str, pa.Table]:
        """Map the records of every split; nothing is read yet. Here: what `write_splits` wrote.

        Args:
            folder: what `build` filled.
            index: `label`, `details`, and `splits` with the `rows` of each.
        """
        return {name: map_arrow(folder / f"{name}.arrow") for name in index["splits"]}


def load_builder(modality: str) -> Builder:
    """Return the builder of a modality.

    Raises:
        KeyError: there is none.
    """
    builder: Builder = load_code(MODALITIES[modality].builder)
    return builder


def write_arrow(path: Path, records: pa.Table) -> None:
    """Write records as one batch, so that they are mapped in one chunk; durable on return."""
    records = records.combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, records.schema) as writer:
        writer.write_table(records)
    sync_file(path)


def write_splits(
    folder: Path, records: pa.Table, splits_N: NDArray[np.uint8]
) -> dict[str, pa.Table]:
    """Write a file `<split>.arrow` for every split, and return its records.

    Args:
        folder: of the entry.
        records: N records.
        splits_N: the number of each record's split in `SPLITS`; others go nowhere.
    """
    parts = {}
    for number, name in enumerate(SPLITS):
        parts[name] = records.filter(pa.array(splits_N == number))
        write_arrow(folder / f"{name}.arrow", parts[name])
    return parts


def map_arrow(path: Path) -> pa.Table:
    """Map what `write_arrow` wrote."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
