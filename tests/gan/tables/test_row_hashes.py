"""Hashes of values: equal ones alike, whatever the chunks and the type; others apart."""

import numpy as np
import pyarrow as pa
import pytest

from gan.tables.row_hashes import RowHashes, value_hashes
from tests.contracts.test_shard_format import CELLS


@pytest.mark.parametrize("name", CELLS)
def test_values_of_every_type_are_told_apart_as_they_are(name):
    column = CELLS[name]
    hashes, values = value_hashes(column), column.to_pylist()
    assert hashes.dtype == np.uint64
    for one, a in zip(hashes, values, strict=True):
        assert [one == other for other in hashes] == [a == b for b in values]


@pytest.mark.parametrize("name", CELLS)
def test_neither_chunks_nor_dictionaries_nor_company_change_a_hash(name):
    column = CELLS[name]
    cut = pa.chunked_array([column.slice(3), column.slice(0, 3)])
    np.testing.assert_array_equal(value_hashes(cut), np.roll(value_hashes(column), 2))
    if pa.types.is_string(column.type):
        np.testing.assert_array_equal(
            value_hashes(column.dictionary_encode()), value_hashes(column)
        )


def test_nan_is_null_and_zero_is_not():
    found = value_hashes(pa.array([np.nan, None, 0.0], from_pandas=False))
    assert found[0] == found[1] != found[2]


def test_a_hash_is_the_same_in_every_process_and_version():
    """Nodes of a cluster compare theirs with those of the driver."""
    assert value_hashes(pa.array([1, 2])).tolist() == [10451216379200822465, 10905525725756348110]
    assert value_hashes(pa.array(["a"])).tolist() == [4192132519135618423]


def test_a_row_is_hashed_by_its_named_columns_alone_and_swapped_values_are_another():
    records = pa.table({"a": [1, 2, 1], "b": [2, 1, 2], "c": [7, 8, 9]})
    whole = RowHashes(("a", "b"))(records).sum(axis=1)
    assert whole[0] == whole[2] != whole[1]


def test_neighbouring_columns_share_a_part_where_there_are_many():
    records = pa.table({f"c{i}": [0, int(i == 14)] for i in range(15)})
    parts = RowHashes(tuple(records.column_names))(records)
    assert parts.shape == (2, 12)
    assert (parts[0] != parts[1]).tolist() == [False] * 11 + [True]
