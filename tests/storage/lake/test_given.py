"""Conditions of a recipe: what they leave of the classes, and their place in the plan."""

import json

import pyarrow as pa
import pytest
import toy
from pydantic import ValidationError

from storage.errors import PlanError
from storage.lake.plan import Plan, RecordKind, propose
from storage.lake.synthesis import SynthesisConfig, plan_classes, plan_rows
from storage.records.schema import Condition

REAL = (("ant", 70), ("bee", 20), ("cat", 10))
ZOO = RecordKind(
    schema=pa.schema([("kind", pa.string()), ("legs", pa.int64())]),
    label="kind",
    class_counts=REAL,
    bytes_per_row=20,
    modality="tables",
)
SIX_LEGS = Condition(column="legs", low="6", high="6")


def planned(kind=ZOO, **synthesis):
    config = SynthesisConfig(**{"samples": 100} | synthesis)
    return propose(toy.identity(), config, kind, format="parquet", created=toy.CREATED)


def test_conditions_travel_in_the_plan():
    plan = planned(
        balance="equal", given=(SIX_LEGS, Condition(column="kind", values=("ant", "bee")))
    )
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.given[0] == SIX_LEGS
    assert plan.class_counts == (("ant", 50), ("bee", 50))
    older = json.loads(plan.to_json())
    del older["given"]
    assert Plan.from_json(json.dumps(older).encode()).given == ()


def test_without_planned_classes_shards_have_rows_only():
    plan = planned(balance="real", given=(SIX_LEGS,))
    assert plan.rows == 100
    assert all(not shard.class_counts for shard in plan.shards)
    assert [shard.first_id for shard in plan.shards][:3] == [0, 6, 12]


def test_conditions_that_fit_no_table_are_refused():
    with pytest.raises(PlanError, match=r"'wings'.*kind, legs"):
        planned(given=(Condition(column="wings", values=("2",)),))
    with pytest.raises(PlanError, match="'legs' twice"):
        planned(given=(SIX_LEGS, SIX_LEGS))
    with pytest.raises(PlanError, match="conditions are for series and tables"):
        toy.proposal(given=({"column": "label", "values": ("ant",)},))


def test_a_condition_is_values_or_a_range():
    for wrong in ({}, {"values": ("a",), "low": "1"}):
        with pytest.raises(ValidationError, match="either values, or low"):
            Condition(column="legs", **wrong)


def test_given_and_real_shares_leave_the_classes_to_the_generator():
    given = (Condition(column="legs", values=("6",)),)
    config = SynthesisConfig(samples=100, balance="real", given=given)
    assert plan_classes(config, REAL, "kind") == ()
    assert plan_rows(config, ()) == 100


def test_given_on_another_column_keeps_every_class():
    given = (Condition(column="legs", low="6"),)
    config = SynthesisConfig(samples=9, balance="equal", given=given)
    assert plan_classes(config, REAL, "kind") == (("ant", 3), ("bee", 3), ("cat", 3))


def test_given_on_the_label_leaves_its_classes():
    given = (Condition(column="kind", values=("ant", "cat")),)
    equal = SynthesisConfig(samples=10, balance="equal", given=given)
    assert plan_classes(equal, REAL, "kind") == (("ant", 5), ("cat", 5))
    fill = SynthesisConfig(balance="fill", given=given)
    largest = dict(REAL)["ant"]
    assert plan_classes(fill, REAL, "kind") == (("ant", 0), ("cat", largest - dict(REAL)["cat"]))


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (Condition(column="y", low="1"), (1, 2)),
        (Condition(column="y", low="0.5", high="1.5"), (1,)),
        (Condition(column="y", values=("0", "2")), (0, 2)),
    ],
)
def test_a_range_of_numbered_classes(given, left):
    config = SynthesisConfig(samples=6, balance="equal", given=(given,))
    counts = plan_classes(config, ((0, 5), (1, 5), (2, 5)), "y")
    assert tuple(label for label, _ in counts) == left
    assert sum(count for _, count in counts) == 6


def test_yes_and_no_are_written_as_recipes_write_them():
    given = (Condition(column="y", values=("true",)),)
    config = SynthesisConfig(samples=6, balance="equal", given=given)
    assert plan_classes(config, ((False, 5), (True, 5)), "y") == ((True, 6),)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (Condition(column="kind", values=("dog",)), "class 'dog'.*ant, bee, cat"),
        (Condition(column="kind", low="1"), "not numbers"),
    ],
)
def test_given_classes_that_there_are_not(given, match):
    with pytest.raises(PlanError, match=match):
        plan_classes(SynthesisConfig(given=(given,)), REAL, "kind")


def test_a_range_that_leaves_no_class():
    given = (Condition(column="y", low="7"),)
    with pytest.raises(PlanError, match=r"leaves no class.*low 7"):
        plan_classes(SynthesisConfig(given=given), ((0, 5), (1, 5)), "y")
    given = (Condition(column="y", low="many"),)
    with pytest.raises(PlanError, match="no range of numbers"):
        plan_classes(SynthesisConfig(given=given), ((0, 5), (1, 5)), "y")


def test_fill_of_the_largest_class_alone_is_refused():
    given = (Condition(column="kind", values=("ant",)),)
    with pytest.raises(PlanError, match="nothing to fill: what is given"):
        plan_classes(SynthesisConfig(balance="fill", given=given), REAL, "kind")
