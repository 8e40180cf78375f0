"""The storage half: Parquet files with a column `vector` in, Parquet shards out."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.schema import count_classes
from storage.shards.format import ParquetFormat
from storage.sources import builder, checks
from storage.sources.files import PARQUET_FILES
from storage.sources.split import as_digests
from storage.sources.split_assignment import SplitInputs, assign_splits


class VectorSource(builder.ParquetSource):
    modality = "vectors"

    def read(self, columns):
        files = self._files
        parts = [part for key in files.footers for part in files.batches(key, 8192, columns)]
        return pa.Table.from_batches(parts).replace_schema_metadata(None)


class VectorsBuilder(builder.Builder):
    files = (PARQUET_FILES,)

    def open(self, config, found):
        names = found.parquet.schema.names
        return VectorSource(config, found.parquet) if "vector" in names else None

    def settings(self, config, min_group):  # noqa: ARG002
        return {"modality": "vectors", "label": config.label}

    def describe(self, schema):
        return f"vectors of {schema.field('vector').type.list_size} numbers"

    def build(self, job, folder):
        label, (source,) = job.config.label, job.sources
        table = source.read(["vector"] if label is None else ["vector", label])
        checks.check_amount(job.config, len(table), "vectors")
        rows = pc.list_flatten(table["vector"]).to_numpy().reshape(len(table), -1)
        digests = as_digests(b"".join(blake2b(row, digest_size=16).digest() for row in rows))
        own = {"digests": digests, "final_digests": digests, "deciding": None}
        inputs = SplitInputs(held_out=np.zeros(len(table), dtype=bool), **own)
        assigned = assign_splits(job.config.split, inputs)
        parts = builder.write_splits(folder, table, assigned.splits_N)
        counts = {name: count_classes(label and part[label]) for name, part in parts.items()}
        checks.check_classes(job.config, counts, job.min_group, "vectors")
        rows = {name: len(part) for name, part in parts.items()}
        found = {"rows": rows, "class_counts": counts, "skipped": (), "notes": assigned.notes}
        return builder.Built(split_rule=assigned.rule, **found)


class VectorsParquet(ParquetFormat):
    sample_ids = False

    def bytes_per_row(self, schema):
        return 4 * schema.field("vector").type.list_size


BUILDER, FORMAT = VectorsBuilder(), VectorsParquet()
