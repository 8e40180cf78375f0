"""Rules between columns: rows are drawn again until they keep them; reports say who breaks one."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from judged_tables import cut
from small_tables import RowSampler, broken, repaired, with_meaning
from typed_tables import described

from gan.errors import ConfigError
from gan.modalities import Options
from gan.tables.codec import TableCodec
from gan.tables.columns.derived import as_numbers
from gan.tables.columns.values import require_metadata
from gan.tables.evaluation.closeness import RowIdentity
from gan.tables.evaluation.columns import build_context
from gan.tables.evaluation.facts import HardFacts
from gan.tables.figures.structure import structure
from storage.records.schema import Condition

NUMBERS = np.random.default_rng(3)
ROWS = 3000


def visits(rows=ROWS, *, extra=()):
    """Days since the last visit are -1 exactly where there was none, and 0 to 9 elsewhere."""
    numbers = np.random.default_rng(2)
    seen = numbers.integers(0, 4, rows)
    days = np.where(seen == 0, -1, numbers.integers(0, 10, rows))
    first, more = numbers.integers(0, 50, rows), numbers.integers(0, 20, rows)
    columns = {
        "days": days,
        "seen": seen,
        "first": first,
        "more": more,
        "last": first + 2 * more,
        "other": numbers.choice(["a", "b"], rows),
    }
    rules = [
        {"kind": "conditional", "columns": ["days", "seen"], "value": "-1", "when": ["0"]},
        {"kind": "linear", "columns": ["last", "first", "more"], "weights": [1.0, 2.0]},
        *extra,
    ]
    keep = first + 2 * more <= 60 if extra else np.ones(rows, dtype=bool)
    return with_meaning({name: one[keep] for name, one in columns.items()}, constraints=rules)


def test_drawing_again_keeps_the_share_of_what_decides():
    sampler = RowSampler(visits()).shuffled()
    found, records = repaired(sampler, ROWS)
    assert broken(sampler, records) == 0
    assert found.changed == 0
    assert 0.1 < found.redrawn / ROWS < 0.3, "3 of 16 draw -1 though there was a visit"
    days, seen = records["days"].to_numpy(), records["seen"].to_numpy()
    free = np.bincount(days[seen > 0], minlength=10) / (seen > 0).sum()
    assert np.all(np.abs(free - 0.1) < 0.03), "what is left is as it was drawn"


def test_what_no_draw_meets_takes_another_value():
    sampler = RowSampler(visits())
    cells = sampler.codec.encode(visits()).values
    wrong = cells[:1].copy()
    wrong[0, :2] = [cells[visits()["seen"].to_numpy() == 0][0, 0], cells[:, 1].max()]
    sampler.cells = wrong
    found, records = repaired(sampler, 40)
    assert found.changed == 40
    assert broken(sampler, records) == 0
    assert set(records["seen"].to_pylist()) == {3}
    assert set(records["days"].to_pylist()) <= set(range(10))


def test_a_condition_that_is_asked_for_is_not_overwritten():
    sampler = RowSampler(visits()).shuffled()
    given = (Condition(column="days", values=("5",)),)
    column = sampler.codec.columns[0]
    sampler.cells = sampler.cells[sampler.codec.cell_masks(given)[0][sampler.cells[:, 0]]]
    found, records = repaired(sampler, 500, given=given)
    assert column.name == "days"
    assert set(records["days"].to_pylist()) == {5}
    assert 0 not in records["seen"].to_pylist()
    assert found.redrawn > 50


def test_what_is_asked_for_and_always_overwritten_is_refused():
    codec = RowSampler(visits()).codec
    days = Condition(column="days", values=("5",))
    codec.check((days, Condition(column="seen", values=("0", "1"))), 100)
    codec.check((Condition(column="days", values=("-1",)), Condition(column="seen", low="0")), 100)
    with pytest.raises(
        ConfigError, match="asks for values of 'days' that the constraint condition"
    ):
        codec.check((days, Condition(column="seen", values=("0",))), 100)
    never = Condition(column="days", values=("-1",))
    with pytest.raises(ConfigError, match="forbids: correct one of them"):
        codec.check((never, Condition(column="seen", low="1")), 100)


def test_numbers_that_a_type_is_too_narrow_for_are_drawn_again():
    numbers = np.random.default_rng(2)
    left, right = numbers.integers(1, 40, (2, ROWS))
    keep = left * right < 128
    columns = {
        "area": pa.array((left * right)[keep].astype(np.int8)),
        "left": left[keep],
        "right": right[keep],
    }
    rule = {"kind": "product", "columns": ["area", "left", "right"]}
    sampler = RowSampler(described(columns, constraints=[rule], min_group=1)).shuffled()
    drawn = sampler.codec.decode(sampler.draw(1000), np.zeros(1000, dtype=np.int64))
    assert drawn["area"].null_count > 50
    found, records = repaired(sampler, 1000)
    assert found.redrawn > 50
    assert records["area"].null_count == 0
    assert broken(sampler, records) == 0


def test_ranges_and_inequalities_on_what_is_computed():
    rules = [
        {"kind": "range", "columns": ["last"], "low": 0, "high": 60},
        {"kind": "inequality", "columns": ["more", "last"]},
        {"kind": "linear", "columns": ["twice", "last"], "weights": [2.0]},
        {"kind": "range", "columns": ["twice"], "high": 120},
    ]
    table = visits(extra=rules[:2])
    metadata = require_metadata(table.schema)
    assert len(metadata.constraints) == 4
    sampler = RowSampler(table).shuffled()
    found, records = repaired(sampler, 1500)
    assert broken(sampler, records) == 0
    assert found.redrawn > 50
    chained = with_meaning(
        {name: table[name] for name in table.column_names}
        | {"twice": 2 * table["last"].to_numpy()},
        constraints=[one.to_json() for one in metadata.constraints[:2]] + rules[2:],
    )
    sampler = RowSampler(chained).shuffled()
    found, records = repaired(sampler, 1500)
    assert found.redrawn > 50
    assert max(records["last"].to_pylist()) <= 60


def test_a_rule_that_a_candidate_breaks_is_told_and_shown():
    splits, unseen = cut(visits(), (1000, 500, 500), None)
    context = build_context(splits, Options(halves=4, replicates=2))
    identity = RowIdentity((splits.train, splits.validation, splits.holdout), context.columns)
    facts = HardFacts(context, identity)
    metadata = context.metadata

    def look(candidate):
        found = next(one for one in facts.find(candidate) if one.name == "constraints")
        return found, structure(metadata, splits.train, splits.holdout, candidate, 10).data["rows"]

    found, rows = look(unseen)
    assert found.holds
    assert [row[1:] for row in rows] == [["all", "all"]] * 2
    last = unseen["last"].to_numpy().copy()
    last[:10] += 1
    seen = unseen["seen"].to_numpy().copy()
    seen[:] = 1
    place = unseen.column_names.index
    wrong = unseen.set_column(place("last"), "last", pa.array(last))
    wrong = wrong.set_column(place("seen"), "seen", pa.array(seen))
    found, rows = look(wrong.replace_schema_metadata(unseen.schema.metadata))
    assert not found.holds
    count = int((unseen["days"].to_numpy() == -1).sum())
    assert found.text == (
        "the constraint condition 'days' is '-1' exactly where 'seen' is '0' does not hold in "
        f"{count} of 1,000 rows; the constraint linear formula 'last' = 'first' + 2 * 'more' does "
        "not hold in 10 of 1,000 rows"
    )
    assert rows[1] == ["linear formula 'last' = 'first' + 2 * 'more'", "all", "99.00 %"]
    assert structure(dataclasses.replace(metadata, constraints=()), *[unseen] * 3, 10) is None


@pytest.mark.parametrize(("wrong", "said"), [(0, "all"), (3, "nearly all"), (25, "95.00 %")])
def test_few_real_rows_that_break_a_rule_are_not_counted(wrong, said):
    table = visits()
    last = table["last"].to_numpy().copy()
    last[:wrong] += 1
    real = table.set_column(table.column_names.index("last"), "last", pa.array(last))
    metadata = require_metadata(table.schema)
    rows = structure(metadata, table, real.slice(0, 500), table, 10).data["rows"]
    assert {row[1] for row in rows if "last" in row[0]} == {said}


def bounded(rows=ROWS):
    """A total, a product, a ratio and a moment that never reach what their parts could."""
    numbers = np.random.default_rng(8)
    size = numbers.random(rows)
    low, high = np.rint(200 * size).astype(int), np.rint(200 * (1 - size)).astype(int)
    start = np.datetime64("2026-01-01", "us") + np.rint(300 * size).astype("timedelta64[D]")
    nights = np.rint(60 * (1 - size)).astype(int) + 1
    columns = {
        "low": low,
        "high": high,
        "total": low + high,
        "area": low * high,
        "part": np.round((low + 50) / (low + 80), 3),
        "above": low + 50,
        "below": low + 80,
        "comes": start,
        "leaves": start + nights.astype("timedelta64[D]"),
        "nights": nights,
    }
    rules = [
        {"kind": "sum", "columns": ["total", "low", "high"]},
        {"kind": "product", "columns": ["area", "low", "high"]},
        {"kind": "ratio", "columns": ["part", "above", "below"]},
        {"kind": "difference", "columns": ["nights", "leaves", "comes"], "unit": "days"},
    ]
    return with_meaning(columns, constraints=rules, min_group=10)


def test_what_is_computed_stays_within_what_it_would_show_were_it_learnt():
    records = bounded()
    sampler = RowSampler(records).shuffled()
    cells_ND = sampler.draw(ROWS)
    loose = sampler.codec.decode(cells_ND, None)
    found, made = repaired(sampler, ROWS)
    assert broken(sampler, made) == 0
    assert found.redrawn > ROWS / 4
    for maker in sampler.codec.derived:
        low, high = maker.shown
        real, before, after = (
            as_numbers(t[maker.name].combine_chunks()) for t in (records, loose, made)
        )
        assert np.any((before < low) | (before > high)), maker.name
        assert after.min() >= low
        assert after.max() <= high
        reach = np.ptp(real) / 4
        assert real.min() - reach <= low <= np.quantile(real, 0.02), maker.name
        assert np.quantile(real, 0.98) <= high <= real.max() + reach, maker.name
    again = TableCodec.from_json(json.loads(json.dumps(sampler.codec.to_json())))
    assert [each.shown for each in again.derived] == [each.shown for each in sampler.codec.derived]


def test_no_extreme_of_a_computed_column_is_shown():
    records = bounded()
    low = records["low"].to_numpy().copy()
    low[0] = 98_765
    names = {
        "low": low,
        "total": low + records["high"].to_numpy(),
        "area": low * records["high"].to_numpy(),
    }
    columns = {name: names.get(name, records[name]) for name in records.column_names[:4]}
    rules = [{"kind": "sum", "columns": ["total", "low", "high"]}]
    rules += [{"kind": "product", "columns": ["area", "low", "high"]}]
    codec = TableCodec.fit(with_meaning(columns, constraints=rules, min_group=10), None)
    assert {maker.name for maker in codec.derived} == {"total", "area"}
    for maker in codec.derived:
        assert maker.shown[1] < columns[maker.name].max() / 2
