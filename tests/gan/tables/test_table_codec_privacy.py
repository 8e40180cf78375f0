"""What must never leave a codec: a value that fewer than min_group rows hold."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_tables import cycle, decoded, described, every_cell

from gan.tables.codec import TableCodec
from gan.tables.columns.groups import shown_values, wide_gaps
from gan.tables.columns.values import STORED

PLANTED = 50


def planted_table(rows=2000):
    """Return ordinary rows with 50 among them whose every value is theirs alone."""
    numbers = np.random.default_rng(11)
    places = np.sort(numbers.choice(rows, PLANTED, replace=False))
    secret = np.arange(PLANTED)
    age = numbers.integers(18, 80, rows)
    age[places] = 200 + secret
    income = numbers.lognormal(10, 0.6, rows).round(2)
    income[places[:25]] = 7_000_000.25 + 1000 * secret[:25]
    income[places[25:]] = -7_000_000.25 - 1.5 * secret[25:]
    days = numbers.integers(10_000, 19_000, rows)
    days[places] = 40_000 + 30 * secret
    ratio = numbers.normal(size=rows)
    ratio[places] = 1e6 + numbers.random(PLANTED)
    towns = np.array(cycle(["Rome", "Oslo", "Lima"], rows), dtype=object)
    towns[places] = [f"Secret-{number}" for number in secret]
    keys = np.array([f"K-{number:08}" for number in numbers.permutation(rows)], dtype=object)
    notes = np.array(["hello there"] * rows, dtype=object)
    notes[places] = [f"call me at {number}" for number in secret]
    columns = {
        "age": age,
        "income": income,
        "day": pa.array(days.astype(np.int32), pa.date32()),
        "ratio": ratio,
        "town": pa.array(towns, pa.string()),
        "region": pa.array(np.where(towns == "Oslo", "north", "south")),
        "key": pa.array(keys, pa.string()),
        "note": pa.array(notes, pa.string()),
    }
    records = described(
        columns,
        kinds={"key": "key", "note": "text"},
        forms={"key": r"\A-99999999", "note": "aaaaa aaaaa"},
        constraints=[{"kind": "combinations", "columns": ["town", "region"]}],
    )
    return records, places


def shown_with_and_without(units, places, step, kind):
    """Return for each row whether its value can be decoded, and whether if it held another.

    Args:
        units: of one column.
        places: rows.
        step: the other value is the nearest multiple of it away that no row holds.
        kind: the column's type.
    """
    whole, found = shown_of(units, kind), []
    for place in places:
        own, other = units[place], units.copy()
        near = own + step * np.arange(1, 200).repeat(2) * np.tile([1, -1], 199)
        other[place] = near[~np.isin(near, units)][0]
        found.append((own in whole, own in shown_of(other, kind)))
    return np.array(found)


def shown_of(units, kind):
    """Return every value of one column that its codec can decode, in units."""
    values = pa.array(units, STORED[kind.bit_width]).view(kind)
    records = described({"it": values, "other": cycle(["p", "q"], len(units))})
    cells = every_cell(TableCodec.fit(records, None))["it"]
    return set(cells.view(STORED[kind.bit_width]).to_pylist())


def test_nothing_of_fifty_unique_rows_comes_out():
    records, places = planted_table()
    codec = TableCodec.fit(records, None)
    rows = records.take(pa.array(places))
    cells = every_cell(codec)
    for name, values in cells.items():
        shown = set(values.to_pylist()) & set(rows[name].to_pylist())
        assert not shown or name in ("region", "day")
    text = json.dumps(codec.to_json())
    assert "Secret" not in text
    numbers = set(re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text))
    days = rows["day"].cast(pa.int32()).to_pylist()
    for value in [*rows["age"].to_pylist(), *rows["income"].to_pylist(), *days]:
        assert str(value) not in numbers
    for value in rows["ratio"].to_pylist():
        assert repr(value) not in numbers
    found = decoded(codec, rows)
    for name in ("age", "income", "ratio", "town", "note"):
        assert not set(found[name].to_pylist()) & set(rows[name].to_pylist()), name


@pytest.mark.parametrize("column", ["planted", "amounts", "tens", "days", "between"])
def test_a_lone_value_is_shown_no_more_often_than_if_its_row_held_another(column):
    numbers, step = np.random.default_rng(15), 10 if column == "tens" else 1
    units = {
        "planted": lambda: planted_table()[0]["day"].cast(pa.int32()).to_numpy(),
        "amounts": lambda: numbers.lognormal(9, 1.5, 800).astype(np.int64),
        "tens": lambda: numbers.integers(0, 60_000, 800) * 10,
        "between": lambda: np.concatenate(
            [np.arange(200).repeat(15) * 7, numbers.choice(1400, 150, replace=False)]
        ),
        "days": lambda: (19_000 - numbers.exponential(900, 800)).astype(np.int64),
    }[column]()
    _, first, counts = np.unique(units, return_index=True, return_counts=True)
    places = numbers.permutation(first[counts == 1])[:40]
    if column == "planted":
        places = planted_table()[1][:40]
    kind = pa.date32() if column in ("planted", "days") else pa.int64()
    found = shown_with_and_without(units, places, step, kind)
    because, although = (int((found[:, n] & ~found[:, 1 - n]).sum()) for n in (0, 1))
    assert because <= although + 3 * np.sqrt(max(because + although, 1))
    assert because <= len(places) / 8


def test_a_lone_outlier_leaves_no_trace():
    ordinary = np.random.default_rng(12).integers(0, 100, 1000)
    for outlier in (10**9, -(10**9)):
        with_it = described({"it": np.append(ordinary, outlier), "b": cycle(["p", "q"], 1001)})
        cells = every_cell(TableCodec.fit(with_it, None))["it"].to_numpy()
        assert cells.min() >= 0
        assert cells.max() < 100


def test_few_rows_show_no_real_value():
    numbers = np.random.default_rng(13)
    values = np.sort(numbers.choice(100_000, 60, replace=False)) * 1.25
    cells = shown_values(np.sort(values), 10)
    assert not np.isin(cells, values).any()
    assert len(np.unique(cells)) == 4


def test_counts_below_the_group_are_not_in_json():
    records, _ = planted_table()
    data = TableCodec.fit(records, None).to_json()
    counts = [count for column in data["columns"] for count in column.get("rows", ())]
    assert counts
    assert min(counts) >= 10


@pytest.mark.parametrize(
    "constraints",
    [(), ({"kind": "combinations", "columns": ["town", "land"]},)],
    ids=["alone", "combined"],
)
def test_a_level_is_shown_that_a_whole_group_holds_and_none_that_one_row_less_does(constraints):
    towns = ["Rome"] * 100 + ["Oslo"] * 10 + ["Lima"] * 9
    lands = ["Italy"] * 100 + ["Norway"] * 10 + ["Peru"] * 9
    columns = {"town": towns, "land": lands, "size": cycle([1, 2, 3], len(towns))}
    codec = TableCodec.fit(described(columns, constraints=constraints, min_group=10), None)
    assert set(every_cell(codec)["town"].to_pylist()) == {"Rome", "Oslo"}
    assert "Lima" not in json.dumps(codec.to_json())


@pytest.mark.parametrize(("rows", "shown"), [(9, False), (10, True)])
def test_a_number_is_shown_that_a_whole_group_holds_and_none_that_one_row_less_does(rows, shown):
    ordinary = np.random.default_rng(14).choice(1_000_000, 1000, replace=False)
    units = np.sort(np.append(ordinary, np.full(rows, 777_777)))
    assert (777_777 in shown_values(units, 10)) is shown


@pytest.mark.parametrize("name", ["age", "income", "day", "ratio"])
def test_public_numbers_are_exempt(name):
    records, places = planted_table()
    meaning = json.loads(records.schema.metadata[b"ganmill-table"])
    for column in meaning["columns"]:
        if column["name"] == name:
            column["vocabulary"] = "public"
    public = records.replace_schema_metadata({b"ganmill-table": json.dumps(meaning).encode()})
    rare = set(records.take(pa.array(places))[name].to_pylist())
    assert rare & set(every_cell(TableCodec.fit(public, None))[name].to_pylist())


whole = st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 30), min_size=1, max_size=120)
floats = st.lists(
    st.floats(-1e12, 1e12, allow_subnormal=False) | st.sampled_from([0.0, 0.5, 1.0]),
    min_size=1,
    max_size=120,
)


@settings(max_examples=300, deadline=None)
@given(values=whole | floats, group=st.integers(1, 12))
def test_shown_values_are_sorted_inside_the_ends_and_held_by_a_group(values, group):
    real = np.sort(np.array(values))
    if len(real) < group:
        return
    shown = shown_values(real, group)
    assert len(shown) == len(real)
    assert shown.dtype == real.dtype
    assert np.all(np.diff(shown) >= 0)
    assert shown[0] >= real[0]
    assert shown[-1] <= real[-1]
    often = _often(real, group)
    np.testing.assert_array_equal(often, often[np.isin(often, shown)])
    for value in np.setdiff1d(shown, often):
        assert (shown == value).sum() >= group


@settings(max_examples=300, deadline=None)
@given(
    values=st.lists(st.integers(0, 10**6), min_size=20, max_size=120, unique=True),
    step=st.sampled_from([1, 5, 1000, 86_400]),
    group=st.integers(2, 10),
)
def test_unique_values_are_never_shown_unless_all_places_are_taken(values, step, group):
    real = np.sort(np.array(values)) * step
    shown = shown_values(real, group)
    places = np.arange(real[0], real[-1] + 1, step) if np.ptp(real) < 10**6 else None
    if places is None or len(places) > len(real):
        assert not len(np.intersect1d(shown, real))


def test_a_group_whose_own_places_are_all_taken_moves_on_the_columns_step():
    real = np.array([*range(13), 59, 119, 179, 180, 181, 182, 183])
    shown = shown_values(real, 2)
    assert not len(np.intersect1d(shown, real[13:15]))


def test_wide_gaps_are_found_with_rows_on_both_sides():
    values = np.array([0.0, 1, 2, 10, 11, 12, 12.5, 40])
    assert np.flatnonzero(wide_gaps(values, 3)).tolist() == [3]
    assert not wide_gaps(values[:5], 3).any()
    assert not wide_gaps(np.empty(0), 3).any()
    np.testing.assert_array_equal(np.flatnonzero(wide_gaps(np.array([1, 5]), 1)), [1])


def _often(real, group):
    distinct, counts = np.unique(real, return_counts=True)
    return distinct[counts >= group]
