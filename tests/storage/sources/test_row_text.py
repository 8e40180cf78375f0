"""Rows as text: what is equal however it is stored, and what never is."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sources import split
from storage.sources.split import SALT, copies_of, repeated, row_digests, row_texts

words = st.text(st.sampled_from("a\\tnN\t\n\r é"), max_size=4) | st.none()
rows = st.lists(st.tuples(words, words), min_size=1, max_size=12)


def texts(**columns: object) -> list[str]:
    table = pa.table(columns)
    return [
        text.decode()
        for block in row_texts(table, table.column_names)
        for text in block.to_pylist()
    ]


def text_of(value: object, kind: pa.DataType) -> str:
    return texts(a=pa.array([value], kind))[0]


@given(rows)
def test_two_rows_have_one_text_exactly_when_they_are_equal(some: list) -> None:
    left, right = zip(*some, strict=True)
    written = texts(a=pa.array(left, pa.string()), b=pa.array(right, pa.string()))
    for i, one in enumerate(some):
        for j, other in enumerate(some):
            assert (written[i] == written[j]) == (one == other)


@pytest.mark.parametrize(
    "stored",
    [
        [
            (5, pa.int8()),
            (5, pa.uint64()),
            (5.0, pa.float64()),
            (Decimal("5.00"), pa.decimal128(9, 2)),
        ],
        [(0.1, pa.float32()), (0.1, pa.float64()), (Decimal("0.100"), pa.decimal128(20, 3))],
        [(-0.0, pa.float64()), (0.0, pa.float64()), (0, pa.int64())],
        [(1e-7, pa.float64()), (Decimal("0.00000010"), pa.decimal128(20, 8))],
        [(float("nan"), pa.float64()), (None, pa.float64()), (None, pa.string())],
        [(Decimal("100.50"), pa.decimal128(9, 2)), (100.5, pa.float64())],
        [(date(2026, 1, 31), pa.date32()), (date(2026, 1, 31), pa.date64())],
        [
            (datetime(2026, 1, 31, 12, tzinfo=UTC), pa.timestamp(unit, zone))
            for unit in ("s", "ms", "us", "ns")
            for zone in ("UTC", "+02:00")
        ],
        [(time(1, 2, 3), kind) for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("ns"))],
    ],
    ids=str,
)
def test_a_value_has_one_text_however_it_is_stored(stored: list) -> None:
    assert len({text_of(value, kind) for value, kind in stored}) == 1


@pytest.mark.parametrize(
    "values",
    [
        [None, "", r"\N", "\\", "null"],
        ["a\tb", r"a\tb", "a\nb", r"a\nb"],
        [0.1, 0.1 + 2**-55, 1e300, 1e-300, -0.1],
        [Decimal(10), Decimal("1.0"), Decimal("0.1"), Decimal("-0.1"), Decimal(0)],
    ],
    ids=str,
)
def test_other_values_have_other_texts(values: list) -> None:
    assert len(set(texts(a=pa.array(values)))) == len(values)


def test_the_order_of_columns_and_blocks_does_not_matter(monkeypatch) -> None:
    table = pa.table({"b": ["x", None, "z"], "a": [1.5, 2.0, None], "c": [True, False, None]})
    whole = row_digests(table, ["b", "a", "c"])
    np.testing.assert_array_equal(
        whole, row_digests(table.select(["c", "a", "b"]), ["a", "b", "c"])
    )
    monkeypatch.setattr(split, "_BLOCK_ROWS", 2)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    np.testing.assert_array_equal(whole, row_digests(chunked, ["b", "a", "c"]))


def test_the_text_and_its_digest_never_change() -> None:
    """Golden values: when they fail, every row of every user has moved."""
    table = pa.table(
        {
            "when": pa.array([datetime(2026, 1, 31, 2, tzinfo=UTC), None], pa.timestamp("us")),
            "day": [date(2026, 1, 31), date(1969, 12, 31)],
            "price": pa.array([Decimal("19.90"), Decimal("-0.05")], pa.decimal128(8, 2)),
            "ok": [True, None],
            "name": ["Zoë\t", r"\N"],
            "size": [1 / 3, 1e22],
        }
    )
    first = "20484\tZoë\\t\ttrue\t19.9\t0.3333333333333333\t1769824800000000"
    second = "-1\t\\\\N\t\\N\t-0.05\t1e+22\t\\N"
    (block,) = row_texts(table, table.column_names)
    assert [text.decode() for text in block.to_pylist()] == [first, second]
    expected = blake2b(SALT + first.encode(), digest_size=16).digest()
    assert row_digests(table, table.column_names)[0].tobytes() == expected


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_copies_are_found_among_themselves_and_among_others(own: list, others: list) -> None:
    digests = row_digests(pa.table({"a": own}), ["a"])
    other_digests = row_digests(pa.table({"a": others}), ["a"])
    assert repeated(digests).tolist() == [own.count(value) > 1 for value in own]
    assert copies_of(digests, other_digests).tolist() == [value in others for value in own]
