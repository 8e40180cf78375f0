"""Versions of very many shards: their list lies in parts, and everything that reads it follows."""

import dataclasses
import json

import numpy as np
import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import IntegrityError
from storage.lake import datasets, file_list, publish, shard_plan
from storage.lake.layout import files_key, manifest_key, meta_key, shard_key
from storage.lake.manifest import Manifest, version_croissant, version_stats
from storage.lake.plan import Plan
from storage.lake.publish import Publisher, agree
from storage.lake.shard_plan import ShardTable, plan_shards
from storage.lake.verify import verify
from storage.sources.synthetic import is_sidecar
from storage.synthetic_marks import marked_files


@pytest.fixture
def few_are_many(monkeypatch):
    """Three shards are too many for one list, and a part has two."""
    monkeypatch.setattr(shard_plan, "MOST_LISTED", 3)
    monkeypatch.setattr(publish, "MOST_LISTED", 3)
    monkeypatch.setattr(publish, "LISTED_AT_ONCE", 2)
    monkeypatch.setattr(file_list, "PART_FILES", 2)


@pytest.fixture
def committed(lake, few_are_many):
    return toy.publish(lake)


def part_key(committed, number):
    return files_key(toy.NAME, committed.version, number)


def problems(lake):
    return {problem.key: problem.what for problem in verify(lake, toy.NAME)}


def test_a_long_list_lies_in_parts_and_is_the_same_list(lake, committed):
    manifest = datasets.load_manifest(lake, committed)
    raw = json.loads(lake.get(committed.manifest_key))
    assert raw["format"] == "ganmill-dataset/2"
    assert "files" not in raw
    assert [part["path"] for part in raw["parts"]] == [part_key(committed, n) for n in (0, 1)]
    plan = agree(lake, toy.proposal())
    assert [entry.path for entry in manifest.files] == [plan.shard_key(n) for n in range(4)]
    assert (len(manifest.files), manifest.files[3].path) == (4, plan.shard_key(3))
    assert [e.path for e in manifest.files[1:3]] == [plan.shard_key(1), plan.shard_key(2)]
    assert sum(entry.rows for entry in manifest.files) == manifest.rows == 50
    sizes = [lake.stat(entry.path).size_bytes for entry in manifest.files]
    assert manifest.total_bytes == sum(sizes)
    assert verify(lake, toy.NAME) == []
    assert manifest.to_json() == lake.get(committed.manifest_key)


def test_what_it_adds_up_to_is_known_without_reading_a_part(lake, committed):
    alone = Manifest.from_json(lake.get(committed.manifest_key))
    assert (len(alone.files), alone.rows, len(alone.parts)) == (4, 50, 2)
    assert alone.total_bytes > 0
    with pytest.raises(IntegrityError, match="read the manifest from its lake"):
        list(alone.files)


def test_published_again_it_is_the_same_commit(lake, committed):
    assert toy.publish(lake) == committed
    assert len(datasets.versions(lake, toy.NAME)) == 1


def test_the_list_of_few_shards_is_the_same_bytes_in_the_manifest(lake):
    raw = json.loads(lake.get(toy.publish(lake).manifest_key))
    assert (raw["format"], len(raw["files"])) == ("ganmill-dataset/1", 4)
    assert "parts" not in raw


@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_or_missing_part_is_named(lake, committed, number):
    key = part_key(committed, number)
    lake.replace(key, lake.get(key).replace(b'"rows":15', b'"rows":51'))
    assert "is not the part that the manifest names" in problems(lake)[key]
    manifest = datasets.load_manifest(lake, committed)
    with pytest.raises(IntegrityError, match="is not the part"):
        list(manifest.files)
    lake.delete(key)
    assert "is missing; restore it" in problems(lake)[key]


def test_shards_that_no_part_lists_and_shards_that_are_gone_are_named(lake, committed):
    keys = [entry.path for entry in datasets.load_manifest(lake, committed).files]
    lake.replace(keys[3], b"")
    lake.delete(keys[1])
    more = shard_key(toy.NAME, committed.version, 5, 6, "parquet")
    lake.replace(more, b"more")
    assert set(problems(lake)) == {keys[3], keys[1], more}


