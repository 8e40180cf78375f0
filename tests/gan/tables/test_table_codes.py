"""The judge's own codes, places and targets."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from judged_tables import OPTIONS, cut, shop
from small_tables import with_meaning

from gan.tables.columns.values import require_metadata
from gan.tables.evaluation.closeness import Space
from gan.tables.evaluation.columns import as_numbers, build_context, judged_columns, levels_by_count
from gan.tables.evaluation.errors import Codes, bins_of_columns, bins_of_pairs
from gan.tables.evaluation.usefulness import find_targets, fit_features


def columns_of(table, label=None):
    return judged_columns(require_metadata(table.schema), table, label)


@pytest.fixture
def small():
    numbers = pa.array([0.0] * 60 + list(range(1, 41)) + [None] * 20, pa.float64())
    levels = ["a"] * 70 + ["b"] * 47 + ["c"] * 3
    return with_meaning({"number": numbers, "level": levels})


def test_ties_share_a_bin_and_rare_levels_a_code(small):
    codes = Codes(small, columns_of(small), bins=4, rows=120)
    found = codes.of(small)
    assert len(set(found[:60, 0])) == 1
    assert len(set(found[60:100, 0])) >= 2
    assert not set(found[:60, 0]) & set(found[60:100, 0])
    assert set(found[100:, 0]) == {codes.sizes[0] - 1}
    assert np.bincount(found[:, 1]).tolist() == [70, 47, 3]


def test_unknown_levels_and_numbers_beyond_have_codes(small):
    codes = Codes(small, columns_of(small), bins=4, rows=120)
    other = with_meaning({"number": [-5.0, 1e9, None], "level": ["z", "a", None]})
    found = codes.of(other)
    assert found[:, 1].tolist() == [2, 0, 3]
    assert found[0, 0] == 0
    assert found[1, 0] == codes.of(small)[99, 0]


def test_the_order_of_rows_changes_no_code(small):
    order = np.random.default_rng(0).permutation(small.num_rows)
    mixed = small.take(pa.array(order))
    one = Codes(small, columns_of(small), bins=4, rows=120).of(small)
    two = Codes(mixed, columns_of(mixed), bins=4, rows=120).of(small)
    assert (one == two).all()
    assert levels_by_count(small["level"])[0].to_pylist() == ["a", "b", "c"]


def test_bins_grow_with_the_rows():
    assert [bins_of_columns(n) for n in (50, 113, 300, 5000)] == [4, 5, 15, 20]
    assert [bins_of_pairs(n) for n in (50, 300, 1000, 5000)] == [4, 5, 10, 20]


def test_places_of_numbers_are_ranks_and_levels_lie_one_apart(small):
    space = Space(small, columns_of(small))
    points = space.points(small)
    distances = ((points[:, None] - points) ** 2).sum(-1)
    assert distances[0, 59] == 0
    assert distances[0, 117] > 1
    level = ((points[:, None, 2:] - points[:, 2:]) ** 2).sum(-1)
    assert level[0, 80] == pytest.approx(1)
    rng = np.random.default_rng(0)
    even = with_meaning({"number": rng.lognormal(size=2000)})
    ranks = Space(even, columns_of(even)).points(even)[:, 0]
    assert np.mean((ranks[:1000] - ranks[1000:]) ** 2) == pytest.approx(0.5, abs=0.05)


def test_a_monotone_change_of_a_number_moves_no_row(small):
    grown = small.set_column(0, "number", pa.array(np.exp(as_numbers(small["number"]) / 10)))
    grown = grown.replace_schema_metadata(small.schema.metadata)
    one = Space(small, columns_of(small)).points(small)
    two = Space(grown, columns_of(grown)).points(grown)
    assert one == pytest.approx(two)


def test_every_type_has_numbers():
    table = pa.table(
        {
            "day": pa.array([1, None], pa.date32()),
            "time": pa.array([2, None], pa.time64("us")),
            "stamp": pa.array([3, None], pa.timestamp("us", tz="UTC")),
            "money": pa.array([4, None], pa.int64()).cast(pa.decimal128(19, 0)),
            "float": pa.array([5.0, float("nan")]),
        }
    )
    for value, name in enumerate(table.column_names, start=1):
        found = as_numbers(table[name])
        assert found[0] == value
        assert np.isnan(found[1])


def test_trees_see_levels_by_number_and_null_as_missing(small):
    features = fit_features(small, columns_of(small))
    found = features.of(with_meaning({"number": [None, 2.0], "level": ["z", None]}))
    assert np.isnan(found).tolist() == [[True, False], [False, True]]
    assert found[0, 1] == 3
    assert features.is_levels.tolist() == [False, True]
    assert [column.name for column in features.without("level").columns] == ["number"]


@pytest.mark.parametrize(
    ("label", "task"), [("back", "classes"), ("size", "classes"), ("price", "number")]
)
def test_a_label_is_the_target(label, task):
    splits, _ = cut(shop(300), (100, 100, 100), label)
    (target,) = find_targets(build_context(splits, OPTIONS))
    assert (target.column.name, target.task) == (label, task)


def test_without_a_label_those_that_depend_most_are_chosen():
    rng = np.random.default_rng(0)
    base = rng.normal(size=600)
    columns = {f"noise{i}": rng.normal(size=600) for i in range(6)}
    columns |= {f"tied{i}": base + rng.normal(0, 0.2, 600) for i in range(5)}
    splits, _ = cut(with_meaning(columns), (200, 200, 200), None)
    targets = find_targets(build_context(splits, OPTIONS))
    assert [target.column.name for target in targets] == [f"tied{i}" for i in range(5)]
    assert {target.task for target in targets} == {"above"}
    _, above = targets[0].of(splits.train)
    assert above.mean() == pytest.approx(0.5, abs=0.01)


def test_many_columns_are_paired_by_choice_with_the_label_among_them():
    from gan.tables.evaluation.errors import PAIR_COLUMNS, DistributionErrors, error_notes

    rng = np.random.default_rng(0)
    columns = {f"c{i}": rng.normal(size=150) for i in range(45)} | {"y": rng.random(150) < 0.5}
    splits, _ = cut(with_meaning(columns), (50, 50, 50), "y")
    context = build_context(splits, dataclasses.replace(OPTIONS, halves=2))
    side = DistributionErrors(context)
    names = [code.column.name for code in side.codes.pairs.columns]
    assert len(names) == PAIR_COLUMNS
    assert names[-1] == "y"
    assert error_notes(context)[-1] == (
        "pairs were compared among 40 of 46 columns, chosen at random"
    )
