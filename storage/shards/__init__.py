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

    @abstractmethod
    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema a reader without ganmill sees, from the records' (with `sample_id`)."""

    @abstractmethod
    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Return the bytes of one shard.

        Args:
            records: with `sample_id`; images as fixed-shape tensors of uint8.
            metadata: what the shard says of itself.
        """

    @abstractmethod
    def decode(self, data: bytes) -> pa.Table:
        """Return the records again, every one decoded in full.

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
    def inspect(self, data: bytes) -> tuple[int, pa.Schema]:
        """Return rows and schema (as `file_schema`) without decoding the records.

        Raises:
            IntegrityError: the bytes are no shard of this format.
        """

    @abstractmethod
    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Return about how many bytes one record takes, for planning; never below 1."""


FORMATS: dict[str, str] = {
    "parquet": "storage.shards.images",
    "parquet-raw": "storage.shards.images_raw",
}
"""Name → module with `FORMAT`, imported when it is asked for."""


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
