"""How records become the bytes of one shard, and back; and one Parquet file in memory.

A shard is encoded in memory as a whole, because only whole objects are put. The bytes depend on
the records and the metadata alone (and on the versions of pyarrow and isal). Parquet is written
with portable encodings, checksums, and metadata of our own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import IntegrityError, PlanError
from storage.records.modalities import MODALITIES, load_code

SAMPLE_ID = "sample_id"
IMAGE = "image"


class ShardFormat(ABC):
    """One way of writing records. Instances carry no state."""

    extension: str
    """Of the shard's file name, without a dot."""
    media_type: str
    sample_ids: bool
    """Whether records carry a `sample_id`; without, the schema is the source's own."""
    self_describing: bool = True
    """Whether a file has room for metadata. Where it has none, `metadata` is empty, and a document
    of the version, `shards.json`, says it for all its shards."""

    @abstractmethod
    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema a reader without ganmill sees.

        Args:
            schema: the records' (with `sample_id` where there is one) and its metadata.
        """

    def planned_schema(self, schema: pa.Schema, *, escape_formulas: bool) -> pa.Schema:  # noqa: ARG002
        """Return the schema of the records with what a plan says of how they are written.

        Args:
            schema: of the records, without `sample_id`.
            escape_formulas: whether text that a spreadsheet would compute is disarmed; for
                formats of cells without types.
        """
        return schema

    @abstractmethod
    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Return the bytes of one shard.

        Args:
            records: with `sample_id` where there is one; images as fixed-shape tensors of uint8.
                The schema's metadata is the plan's, such as the CSV dialect of the source.
            metadata: what the shard says of itself.
        """

    @abstractmethod
    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:
        """Return the records again, every one decoded in full, without schema metadata.

        Args:
            data: one shard.
            schema: of the records as planned, with metadata; formats whose files say it do not
                use it, the others read everything as text without it.

        Raises:
            IntegrityError: the bytes are truncated, altered, or no shard of this format.
        """

    @abstractmethod
    def metadata(self, data: bytes) -> dict[str, str]:
        """Return what the shard says of itself.

        Raises:
            IntegrityError: the bytes are no shard of this format.
        """

    @abstractmethod
    def inspect(self, data: bytes, schema: pa.Schema | None = None) -> tuple[int, pa.Schema]:
        """Return rows and schema (as `file_schema`) without decoding more than that takes.

        Args:
            data: one shard.
            schema: as `file_schema` gave it, for formats whose files do not say it.

        Raises:
            IntegrityError: the bytes are no shard of this format.
        """

    def how_to_read(self, folder: str, shards: int, schema: pa.Schema) -> tuple[str, ...]:  # noqa: ARG002
        """Return lines of Python with which pandas reads a version.

        Args:
            folder: of its shards, with a slash at the end.
            shards: how many there are.
            schema: as `file_schema` gave it.
        """
        return (f'pandas.read_parquet("{folder}")',)

    def remarks(self, schema: pa.Schema) -> tuple[str, ...]:  # noqa: ARG002
        """Return sentences on what a reader would not expect.

        Args:
            schema: as `file_schema` gave it.
        """
        return ()

    @abstractmethod
    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Return about how many bytes one record takes, for planning; never below 1."""


def format_for(modality: str, name: str) -> str:
    """Return the key of what the recipe calls `output.format`, as plans and manifests keep it.

    Raises:
        PlanError: records of this modality cannot be written so.
    """
    row = MODALITIES.get(modality)
    offered = {} if row is None else row.formats
    if name not in offered:
        msg = (
            f"output.format {name!r} cannot hold {modality}; choose one of "
            f"{', '.join(offered) or 'none'}"
        )
        raise PlanError(msg)
    return offered[name].key


def load_format(key: str) -> ShardFormat:
    """Return the format of that key.

    Raises:
        PlanError: there is none.
    """
    known = {entry.key: entry.code for row in MODALITIES.values() for entry in row.formats.values()}
    if key not in known:
        msg = f"the output format {key!r} does not exist; choose one of {', '.join(known)}"
        raise PlanError(msg)
    shard_format: ShardFormat = load_code(known[key])
    return shard_format


class ParquetFormat(ShardFormat):
    """One Parquet file of the columns as they are; children say how theirs are stored otherwise."""

    extension = "parquet"
    media_type = "application/vnd.apache.parquet"

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return it as it is, without metadata."""
        return schema.remove_metadata()

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the columns as they are; the bytes do not depend on how they are chunked."""
        return write_parquet(records.combine_chunks(), metadata)

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:  # noqa: ARG002
        """Read every page."""
        return read_parquet(data)

    def metadata(self, data: bytes) -> dict[str, str]:
        """Read the footer."""
        return read_metadata(data)

    def inspect(self, data: bytes, schema: pa.Schema | None = None) -> tuple[int, pa.Schema]:  # noqa: ARG002
        """Read the footer."""
        return read_footer(data)


ROW_GROUP_ROWS = 8192
"""Small enough to stream and to read in parallel, large enough to compress."""
FOREIGN_KEYS = ("ARROW:schema", "pandas", "huggingface")
"""Metadata keys that belong to others."""


def write_parquet(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    """Return the table as a Parquet file.

    zstd level 1, dictionaries for strings only, page index, page checksums; no statistics of
    image bytes. The bytes depend on table and metadata alone.
    """
    table = table.replace_schema_metadata(dict(metadata))
    leaves = [_leaf(field) for field in table.schema]
    strings = [path for path, kind in leaves if is_string(kind)]
    plain = [path for path, _ in leaves if path != IMAGE]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=strings,
        write_statistics=plain,
        write_page_index=True,
        write_page_checksum=True,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _leaf(field: pa.Field) -> tuple[str, pa.DataType]:
    """Return the path and type of a column's values in Parquet, those of lists too."""
    if pa.types.is_list(field.type):
        return f"{field.name}.list.element", field.type.value_type
    return field.name, field.type


def read_parquet(data: bytes) -> pa.Table:
    """Read every page, checksums verified; metadata is dropped from the schema.

    Raises:
        IntegrityError: truncated, altered, or no Parquet file.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        msg = f"the shard is no complete Parquet file ({error}); it is damaged"
        raise IntegrityError(msg) from error
    return table.replace_schema_metadata(None)


def read_metadata(data: bytes) -> dict[str, str]:
    """Return the file's own key-value metadata.

    Raises:
        IntegrityError: no Parquet file.
    """
    try:
        raw = pq.read_metadata(pa.BufferReader(data)).metadata or {}
        texts = {key.decode(): value.decode() for key, value in raw.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        msg = f"the shard's footer cannot be read ({error}); it is damaged"
        raise IntegrityError(msg) from error
    return {key: value for key, value in texts.items() if key not in FOREIGN_KEYS}


def read_footer(data: bytes) -> tuple[int, pa.Schema]:
    """Return rows and Arrow schema, metadata dropped.

    Raises:
        IntegrityError: no Parquet file.
    """
    try:
        footer = pq.read_metadata(pa.BufferReader(data))
        return footer.num_rows, footer.schema.to_arrow_schema().remove_metadata()
    except (pa.ArrowException, OSError) as error:
        msg = f"the shard's footer cannot be read ({error}); it is damaged"
        raise IntegrityError(msg) from error


def is_string(kind: pa.DataType) -> bool:
    """Return whether a type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
