"""Hashes of values and rows: equal ones have equal hashes, in whatever process and shard.

They take nothing from the data but the names of the columns, so that a worker which makes rows can
hash them while they are in memory.

Shapes: N rows, D columns, G parts, L levels.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from gan.metrics.equality import PARTS
from gan.randomness import numpy_stream
from gan.tables.columns.values import plain

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RowHashes:
    """Hashes rows by the values of some columns."""

    names: tuple[str, ...]

    def __call__(self, records: pa.Table) -> Array:
        """Return a hash of every part of every row, of neighbouring columns; uint64 (N, G)."""
        width = len(self.names)
        weights_D = numpy_stream(0, "row-hashes").integers(2**64, size=width, dtype=np.uint64)
        groups = np.array_split(np.arange(width), min(width, PARTS))
        found_GN = np.zeros((len(groups), records.num_rows), dtype=np.uint64)
        for part, columns in enumerate(groups):
            for column in columns:
                values_N = value_hashes(records[self.names[column]])
                found_GN[part] += values_N * (weights_D[column] | np.uint64(1))
        return found_GN.T


def value_hashes(column: Any) -> Array:
    """Return a hash of every value; uint64 (N,). Nulls are equal, and so is NaN to a null.

    Of numbers, times and truth values it is one of their bits, mixed as in SplitMix64 (Steele, Lea
    & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014); of all others BLAKE2b
    of what they look like as text.
    """
    column = plain(column)
    null_N = column.is_null().to_numpy(zero_copy_only=False)
    if kinds.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if kinds.is_primitive(column.type):
        bits_N = _bits(column)
    else:
        encoded = column.dictionary_encode()
        levels_L = np.array([_digest(one) for one in encoded.dictionary.to_pylist()], np.uint64)
        places_N = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        bits_N = levels_L[places_N] if len(levels_L) else np.zeros(len(column), dtype=np.uint64)
    hashes_N = _mixed(bits_N)
    hashes_N[null_N] = 0
    return hashes_N


def _bits(column: pa.Array) -> Array:
    """Return the bits of numbers and times; those of nulls do not matter."""
    width = column.type.bit_width
    whole = column.view(pa.type_for_alias(f"uint{width}"))
    bits_N: Array = whole.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64)
    return bits_N


def _digest(value: object) -> int:
    text = str(value).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _mixed(bits_N: Array) -> Array:
    """Return numbers of which every bit depends on all bits; never the same for two."""
    found = bits_N + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
