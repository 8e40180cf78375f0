"""Tables of every type with a meaning, and all that a codec can decode."""

import json

import numpy as np
import pyarrow as pa

from storage.records.table_metadata import KEY, SCHEMA


def described(columns, *, kinds=None, forms=None, public=(), constraints=(), min_group=10):
    """Return a table whose schema says what its columns mean; kinds are guessed from the types."""
    table = pa.table(columns)
    meaning = {
        "schema": SCHEMA,
        "min_group": min_group,
        "columns": [
            {
                "name": field.name,
                "kind": (kinds or {}).get(field.name) or guess(field.type),
                "why": "",
                "vocabulary": "public" if field.name in public else "private",
                "form": (forms or {}).get(field.name),
            }
            for field in table.schema
        ],
        "constraints": [
            {"low": None, "high": None, "strict": False} | constraint for constraint in constraints
        ],
    }
    return table.replace_schema_metadata({KEY: json.dumps(meaning).encode()})


def guess(kind):
    types = pa.types
    tests = {
        "boolean": types.is_boolean,
        "integer": types.is_integer,
        "float": types.is_floating,
        "decimal": types.is_decimal,
        "date": types.is_date,
        "time": types.is_time,
        "timestamp": types.is_timestamp,
    }
    return next((name for name, test in tests.items() if test(kind)), "category")


def every_cell(codec):
    """Return every value that a codec can decode, by column of the table; nulls are left out."""
    return {
        name: vocabulary.drop_null()
        for column in codec.columns
        for name, vocabulary in zip(column.fields, column.vocabularies, strict=True)
    }


def decoded(codec, records):
    """Return records after the way through cells and back."""
    encoded = codec.encode(records)
    return codec.decode(encoded.values, encoded.labels_N)


def cycle(values, rows):
    """Return the values over and over, so that each is held by many rows."""
    return [values[place % len(values)] for place in range(rows)]


def shuffled(values, seed=0):
    return np.random.default_rng(seed).permutation(values)
