"""What a plan says of a teacher: its columns, whose the label is, and where there can be none."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import toy

from storage.errors import PlanError
from storage.lake.composition import Composition
from storage.lake.plan import (
    Plan,
    RecordKind,
    TeacherPlan,
    plan_teacher,
    propose,
    with_soft_labels,
)
from storage.lake.publish import Publisher, encode_shard
from storage.lake.synthesis import SynthesisConfig
from storage.lake.verify import verify
from storage.records.constraint import Constraint
from storage.records.modalities import MODALITIES
from storage.records.schema import Column, Condition, soft_label_columns
from storage.records.table_metadata import TableMetadata, with_table_metadata
from storage.shards.format import load_format
from storage.sources.tables.dialect import Dialect, with_dialect
from storage.stores.memory import MemoryStore

PLAIN = pa.schema([("kind", pa.string()), ("legs", pa.int64())])
REAL = (("ant", 70), ("bee", 30))
SHA = "5" * 64
COLUMNS = ("kind_probability_ant", "kind_probability_bee")


def planned(shard_format="table-parquet", schema=PLAIN, **synthesis) -> Plan:
    kind = RecordKind(
        schema=schema, label="kind", class_counts=REAL, modality="tables", teacher=SHA
    )
    config = SynthesisConfig(**{"samples": 40, "labels": "teacher"} | synthesis)
    return propose(toy.identity(), config, kind, format=shard_format, created=toy.CREATED)


def test_the_teacher_s_columns_follow_the_record_s_own():
    plan = planned()
    assert plan.schema.names == ["kind", "legs", *COLUMNS]
    assert plan.teacher == TeacherPlan(sha256=SHA, columns=COLUMNS, relabels=True)
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.class_counts == ()
    assert planned(labels="generator").teacher is None


@pytest.mark.parametrize(
    "asked",
    [
        {"balance": "equal"},
        {"balance": "fill"},
        {"given": (Condition(column="kind", values=("bee",)),)},
    ],
)
def test_a_label_that_was_asked_for_stays(asked):
    assert not planned(**asked).teacher.relabels


def test_the_teacher_picks_where_other_shares_were_asked_for_and_nothing_is_counted():
    assert planned().teacher.picks == 1
    plan = planned(balance="equal")
    assert plan.teacher.picks == 4
    assert plan.class_counts == (("ant", 20), ("bee", 20))
    assert Plan.from_json(plan.to_json()).teacher == plan.teacher
    for legs, tied in (("key", ()), ("integer", (Constraint(kind="unique", columns=("legs",)),))):
        columns = (Column(name="kind", kind="category"), Column(name="legs", kind=legs))
        described = TableMetadata(columns=columns, constraints=tied)
        schema = with_table_metadata(PLAIN, described)
        assert planned(schema=schema, balance="equal").teacher.picks == 1


def test_a_condition_on_another_column_leaves_the_label_to_the_teacher():
    assert planned(given=(Condition(column="legs", low="6"),)).teacher.relabels


def test_a_label_in_a_constraint_stays():
    columns = (Column(name="kind", kind="category"), Column(name="legs", kind="integer"))
    tied = Constraint(kind="combinations", columns=("kind", "legs"))
    schema = with_table_metadata(PLAIN, TableMetadata(columns=columns, constraints=(tied,)))
    assert not planned(schema=schema).teacher.relabels


def test_no_column_of_the_source_is_overwritten():
    names = ["kind", "kind_probability_ant", "kind_probability_ant_"]
    assert soft_label_columns(names, "kind", ["ant", "bee"]) == (
        "kind_probability_ant__",
        "kind_probability_bee",
    )
    assert soft_label_columns(["price"], "price", []) == ("price_expected",)
    assert soft_label_columns(["y"], "y", [False, True]) == (
        "y_probability_false",
        "y_probability_true",
    )


def test_records_without_a_teacher_or_a_label_are_refused(monkeypatch):
    untaught = dataclasses.replace(MODALITIES["images"], teacher=None)
    monkeypatch.setitem(MODALITIES, "images", untaught)
    with pytest.raises(PlanError, match="teachers are for tables; set it to generator"):
        toy.proposal(labels="teacher")
    for wrong, text in (
        ({"label": None, "class_counts": ()}, "no label that it could learn"),
        ({"class_counts": tuple((str(i), 2) for i in range(101))}, "101 classes"),
        ({"class_counts": ()}, r"'kind' is text with .* \(more than 50\): set it to generator"),
    ):
        kind = RecordKind(
            **{"schema": PLAIN, "label": "kind", "class_counts": REAL, "modality": "tables"} | wrong
        )
        config = SynthesisConfig(labels="teacher")
        with pytest.raises(PlanError, match=text):
            propose(toy.identity(), config, kind, format="table-parquet", created=toy.CREATED)


@pytest.mark.parametrize("shard_format", [one.key for one in MODALITIES["tables"].formats.values()])
def test_every_format_holds_probabilities(shard_format):
    schema = with_dialect(PLAIN, Dialect(delimiter=";", decimal=","))
    plan, lake, rng = planned(shard_format, schema), MemoryStore(), np.random.default_rng(0)
    publisher = Publisher(lake, plan)
    for shard in plan.shards:
        ants = rng.random(shard.rows).round(6)
        columns = [["ant"] * shard.rows, list(range(shard.rows)), ants, 1 - ants]
        records = pa.table(columns, schema=plan.schema.remove_metadata())
        publisher.put_shard(shard.index, records)
        data = encode_shard(plan, shard.index, records)
        assert load_format(shard_format).decode(data, plan.record_schema).equals(records)
    publisher.commit(toy.fields(), {})
    assert not verify(lake, toy.NAME)


@pytest.mark.parametrize("shard_format", ["parquet", "parquet-raw"])
def test_shards_of_images_hold_probabilities(shard_format):
    teacher = TeacherPlan(sha256=SHA, columns=COLUMNS, relabels=False, picks=4)
    pixels = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1)
    shares = np.array([0.25, 0.5, 1.0])
    columns = [pa.FixedShapeTensorArray.from_numpy_ndarray(pixels), ["ant", "bee", "bee"]]
    records = pa.table([*columns, shares, 1 - shares], names=["image", "kind", *COLUMNS])
    schema = with_soft_labels(records.schema.remove(3).remove(2), teacher)
    assert schema.equals(records.schema)
    code = load_format(shard_format)
    assert code.decode(code.encode(records, {})).equals(records)
    kind = RecordKind(schema=schema, label="kind", class_counts=REAL, modality="images")
    found = plan_teacher(SynthesisConfig(labels="teacher", balance="real"), kind)
    assert not found.relabels, "images are made of the class that was asked for"


def test_the_card_says_whose_the_labels_are():
    def said(relabelled):
        synthesis = SynthesisConfig(labels="teacher", balance="real")
        published = () if relabelled else REAL
        return " ".join(
            Composition(
                synthesis=synthesis,
                published=published,
                splits={"train": REAL},
                relabelled=relabelled,
            ).sentences
        )

    assert "drawn from its probabilities" in said(True)
    assert "as the generator makes them" not in said(True)
    assert "stays the one that was asked for" in said(False)
