"""What a computed column holds is met by what is filled: solved for, drawn until it is, refused."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from row_generator import SingleColumns, sampler_of
from small_tables import with_meaning

from gan.errors import DataError
from gan.tables.constraints import violations
from gan.tables.impute import impute
from storage.records.constraint import Constraint

ROWS = 4000
RULES = [
    {"kind": "product", "columns": ["amount", "quantity", "price"]},
    {"kind": "linear", "columns": ["gross", "amount", "freight"], "weights": [1.19, 1.0]},
    {"kind": "product", "columns": ["fee", "amount", "rate"], "scale": 0.01},
    {"kind": "ratio", "columns": ["bmi", "weight", "height", "height"]},
    {"kind": "sum", "columns": ["people", "kids", "adults"]},
    {"kind": "difference", "columns": ["nights", "leaves", "comes"], "unit": "days"},
    {"kind": "band", "columns": ["class", "weight"], "cuts": [60, 80], "levels": ["l", "m", "h"]},
    {"kind": "lookup", "columns": ["tariff", "land", "segment"]},
    {"kind": "part", "columns": ["month", "comes"], "part": "month"},
    {"kind": "part", "columns": ["billed", "leaves"], "part": "moment", "offset": 7 * 86_400},
]
TARIFFS = {"DE": (5, 7, 9), "AT": (5, 8, 11), "CH": (6, 9, 12)}


def orders(rows=ROWS, seed=0):
    numbers = np.random.default_rng(seed)
    quantity = numbers.integers(1, 9, rows)
    price = numbers.integers(100, 4000, rows) / 100
    amount = np.round(quantity * price, 2)
    freight, rate = numbers.integers(0, 30, rows) / 2, numbers.integers(1, 40, rows) / 2
    weight, height = numbers.integers(450, 1100, rows) / 10, numbers.integers(150, 200, rows) / 100
    kids, adults = numbers.integers(0, 4, rows), numbers.integers(1, 4, rows)
    nights = numbers.integers(1, 15, rows)
    comes = [date(2026, 1, 1) + timedelta(days=int(day)) for day in numbers.integers(0, 300, rows)]
    land, segment = numbers.choice(list(TARIFFS), rows), numbers.integers(0, 3, rows)
    leaves = [day + timedelta(days=int(more)) for day, more in zip(comes, nights, strict=True)]
    return {
        "quantity": quantity,
        "price": price,
        "amount": amount,
        "freight": freight,
        "gross": np.round(1.19 * amount + freight, 2),
        "rate": rate,
        "fee": np.round(amount * rate / 100 + 1e-9, 2),
        "weight": weight,
        "height": height,
        "bmi": np.round(weight / height**2, 1),
        "kids": kids,
        "adults": adults,
        "people": kids + adults,
        "comes": pa.array(comes),
        "month": pc.month(pa.array(comes)),
        "leaves": pa.array(leaves),
        "billed": pa.array([day + timedelta(days=7) for day in leaves]),
        "nights": nights,
        "class": np.array(["l", "m", "h"])[np.searchsorted([60, 80], weight, side="right")],
        "land": land,
        "segment": np.array(["s", "m", "b"])[segment],
        "tariff": [TARIFFS[one][place] for one, place in zip(land, segment, strict=True)],
    }


@pytest.fixture(scope="module")
def sampler():
    records = with_meaning(orders(), constraints=RULES, min_group=5)
    return sampler_of(records, kind=SingleColumns, size=256)


def emptied(table, names, share=1.0, seed=1):
    numbers = np.random.default_rng(seed)
    for name in names:
        gone = pa.array(numbers.random(table.num_rows) < share)
        place, column = table.schema.get_field_index(name), table[name]
        gaps = pc.if_else(gone, pa.scalar(None, column.type), column)
        table = table.set_column(place, name, gaps)
    return table


def assert_met(filled, known):
    """Check that every rule holds and that what was known is there."""
    for rule, broken in zip(
        RULES, violations(filled, [Constraint(**r) for r in RULES], pa.table(orders())), strict=True
    ):
        assert not broken.any(), rule
    for name in known.column_names:
        there = known[name].is_valid()
        assert filled[name].filter(there).equals(known[name].filter(there)), name
        assert filled[name].null_count == 0, name


@pytest.mark.parametrize(
    "names",
    [
        ["price"],
        ["quantity"],
        ["rate"],
        ["freight"],
        ["weight"],
        ["height"],
        ["kids"],
        ["nights"],
        ["comes"],
        ["comes", "leaves"],
        ["amount", "price"],
    ],
)
def test_one_input_follows_from_a_known_result(sampler, names):
    whole = pa.table(orders(300, seed=5))
    known = emptied(whole, names)
    filled = impute(sampler, known, seed=3)
    assert_met(filled, known)
    if names[0] in ("quantity", "kids", "nights", "comes", "freight"):
        assert filled[names[0]].equals(whole[names[0]])


@pytest.mark.parametrize(
    "names",
    [
        ["price", "quantity"],
        ["kids", "adults"],
        ["nights", "comes"],
        ["nights", "comes", "leaves"],
        ["weight", "height"],
        ["land", "segment"],
        ["land"],
        ["weight", "bmi"],
        ["freight", "amount", "price", "fee"],
    ],
)
def test_several_inputs_are_drawn_until_they_give_a_known_result(sampler, names):
    known = emptied(pa.table(orders(200, seed=6)), names)
    filled = impute(sampler, known, seed=3)
    assert_met(filled, known)
    assert (filled["price"].to_numpy() > 0.5).all(), "what was solved for stays in its range"
    assert (filled["adults"].to_numpy() >= 1).all()


def test_gaps_here_and_there_keep_every_rule(sampler):
    known = emptied(pa.table(orders(400, seed=7)), orders(2), share=0.15)
    assert_met(impute(sampler, known, seed=3), known)


def test_a_result_that_nothing_gives_is_refused_in_a_sentence(sampler, monkeypatch):
    monkeypatch.setattr("gan.tables.impute.TURNS", 4)
    table = pa.table(orders(50, seed=8))
    amount = pc.if_else(pa.array(np.arange(50) < 3), pa.scalar(0.013), table["amount"])
    table = table.set_column(table.schema.get_field_index("amount"), "amount", amount)
    with pytest.raises(DataError, match=r"give 'amount' in 3 rows.*or empty them"):
        impute(sampler, emptied(table, ["price", "gross", "fee"]), seed=3)
