"""Columns that bend, choose or compare: made in every row, refused, bounded, filled."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from row_generator import SingleColumns, sampler_of
from small_tables import RowSampler, broken, repaired, with_meaning

from gan.errors import ConfigError, DataError
from gan.tables.backwards import invert_formula
from gan.tables.codec import TableCodec
from gan.tables.columns.arithmetic import compute
from gan.tables.columns.rules import in_words
from gan.tables.columns.values import require_metadata
from gan.tables.constraints import violations
from gan.tables.contradictions import check_constraints
from gan.tables.impute import impute
from storage.records.constraint import Constraint
from storage.records.moment_parts import passed, whole_months, written

ROWS = 900
LATE = {"kind": "band", "columns": ["late", "came", "due"], "cuts": [0], "levels": ["no", "yes"]}
RULES = (
    {
        "kind": "piecewise",
        "columns": ["fund", "pay"],
        "cuts": [1200],
        "weights": [0.05, 0],
        "offset": 60,
    },
    {"kind": "piecewise", "columns": ["off", "plan", "pay"], "cuts": [0], "weights": [-1, 1]},
    {"kind": "largest", "columns": ["most", "pay", "plan"]},
    {"kind": "smallest", "columns": ["least", "pay", "plan"]},
    {"kind": "products", "columns": ["sum", "pay", "count", "plan", "rate"], "weights": [1, -0.5]},
    LATE,
    {
        "kind": "band",
        "columns": ["sign", "count", "rate"],
        "cuts": [-0.5, 0.5],
        "levels": ["-1", "0", "1"],
    },
    {"kind": "difference", "columns": ["age", "due", "born"], "unit": "years"},
    {"kind": "difference", "columns": ["wait", "came", "due"], "unit": "days", "whole_days": True},
    {"kind": "part", "columns": ["old", "born"], "part": "years until", "until": "2026-01-01"},
    {
        "kind": "part",
        "columns": ["served", "born"],
        "part": "years of 365.25 days until",
        "until": "2026-01-01",
        "decimals": 1,
    },
    {"kind": "difference", "columns": ["aged", "due", "born"], "unit": "years of 365 days"},
    {"kind": "function", "columns": ["log", "pay"], "function": "log1p"},
    {"kind": "function", "columns": ["mean", "pay", "plan"], "function": "root", "scale": 0.25},
    {"kind": "function", "columns": ["far", "pay", "plan"], "function": "length"},
    {
        "kind": "rates",
        "columns": ["bonus", "late", "pay"],
        "levels": ["yes", "no"],
        "weights": [0.1, 0],
    },
    {"kind": "part", "columns": ["quarter", "due"], "part": "text", "pattern": "{year}-Q{quarter}"},
)


def moments(numbers):
    return pa.array(np.asarray(numbers, np.int64) * 10**6).cast(pa.timestamp("us"))


def work(*, rules=RULES, **changes):
    draw = np.random.default_rng(4)
    pay, plan = (draw.gamma(9, 120, ROWS).round(2) for _ in range(2))
    count, rate = draw.integers(0, 9, ROWS), draw.integers(0, 9, ROWS)
    born = moments(draw.integers(-900_000_000, 0, ROWS) // 86_400 * 86_400)
    due = draw.integers(1_500_000_000, 1_600_000_000, ROWS)
    came = due + draw.integers(-400_000, 400_000, ROWS)
    columns = {
        "pay": pay,
        "plan": plan,
        "count": count,
        "rate": rate,
        "born": born,
        "due": moments(due),
        "came": moments(came),
        "fund": np.minimum(0.05 * pay, 60).round(2),
        "off": np.abs(plan - pay).round(2),
        "most": np.maximum(pay, plan),
        "least": np.minimum(pay, plan),
        "sum": (pay * count - 0.5 * plan * rate).round(3),
        "late": np.where(came >= due, "yes", "no"),
        "sign": np.sign(count - rate),
        "age": (whole_months(moments(due), born) // 12).astype(np.int64),
        "wait": came // 86_400 - due // 86_400,
        "old": passed(born, "years until", date(2026, 1, 1)).astype(np.int64),
        "served": passed(born, "years of 365.25 days until", date(2026, 1, 1)).round(1),
        "aged": ((due * 1.0 - np.asarray(born.cast(pa.int64())) / 1e6) / 86_400 / 365).round(2),
        "log": np.log1p(pay).round(3),
        "mean": np.sqrt(pay * plan / 4).round(2),
        "far": np.hypot(pay, plan).round(1),
        "bonus": np.where(came >= due, 0.1 * pay, 0).round(2),
        "quarter": written(moments(due), "{year}-Q{quarter}"),
    }
    return with_meaning(columns | changes, constraints=rules)


def test_they_hold_in_every_row():
    records = work()
    codec = TableCodec.fit(records, None)
    learnt = {"pay", "plan", "count", "rate", "born", "due", "came"}
    assert {column.name for column in codec.columns} == learnt
    assert TableCodec.from_json(codec.to_json()) == codec
    sampler = RowSampler(records).shuffled()
    _, made = repaired(sampler, ROWS)
    assert broken(sampler, made) == 0
    assert made.schema.types == records.schema.types
    rows = made.to_pandas()
    assert (rows["most"] == rows[["pay", "plan"]].max(axis=1)).all()
    assert ((rows["late"] == "yes") == (rows["came"] >= rows["due"])).all()
    assert (
        rows["wait"] == (rows["came"].dt.normalize() - rows["due"].dt.normalize()).dt.days
    ).all()
    assert (rows["fund"] <= 60).all()
    assert (rows["fund"] == 60).mean() > 0.2


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["columns"][0])
def test_real_rows_that_break_them_are_refused(rule):
    name = rule["columns"][0]
    values = work()[name].to_pandas()
    wrong = values + 9 if values.dtype.kind in "if" else np.roll(values, 1)
    with pytest.raises(DataError, match=r"does not hold in \d+ of 900 real rows"):
        TableCodec.fit(work(rules=[rule], **{name: np.asarray(wrong)}), None)


@pytest.mark.parametrize(
    ("place", "ranges", "low", "high"),
    [
        (0, {"pay": (0, 9000)}, 0, 60),
        (1, {"pay": (0, 10), "plan": (20, 50)}, 10, 50),
        (2, {"pay": (0, 10), "plan": (20, 50)}, 20, 50),
        (3, {"pay": (0, 10), "plan": (20, 50)}, 0, 10),
        (4, {"pay": (1, 2), "count": (3, 4), "plan": (2, 2), "rate": (0, 10)}, -7, 8),
    ],
)
def test_what_they_reach_is_held_against_ranges(place, ranges, low, high):
    name = RULES[place]["columns"][0]

    def check(least, most):
        bounds = [
            {"kind": "range", "columns": [column], "low": a, "high": b}
            for column, (a, b) in (*ranges.items(), (name, (least, most)))
        ]
        check_constraints(require_metadata(work(rules=[RULES[place], *bounds]).schema))

    check(low, high)
    check(high, high + 9)
    with pytest.raises(ConfigError, match=name):
        check(high + 2, high + 9)
    with pytest.raises(ConfigError, match=name):
        check(low - 9, low - 2)


def test_they_are_about_columns_of_one_kind():
    for changes in ({"columns": ["late", "came", "pay"]}, {"columns": ["late", "quarter", "due"]}):
        with pytest.raises(ConfigError, match=r"of kind"):
            check_constraints(require_metadata(work(rules=[LATE | changes]).schema))


def test_a_null_counts_as_nothing_where_real_rows_say_so():
    some = {"a": pa.array([1.0, None, None]), "b": pa.array([3.0, 2.0, None])}
    rule = Constraint(kind="largest", columns=("c", "a", "b"))
    np.testing.assert_array_equal(compute(rule, some).numbers_N, [3, np.nan, np.nan])
    np.testing.assert_array_equal(compute(rule, some, skips_null=True).numbers_N, [3, 2, np.nan])
    pairs = Constraint(kind="products", columns=("c", "a", "a", "b", "b"))
    np.testing.assert_array_equal(compute(pairs, some, skips_null=True).numbers_N, [10, 4, np.nan])


SOLVED = [(0, "pay"), (1, "plan"), (1, "pay"), (2, "pay"), (3, "plan"), (4, "pay"), (4, "plan")]


@pytest.mark.parametrize(("place", "name"), SOLVED)
def test_an_input_is_solved_for_unless_any_meets_the_result(place, name):
    records = work(rules=RULES[place : place + 1])
    (maker,) = TableCodec.fit(records, None).derived
    columns = {each: records[each].combine_chunks() for each in (maker.name, *maker.inputs)}
    real = np.asarray(columns[maker.name], dtype=float)
    met_N, open_N = np.zeros(ROWS, dtype=bool), np.ones(ROWS, dtype=bool)
    for end in (-0.01, 0.01):
        solved = invert_formula(maker, name, columns, np.full(ROWS, end))
        again = compute(maker.rule, columns | {name: pa.array(solved)}).numbers_N
        met_N |= np.abs(again - real) < 0.01
        open_N &= np.isnan(solved)
    assert (met_N | open_N).all()
    assert met_N.mean() > 0.3


def test_an_absolute_difference_lies_on_either_side():
    records = work(rules=RULES[1:2])
    (maker,) = TableCodec.fit(records, None).derived
    columns = {name: records[name].combine_chunks() for name in ("off", "plan", "pay")}
    above, below = (
        invert_formula(maker, "plan", columns, np.full(ROWS, end)) for end in (0.01, -0.01)
    )
    assert (above >= np.asarray(columns["pay"])).all()
    assert (below <= np.asarray(columns["pay"])).all()


@pytest.mark.parametrize("name", ["pay", "fund"])
def test_what_is_missing_is_filled_such_that_they_hold(name):
    rules = [RULES[place] for place in (0, 1, 4)]
    records = work(rules=rules)
    sampler = sampler_of(records, kind=SingleColumns, size=256)
    known = records.slice(0, 200)
    place, column = records.schema.get_field_index(name), known[name]
    gone = known.set_column(place, name, pa.nulls(200, column.type))
    filled = impute(sampler, gone, seed=3)
    assert filled[name].null_count == 0
    for broken_N in violations(filled, [Constraint(**rule) for rule in rules], records):
        assert not broken_N.any()


def test_they_are_told_in_words():
    assert [in_words(Constraint(**rule)) for rule in RULES] == [
        "piecewise formula 'fund' of 'pay' that bends at 1200",
        "piecewise formula 'off' of 'plan' - 'pay' that bends at 0",
        "largest 'most' of 'pay', 'plan'",
        "smallest 'least' of 'pay', 'plan'",
        "products 'sum' = 'pay' * 'count' + -0.5 * 'plan' * 'rate'",
        "bands 'late' of 'came' - 'due'",
        "bands 'sign' of 'count' - 'rate'",
        "difference 'age' = 'due' - 'born' in years",
        "difference 'wait' = 'came' - 'due' in days",
        "part 'old' = years until of 'born' on 2026-01-01",
        "part 'served' = years of 365.25 days until of 'born' on 2026-01-01",
        "difference 'aged' = 'due' - 'born' in years of 365 days",
        "function 'log' = log1p of 'pay'",
        "function 'mean' = root of 0.25 * 'pay' * 'plan'",
        "function 'far' = length of 'pay', 'plan'",
        "rates 'bonus' = 'pay' * a rate by 'late'",
        "part 'quarter' = text '{year}-Q{quarter}' of 'due'",
    ]
