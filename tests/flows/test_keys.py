"""Keys: what changes them, and what must not."""

from datetime import date
from types import MappingProxyType

import pyarrow as pa
import pytest

from flows.keys import evaluation_key, lift_key, run_key, train_key, training_part, verdict_key
from flows.recipe import parse_recipe
from storage.lake.synthesis import resolve
from storage.sources.prepared import Prepared

NIGHT, NEXT = date(2026, 11, 21), date(2026, 11, 22)
TRAIN_KEY = "7642d9c27275e44a1ec7589f7b89c26cfbbe2b5a29c954c0f74ca5c7900f00c4"
RUN_KEY = "81c83fb550508bdad46cd831fd964b679098e5d3ed0223a8fed41ae7a37d2b09"
MINIMAL = {"name": "mine", "source": {"uri": "example:digits"}}
TRAINING = [
    {"seed": 1},
    {"generator": {"preset": "resnet"}},
    {"generator": {"gamma": 2.0}},
    {"generator": {"depth": 3}},
    {"generator": {"dropout": 0.0}},
    {"generator": {"weight_decay": 0.5}},
    {"training": {"budget_samples": 7}},
    {"training": {"batch_size": 32}},
    {"training": {"budget_cpu_s": 60}},
    {"source": {"uri": "example:digits", "label": None}},
    {"source": {"uri": "example:digits", "resize": "16"}},
    {"source": {"uri": "example:digits", "labels": "labels.csv"}},
    {"source": {"uri": "example:digits", "image": "photo"}},
    {"source": {"uri": "example:digits", "frames": "all"}},
    {"source": {"uri": "example:digits", "bits": 12}},
]
SYNTHESIS = [
    {"synthesis": {"samples": 5}},
    {"synthesis": {"balance": "real"}},
    {"synthesis": {"seed": 3}},
    {"synthesis": {"labels": "teacher"}},
    {"output": {"format": "parquet-raw"}},
    {"output": {"csv": {"escape_formulas": True}}},
]
PLACE = [
    {"output": {"lake": "s3://elsewhere/lake", "storage": "minio"}},
    {"engine": {"workers": 5}},
    {"report": {"artifacts": "numbers"}},
    {"gate": {"on_reject": "ask", "approval": "always", "require_lift": "positive"}},
    {"lift": {"when": "never"}},
    {"lift": {"seeds": 3, "models": ["linear"]}},
    {"training": {"device": "cpu"}},
    {"training": {"devices": 2}},
    {"training": {"tensorboard": True}},
    {"training": {"when": "interval", "interval_days": 3}},
    {"source": {"uri": "s3://copy/of/the/same", "storage": "other"}},
    {"privacy": {"min_group": 20}},
    {"source": {"uri": "example:digits", "allow_synthetic": True}},
]


def prepared(source: str = "s", split: str = "p", reading: dict | None = None) -> Prepared:
    return Prepared(
        modality="images",
        folder=None,
        source_digest=source,
        split_rule=MappingProxyType({}),
        split_digest=split,
        records={},
        label="label",
        schema=pa.schema([]),
        class_counts={},
        rows={},
        skipped=(),
        ignored_files=0,
        notes=(),
        reading=reading or {},
    )


def keys(change: dict, **data: str) -> tuple[str, str]:
    recipe = parse_recipe(MINIMAL | change)
    synthesis = resolve(recipe.synthesis, "images", NIGHT)
    return train_key(recipe, prepared(**data), NIGHT), run_key(recipe, synthesis, "snapshot")


BASE = keys({})


def test_the_keys_of_the_smallest_recipe_stay_what_they_are():
    assert BASE == (TRAIN_KEY, RUN_KEY), "every lake would train and publish all of it again"


def test_every_night_has_its_own_training_only_when_it_is_always_trained():
    def key(when, night):
        return train_key(parse_recipe(MINIMAL | {"training": {"when": when}}), prepared(), night)

    assert key("changed", NEXT) == key("interval", NEXT) == TRAIN_KEY
    assert key("always", NIGHT) == key("always", NIGHT)
    assert len({TRAIN_KEY, key("always", NIGHT), key("always", NEXT)}) == 3


def test_the_seed_of_a_night_depends_on_the_recipe_s_and_fits_63_bits():
    def seed(root):
        recipe = parse_recipe(MINIMAL | {"training": {"when": "always"}, "seed": root})
        return training_part(recipe, prepared(), NIGHT)["seed"]

    assert seed(0) != seed(1)
    assert all(0 <= seed(root) < 2**63 for root in range(50))


@pytest.mark.parametrize("change", TRAINING, ids=str)
def test_what_decides_the_weights_changes_the_train_key(change):
    assert keys(change)[0] != BASE[0]
    assert keys(change)[1] == BASE[1]


@pytest.mark.parametrize("data", [{"source": "t"}, {"split": "q"}], ids=str)
def test_other_data_or_another_split_changes_the_train_key(data):
    assert keys({}, **data)[0] != BASE[0]


def test_what_the_data_decided_of_their_reading_changes_the_keys():
    recipe, twelve = parse_recipe(MINIMAL), prepared(reading={"bits": 12})
    assert train_key(recipe, twelve, NIGHT) != TRAIN_KEY
    measured = [evaluation_key(recipe, one, "snapshot") for one in (prepared(), twelve)]
    assert measured[0] != measured[1]


