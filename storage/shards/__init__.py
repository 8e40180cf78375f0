"""How records become the bytes of one shard, and back: one entry per format.

A shard is encoded in memory as a whole, because only whole objects are put. The bytes depend on
the records and the metadata alone (and on the versions of pyarrow and isal).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module

import pyarrow as pa

from storage.errors import PlanError

SAMPLE_ID = "sample_id"
IMAGE = "image"


class ShardFormat(ABC):
    """One way of writing records. Instances carry no state."""

    extension: str
    """Of the shard's file name, without a dot."""
    media_type: str
    modality: str
    """Of the records it can hold."""
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

    @abstractmethod
    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Return about how many bytes one record takes, for planning; never below 1."""


FORMATS: dict[str, str] = {
    "parquet": "storage.shards.images",
    "parquet-raw": "storage.shards.images_raw",
    "table-parquet": "storage.shards.tables",
    "csv": "storage.shards.tables_csv",
}
"""Name → module with `FORMAT`, imported when it is asked for."""

OFFERED: dict[str, dict[str, str]] = {
    "images": {"parquet": "parquet", "parquet-raw": "parquet-raw"},
    "tables": {"parquet": "table-parquet", "csv": "csv"},
}
"""Modality → what a recipe calls a format → its key in `FORMATS`."""


def format_for(modality: str, name: str) -> str:
    """Return the key in `FORMATS` of what the recipe calls `output.format`.

    Raises:
        PlanError: records of this modality cannot be written so.
    """
    offered = OFFERED.get(modality, {})
    if name not in offered:
        msg = (
            f"output.format {name!r} cannot hold {modality}; choose one of "
            f"{', '.join(offered) or 'none'}"
        )
        raise PlanError(msg)
    return offered[name]


def load_format(name: str) -> ShardFormat:
    """Return the format of that name.

    Raises:
        PlanError: there is none.
    """
    module = FORMATS.get(name)
    if module is None:
        msg = f"the output format {name!r} does not exist; choose one of {', '.join(FORMATS)}"
        raise PlanError(msg)
    shard_format: ShardFormat = import_module(module).FORMAT
    return shard_format
