"""Facts about series: what is valid, what is copied, what is in two splits."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.modalities import Options
from gan.series.evaluation.context import build_series_context, conform_series
from gan.series.evaluation.facts import SeriesFacts, check_lists
from gan.series.evaluation.identity import EntityIdentity, EntityRepeats
from storage.records.series import lengths_of, steps_of
from tests.gan.series.panel import METADATA, cut_steps, make_panel, replaced_steps, share_panel
from tests.ladder.series_faults import copies, off_step, other_start


@pytest.fixture(scope="module")
def panel():
    return share_panel(make_panel(400, 0), 0)


def facts_of(splits):
    context = build_series_context(splits, Options(halves=5, replicates=4))
    parts = (splits.train, splits.validation, splits.holdout)
    identity = EntityIdentity(parts, context.metadata, context.judged)
    return SeriesFacts(context, identity), EntityRepeats(context, identity), context


@pytest.fixture(scope="module")
def made(panel):
    return facts_of(panel.splits)


def fact(facts, candidate, name):
    return next(one for one in facts.find(candidate) if one.name == name)


def test_real_items_are_valid_and_no_copies(panel, made):
    assert all(one.holds for one in made[0].find(panel.unseen))


def test_a_missing_day_and_days_out_of_order_are_named(panel, made):
    found = fact(made[0], off_step(panel, None), "validity")
    assert not found.holds
    assert "day is not 1 days after the step before (80)" in found.text
    day = steps_of(panel.unseen, METADATA)["day"].to_numpy().copy()
    day[[0, 1]] = day[[1, 0]]
    found = fact(made[0], replaced_steps(panel.unseen, METADATA, day=day), "validity")
    assert "day does not rise (1)" in found.text


def test_a_null_where_none_is_a_wrong_key_and_a_repeated_one_are_named(panel, made):
    price = steps_of(panel.unseen, METADATA)["price"].to_numpy().copy()
    price[5] = np.nan
    found = fact(made[0], replaced_steps(panel.unseen, METADATA, price=price), "validity")
    assert "price is null (1)" in found.text
    keys = panel.unseen["item"].to_pylist()
    wrong = panel.unseen.set_column(0, "item", pa.array(["x", keys[2], *keys[2:]]))
    found = fact(made[0], wrong, "validity")
    assert "item is of another form (1)" in found.text
    assert "item is a repeated key (1)" in found.text


def test_a_missing_class_is_named(panel, made):
    kept = panel.unseen.filter(pa.compute.not_equal(panel.unseen["shop"], "beach"))
    found = fact(made[0], kept, "classes")
    assert not found.holds
    assert "missing class beach" in found.text


def test_copies_are_found_whatever_their_key_and_time(panel, made):
    shifted = other_start(replace(panel, unseen=copies(panel, np.random.default_rng(0))), None)
    named = shifted.set_column(0, "item", pa.array([f"I{n:05d}" for n in range(90_000, 90_080)]))
    found = fact(made[0], named, "exact_copies")
    assert not found.holds
    assert found.value == 1.0
    units = steps_of(named, METADATA)["units"].to_numpy() + 1
    assert fact(made[0], replaced_steps(named, METADATA, units=units), "exact_copies").holds


def test_one_copy_among_many_is_found(panel, made):
    mixed = pa.concat_tables([panel.unseen.slice(1), panel.train.slice(0, 1)])
    found = fact(made[0], mixed, "exact_copies")
    assert not found.holds
    assert "1 of 80 entities" in found.text


def test_an_entity_in_two_splits_is_found(panel):
    splits = replace(
        panel.splits, holdout=pa.concat_tables([panel.holdout, panel.train.slice(0, 1)])
    )
    found = fact(facts_of(splits)[0], panel.unseen, "overlap")
    assert not found.holds
    assert "1 of 161 entities" in found.text


def test_entities_in_which_nothing_changes_may_be_alike(panel):
    parts = {}
    for name in ("train", "holdout"):
        records = getattr(panel, name).slice(0, 1)
        steps = steps_of(records, METADATA).num_rows
        flat = {v: np.zeros(steps) for v in ("units", "price", "stock")}
        flat["promotion"] = np.zeros(steps, dtype=bool)
        one = cut_steps(
            replaced_steps(records, METADATA, **flat), METADATA, np.arange(20), np.array([20])
        )
        parts[name] = pa.concat_tables([one, getattr(panel, name).slice(1)])
    found = fact(facts_of(replace(panel.splits, **parts))[0], panel.unseen, "overlap")
    assert found.holds


def test_repeats_of_a_candidate_are_counted(panel, made):
    _, repeats, context = made
    sets = context.sets(80)
    assert repeats.measure(panel.unseen, sets).metric.value == 0.0
    twice = pa.concat_tables([panel.unseen.slice(0, 40)] * 2)
    found = repeats.measure(twice, sets)
    assert found.metric.value == 1.0
    assert "80 of 80" in found.because


def test_lists_that_do_not_fit_together_are_refused(panel):
    place = panel.unseen.column_names.index("units")
    lists = panel.unseen["units"].to_pylist()
    lists[3] = lists[3][:-1]
    kind = panel.unseen.schema.field("units").type
    wrong = panel.unseen.set_column(place, "units", pa.array(lists, kind))
    with pytest.raises(DataError, match="entity 3 of the candidate"):
        check_lists(wrong, METADATA)
    short = int(lengths_of(panel.unseen, METADATA)[3])
    with pytest.raises(DataError, match=f"{short - 1} values of 'units' and {short} moments"):
        check_lists(wrong, METADATA)


def test_another_column_or_type_is_refused(panel):
    with pytest.raises(DataError, match="no column 'units'"):
        conform_series(panel.unseen.drop_columns(["units"]), panel.train.schema)
    place = panel.unseen.column_names.index("units")
    texts = pa.array([["a"]] * panel.unseen.num_rows)
    with pytest.raises(DataError, match="'units' of the candidate is list"):
        conform_series(panel.unseen.set_column(place, "units", texts), panel.train.schema)
