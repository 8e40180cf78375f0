"""Columns computed from parts of moments and from rates: made, refused, solved backwards."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_tables import RowSampler, broken, repaired, with_meaning

from gan.errors import ConfigError, DataError
from gan.tables.backwards import invert_formula
from gan.tables.codec import TableCodec
from gan.tables.columns.rules import in_words
from gan.tables.columns.values import require_metadata
from gan.tables.contradictions import check_constraints
from storage.records.constraint import Constraint

ROWS = 1200
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
PARTS = (
    {"kind": "part", "columns": ["year", "sold"], "part": "year"},
    {"kind": "part", "columns": ["name", "sold"], "part": "day of the week", "levels": NAMES},
    {"kind": "part", "columns": ["due", "at"], "part": "day", "offset": 14 * 86_400},
    {"kind": "part", "columns": ["sold", "at"], "part": "day"},
    {"kind": "part", "columns": ["copy", "at"], "part": "moment"},
    {"kind": "product", "columns": ["paid", "price", "off"], "rate": -0.01},
    {"kind": "product", "columns": ["order", "price", "off", "post"], "weights": [-2.0]},
    {"kind": "ratio", "columns": ["dearer", "order", "price"], "scale": 100, "offset": -100},
)


def sales(*, rules=PARTS, **changes):
    draw = np.random.default_rng(4)
    at = draw.integers(0, 900 * 86_400, ROWS)
    at = pa.array(at * 10**6).cast(pa.timestamp("us"))
    at = pc.if_else(pa.array(draw.random(ROWS) > 0.1), at, pa.scalar(None, at.type))
    sold = pc.floor_temporal(at, unit="day").cast(pa.date32())
    price, off = np.round(draw.gamma(3, 9, ROWS) + 1, 2), draw.choice([0, 5, 20], ROWS)
    columns = {
        "at": at,
        "sold": sold,
        "copy": at,
        "due": pc.add(sold.cast(pa.int32()), pa.scalar(14, pa.int32())).cast(pa.date32()),
        "year": pc.year(sold),
        "name": pa.array(NAMES).take(pc.day_of_week(sold)),
        "price": price,
        "off": off,
        "paid": np.round(price * (1 - off / 100), 2),
        "post": off % 3,
        "order": np.round(price * off - 2 * (off % 3), 2),
        "dearer": np.round(np.round(price * off - 2 * (off % 3), 2) / price * 100 - 100, 1),
        "plan": draw.choice(["a", "b"], ROWS),
    }
    return with_meaning(columns | changes, constraints=rules)


def test_parts_and_rates_hold_in_every_row():
    records = sales()
    codec = TableCodec.fit(records, None)
    assert {column.name for column in codec.columns} == {"at", "price", "off", "post", "plan"}
    assert TableCodec.from_json(codec.to_json()) == codec
    sampler = RowSampler(records).shuffled()
    _, made = repaired(sampler, ROWS)
    assert broken(sampler, made) == 0
    assert made.schema.types == records.schema.types
    assert made["name"].null_count == made["at"].null_count > 50
    assert made["copy"].equals(made["at"])
    share = made["paid"].to_numpy() / made["price"].to_numpy()
    assert np.allclose(share, 1 - made["off"].to_numpy() / 100, atol=0.005)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", np.full(ROWS, 1971)),
        ("name", np.array(["Mon"] * ROWS)),
        ("copy", pa.array([5] * ROWS, pa.timestamp("us"))),
        ("year", pa.array([1.5] * ROWS)),
    ],
)
def test_real_rows_that_break_a_part_are_refused(name, values):
    with pytest.raises(DataError, match=r"does not hold in \d+ of 1200 real rows"):
        TableCodec.fit(sales(**{name: values}), None)


def test_parts_are_of_moments_and_rates_reach_what_they_reach():
    rules = [{"kind": "part", "columns": ["off", "price"], "part": "year"}]
    with pytest.raises(ConfigError, match="price"):
        check_constraints(require_metadata(sales(rules=rules).schema))
    bounds = [
        {"kind": "product", "columns": ["paid", "price", "off"], "rate": -0.01},
        {"kind": "range", "columns": ["price"], "low": 1, "high": 9},
        {"kind": "range", "columns": ["off"], "low": 0, "high": 50},
    ]
    near = {"kind": "range", "columns": ["paid"], "low": 7, "high": 8}
    check_constraints(require_metadata(sales(rules=[*bounds, near]).schema))
    far = {"kind": "range", "columns": ["paid"], "low": 12, "high": 20}
    with pytest.raises(ConfigError, match="paid"):
        check_constraints(require_metadata(sales(rules=[*bounds, far]).schema))


def test_a_rate_is_solved_for():
    records = sales(rules=PARTS[-3:-2])
    (maker,) = TableCodec.fit(records, None).derived
    columns = {name: records[name].combine_chunks() for name in ("paid", "price", "off")}
    assert np.allclose(invert_formula(maker, "off", columns, None), columns["off"], atol=1)
    assert np.allclose(invert_formula(maker, "price", columns, None), columns["price"], atol=0.01)
    assert in_words(maker.rule) == "product 'paid' = 'price' * (1 - 0.01 * 'off')"
    assert in_words(Constraint(**PARTS[2])) == "part 'due' = day of 'at' plus 1209600"


def test_a_column_that_is_added_is_solved_for():
    records = sales(rules=PARTS[-2:-1])
    (maker,) = TableCodec.fit(records, None).derived
    columns = {name: records[name].combine_chunks() for name in maker.rule.columns}
    assert np.allclose(invert_formula(maker, "post", columns, None), columns["post"], atol=0.01)
    solved = invert_formula(maker, "price", columns, None)
    sold = np.array(columns["off"]) > 0
    assert np.allclose(solved[sold], np.array(columns["price"])[sold], atol=0.01)
    assert in_words(maker.rule) == "product 'order' = 'price' * 'off' - 2 * 'post'"
    high = [{"kind": "range", "columns": [name], "low": 0, "high": 9} for name in ("price", "off")]
    post = {"kind": "range", "columns": ["post"], "low": 50, "high": 60}
    least = {"kind": "range", "columns": ["order"], "low": 0, "high": 90}
    with pytest.raises(ConfigError, match="order"):
        check_constraints(require_metadata(sales(rules=[PARTS[-2], *high, post, least]).schema))


def test_a_change_is_solved_for():
    records = sales(rules=PARTS[-1:])
    (maker,) = TableCodec.fit(records, None).derived
    columns = {name: records[name].combine_chunks() for name in maker.rule.columns}
    solved = invert_formula(maker, "order", columns, None)
    assert np.allclose(solved, columns["order"], atol=0.1, rtol=0.01)
    assert in_words(maker.rule) == "ratio 'dearer' = 100 * 'order' / 'price' + -100"
