"""Small tables with a meaning, and rows drawn from them without a network."""

import json

import numpy as np
import pyarrow as pa

from gan.codecs import ShardRequest
from gan.tables.codec import TableCodec
from gan.tables.constraints import violations
from gan.tables.rejection import repair
from storage.records.table_metadata import KEY, SCHEMA

KINDS = {
    "int8": "integer",
    "int64": "integer",
    "halffloat": "float",
    "float": "float",
    "double": "float",
    "bool": "boolean",
    "string": "category",
    "decimal128(9, 2)": "decimal",
    "date32[day]": "date",
    "timestamp[s]": "timestamp",
    "timestamp[us]": "timestamp",
    "timestamp[ns]": "timestamp",
}


def with_meaning(columns, *, constraints=(), min_group=1, kinds=None, forms=None):
    """Return a table whose schema says what its columns mean; constraints are dicts."""
    table = pa.table(columns)
    wanted, forms = kinds or {}, forms or {}
    described = [
        {
            "name": field.name,
            "kind": wanted.get(field.name, KINDS[str(field.type)]),
            "why": "",
            "vocabulary": "private",
            "form": forms.get(field.name),
        }
        for field in table.schema
    ]
    full = [{"low": None, "high": None, "strict": False} | each for each in constraints]
    meaning = {"schema": SCHEMA, "min_group": min_group, "columns": described, "constraints": full}
    return table.replace_schema_metadata({KEY: json.dumps(meaning).encode()})


class RowSampler:
    """Draws rows from those of a table, with replacement."""

    def __init__(self, table, label=None, seed=0):
        self.codec = TableCodec.fit(table, label)
        self.cells = self.codec.encode(table).values
        self.numbers = np.random.default_rng(seed)
        self.asked = 0

    def shuffled(self):
        """Break all ties between columns."""
        self.cells = np.stack([self.numbers.permutation(column) for column in self.cells.T], axis=1)
        return self

    def draw(self, rows):
        return self.cells[self.numbers.integers(0, len(self.cells), rows)].copy()

    def resample(self, rows_M, _):
        self.asked += len(rows_M)
        return self.draw(len(rows_M))


def repaired(sampler, rows, **wanted):
    """Return what a repair of drawn rows gives, and the rows."""
    found = repair(sampler.codec, sampler.draw(rows), ShardRequest(**wanted), sampler.resample)
    return found, sampler.codec.decode(found.values, np.zeros(0, dtype=np.int64))


def broken(sampler, records):
    """Return how often records break a constraint of the sampler's table."""
    constraints = sampler.codec.metadata.constraints
    return sum(int(mask.sum()) for mask in violations(records, constraints))
