"""The plan as data, and one plan for everyone."""

import dataclasses

import pytest
import toy

from storage.errors import IntegrityError, PlanError
from storage.lake.layout import dataset_readme_key, plan_key
from storage.lake.log import version_log
from storage.lake.plan import Plan, propose
from storage.lake.publish import agree
from storage.lake.synthesis import SynthesisConfig
from storage.records.schema import read_class_names, with_class_names


def test_a_plan_survives_json(plan):
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.schema.equals(toy.SCHEMA)
    assert again.to_json() == plan.to_json()


def test_labels_keep_their_type():
    for labels in ((0, 1), (False, True), ("0", "1")):
        kind = toy.RecordKind(
            schema=toy.SCHEMA,
            label="label",
            class_counts=tuple((x, 5) for x in labels),
            modality="images",
        )
        plan = propose(
            toy.identity(), SynthesisConfig(), kind, format="parquet", created=toy.CREATED
        )
        again = Plan.from_json(plan.to_json())
        assert [type(label) for label, _ in again.class_counts] == [type(x) for x in labels]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": "ganmill-plan/99"}'])
def test_what_is_no_plan_is_refused(data):
    with pytest.raises(IntegrityError, match="no ganmill-plan/1 plan"):
        Plan.from_json(data)


def test_the_version_is_made_of_time_and_run_key(plan):
    assert plan.version == "20260131T020000Z-00000000"
    assert plan.shard_key(1) == f"datasets/toy/{plan.version}/train-00001-of-00004.parquet"


def test_an_unresolved_night_and_an_unknown_format_are_refused():
    with pytest.raises(PlanError, match="night"):
        toy.proposal(seed="night")
    with pytest.raises(PlanError, match=r"'webp'.*parquet"):
        toy.proposal(shard_format="webp")


def test_a_measured_size_decides_auto():
    kind = toy.RecordKind(
        schema=toy.SCHEMA, label=None, class_counts=(), modality="images", bytes_per_row=2**20
    )
    config = SynthesisConfig(samples=48 * 20)
    plan = propose(toy.identity(), config, kind, format="parquet", created=toy.CREATED)
    assert [shard.rows for shard in plan.shards] == [48] * 20
    assert plan.resolved == {"shard_samples": 48, "bytes_per_row": 2**20}


def test_the_first_proposal_is_everyones_plan(lake, plan):
    later = dataclasses.replace(plan, seed=99, version="20260131T030000Z-00000000")
    assert agree(lake, plan) == plan
    assert agree(lake, later) == plan


def test_the_page_that_guards_the_root_is_there_before_any_shard(lake, plan):
    agree(lake, plan)
    assert lake.stat(dataset_readme_key(toy.NAME))


def test_another_runs_plan_is_refused(lake, plan):
    lake.put_once(plan_key(plan.identity.run_key), toy.proposal("b").to_json())
    with pytest.raises(IntegrityError, match="is the plan of"):
        agree(lake, plan)


def test_an_abandoned_version_gets_a_new_attempt(lake, plan):
    log = version_log(lake, toy.NAME)
    seen = set()
    for attempt in (1, 2, 3):
        agreed = agree(lake, plan)
        assert agree(lake, plan) == agreed
        assert agreed.attempt == attempt
        assert agreed.version not in seen
        seen.add(agreed.version)
        log.append({"kind": "abandon", "version": agreed.version}, lambda _: False)
    assert lake.stat(plan_key(plan.identity.run_key, 3))


def test_a_retired_version_gets_a_new_attempt(lake):
    first = toy.publish(lake)
    log = version_log(lake, toy.NAME)
    log.append({"kind": "retire", "version": first.version}, lambda _: False)
    second = toy.publish(lake)
    assert second.version != first.version
    assert second.number == 3


def test_the_records_keep_what_the_schema_says_of_classes(plan):
    schema = with_class_names(plan.schema, "label", ["ant", "bee"])
    named = dataclasses.replace(plan, schema=schema)
    assert read_class_names(named.record_schema) == {"label": ("ant", "bee")}
    assert plan.record_schema.metadata is None