def test_a_publisher_that_stopped_between_parts_is_finished_by_the_next(lake, few_are_many):
    plan = agree(lake, toy.proposal())
    first = Publisher(lake, plan)
    for index in first.missing():
        first.put_shard(index, toy.records(plan, index))
    draft = first._draft(toy.fields())
    ((part, data), _) = file_list.parts_of(draft.files, lambda n: files_key("toy", plan.version, n))
    lake.put_once(part.path, data)
    toy.publish(lake)
    assert verify(lake, toy.NAME) == []


def test_a_part_of_another_list_is_refused(lake, few_are_many):
    plan = agree(lake, toy.proposal())
    lake.put_once(files_key("toy", plan.version, 1), b"{}")
    with pytest.raises(IntegrityError, match="does not list the shards that are stored"):
        toy.publish(lake)
    assert lake.stat(manifest_key("toy", plan.version)) is None


def test_a_shard_that_is_gone_before_the_commit_is_told(lake, few_are_many):
    plan = agree(lake, toy.proposal())
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, toy.records(plan, index))
    lake.delete(plan.shard_key(2))
    with pytest.raises(IntegrityError, match=r"00002-of-00004\.parquet is missing"):
        publisher.commit(toy.fields(), {})


def test_papers_beside_a_long_list_stay_short(lake, committed):
    manifest = datasets.load_manifest(lake, committed)
    stats = json.loads(version_stats(manifest))
    assert stats["parts"][1]["rows"] == 20
    (shards,) = json.loads(version_croissant(manifest))["distribution"]
    assert shards["includes"] == f"datasets/toy/{committed.version}/train-*.parquet"
    assert "train-00000" not in lake.get(meta_key("toy", committed.version, "stats.json")).decode()


def test_a_part_marks_its_shards_as_synthetic(lake, committed):
    key = part_key(committed, 0)
    entries = datasets.load_manifest(lake, committed).files[:2]
    assert is_sidecar(key)
    assert marked_files(lake.get(key)) == {
        (entry.path.rpartition("/")[2], entry.bytes) for entry in entries
    }


# The plan


@given(
    st.lists(st.integers(0, 300), min_size=0, max_size=6),
    st.integers(1, 900),
    st.integers(1, 40),
)
def test_shards_in_columns_are_the_shards(sizes, alone, shard_samples):
    counts = tuple(enumerate(sizes)) if any(sizes) else ()
    listed = plan_shards(counts, sum(sizes) or alone, 1, shard_samples)
    table = ShardTable(
        [label for label, _ in counts],
        np.array([shard.rows for shard in listed]),
        np.array(
            [[dict(s.class_counts).get(label, 0) for label, _ in counts] for s in listed], np.int64
        ).reshape(len(listed), len(counts)),
    )
    assert tuple(table) == listed
    assert table[-1] == listed[-1]
    assert table[1:3] == listed[1:3]
    assert ShardTable.from_runs(json.loads(json.dumps(table.to_runs()))) == table
    assert shard_plan.total_rows(table) == shard_plan.total_rows(listed)
    assert shard_plan.total_counts(table) == tuple(
        pair for pair in shard_plan.total_counts(listed) if pair[1]
    )


def test_a_plan_of_many_shards_is_read_back(few_are_many):
    plan = toy.proposal()
    assert isinstance(plan.shards, ShardTable)
    assert json.loads(plan.to_json())["format"] == "ganmill-plan/2"
    assert Plan.from_json(plan.to_json()) == plan
    listed = dataclasses.replace(plan, shards=tuple(plan.shards))
    assert (listed.rows, listed.class_counts) == (plan.rows, plan.class_counts)
    assert json.loads(listed.to_json())["format"] == "ganmill-plan/1"


def test_a_hundred_thousand_shards_are_planned_in_columns_and_sort_by_name():
    shards = plan_shards((), 100_000, 1, 1)
    assert isinstance(shards, ShardTable)
    assert shards.to_runs() == {"labels": [], "runs": [[100_000, 1, []]]}
    keys = [shard_key("toy", "20260101T000000Z-abababab", n, 100_000, "csv") for n in (9, 99_999)]
    assert keys == sorted(keys)
    assert keys[0].endswith("train-000009-of-100000.csv")