@pytest.mark.parametrize("change", [*SYNTHESIS, {"name": "other"}], ids=str)
def test_what_decides_the_shards_changes_the_run_key(change):
    assert keys(change)[1] != BASE[1]
    assert keys(change)[0] == BASE[0]


FILL_KEY = "a1bde4f2dfafb70d4ce6d14156469433ecfdda6aa08db9b67f585d27cdea2826"


def test_to_fill_up_the_training_split_is_what_fill_was_and_all_else_is_another_run():
    def key(**more):
        return keys({"synthesis": {"balance": "fill"} | more})[1]

    assert key(fill_counts="train") == FILL_KEY
    assert len({FILL_KEY, key(), key(fill_counts="all")}) == 3


def test_auto_is_equal_for_images_and_real_for_tables():
    recipe = parse_recipe(MINIMAL)

    def key(modality, config=recipe.synthesis):
        return run_key(recipe, resolve(config, modality, NIGHT), "snapshot")

    said = {balance: parse_recipe(MINIMAL | {"synthesis": {"balance": balance}}).synthesis
            for balance in ("equal", "real")}  # fmt: skip
    assert key("images") == key("tables", said["equal"]) == RUN_KEY
    assert key("tables") == key("images", said["real"]) != RUN_KEY


@pytest.mark.parametrize("change", PLACE, ids=str)
def test_where_and_how_it_runs_changes_no_key(change):
    assert keys(change) == BASE


def test_another_snapshot_is_another_run():
    recipe = parse_recipe(MINIMAL)
    assert run_key(recipe, recipe.synthesis, "another") != BASE[1]


def test_bounds_change_the_verdict_but_not_what_is_measured():
    def both(change):
        recipe = parse_recipe(MINIMAL | change)
        return [key(recipe, prepared(), "snapshot") for key in (evaluation_key, verdict_key)]

    measured, verdict = both({})
    for gate in (
        {"bounds": [{"metric": "fd", "pass": 3}]},
        {"accept_unknown": True},
        {"real_pass_share": 0.9},
    ):
        other = both({"gate": gate})
        assert other[0] == measured
        assert other[1] != verdict
    later = {"on_reject": "ask", "approval": "always", "require_lift": "positive"}
    assert both({"gate": later}) == [measured, verdict]
    assert not {measured, verdict} & set(both({"seed": 1}))


def test_what_a_report_may_show_is_part_of_the_evaluation():
    shown = MINIMAL | {"source": {"uri": "example:digits", "confidential": False}}
    keys = [evaluation_key(parse_recipe(one), prepared(), "snapshot") for one in (MINIMAL, shown)]
    assert keys[0] != keys[1]


SAME_LIFT = [
    {"gate": {"require_lift": "positive"}},
    {"lift": {"when": "never"}},
    {"synthesis": {"samples": 5, "balance": "real", "seed": 3, "shard_samples": 10}},
    {"source": {"uri": "example:digits", "confidential": False}},
    {"output": {"format": "parquet-raw"}},
    {"training": {"when": "always"}},
]
OTHER_LIFT = [
    {"report": {"groups": ["sex"]}},
    {"lift": {"seeds": 3}},
    {"lift": {"models": ["linear"]}},
    {"synthesis": {"given": [{"column": "sex", "values": ["f"]}]}},
    {"synthesis": {"labels": "teacher"}},
    {"source": {"uri": "example:digits", "resize": "16"}},
    {"seed": 1},
]


def lift_of(change, night=NIGHT, **extent):
    return lift_key(parse_recipe(MINIMAL | change), prepared(), "snapshot", night, **extent)


@pytest.mark.parametrize("change", SAME_LIFT, ids=str)
def test_what_changes_neither_records_nor_models_leaves_lift_as_it_was_measured(change):
    assert lift_of(change) == lift_of({}) == lift_of({}, NEXT)


@pytest.mark.parametrize("change", OTHER_LIFT, ids=str)
def test_what_changes_records_or_models_is_another_lift(change):
    assert lift_of(change) != lift_of({})


def test_lift_that_is_always_measured_is_another_every_night_and_a_thorough_one_is_its_own():
    always = {"lift": {"when": "always"}}
    keys = [lift_of(always), lift_of(always, NEXT), lift_of({}, thorough=True)]
    assert len({*keys, lift_of({}), lift_of({}, curve=True)}) == 5
    taught = [{"synthesis": {"labels": "teacher", "balance": one}} for one in ("real", "equal")]
    assert lift_of(taught[0]) != lift_of(taught[1])


def test_another_version_of_the_package_of_a_named_model_is_another_measurement(monkeypatch):
    named = {"lift": {"models": ["mine", "linear"]}}
    keys = []
    for found in ({}, {"mine": ["a:build", "1.0"]}, {"mine": ["a:build", "1.1"]}):
        monkeypatch.setattr("flows.keys.origins", lambda _, found=found: found)
        keys.append(lift_of(named))
        keys.append(lift_of({}))
    assert len(set(keys[::2])) == 3
    assert len(set(keys[1::2])) == 1
