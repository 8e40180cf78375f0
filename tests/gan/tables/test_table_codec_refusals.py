"""What the table codec refuses, in one sentence each."""

import numpy as np
import pyarrow as pa
import pytest
from typed_tables import cycle, described

from gan.errors import DataError
from gan.tables.codec import TableCodec

ROWS = 300

GOOD = {"size": np.arange(ROWS) % 50, "colour": cycle(["red", "blue"], ROWS)}


@pytest.mark.parametrize(
    ("columns", "label", "kinds", "sentence"),
    [
        ({**GOOD, "gap": pa.nulls(ROWS, pa.int64())}, None, {}, "column 'gap' is all null"),
        (
            {**GOOD, "it": [float("inf")] * 2 + [0.5] * (ROWS - 2)},
            None,
            {},
            "column 'it' holds 2 infinite values",
        ),
        ({**GOOD, "it": [[1, 2]] * ROWS}, None, {}, "column 'it' is list<.*not supported"),
        ({**GOOD, "it": [b"x"] * ROWS}, None, {}, "column 'it' is binary"),
        (GOOD, "kind", {}, "no label column 'kind'"),
        ({**GOOD, "it": [None, *[1, 2] * 149, 3]}, "it", {}, "label column 'it' has 1 nulls"),
        ({**GOOD, "it": ["a"] * ROWS}, "it", {}, "label column 'it' has one class"),
        ({**GOOD, "it": ["a"] * (ROWS - 3) + ["b"] * 3}, "it", {}, "'it' has one class"),
        (GOOD, "colour", {"colour": "text"}, "'colour' is a column of kind text"),
        ({"size": GOOD["size"]}, None, {}, "needs two columns or more .* 1 .size. of 1"),
        ({**GOOD, "it": ["a"] * ROWS}, None, {"size": "constant"}, "'size' is declared constant"),
        (
            {**GOOD, "it": [str(number) for number in range(ROWS)]},
            None,
            {},
            "no value of column 'it' is held by 10 rows .* it has 300 different",
        ),
        ({**GOOD, "it": [2**62 + 5] * ROWS}, None, {}, "column 'it' holds numbers beyond"),
        ({**GOOD, "it": [1, 2, *[None] * 298]}, None, {}, "'it' has 2 values in train, fewer"),
        (GOOD, None, {"colour": "key"}, "'colour' is a key of type string with the form None"),
    ],
)
def test_bad_records_are_refused_in_one_sentence(columns, label, kinds, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        TableCodec.fit(described(columns, kinds=kinds), label)
    assert "\n" not in str(caught.value)


def test_no_rows_and_no_meaning_are_refused():
    records = described(GOOD)
    with pytest.raises(DataError, match="there are no rows"):
        TableCodec.fit(records.slice(0, 0), None)
    with pytest.raises(DataError, match="do not say what their columns mean"):
        TableCodec.fit(records.replace_schema_metadata(None), None)


def test_records_of_another_schema_are_refused():
    codec = TableCodec.fit(described(GOOD), None)
    with pytest.raises(DataError, match="column 'size' is double, the codec was fitted on int64"):
        codec.encode(pa.table({**GOOD, "size": np.ones(ROWS)}))
    with pytest.raises(DataError, match="column 'colour' is missing"):
        codec.encode(pa.table({"size": GOOD["size"]}))
    floats = {**GOOD, "it": np.arange(ROWS) / 2}
    codec = TableCodec.fit(described(floats), None)
    strange = pa.table({**floats, "it": [float("inf"), *floats["it"][1:]]})
    with pytest.raises(DataError, match="column 'it' holds 1 infinite"):
        codec.encode(strange)
