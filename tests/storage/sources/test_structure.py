"""Rules between columns: each kind with its counter-example, and tables that have none."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rule_search import ROWS, days, kept, search, seconds

from storage.records.constraint import Constraint
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.sources.tables.kinds import infer
from storage.sources.tables.structure.bands import find_bands
from storage.sources.tables.structure.columns import TableColumns
from storage.sources.tables.structure.find import Structure
from storage.sources.tables.structure.notes import structure_notes


class Made:
    """Columns for one kind each, and the rule that they have."""

    def __init__(self, seed=3, rows=ROWS):
        self.draw = np.random.default_rng(seed)
        self.rows = rows

    def sum(self):
        parts = {name: self.draw.integers(0, 9, self.rows) for name in "abcdef"}
        return {**parts, "total": sum(parts.values())}, ("sum", ("total", *"abcdef"))

    def cents(self):
        net = np.round(self.draw.gamma(3, 50, self.rows), 2)
        tip = np.round(self.draw.gamma(2, 3, self.rows), 2)
        return {"net": net, "total": np.round(net + tip, 2), "tip": tip}, (
            "sum",
            ("total", "net", "tip"),
        )

    def constant_sum(self):
        part = self.draw.integers(0, 101, self.rows)
        return {"yes": part, "total": 100 - part}, ("linear", ("total", "yes"))

    def rate(self):
        net = np.round(self.draw.gamma(3, 50, self.rows), 2)
        return {"net": net, "total": np.round(0.19 * net, 2)}, ("linear", ("total", "net"))

    def unit(self):
        celsius = np.round(self.draw.normal(12, 8, self.rows), 1)
        return {"celsius": celsius, "total": np.round(1.8 * celsius + 32, 1)}, (
            "linear",
            ("total", "celsius"),
        )

    def product(self):
        count, price = (
            self.draw.integers(1, 20, self.rows),
            np.round(self.draw.gamma(2, 10, self.rows) + 1, 2),
        )
        return {"count": count, "price": price, "total": np.round(count * price, 2)}, (
            "product",
            ("total", "count", "price"),
        )

    def ratio(self):
        height = np.round(self.draw.normal(1.7, 0.1, self.rows), 2)
        weight = np.round(self.draw.normal(72, 12, self.rows), 1)
        return {"height": height, "weight": weight, "total": np.round(weight / height**2, 1)}, (
            "ratio",
            ("total", "weight", "height", "height"),
        )

    def difference(self):
        start, nights = self.draw.integers(0, 900, self.rows), self.draw.integers(1, 15, self.rows)
        return {"start": days(start), "end": days(start + nights), "total": nights}, (
            "difference",
            ("total", "end", "start"),
        )

    def band(self):
        age = self.draw.integers(18, 90, self.rows)
        band = np.array(["young", "grown", "old"])[np.digitize(age, [30, 60])]
        return {"age": age, "total": band}, ("band", ("total", "age"))

    def flag(self):
        late = np.where(self.draw.random(self.rows) < 0.3, self.draw.integers(1, 40, self.rows), 0)
        return {"late": late, "total": pa.array(late > 0)}, ("band", ("total", "late"))

    def lookup(self):
        item = self.draw.integers(0, 12, self.rows)
        price = np.round(self.draw.gamma(3, 5, 12), 2)
        return {"item": [f"i{n}" for n in item], "total": price[item]}, (
            "lookup",
            ("total", "item"),
        )

    def composite(self):
        item, size = self.draw.integers(0, 5, self.rows), self.draw.integers(0, 4, self.rows)
        price = np.round(self.draw.gamma(3, 5, (5, 4)), 2)[item, size]
        columns = {"item": [f"i{n}" for n in item], "size": [f"s{n}" for n in size], "total": price}
        return columns, ("lookup", ("total", "size", "item"))

    def combinations(self):
        city = self.draw.integers(0, 12, self.rows)
        columns = {"city": [f"c{n}" for n in city], "total": [f"r{n % 3}" for n in city]}
        return columns, ("combinations", ("city", "total"))

    def one_of(self):
        which = self.draw.integers(0, 6, self.rows)
        columns = {f"k_{n}": (which == n).astype(int) for n in range(5)}
        return {**columns, "total": (which == 5).astype(int)}, (
            "one_of",
            (*(f"k_{n}" for n in range(5)), "total"),
        )

    def joint_gaps(self):
        gone = self.draw.random(self.rows) < 0.4
        start, sum_ = self.draw.normal(size=self.rows), self.draw.gamma(2, 10, self.rows)
        return {"first": pa.array(start, mask=gone), "total": pa.array(sum_, mask=gone)}, (
            "conditional",
            ("total", "first"),
        )

    def never(self):
        before = np.maximum(self.draw.poisson(1.0, self.rows) - 1, 0)
        days_ = np.where(before == 0, -1, self.draw.integers(1, 400, self.rows))
        return {"before": before, "total": days_}, ("conditional", ("total", "before"))


KINDS = [name for name in vars(Made) if not name.startswith("_")]


def broken(columns: dict) -> dict:
    """Return the columns with another result in one of the rows that have the commonest one."""
    total = pa.array(columns["total"])
    values = total.to_pylist()
    commonest, _ = Counter(values).most_common(1)[0]
    place = values.index(commonest)
    values[place] = max(value for value in values if value not in (None, commonest))
    return columns | {"total": pa.array(values, total.type)}


def shuffled(columns: dict) -> dict:
    order = np.random.default_rng(5).permutation(ROWS)
    return columns | {"total": pa.array(columns["total"]).take(pa.array(order))}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_is_found_where_it_holds_in_all_rows_and_only_there(kind):
    columns, rule = getattr(Made(), kind)()
    columns["other"] = Made(seed=9).draw.normal(size=ROWS)
    assert kept(columns) == [rule]
    assert search(columns).named == ()
    for wrong in (broken(columns), shuffled(columns)):
        assert rule not in kept(wrong)
        whole = [one for one in kept(wrong) if one[0] != "conditional"]  # of single levels
        assert not any("total" in names for _, names in whole)


def test_what_a_rule_says_of_its_numbers():
    (rate,) = search(Made().rate()[0]).kept
    assert rate.constraint.weights == (0.19,)
    assert rate.why == "total is 0.19 times net in all rows"
    (unit,) = search(Made().unit()[0]).kept
    assert (unit.constraint.weights, unit.constraint.offset) == ((1.8,), 32.0)
    (rest,) = search(Made().constant_sum()[0]).kept
    assert rest.why == "total and yes together are 100 in all rows"
    (band,) = search(Made().band()[0]).kept
    assert (band.constraint.cuts, band.constraint.levels) == ((30, 60), ("young", "grown", "old"))
    (never,) = search(Made().never()[0]).kept
    said = never.constraint
    assert (said.value, said.when, said.exactly) == ("-1", ("0",), True)
    assert never.support == int((pa.array(Made().never()[0]["total"]).to_numpy() == -1).sum())
    (gaps,) = search(Made().joint_gaps()[0]).kept
    assert (gaps.constraint.value, gaps.constraint.when) == ("null", ("null",))
    assert gaps.why == "total is missing exactly where first is missing, in all rows"
    (stay,) = search(Made().difference()[0]).kept
    assert stay.constraint.unit == "days"


def test_a_table_with_many_rules_has_each_of_them_once():
    draw = np.random.default_rng(11)
    columns = {"label": draw.integers(0, 2, ROWS), "note": draw.normal(size=ROWS)}
    rules = []
    for place, kind in enumerate(KINDS):
        made, (name, names) = getattr(Made(seed=20 + place), kind)()
        columns |= {f"{kind}_{column}": values for column, values in made.items()}
        rules.append((name, tuple(f"{kind}_{column}" for column in names)))
    found = search(columns, label="label")
    assert sorted(kept(columns, label="label")) == sorted(rules)
    assert found.named == ()


def test_one_rule_for_a_column_and_none_in_a_circle():
    draw = np.random.default_rng(2)
    net, tax, freight = (draw.integers(1, 500, ROWS) for _ in range(3))
    columns = {"net": net, "tax": tax, "gross": net + tax, "freight": freight}
    columns |= {"paid": net + tax + freight, "twice": 2 * (net + tax)}
    rules = [rule.constraint for rule in search(columns).kept]
    assert sorted(rule.columns[0] for rule in rules) == ["gross", "paid", "twice"]
    assert rules[:2] == [
        Constraint(kind="sum", columns=("gross", "net", "tax")),
        Constraint(kind="sum", columns=("paid", "net", "tax", "freight")),
    ]


def test_the_computed_one_of_three_columns_is_derived():
    draw = np.random.default_rng(2)
    part, total = draw.integers(1, 40, ROWS), draw.integers(50, 400, ROWS)
    columns = {"part": part, "total": total, "share": np.round(part / total, 4)}
    assert kept(columns) == [("ratio", ("share", "part", "total"))]
    exact = {"part": part, "total": part * total, "share": total}
    assert kept(exact) == [("product", ("total", "part", "share"))]


def test_a_total_of_rare_things_is_a_total_and_one_of_next_to_nothing_is_none():
    draw = np.random.default_rng(2)
    for share, rules in ((0.1, [("sum", ("all", "lost", "late"))]), (0.005, [])):
        lost, late = (np.where(draw.random(4000) < share, 1, 0) for _ in range(2))
        columns = {"lost": lost, "late": late, "all": lost + late}
        assert kept({**columns, "other": draw.normal(size=4000)}) == rules


def test_factors_and_means_as_people_write_them():
    draw = np.random.default_rng(2)
    km = np.round(draw.gamma(2, 50, ROWS), 1)
    (miles,) = search({"km": km, "miles": np.round(km / 1.609344, 1)}).kept
    (weight,) = miles.constraint.weights
    assert miles.constraint.columns == ("miles", "km")
    assert abs(weight - 1 / 1.609344) < 1e-4
    marks = {name: draw.integers(0, 101, ROWS) for name in "abc"}
    grade = np.round(0.3 * marks["a"] + 0.3 * marks["b"] + 0.4 * marks["c"], 1)
    (rule,) = search({**marks, "grade": grade}).kept
    assert rule.why == "grade is 0.3 times a + 0.3 times b + 0.4 times c in all rows"
    mean = np.round(sum(marks.values()) / 3, 2)
    assert kept({**marks, "mean": mean}) == [("linear", ("mean", "a", "b", "c"))]


def test_cents_of_large_numbers_count():
    draw = np.random.default_rng(2)
    cost, gain = (np.round(draw.lognormal(17, 1, ROWS), 2) for _ in range(2))
    columns = {"cost": cost, "gain": gain, "income": np.round(cost + gain, 2)}
    assert kept(columns) == [("sum", ("income", "cost", "gain"))]
    columns["income"] = np.round(columns["income"] + 0.01 * (np.arange(ROWS) == 5), 2)
    assert kept(columns) == []


def test_flags_of_a_column_follow_from_it_alone():
    which = np.random.default_rng(2).integers(0, 4, ROWS)
    columns = {"colour": [f"c{n}" for n in which]}
    columns |= {f"is_{n}": (which == n).astype(int) for n in range(4)}
    assert kept(columns) == [("lookup", (f"is_{n}", "colour")) for n in range(4)]


def test_a_total_that_exists_where_its_parts_are_missing_is_none():
    draw = np.random.default_rng(2)
    one, other = draw.integers(1, 99, ROWS), draw.integers(1, 99, ROWS)
    gone = draw.random(ROWS) < 0.2
    total = one + other
    parts = {"one": pa.array(one, mask=gone), "other": other}
    assert kept({**parts, "total": pa.array(total, mask=gone)})[0] == (
        "sum",
        ("total", "one", "other"),
    )
    assert kept({**parts, "total": total}) == []
    zero = np.where(gone, other, total)  # a missing part counts as nothing
    assert kept({**parts, "total": zero}) == [("sum", ("total", "one", "other"))]


def independent(draw, rows):
    return {
        **{f"int{n}": draw.integers(0, 4, rows) for n in range(6)},
        **{f"flag{n}": (draw.random(rows) < 0.02).astype(int) for n in range(4)},
        **{f"zero{n}": np.where(draw.random(rows) < 0.95, 0, draw.integers(1, 99, rows))
           for n in range(4)},
        **{f"level{n}": draw.choice(["a", "b", "c"], rows) for n in range(3)},
        **{f"cents{n}": np.round(draw.gamma(2, 30, rows), 2) for n in range(3)},
    }  # fmt: skip


def correlated(draw, rows):
    common = draw.normal(size=rows)
    return {
        f"x{n}": np.round(2 * (common + 0.1 * draw.normal(size=rows))).astype(int) for n in range(8)
    }


def by_chance(draw, rows):
    one, other = draw.integers(0, 3, rows), draw.integers(0, 3, rows)
    mostly = draw.random(rows) < 0.99
    return {
        "one": one,
        "other": other,
        "mostly": np.where(mostly, one + other, draw.integers(0, 5, rows)),
        "nothing": np.where(draw.random(rows) < 0.002, one, 0),
    }


def orders(draw, rows):
    net = np.round(draw.gamma(3, 50, rows), 2)
    return {"net": net, "tax": np.round(net * draw.uniform(0.05, 0.2, rows), 2)}


def few_points(draw, rows):
    level = draw.integers(0, 5, rows)
    return {"level": level, "root": np.round(50 * np.sqrt(level)), "other": level**3}


@pytest.mark.parametrize("make", [independent, correlated, by_chance, orders])
@pytest.mark.parametrize("rows", [150, ROWS])
def test_tables_without_rules_have_none(make, rows):
    found = search(make(np.random.default_rng(rows), rows))
    assert [rule.why for rule in (*found.kept, *found.named)] == []


def test_few_points_make_no_formula():
    found = kept(few_points(np.random.default_rng(3), ROWS))
    assert found == [("lookup", ("root", "level")), ("lookup", ("other", "level"))]


def test_values_that_few_rows_hold_are_named_nowhere():
    draw = np.random.default_rng(4)
    spent = np.round(draw.gamma(3, 50, ROWS), 2)
    ordered = np.sort(spent)
    group = np.digitize(spent, [ordered[300], ordered[900]])
    columns = {"spent": spent, "group": [f"g{n}" for n in group]}
    (rule,) = search(columns).kept
    real = set(spent.tolist())
    assert real.isdisjoint(rule.constraint.cuts)
    rare = {
        "spent": spent,
        "group": [f"g{n}" for n in np.digitize(spent, [ordered[7], ordered[700]])],
    }
    found = search(rare)
    assert found.kept == ()
    assert [rule.left_out for rule in found.named] == [
        "some level of it is held by too few rows to be shown"
    ]
    assert "g0" not in str([rule.why for rule in found.named])


def test_only_rows_of_train_count_for_what_may_be_shown():
    group = ["rare"] * 12 + ["common"] * (ROWS - 12)
    age = np.where(np.arange(ROWS) < 200, 5, 50) + np.arange(ROWS) % 20
    group = ["young" if one < 30 else "grown" for one in age]
    table = pa.table({"age": age, "group": group})
    kinds = infer(table, SourceConfig(uri="x", label=None), 10).columns
    for count, reason in ((9, "some level of it is held by too few rows to be shown"), (10, None)):
        train_N = np.arange(ROWS) >= 200 - count
        (rule,) = find_bands(TableColumns(table, kinds, 10, train_N), ())
        assert rule.left_out == reason


def test_the_label_and_columns_of_constraints_are_left_alone_and_named():
    columns, rule = Made().cents()
    found = search(columns, label="total")
    assert found.kept == ()
    assert [one.left_out for one in found.named] == ["the label is never made from others"]
    for said in (
        Constraint(kind="unique", columns=("total",)),
        Constraint(kind="conditional", columns=("total", "tip"), value="0", when=("0",)),
    ):
        found = search(columns, constraints=[said])
        assert found.kept == ()
        assert [one.left_out for one in found.named] == [
            "source.constraints decides total, and that comes first"
        ]
    bounds = Constraint(kind="range", columns=("total",), low=0)
    order = Constraint(kind="inequality", columns=("tip", "total"))
    assert kept(columns, constraints=[bounds, order]) == [rule]
    same = Constraint(kind="sum", columns=("total", "tip", "net"))
    assert search(columns, constraints=[same]) == Structure()


def test_categories_of_a_constraint_are_not_joined_with_others():
    city = np.random.default_rng(2).integers(0, 12, ROWS)
    columns = {"city": [f"c{n}" for n in city], "region": [f"r{n % 4}" for n in city]}
    columns["country"] = [f"l{n % 2}" for n in city]
    said = Constraint(kind="combinations", columns=("city", "region"))
    assert kept(columns) == [("combinations", ("city", "region", "country"))]
    assert kept(columns, constraints=[said]) == [("lookup", ("country", "city"))]
    assert search(columns, constraints=[said]).named == ()


def test_gaps_of_few_rows_are_joint_where_they_are_the_same_rows():
    draw = np.random.default_rng(2)
    gone = draw.permutation(ROWS) < 40
    first, second = (draw.normal(size=ROWS) for _ in range(2))
    columns = {"first": pa.array(first, mask=gone), "second": pa.array(second, mask=gone)}
    assert kept(columns) == [("conditional", ("second", "first"))]
    columns["second"] = pa.array(second, mask=gone & (np.arange(ROWS) != np.argmax(gone)))
    assert kept(columns) == []


def test_one_value_of_many_that_goes_with_one_of_another_column_is_no_rule():
    draw = np.random.default_rng(2)
    wage = np.round(draw.choice([*np.arange(10, 90, 0.5), *[50.0] * 6], ROWS), 1)
    assert search({"wage": wage, "angle": np.arctan(wage)}) == Structure()


def test_a_value_that_a_condition_implies_and_that_others_have_too():
    draw = np.random.default_rng(2)
    plan = draw.random(ROWS) < 0.4
    calls = np.where(plan, draw.poisson(3, ROWS), 0)
    calls[: ROWS // 2] = np.maximum(calls[: ROWS // 2], plan[: ROWS // 2])
    columns = {"plan": ["yes" if one else "no" for one in plan], "calls": calls}
    (rule,) = search(columns).kept
    said = rule.constraint
    assert (said.columns, said.value, said.when) == (("calls", "plan"), "0", ("no",))
    assert not said.exactly
    assert rule.why == "calls is 0 in all rows where plan is no"


def test_a_rule_whose_input_a_constraint_makes_of_its_result_is_left_out():
    draw = np.random.default_rng(2)
    one, other = draw.integers(1, 99, ROWS), draw.integers(1, 99, ROWS)
    columns = {"one": one, "other": other, "total": one + other}
    back = Constraint(kind="linear", columns=("one", "total", "other"), weights=(1, -1))
    assert kept(columns, constraints=[back]) == []


def test_numbers_that_are_rounded_down_and_the_whole_days_between_moments():
    draw = np.random.default_rng(2)
    start = draw.integers(0, 10**7, ROWS)
    end = start + draw.integers(1, 10**6, ROWS)
    columns = {"start": seconds(start), "end": seconds(end), "stay": (end - start) // 86_400}
    (stay,) = search(columns).kept
    assert stay.constraint == Constraint(
        kind="difference", columns=("stay", "end", "start"), unit="days"
    )
    assert stay.inexact
    assert kept(columns, label="end") == [("difference", ("stay", "end", "start"))]
    assert kept(columns, label="stay") == []
    total, parts = draw.integers(100, 9000, ROWS), draw.integers(2, 12, ROWS)
    assert kept({"total": total, "parts": parts, "each": total // parts}) == [
        ("ratio", ("each", "total", "parts"))
    ]
    (dozens,) = search({"eggs": total, "dozens": total // 12}).kept
    assert dozens.constraint == Constraint(
        kind="linear", columns=("dozens", "eggs"), weights=(1 / 12,)
    )
    one_less = {"a": parts, "b": total, "c": parts + total - draw.integers(0, 2, ROWS)}
    assert kept(one_less) == []


def test_two_differences_to_one_moment_and_what_a_ratio_is_without_a_divisor():
    draw = np.random.default_rng(2)
    start, stay, lead = draw.integers(0, 900, ROWS), *draw.integers(1, 30, (2, ROWS))
    columns = {"asked": days(start - lead), "start": days(start), "end": days(start + stay)}
    columns |= {"stay": stay, "all": stay + lead, "lead": lead}
    assert kept(columns) == [  # what is left to hold, stay, follows
        ("sum", ("all", "stay", "lead")),
        ("difference", ("lead", "start", "asked")),
        ("difference", ("all", "end", "asked")),
    ]
    del columns["all"]
    assert kept(columns) == [
        ("difference", ("lead", "start", "asked")),
        ("difference", ("stay", "end", "start")),
    ]
    spent, visits = draw.integers(1, 900, ROWS), np.maximum(draw.integers(-3, 9, ROWS), 0)
    spent = np.where(visits == 0, 0, spent)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(visits == 0, 0, np.round(spent / visits, 2))
    columns = {"spent": spent, "visits": visits, "each": each}
    assert ("ratio", ("each", "spent", "visits")) in kept(columns)
    assert ("ratio", ("each", "spent", "visits")) not in kept(
        columns | {"each": np.where(visits == 0, draw.integers(0, 2, ROWS), each)}
    )


def test_what_is_said_alike_of_several_columns_is_one_sentence():
    draw = np.random.default_rng(2)
    gone, plan = draw.random(ROWS) < 0.4, draw.integers(0, 5, ROWS)
    columns = {n: pa.array(draw.normal(size=ROWS), mask=gone) for n in ("a", "b", "c")}
    columns |= {"plan": plan, "fee": 1.5 * plan**3, "limit": plan**2}
    notes = structure_notes(search(columns), kept=True)
    assert notes[:2] == (
        "kept in every synthetic row: plan decides fee and limit in all rows (1,495 rows tell).",
        "kept in every synthetic row: b and c are missing exactly where a is missing, in all rows "
        f"({gone.sum():,} rows tell).",
    )


def invoices(path, rows, *, wrong=0):
    draw = np.random.default_rng(1)
    net, tax = draw.integers(1, 500, rows), draw.integers(1, 90, rows)
    total = net + tax
    total[:wrong] += 1
    shop = draw.choice(["a", "b", "c"], rows)
    pq.write_table(pa.table({"net": net, "tax": tax, "total": total, "shop": shop}), path)
    return str(path)


def constraints(folder, uri, **changes):
    config = SourceConfig(uri=uri, **{"label": "shop", **changes})
    found = prepare(config, folder=folder, min_group=10)
    meaning = json.loads(found.schema.metadata[b"ganmill-table"])
    return [(one["kind"], one["columns"]) for one in meaning["constraints"]], found.notes


def test_what_is_found_is_prepared_and_said(tmp_path):
    uri = invoices(tmp_path / "t.parquet", 500)
    found, notes = constraints(tmp_path / "cache", uri)
    assert found == [("sum", ["total", "net", "tax"])]
    said = "kept in every synthetic row: total is net plus tax in all rows (500 rows tell)."
    assert said in notes
    assert any("`source.structure: named`" in note and "`off`" in note for note in notes)


@pytest.mark.parametrize(
    ("rows", "wrong", "changes", "noted"),
    [
        (100, 0, {}, True),
        (500, 1, {}, False),
        (500, 0, {"structure": "named"}, True),
        (500, 0, {"structure": False}, False),  # as YAML reads `off`
        (500, 0, {"label": "total"}, True),
    ],
)
def test_one_exception_an_objection_or_the_label_leave_it(tmp_path, rows, wrong, changes, noted):
    uri = invoices(tmp_path / "t.parquet", rows, wrong=wrong)
    found, notes = constraints(tmp_path / "cache", uri, **changes)
    assert found == ([("sum", ["total", "net", "tax"])] if rows == 100 else [])
    assert any("total is net plus tax" in note for note in notes) is noted
    if "structure" in changes and noted:
        (note,) = (note for note in notes if "to keep it" in note)
        entry = json.loads(note.partition("source.constraints: - ")[2])
        assert constraints(tmp_path / "cache", uri, **changes, constraints=[entry])[0] == [
            ("sum", ["total", "net", "tax"])
        ]


def test_a_named_constraint_comes_first(tmp_path):
    uri = invoices(tmp_path / "t.parquet", 500)
    named = {"kind": "unique", "columns": ["net", "total"]}
    found, notes = constraints(tmp_path / "cache", uri, constraints=[named])
    assert found == [("unique", ["net", "total"])]
    assert any("source.constraints decides total" in note for note in notes)
    named = {"kind": "inequality", "columns": ["net", "total"]}
    found, _ = constraints(tmp_path / "cache", uri, constraints=[named])
    assert found == [("inequality", ["net", "total"]), ("sum", ["total", "net", "tax"])]


def test_a_sum_that_is_rounded_is_a_linear_formula():
    one, other = (np.random.default_rng(seed).integers(100, 9999, ROWS) / 100 for seed in (0, 1))
    (rule,) = search({"one": one, "other": other, "total": np.round(one + other)}).kept
    assert (rule.constraint.kind, rule.constraint.weights) == ("linear", (1.0, 1.0))


def test_an_invoice_is_its_product_and_what_is_taken_off():
    draw = np.random.default_rng(0)
    number, price = draw.integers(1, 30, ROWS), draw.integers(100, 9999, ROWS) / 100
    gross, off = np.round(number * price, 2), draw.integers(0, 99, ROWS) / 100
    found = kept(
        {
            "number": number,
            "price": price,
            "gross": gross,
            "off": off,
            "net": (gross - off).round(2),
        }
    )
    assert ("product", ("gross", "number", "price")) in found
    assert {columns[0] for _, columns in found} == {"gross", "net"}


def test_a_difference_that_may_be_negative_is_what_is_computed():
    won, lost = (np.random.default_rng(seed).poisson(20, ROWS) for seed in (0, 1))
    (rule,) = search({"won": won, "lost": lost, "ahead": won - lost}).kept
    assert rule.constraint.columns[0] == "ahead"


def test_two_columns_are_left_to_learn():
    age = np.random.default_rng(0).integers(18, 80, ROWS)
    found = search({"age": age, "birth": 2024 - age}, free=False)
    assert found.kept == ()
    assert found.named[0].left_out == "too few columns would be left to learn"
    assert len(search({"age": age, "birth": 2024 - age}).kept) == 1


def test_a_whole_quotient_of_amounts_is_named_and_not_kept():
    draw = np.random.default_rng(0)
    price, net = draw.integers(100, 999, ROWS) / 100, draw.integers(100, 99_999, ROWS) / 100
    found = search({"price": price, "net": net, "about": np.round(net / price).astype(int)})
    assert found.kept == ()
    assert any("the same whole one" in str(rule.left_out) for rule in found.named)


def test_the_end_of_a_slope_is_no_condition():
    draw = np.random.default_rng(0)
    grade = draw.integers(0, 8, 5000)
    paid = np.where(draw.random(5000) < grade / 8 + 0.2, 0, draw.integers(1, 50, 5000))
    found = search({"grade": pa.array([f"g{each}" for each in grade]), "paid": paid})
    assert found.kept == ()


def test_a_condition_out_of_the_range_that_the_recipe_gives_is_not_kept():
    draw = np.random.default_rng(0)
    previous = np.where(draw.random(ROWS) < 0.7, 0, draw.integers(1, 6, ROWS))
    days_ = np.where(previous == 0, -1, draw.integers(1, 400, ROWS))
    columns = {"previous": previous, "days": days_}
    assert kept(columns) == [("conditional", ("days", "previous"))]
    rule = Constraint(kind="range", columns=("days",), low=0.0)
    found = search(columns, constraints=[rule])
    assert found.kept == ()
    assert "range" in str(found.named[0].left_out)


class Scaled:
    """Products and ratios with a factor."""

    def __init__(self):
        self.draw = np.random.default_rng(12)

    def tax(self):
        net, rate = np.round(self.draw.gamma(3, 50, ROWS), 2), self.draw.integers(5, 25, ROWS)
        return {"net": net, "rate": rate, "tax": np.round(net * rate / 100 + 1e-9, 2)}, 0.01

    def percent(self):
        total, part = self.draw.integers(50, 999, ROWS), self.draw.integers(1, 50, ROWS)
        return {"total": total, "part": part, "percent": np.round(100 * part / total, 1)}, 100

    def gross(self):
        price, count = self.draw.integers(100, 9000, ROWS), self.draw.integers(1, 30, ROWS)
        gross = np.round(price * count * 1.19 / 100 + 1e-9, 2)
        return {"price": price, "count": count, "gross": gross}, 0.0119

    def pace(self):
        metres, seconds = self.draw.integers(400, 9000, ROWS), self.draw.integers(90, 4000, ROWS)
        return {"metres": metres, "seconds": seconds, "speed": 3.6 * metres / seconds}, 3.6

    def down(self):
        price, share = self.draw.integers(1000, 90_000, ROWS), self.draw.integers(1, 100, ROWS)
        return {"price": price, "share": share, "fee": price * share // 1000}, 0.001


@pytest.mark.parametrize("name", ["tax", "percent", "gross", "pace", "down"])
def test_a_factor_is_found_and_a_noisy_formula_is_not(name):
    columns, scale = getattr(Scaled(), name)()
    result = list(columns)[-1]
    (rule,) = search(columns).kept
    assert rule.constraint.columns[0] == result
    assert rule.constraint.scale == scale
    assert f"{scale:g} times" in rule.why
    step = 1 if columns[result].dtype.kind == "i" else 0.1
    noise = np.random.default_rng(1).integers(-9, 10, ROWS) * step
    assert kept(columns | {result: columns[result] + noise}) == []


def test_a_result_of_few_steps_or_few_inputs_has_no_factor():
    draw = np.random.default_rng(14)
    one, other = draw.integers(1, 40, ROWS), draw.integers(1, 40, ROWS)
    assert kept({"one": one, "other": other, "coarse": np.round(one * other / 400)}) == []
    plan = draw.integers(1, 5, ROWS)
    rules = kept({"plan": plan, "limit": plan**2 + 1, "fee": 1.5 * plan * (plan**2 + 1)})
    assert {kind for kind, _ in rules} <= {"lookup", "combinations"}


@pytest.mark.parametrize("offset", [0.0, 500.0])
def test_a_sum_in_single_precision_is_found_and_one_with_more_noise_is_not(offset):
    draw = np.random.default_rng(15)
    parts = {n: (offset + draw.gamma(2, 30, ROWS)).astype(np.float32) for n in ("a", "b", "c")}
    total = parts["a"] + parts["b"] + parts["c"]
    assert total.dtype == np.float32
    assert kept({**parts, "total": total}) == [("sum", ("total", "a", "b", "c"))]
    noisy = (total * (1 + 1e-4 * draw.normal(size=ROWS))).astype(np.float32)
    assert kept({**parts, "total": noisy}) == []


@pytest.mark.parametrize("there", [0.0, np.nan, "both"])
def test_a_ratio_of_which_few_rows_divide_zero_by_zero_is_found(there):
    draw = np.random.default_rng(16)
    spent, visits = draw.integers(1, 900, ROWS), draw.integers(1, 40, ROWS)
    visits[:4] = spent[:4] = 0
    with np.errstate(invalid="ignore"):
        mean = np.round(spent / visits, 3)
    mean[:4] = [0.0, np.nan, 0.0, np.nan] if there == "both" else there
    columns = {"spent": spent, "visits": visits, "mean": pa.array(mean, mask=np.isnan(mean))}
    assert kept(columns) == [("ratio", ("mean", "spent", "visits"))]
    mean[:4] = [0.0, 7.0, 3.0, 0.0]
    assert "ratio" not in dict(kept(columns | {"mean": mean}))
