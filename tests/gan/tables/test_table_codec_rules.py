"""Rules between columns hold in every row that a codec decodes, whatever a generator draws."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_tables import cycle, decoded, described, shuffled

from gan.errors import ConfigError, DataError, SnapshotError
from gan.tables.codec import TableCodec
from gan.tables.columns.rules import describe
from gan.tables.constraints import violations
from storage.records.constraint import Constraint
from storage.records.schema import Condition

ROWS = 2000
NUMBERS = np.random.default_rng(8)
QUANTITY = NUMBERS.integers(1, 20, ROWS)
PRICE = NUMBERS.gamma(2, 10, ROWS).round(2) + 1
DAYS = [date(2024, 1, 1) + timedelta(days=int(day)) for day in NUMBERS.integers(0, 400, ROWS)]


def again(codec):
    """Return the codec after the way through JSON."""
    return TableCodec.from_json(json.loads(json.dumps(codec.to_json())))


def fit(columns, *rules, label=None, **said):
    """Return a codec after the way through JSON, and the records it was fitted on."""
    constraints = [rule | {"columns": list(rule["columns"])} for rule in rules]
    records = described(columns, constraints=constraints, **said)
    return again(TableCodec.fit(records, label)), records


def random_rows(codec, rows=3000, seed=0):
    """Return what a generator without any knowledge would make."""
    numbers = np.random.default_rng(seed)
    cells = [numbers.integers(0, column.cells, rows) for column in codec.columns]
    return codec.decode(np.stack(cells, axis=1).astype(np.int32), np.zeros(rows, dtype=np.int64))


def broken(codec, records, real):
    return [int(mask.sum()) for mask in violations(records, codec.metadata.constraints, real)]


def learnt(codec):
    return [name for column in codec.columns for name in column.fields]


PRODUCT = {"kind": "product", "columns": ("total", "quantity", "price")}
BMI = {"kind": "ratio", "columns": ("bmi", "weight", "height", "height")}
LINEAR = {"kind": "linear", "columns": ("f", "c"), "weights": [1.8], "offset": 32.0}
BANDS = {
    "kind": "band",
    "columns": ("band", "age"),
    "cuts": [30.0, 45.0],
    "levels": ["<30", "30-44", "45+"],
}


def test_formulas_are_computed_and_exact():
    height, weight = NUMBERS.normal(1.7, 0.1, ROWS).round(2), NUMBERS.normal(72, 12, ROWS).round(1)
    celsius, age = NUMBERS.normal(10, 8, ROWS).round(1), NUMBERS.integers(18, 80, ROWS)
    codec, records = fit(
        {
            "total": np.round(QUANTITY * PRICE, 2),
            "quantity": QUANTITY,
            "price": PRICE,
            "height": height,
            "bmi": np.round(weight / height**2, 1),
            "weight": weight,
            "f": np.round(celsius * 1.8 + 32, 2),
            "c": celsius,
            "band": np.array(["<30", "30-44", "45+"])[(age >= 30) * 1 + (age >= 45)],
            "age": age,
        },
        PRODUCT,
        BMI,
        LINEAR,
        BANDS,
    )
    assert learnt(codec) == ["quantity", "price", "height", "weight", "c", "age"]
    found = random_rows(codec)
    assert broken(codec, found, records) == [0, 0, 0, 0]
    rows = found.to_pylist()
    assert all(row["total"] == np.round(row["quantity"] * row["price"], 2) for row in rows)
    assert all(row["bmi"] == np.round(row["weight"] / row["height"] ** 2, 1) for row in rows)
    assert {row["band"] for row in rows if row["age"] < 30} == {"<30"}
    assert found.schema.equals(records.schema.remove_metadata())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_row_of_any_cells_keeps_the_rules(data):
    """A derived column of derived columns, a lookup, a block and a condition at once."""
    codec, records = _chained()
    cells = [data.draw(st.integers(0, column.cells - 1)) for column in codec.columns]
    found = codec.decode(np.array([cells], dtype=np.int32), np.zeros(1, dtype=np.int64))
    assert broken(codec, found, records) == [0] * len(codec.metadata.constraints)


def _chained(cache=[]):  # noqa: B006 - fitted once for all examples
    if not cache:
        seen = NUMBERS.integers(0, 3, ROWS)
        days = np.where(seen == 0, -1, NUMBERS.integers(1, 30, ROWS))
        place, net = NUMBERS.integers(0, 3, ROWS), QUANTITY * 2 + 5
        blocks = {f"k{n}": (place == n).astype(int) for n in range(3)}
        columns = {
            "gross": np.floor(net * 1.19 * 100 + 1e-6) / 100,
            "net": net,
            "quantity": QUANTITY,
            "days": days,
            "seen": seen,
            "city": np.array(["Bonn", "Kiel", "Rome"])[place],
            "land": np.array(["DE", "DE", "IT"])[place],
            **blocks,
            "class": np.where(net > 20, "big", "small"),
        }
        rules = (
            {"kind": "linear", "columns": ("gross", "net"), "weights": [1.19]},
            {"kind": "linear", "columns": ("net", "quantity"), "weights": [2.0], "offset": 5.0},
            {
                "kind": "band",
                "columns": ("class", "net"),
                "cuts": [21.0],
                "levels": ["small", "big"],
            },
            {"kind": "conditional", "columns": ("days", "seen"), "value": "-1", "when": ["0"]},
            {"kind": "lookup", "columns": ("land", "city")},
            {"kind": "one_of", "columns": ("k0", "k1", "k2")},
        )
        cache.extend(fit(columns, *rules))
    return cache


def test_what_is_decided_need_not_be_learnt():
    codec, records = _chained()
    assert learnt(codec) == ["quantity", "days", "seen", "city", "k0", "k1", "k2"]
    assert decoded(codec, records).equals(records)
    assert codec == again(codec)


@pytest.mark.parametrize(
    ("kind", "places"),
    [(pa.int32(), 0), (pa.float32(), 2), (pa.decimal128(12, 2), 2), (pa.float64(), 1)],
    ids=str,
)
def test_every_type_of_number_is_made(kind, places):
    exact = [Decimal(int(q)) * Decimal(f"{p:.2f}") for q, p in zip(QUANTITY, PRICE, strict=True)]
    rounded = [one.quantize(Decimal(1).scaleb(-places)) for one in exact]
    total = pa.array(rounded) if pa.types.is_decimal(kind) else pa.array(map(float, rounded))
    columns = {"total": total.cast(kind), "quantity": QUANTITY, "price": PRICE.astype(np.float32)}
    codec, records = fit(columns, PRODUCT)
    found = random_rows(codec)
    assert found.schema.field("total").type == kind
    assert broken(codec, found, records) == [0]


def test_a_null_gives_null_unless_real_rows_count_it_as_nothing():
    quantity = pa.array(QUANTITY, mask=np.arange(ROWS) % 9 == 0)
    filled = np.where(np.arange(ROWS) % 9 == 0, 1, QUANTITY)
    whole = np.round(filled * PRICE, 2)
    columns = {"quantity": quantity, "price": PRICE}
    for mask, expected in ((np.arange(ROWS) % 9 == 0, True), (None, False)):
        codec, _ = fit(columns | {"total": pa.array(whole, mask=mask)}, PRODUCT)
        found = random_rows(codec)
        missing = found["quantity"].is_null()
        assert missing.combine_chunks().true_count > 10
        assert found["total"].filter(missing).is_null().combine_chunks().true_count == (
            missing.combine_chunks().true_count if expected else 0
        )


def test_a_formula_has_nulls_of_its_own():
    columns = {
        "total": pa.array(np.round(QUANTITY * PRICE, 2), mask=NUMBERS.random(ROWS) < 0.3),
        "quantity": QUANTITY,
        "price": PRICE,
    }
    codec, records = fit(columns, PRODUCT)
    assert learnt(codec) == ["quantity", "price", "total"]
    cells = codec.encode(records).values
    assert cells[:, 2].tolist() == records["total"].is_null().to_numpy().astype(int).tolist()
    found = codec.decode(cells, np.zeros(ROWS, dtype=np.int64))
    assert found["total"].is_null().equals(records["total"].is_null())


@pytest.mark.parametrize("at_zero", [None, 0.0])
def test_a_division_by_zero_is_what_real_rows_have_there(at_zero):
    clicks, views = NUMBERS.integers(0, 9, ROWS), NUMBERS.integers(0, 50, ROWS)
    rate = np.where(views == 0, np.nan, np.round(clicks / np.maximum(views, 1), 3))
    column = (
        pa.array(rate, mask=np.isnan(rate)).fill_null(at_zero)
        if at_zero is not None
        else (pa.array(rate, mask=np.isnan(rate)))
    )
    codec, records = fit(
        {"rate": column, "clicks": clicks, "views": views},
        {"kind": "ratio", "columns": ("rate", "clicks", "views")},
    )
    found = random_rows(codec)
    zero = found.filter(pa.array(found["views"].to_numpy() == 0))
    assert len(zero) > 20
    assert set(zero["rate"].to_pylist()) == {at_zero}
    assert broken(codec, found, records) == [0]


BERLIN = pa.timestamp("s", "Europe/Berlin")
STAY = {"kind": "difference", "columns": ("nights", "out", "in"), "unit": "days"}


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_the_later_moment_is_the_earlier_and_the_time_between(kind):
    nights = NUMBERS.integers(1, 15, ROWS)
    out = [day + timedelta(days=int(more)) for day, more in zip(DAYS, nights, strict=True)]
    columns = {"out": pa.array(out, kind), "nights": nights, "in": pa.array(DAYS, kind)}
    codec, records = fit(columns, STAY)
    assert learnt(codec) == ["nights", "in"]
    found = random_rows(codec)
    assert broken(codec, found, records) == [0]
    assert all(row["out"] - row["in"] == timedelta(days=row["nights"]) for row in found.to_pylist())


def test_moments_keep_type_and_zone():
    noon = datetime(2024, 3, 30, 12, tzinfo=UTC)
    start = pa.array([noon + timedelta(minutes=int(more)) for more in QUANTITY], BERLIN)
    hours = NUMBERS.integers(1, 48, ROWS) / 2
    ends = pa.array(start.cast(pa.int64()).to_numpy() + (hours * 3600).astype(int)).view(BERLIN)
    rule = {"kind": "difference", "columns": ("hours", "end", "start"), "unit": "hours"}
    codec, records = fit({"end": ends, "hours": hours, "start": start}, rule)
    assert learnt(codec) == ["hours", "start"]
    assert decoded(codec, records).equals(records)
    assert broken(codec, random_rows(codec), records) == [0]


def test_a_number_that_does_not_say_the_moment_is_computed_itself():
    seconds = NUMBERS.integers(0, 400_000, ROWS)
    start = np.array(DAYS, dtype="datetime64[us]")
    columns = {"in": start, "out": start + seconds.astype("timedelta64[s]")}
    codec, records = fit(columns | {"nights": seconds // 86_400}, STAY)
    assert learnt(codec) == ["in", "out"]
    found = random_rows(codec)
    assert broken(codec, found, records) == [0]
    assert found["nights"].type == pa.int64()


def test_the_number_is_computed_where_the_moment_is_the_label():
    nights = np.array([1 + row % 3 for row in range(ROWS)])
    out = [date(2024, 1, 1) + timedelta(days=row % 5) for row in range(ROWS)]
    begin = [day - timedelta(days=int(more)) for day, more in zip(out, nights, strict=True)]
    codec, _ = fit({"out": out, "nights": nights, "in": begin}, STAY, label="out")
    assert learnt(codec) == ["out", "in"]


def lookup(rows, **more):
    """A number per combination of city and plan; one combination is held by three rows."""
    city, plan = shuffled(cycle(["Bonn", "Kiel", "Rome"], rows)), cycle(["a", "b"], rows)
    fee = [{"Bonn": 10, "Kiel": 20, "Rome": 30}[c] + (p == "b") for c, p in zip(city, plan)]  # noqa: B905
    columns = {"city": [*city, "Rome", "Rome", "Rome"], "plan": [*plan, "z", "z", "z"]}
    return columns | {"fee": [*fee, 4711, 4711, 4711]} | more


def test_what_few_rows_hold_is_in_no_lookup_and_has_a_fixed_answer():
    rule = {"kind": "lookup", "columns": ("fee", "city", "plan")}
    records = described(lookup(ROWS), constraints=[rule | {"columns": list(rule["columns"])}])
    codec = again(TableCodec.fit(records, None))
    assert "4711" not in json.dumps(codec.to_json())
    assert '"z"' not in json.dumps(codec.to_json())
    found = random_rows(codec)
    assert broken(codec, found, records) == [0]
    (maker,) = codec.derived
    strange = {"city": pa.array(["Oslo", "Rome", "Oslo"]), "plan": pa.array(["a", "y", "a"])}
    answers = maker.make(3, 0, strange).to_pylist()
    assert answers[0] == answers[2]
    assert answers[1] in (30, 31), "like those of its city"
    assert broken(codec, pa.table(strange | {"fee": answers}), None) == [0]


def test_an_unknown_number_has_the_answer_of_the_nearest():
    codec, _ = fit(
        {"zone": cycle([10, 20, 40], ROWS), "fee": cycle(["x", "y", "z"], ROWS), "b": PRICE},
        {"kind": "lookup", "columns": ("fee", "zone")},
    )
    (maker,) = codec.derived
    zones = pa.array([-5, 14, 16, 30, 31, 99, None])
    assert maker.make(7, 0, {"zone": zones}).to_pylist() == ["x", "x", "y", "y", "z", "z", "x"]


def smooth_lookup(answer_of, rows=2 * ROWS):
    """Return a codec of a column that another one decides, most of whose values few rows hold."""
    numbers = np.random.default_rng(12)
    wage = (numbers.lognormal(7.6, 0.6, rows) / 50).round().astype(np.int64) * 50
    columns = {"wage": pa.array(wage), "answer": pa.array(answer_of(wage))}
    columns["other"] = cycle(["p", "q", "r"], rows)
    codec, records = fit(columns, {"kind": "lookup", "columns": ("answer", "wage")})
    values, counts = np.unique(wage, return_counts=True)
    return codec, records, values[counts >= 10]


def test_between_the_keys_of_a_smooth_lookup_lies_what_is_between_their_answers():
    def tax(wage):
        return (0.19 * (wage - 1000).clip(0) + 1e-5 * wage**2).round(2)

    codec, records, kept = smooth_lookup(tax)
    fakes = random_rows(codec)
    wage, answer = fakes["wage"].to_numpy(), fakes["answer"].to_numpy()
    known = np.isin(wage, kept)
    np.testing.assert_array_equal(answer[known], tax(wage[known]))
    inside = ~known & (wage < kept.max())
    assert inside.sum() > 50
    assert np.abs(answer - tax(wage))[inside].max() < 10
    assert len(np.unique(answer[~known])) > len(np.unique(wage[~known])) / 3
    assert len(np.unique(np.stack([wage, answer]), axis=1).T) == len(np.unique(wage))
    np.testing.assert_allclose(answer, answer.round(2))
    assert answer.max() <= np.sort(records["answer"].to_numpy())[-10]


def test_an_answer_that_few_rows_hold_moves_nothing_in_between():
    _, records, _ = smooth_lookup(lambda wage: wage // 10)
    table = records.to_pydict()
    rare = [row for row, wage in enumerate(table["wage"]) if wage > 8000][:5]
    for row in rare:
        table["wage"][row], table["answer"][row] = 99_950, 98_765_431
    changed = pa.table(table, schema=records.schema)
    planted = again(TableCodec.fit(changed, None))
    assert max(random_rows(planted)["answer"].to_pylist()) < 2000
    assert "98765431" not in json.dumps(planted.to_json())


def test_answers_in_no_order_are_those_of_a_key():
    regions = np.random.default_rng(13).integers(1, 900, 10_000)
    codec, _, kept = smooth_lookup(lambda wage: regions[wage // 50 % 10_000])
    shown = set(regions[kept // 50 % 10_000].tolist())
    assert set(random_rows(codec)["answer"].to_pylist()) <= shown


def test_a_lookup_that_few_rows_share_is_refused():
    rule = {"kind": "lookup", "columns": ("b", "a")}
    with pytest.raises(DataError, match=r"no combination of a \+ b is held by 10 rows"):
        fit({"a": np.arange(ROWS), "b": np.arange(ROWS), "c": QUANTITY, "d": PRICE}, rule)


def test_bands_may_be_codes_and_may_name_what_is_missing():
    age = pa.array(QUANTITY * 4, mask=QUANTITY == 3)
    codes = np.where(QUANTITY == 3, 9, (QUANTITY >= 10).astype(int))
    rule = {"kind": "band", "columns": ("code", "age"), "cuts": [40.0], "levels": ["0", "1"]}
    codec, records = fit({"age": age, "code": codes, "b": PRICE}, rule)
    assert decoded(codec, records).select(["age", "code"]).equals(records.select(["age", "code"]))


def conditional(value, values, *, exactly=True):
    seen = NUMBERS.integers(0, 4, ROWS)
    column = pa.array([value if one == 0 else values[one] for one in seen])
    rule = {
        "kind": "conditional",
        "columns": ("days", "seen"),
        "value": "null" if value is None else str(value),
        "when": ["0"],
        "exactly": exactly,
    }
    return fit({"days": column, "seen": seen, "price": PRICE}, rule)


@pytest.mark.parametrize("value", [-1, None, "none"])
@pytest.mark.parametrize("exactly", [True, False])
def test_conditions_overwrite_and_forbid(value, exactly):
    values = ["", "a", "b", "b"] if value == "none" else [0, 5, 7, 9]
    codec, records = conditional(value, values, exactly=exactly)
    assert learnt(codec) == ["days", "seen", "price"]
    assert decoded(codec, records).select(["days", "seen"]).equals(records.select(["days", "seen"]))
    found = random_rows(codec)
    assert broken(codec, found, records) == [0]
    elsewhere = [row["days"] == value for row in found.to_pylist() if row["seen"]]
    assert any(elsewhere) != exactly


def test_two_conditions_on_one_column_leave_each_other_alone():
    seen = NUMBERS.integers(0, 4, ROWS)
    days = np.choose(seen, [-1, -2, 5, 6])
    rule = {"kind": "conditional", "columns": ("days", "seen")}
    codec, records = fit(
        {"days": days, "seen": seen, "price": PRICE},
        rule | {"value": "-1", "when": ["0"]},
        rule | {"value": "-2", "when": ["1"]},
    )
    assert broken(codec, random_rows(codec), records) == [0, 0]


def test_an_exact_condition_needs_another_value():
    columns = {
        "days": ["gone" if row % 2 else f"day {row}" for row in range(ROWS)],
        "seen": cycle([1, 0], ROWS),
        "price": PRICE,
    }
    rule = {"kind": "conditional", "columns": ("days", "seen"), "value": "gone", "when": ["0"]}
    with pytest.raises(DataError, match="leaves column 'days' no other value"):
        fit(columns, rule)


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (PRODUCT | {"columns": ("price", "quantity", "total")}, "does not hold in 2000 of 2000"),
        (
            {"kind": "conditional", "columns": ("total", "band"), "value": "x", "when": ["a"]},
            "says 'x' of column 'total', which is of type double",
        ),
        (
            {"kind": "conditional", "columns": ("total", "band"), "value": "1", "when": ["a"]},
            "does not hold in",
        ),
        (
            {"kind": "band", "columns": ("quantity", "price"), "cuts": [9.0], "levels": ["a", "b"]},
            "says 'a' of column 'quantity'",
        ),
        ({"kind": "lookup", "columns": ("total", "band")}, "does not hold in"),
        ({"kind": "one_of", "columns": ("total", "quantity", "price")}, "does not hold in"),
        (LINEAR | {"columns": ("total", "price")}, "does not hold in"),
    ],
)
def test_rules_that_real_rows_break_are_refused(rule, match):
    columns = {
        "total": np.round(QUANTITY * PRICE, 2) + 100,
        "quantity": QUANTITY,
        "price": PRICE,
        "band": cycle(["a", "b"], ROWS),
    }
    with pytest.raises(DataError, match=match):
        fit(columns, rule)


def test_a_label_that_a_rule_decides_is_refused():
    columns = {"total": QUANTITY * 3, "quantity": QUANTITY, "b": PRICE}
    rule = {"kind": "linear", "columns": ("total", "quantity"), "weights": [3.0]}
    with pytest.raises(DataError, match=r"'total' = 3 \* 'quantity' decides the label column"):
        fit(columns, rule, label="total")


def test_a_condition_on_a_band_is_one_on_its_number():
    age = NUMBERS.integers(18, 80, ROWS)
    level = np.array(["<30", "30-44", "45+"])[(age >= 30) * 1 + (age >= 45)]
    double = {"kind": "linear", "columns": ("twice", "age"), "weights": [2.0]}
    codec, _ = fit({"age": age, "band": level, "b": PRICE, "twice": age * 2}, BANDS, double)
    masks = codec.cell_masks(
        [Condition(column="band", values=("30-44", "45+")), Condition(column="twice", high="100")]
    )
    ages = codec.columns[0].vocabularies[0].filter(pa.array(masks[0])).to_pylist()
    assert (min(ages), max(ages)) == (30, 50)
    with pytest.raises(ConfigError, match="does not know: it knows"):
        codec.cell_masks([Condition(column="band", values=("90+",))])


def test_a_condition_on_a_column_of_several_is_refused():
    columns = {"total": np.round(QUANTITY * PRICE, 2), "quantity": QUANTITY, "price": PRICE}
    codec, _ = fit(columns, PRODUCT)
    with pytest.raises(ConfigError, match="'total', which is a formula and not learnt"):
        codec.cell_masks([Condition(column="total", low="5")])


def test_json_of_another_kind_is_refused():
    codec, _ = _chained()
    data = json.loads(json.dumps(codec.to_json()))
    assert data["version"] == "ganmill-table-codec/2"
    for made in data["made"]:
        if "rounding" in made:
            made["rounding"]["way"] = "__import__('os')"
    with pytest.raises(SnapshotError, match="no way of rounding"):
        TableCodec.from_json(data)


def test_a_factor_is_computed_and_rounded_as_the_rows_are():
    numbers = np.random.default_rng(5)
    price, count = numbers.integers(100, 5000, 2000), numbers.integers(1, 20, 2000)
    rate, total = numbers.integers(1, 26, 2000), numbers.integers(60, 900, 2000)
    columns = {
        "price": price,
        "count": count,
        "gross": np.array([half_up(p * c * 119, 4) for p, c in zip(price, count, strict=True)]),
        "rate": rate,
        "fee": np.array([half_up(p * r, 2) for p, r in zip(price, rate, strict=True)]),
        "total": total,
        "share": np.round(100 * count / total, 1),
    }
    rules = [
        {"kind": "product", "columns": ["gross", "price", "count"], "scale": 0.0119},
        {"kind": "product", "columns": ["fee", "price", "rate"], "scale": 0.01},
        {"kind": "ratio", "columns": ["share", "count", "total"], "scale": 100.0},
    ]
    records = described(columns, constraints=rules)
    codec = TableCodec.fit(records, None)
    assert [maker.name for maker in codec.derived] == ["gross", "fee", "share"]
    made = decoded(codec, records)
    assert not np.any(violations(made, codec.metadata.constraints, records))
    known = {name: columns[name] for name in columns if name not in ("gross", "fee", "share")}
    plain_columns = {name: pa.array(one) for name, one in known.items()}
    for maker in codec.derived:
        again = maker.make(len(price), 0, plain_columns)
        np.testing.assert_array_equal(again.to_numpy(), columns[maker.name])
    assert "0.0119 * 'price' * 'count'" in describe(codec.derived[0].rule)


def half_up(number, decimals):
    """Divide by a power of ten and round to cents as databases do."""
    step = 10 ** (decimals - 2)
    return int((number + step // 2) // step) / 100


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        ({"kind": "sum", "columns": ["a", "b"], "scale": 2.0}, "says scale, which only a product"),
        ({"kind": "product", "columns": ["a", "b", "c"], "scale": 0.0}, "makes everything 0"),
    ],
)
def test_a_factor_that_cannot_be_is_refused(rule, match):
    with pytest.raises(ValueError, match=match):
        Constraint(**rule)
