"""`report.groups`: each value of a column against unseen real rows of the same value."""

from dataclasses import replace as changed

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from judged_tables import OPTIONS, cut, shop
from small_tables import with_meaning

from gan.errors import ConfigError
from gan.tables.downstream import build_task
from gan.tables.evaluation.columns import build_context
from gan.tables.figures.groups import COLUMNS, TOO_FEW, check_groups, groups_figures


def figure_of(splits, fakes, name="region"):
    context = build_context(splits, changed(OPTIONS, groups=(name,)))
    (figure,) = groups_figures((name,), context, fakes)
    return {
        row[0]: dict(zip(COLUMNS[:6], row[:6], strict=True)) | {"told": row[7]}
        for row in figure.data["rows"]
    }, figure


def test_a_damaged_group_stands_out_and_the_others_do_not():
    splits, unseen = cut(shop(4800), (2000, 900, 900), None)
    rng = np.random.default_rng(0)
    is_west = np.array(pc.equal(unseen["region"], "west"))
    price = unseen["price"].to_numpy() * np.where(is_west, 3, 1)
    fakes = unseen.set_column(
        unseen.column_names.index("price"), unseen.schema.field("price"), pa.array(price)
    ).take(pa.array(rng.permutation(unseen.num_rows)))
    found, figure = figure_of(splits, fakes)
    assert set(found) == {"north", "west", "east"}
    assert found["west"]["error ÷ ceiling"] > 2 > found["north"]["error ÷ ceiling"]
    assert found["north"]["error ÷ ceiling"] == pytest.approx(1, abs=0.35)
    assert found["west"]["told"] > 0.8 > 0.65 > found["north"]["told"]
    assert sum(one["share of real"] for one in found.values()) == pytest.approx(1)
    assert "Least alike: west, " in figure.caption


def test_small_groups_are_not_judged_and_rare_ones_not_named():
    rng = np.random.default_rng(0)
    town = np.where(rng.random(2000) < 0.03, "small", "big")
    town[:6] = "hermitage"
    table = with_meaning({"town": pa.array(town), "age": rng.normal(40, 9, 2000)}, min_group=10)
    splits, unseen = cut(table, (1000, 300, 300), None, seed=1)
    found, figure = figure_of(splits, unseen, "town")
    assert found["small"]["error ÷ ceiling"] == TOO_FEW
    assert isinstance(found["big"]["error ÷ ceiling"], float)
    assert "hermitage" not in str(figure)
    rest = found["all other values"]
    assert rest["real rows"] is None, "the number of so few real rows is not said"


def test_what_makes_no_groups_is_refused_in_a_sentence():
    splits, _ = cut(shop(900), (400, 200, 200), None)
    context = build_context(splits, OPTIONS)
    for name, said in (
        ("nowhere", "which the table does not have"),
        ("id", "make no groups"),
        ("price", "make no groups"),
    ):
        with pytest.raises(ConfigError, match=said):
            check_groups((name,), context)
    check_groups(("region", "back"), context)


def test_the_rows_of_a_group_that_are_scored_are_those_whose_answer_is_known():
    rng = np.random.default_rng(0)
    town = np.where(rng.random(2000) < 0.3, "small", "big")
    town[:4] = "hermitage"
    age = rng.normal(40, 9, 2000)
    answer = np.where(rng.random(2000) < 0.1, None, np.where(age > 40, "old", "young"))
    columns = {"town": pa.array(town), "age": age, "kind": pa.array(answer)}
    splits, _ = cut(with_meaning(columns, min_group=10), (1000, 300, 300), "kind", seed=1)
    task = build_task(splits, seed=0)
    found = task.groups("town")
    assert list(found) == ["big", "small"]
    known = splits.holdout.filter(pc.is_valid(splits.holdout["kind"]))
    assert sum(found["small"]) == pc.sum(pc.equal(known["town"], "small")).as_py()
    assert len(found["big"]) == len(task.targets("holdout")) == known.num_rows
    assert task.groups("kind") == {}
