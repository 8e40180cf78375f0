"""Global utility: every column predicted from the others, synthetic against real rows."""

import numpy as np
import pyarrow as pa
import pytest
from judged_tables import OPTIONS, cut, replaced, shop
from small_tables import with_meaning

from gan.bounds import bounds_of
from gan.tables.evaluation.columns import build_context
from gan.tables.evaluation.global_utility import NAME, GlobalUtility
from gan.tables.evaluation.usefulness import fit_features
from gan.tables.judge import METRICS


def utility_of(splits):
    context = build_context(splits, OPTIONS)
    return GlobalUtility(context, fit_features(splits.train, context.columns))


@pytest.fixture(scope="module")
def rows():
    splits, unseen = cut(shop(3200), (1400, 500, 700), None)
    return utility_of(splits), unseen


def shuffled(table, names):
    rng = np.random.default_rng(0)
    for name in names:
        table = replaced(table, name, table[name].take(rng.permutation(table.num_rows)).to_pylist())
    return table


def whole(utility, candidate):
    found = {one.metric.scope: one for one in utility.measure(candidate)}
    return found["all"], found


def test_unseen_real_rows_pass_and_name_no_column_they_cannot_explain(rows):
    utility, unseen = rows
    one, found = whole(utility, unseen)
    bounds = bounds_of(one.metric, METRICS)
    assert one.metric.value >= bounds.pass_low
    assert one.metric.low <= 1 <= one.metric.high + 0.15
    assert one.metric.ceiling.value == 1.0
    assert "all/note" not in found, "nothing tells the note"
    assert {"all/price", "all/size"} <= set(found)
    assert found["all/size"].metric.ceiling.value > 0.3


def test_columns_that_do_not_belong_together_block(rows):
    utility, unseen = rows
    one, _ = whole(utility, shuffled(unseen, ["region", "size", "price", "back"]))
    assert one.metric.value < 0.1
    assert one.metric.high < bounds_of(one.metric, METRICS).block_low


def test_one_column_that_lost_its_meaning_is_named(rows):
    utility, unseen = rows
    one, found = whole(utility, shuffled(unseen, ["price"]))
    assert one.because.startswith("of column 'price' the others explain ")
    assert found["all/price"].metric.high < found["all/price"].metric.ceiling.low


def test_equal_rows_give_equal_numbers(rows):
    utility, unseen = rows
    first, second = (whole(utility, unseen)[0] for _ in range(2))
    assert first == second
    assert len(first.reals) == len(first.replicates) == 200


def test_where_nothing_depends_on_anything_nothing_is_said():
    rng = np.random.default_rng(0)
    table = with_meaning({name: rng.random(900) for name in "abc"})
    splits, unseen = cut(table, (400, 200, 200), None)
    utility = utility_of(splits)
    assert not utility.is_measurable
    assert list(utility.measure(unseen)) == []


def test_a_resample_in_which_nothing_is_explained_decides_no_interval(rows):
    utility, _ = rows
    real_BD = utility.real_BD.copy()
    real_BD[7] = 0
    assert utility._ratios(utility.real_BD, real_BD)[1:].max() < 10


def test_what_is_explained_is_the_share_of_variance():
    """A copy of a column explains it all, another as much as the square of their correlation."""
    rng = np.random.default_rng(0)
    value, coin = rng.random(2400), rng.random(2400) < 0.5
    level = rng.choice(["x", "y"], 2400)
    half = np.where(coin, level, rng.choice(["x", "y"], 2400))
    table = with_meaning({"a": value, "b": value, "level": pa.array(level), "half": pa.array(half)})
    splits, _ = cut(table, (1400, 300, 600), None)
    utility = utility_of(splits)
    tested = [np.array(splits.holdout[name]) == "x" for name in ("level", "half")]
    square = float(np.corrcoef(*tested)[0, 1] ** 2)
    found = dict(zip([one.name for one in utility.targets], utility.real_BD[0], strict=True))
    assert found["a"] > 0.98
    assert found["level"] == pytest.approx(square, abs=0.06)
    assert found["half"] == pytest.approx(square, abs=0.06)
    assert {one.name for one in utility.targets} == {"a", "b", "level", "half"}
    assert NAME == "global_utility"
