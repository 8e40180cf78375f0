"""Publishing without interruption, adoption, and what readers see."""

import dataclasses
import json
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import toy

from storage.errors import AbandonedError, IntegrityError, LakeFullError, ObjectNotFoundError
from storage.lake import datasets
from storage.lake.hint import refresh_hint
from storage.lake.layout import latest_key, manifest_key, meta_key
from storage.lake.log import append_commit, read_versions, version_log
from storage.lake.manifest import Manifest
from storage.lake.publish import (
    Publisher,
    adopt_shard,
    agree,
    encode_shard,
    find_committed,
    put_shard,
)
from storage.lake.synthesis import SynthesisConfig
from storage.lake.verify import verify
from storage.shards.format import load_format
from storage.stores.local import LocalStore


def put_all(lake, plan):
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, toy.records(plan, index))
    return publisher


class TestVersion:
    def test_is_whole_and_visible(self, lake):
        committed = toy.publish(lake)
        assert committed.number == 1
        assert verify(lake, toy.NAME) == []
        assert datasets.latest(lake, toy.NAME).version == committed.version
        assert datasets.read_manifest(lake, toy.NAME) == datasets.load_manifest(lake, committed)
        assert [info.key.rpartition("/")[2] for info in lake.list("datasets/toy/_meta/")] == [
            "README.md",
            "announced.json",
            "croissant.json",
            "manifest.json",
            "report.json",
            "stats.json",
        ]

    def test_is_the_same_on_every_store(self, store):
        """Local, memory and S3 on a socket."""
        first = toy.publish(store)
        assert toy.publish(store) == first
        assert verify(store, toy.NAME) == []

    def test_does_not_depend_on_order_or_process(self, lake, plan):
        put_all(lake, plan)
        plan = pickle.loads(pickle.dumps(plan))  # noqa: S301 - as a spawned worker gets it
        for index in reversed(range(len(plan.shards))):
            data = encode_shard(plan, index, toy.records(plan, index))
            assert data == lake.get(plan.shard_key(index))

    def test_is_invisible_before_the_commit(self, lake):
        plan = agree(lake, toy.proposal())
        put_all(lake, plan)
        assert datasets.list_datasets(lake) == []
        assert datasets.latest(lake, toy.NAME) is None
        assert find_committed(lake, plan) is None
        with pytest.raises(ObjectNotFoundError, match="no committed version of 'toy'"):
            datasets.read_manifest(lake, toy.NAME)

    def test_of_another_seed_stands_beside_the_first(self, lake):
        first, second = toy.publish(lake, "a"), toy.publish(lake, "b")
        assert datasets.load_manifest(lake, second).parent_version == first.version
        assert [v.version for v in datasets.versions(lake, toy.NAME)] == [
            first.version,
            second.version,
        ]
        assert datasets.find(lake, toy.NAME, first.version).number == 1

    def test_published_again_does_nothing(self, lake):
        toy.publish(lake)
        before = {info.key: lake.get(info.key) for info in lake.list()}
        toy.publish(lake, report=b"another")
        assert {info.key: lake.get(info.key) for info in lake.list()} == before

    def test_an_unknown_version_lists_those_there_are(self, lake):
        committed = toy.publish(lake)
        with pytest.raises(ObjectNotFoundError, match=committed.version):
            datasets.find(lake, toy.NAME, "20200101T000000Z-00000000")


class TestManifest:
    def test_says_what_the_contract_asks(self, lake):
        committed = toy.publish(lake)
        raw = json.loads(lake.get(committed.manifest_key))
        assert raw["format"] == "ganmill-dataset/1"
        assert raw["synthetic"] is True
        assert raw["digital_source_type"].endswith("trainedAlgorithmicMedia")
        assert raw["class_counts"] == [["ant", 17], ["bee", 17], ["cat", 16]]
        assert raw["provenance"]["snapshot_digest"] == "d" * 64
        assert raw["provenance"]["source_digest"] == "5" * 64
        assert raw["gate"]["verdict"] == "pass"
        assert [file["rows"] for file in raw["files"]] == [15, 15, 15, 5]
        assert sum(n for _, n in raw["files"][0]["stats"]["class_counts"]) == 15
        names = [entry["name"] for entry in raw["schema"]["fields"]]
        assert names == ["sample_id", "image", "label"]

    def test_survives_json(self, lake):
        manifest = datasets.load_manifest(lake, toy.publish(lake))
        assert Manifest.from_json(manifest.to_json()) == manifest

    def test_of_an_older_version_says_nothing_of_cost(self, lake):
        manifest = datasets.load_manifest(lake, toy.publish(lake))
        cost = {"wall_s": 1.5, "cpu_s": 2.0, "gpu_s": 0.0, "written_bytes": 7}
        told = dataclasses.replace(manifest, fields=dataclasses.replace(manifest.fields, cost=cost))
        assert Manifest.from_json(told.to_json()).fields.cost == cost
        older = json.loads(manifest.to_json())
        del older["cost"]
        assert Manifest.from_json(json.dumps(older).encode()) == manifest
        assert manifest.fields.cost is None

    @pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": "ganmill-dataset/9"}'])
    def test_what_is_none_is_refused(self, data):
        with pytest.raises(IntegrityError, match="no ganmill-dataset/1 manifest"):
            Manifest.from_json(data)

    def test_the_first_one_stands(self, lake):
        plan = agree(lake, toy.proposal())
        early = put_all(lake, plan)
        late = put_all(lake, plan)
        early._put_manifest(toy.fields(), {"report.json": b"first"})
        blocked = dataclasses.replace(toy.fields(), gate={"verdict": "block"})
        committed = late.commit(blocked, {"report.json": b"second"})
        assert datasets.load_manifest(lake, committed).fields.gate["verdict"] == "pass"
        assert lake.get(meta_key(toy.NAME, plan.version, "report.json")) == b"first"
        assert verify(lake, toy.NAME) == []

    def test_a_manifest_of_other_shards_is_refused(self, lake):
        plan = agree(lake, toy.proposal())
        publisher = put_all(lake, plan)
        draft = publisher._draft(toy.fields())
        foreign = dataclasses.replace(draft, files=draft.files[:2])
        lake.put_once(manifest_key(toy.NAME, plan.version), foreign.to_json())
        with pytest.raises(IntegrityError, match=r"manifest\.json does not list the shards"):
            publisher.commit(toy.fields(), {})


class TestShard:
    def test_of_an_earlier_process_is_adopted(self, lake):
        plan = agree(lake, toy.proposal())
        put_all(lake, plan)
        fresh = Publisher(lake, plan)
        assert fresh.missing() == []
        assert fresh.unverified() == [0, 1, 2, 3]
        fresh.record(0, adopt_shard(lake, plan, 0))
        fresh.commit(toy.fields(), {})
        assert verify(lake, toy.NAME) == []

    def test_encoded_elsewhere_with_other_bytes_is_adopted(self, lake, plan):
        """Another version of a library may compress otherwise; the records are the same."""
        shard_format = load_format(plan.format)
        mine = encode_shard(plan, 0, toy.records(plan, 0))
        theirs = shard_format.encode(
            shard_format.decode(mine), plan.shard_metadata(0) | {"library": "older"}
        )
        assert theirs != mine
        lake.put_once(plan.shard_key(0), theirs)
        entry = put_shard(lake, plan, 0, mine)
        assert entry.sha256 == adopt_shard(lake, plan, 0).sha256
        assert entry.bytes == len(theirs)

    @pytest.mark.parametrize(
        ("what", "change"),
        [
            ("run_key", {"run_key": "e" * 64}),
            ("snapshot_digest", {"snapshot_digest": "e" * 64}),
        ],
    )
    def test_of_another_run_is_refused(self, lake, plan, what, change):
        other = dataclasses.replace(plan, identity=dataclasses.replace(plan.identity, **change))
        lake.put_once(plan.shard_key(2), encode_shard(other, 2, toy.records(plan, 2)))
        with pytest.raises(IntegrityError, match=what) as caught:
            put_shard(lake, plan, 2, encode_shard(plan, 2, toy.records(plan, 2)))
        assert plan.shard_key(2) in str(caught.value)
        assert "delete that object and run again" in str(caught.value)

    def test_of_another_index_rows_classes_or_schema_is_refused(self, lake, plan):
        wrong = {
            0: encode_shard(plan, 1, toy.records(plan, 1)),
            1: self.smaller(plan, 1),
            2: self.relabelled(plan, 2),
            3: self.without_label(plan, 3),
        }
        says = ["shard_index", "there are 14, not 15", "classes are", "schema is"]
        for (index, data), text in zip(wrong.items(), says, strict=True):
            lake.put_once(plan.shard_key(index), data)
            with pytest.raises(IntegrityError, match=text):
                adopt_shard(lake, plan, index)

    @staticmethod
    def smaller(plan, index):
        shard_format = load_format(plan.format)
        whole = shard_format.decode(encode_shard(plan, index, toy.records(plan, index)))
        return shard_format.encode(whole.slice(0, 14), plan.shard_metadata(index))

    @staticmethod
    def relabelled(plan, index):
        shard_format = load_format(plan.format)
        whole = shard_format.decode(encode_shard(plan, index, toy.records(plan, index)))
        ants = pa.array(["ant"] * len(whole))
        return shard_format.encode(whole.set_column(2, "label", ants), plan.shard_metadata(index))

    @staticmethod
    def without_label(plan, index):
        shard_format = load_format(plan.format)
        whole = shard_format.decode(encode_shard(plan, index, toy.records(plan, index)))
        return shard_format.encode(whole.drop_columns("label"), plan.shard_metadata(index))

    def test_whose_ids_are_anothers_is_refused(self, lake, plan):
        shard_format = load_format(plan.format)
        whole = shard_format.decode(encode_shard(plan, 0, toy.records(plan, 0)))
        ids = pa.array(np.arange(100, 115))
        moved = shard_format.encode(whole.set_column(0, "sample_id", ids), plan.shard_metadata(0))
        lake.put_once(plan.shard_key(0), moved)
        with pytest.raises(IntegrityError, match="sample_id do not count on from 0"):
            adopt_shard(lake, plan, 0)

    def test_that_is_damaged_is_refused(self, lake, plan):
        data = encode_shard(plan, 0, toy.records(plan, 0))
        lake.put_once(plan.shard_key(0), data[: len(data) // 2])
        with pytest.raises(IntegrityError, match="damaged; delete that object"):
            adopt_shard(lake, plan, 0)

    def test_records_that_are_not_planned_are_refused_before_anything_is_written(self, lake, plan):
        records = toy.records(plan, 0)
        wrong = {
            "schema": records.drop_columns("label"),
            "there are 14": records.slice(0, 14),
            "classes are": toy.records(plan, 1),
        }
        wrong["classes are"] = records.set_column(1, "label", pa.array(["ant"] * 15))
        for text, table in wrong.items():
            with pytest.raises(ValueError, match=text):
                Publisher(lake, plan).put_shard(0, table)
        assert list(lake.list()) == []

    def test_lost_before_the_commit_stops_it(self, lake):
        plan = agree(lake, toy.proposal())
        publisher = put_all(lake, plan)
        lake.delete(plan.shard_key(1))
        with pytest.raises(IntegrityError, match=r"train-00001.*is missing.*run again"):
            publisher.commit(toy.fields(), {})
        with pytest.raises(IntegrityError, match="is missing"):
            Publisher(lake, plan).commit(toy.fields(), {})
        assert datasets.latest(lake, toy.NAME) is None

    def test_replaced_before_the_commit_stops_it(self, lake):
        plan = agree(lake, toy.proposal())
        publisher = put_all(lake, plan)
        lake.replace(plan.shard_key(1), b"short")
        with pytest.raises(IntegrityError, match="has 5 bytes"):
            publisher.commit(toy.fields(), {})

    def test_a_full_disk_leaves_nothing_half_written(self, tmp_path, monkeypatch):
        lake = LocalStore(tmp_path)
        plan = agree(lake, toy.proposal())
        publisher = Publisher(lake, plan)
        publisher.put_shard(0, toy.records(plan, 0))

        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            with pytest.raises(LakeFullError, match="full"):
                publisher.put_shard(1, toy.records(plan, 1))
        assert publisher.missing() == [1, 2, 3]
        toy.publish(lake)
        assert verify(lake, toy.NAME) == []


class TestAbandoned:
    def test_before_the_commit(self, lake):
        plan = agree(lake, toy.proposal())
        publisher = put_all(lake, plan)
        version_log(lake, toy.NAME).append_at(1, {"kind": "abandon", "version": plan.version})
        with pytest.raises(AbandonedError, match="new attempt"):
            publisher.commit(toy.fields(), {})
        again = toy.publish(lake)
        assert again.version != plan.version
        assert datasets.load_manifest(lake, again).fields.provenance["attempt"] == 2
        assert [v.version for v in datasets.versions(lake, toy.NAME)] == [again.version]

    def test_and_collected_while_shards_are_put(self, lake):
        plan = agree(lake, toy.proposal())
        publisher = put_all(lake, plan)
        version_log(lake, toy.NAME).append_at(1, {"kind": "abandon", "version": plan.version})
        for index in range(4):
            lake.delete(plan.shard_key(index))
        with pytest.raises(AbandonedError):
            publisher.commit(toy.fields(), {})
        with pytest.raises(AbandonedError):
            Publisher(lake, plan).commit(toy.fields(), {})

    def test_a_version_retired_while_it_is_published_again_needs_a_new_attempt(self, lake):
        plan = agree(lake, toy.proposal())
        slow = put_all(lake, plan)
        toy.publish(lake)
        log = version_log(lake, toy.NAME)
        log.append({"kind": "retire", "version": plan.version}, lambda _: False)
        with pytest.raises(AbandonedError):
            slow.commit(toy.fields(), {})
        assert toy.publish(lake).version != plan.version

    def test_after_the_commit_counts_for_nothing(self, lake):
        committed = toy.publish(lake)
        log = version_log(lake, toy.NAME)
        log.append({"kind": "abandon", "version": committed.version}, lambda _: False)
        assert datasets.latest(lake, toy.NAME).version == committed.version


class TestLog:
    def test_retired_versions_are_not_shown_and_pins_are(self, lake):
        versions = [toy.publish(lake, run).version for run in "abc"]
        log = version_log(lake, toy.NAME)
        for kind, index in (("retire", 2), ("pin", 0), ("pin", 1), ("unpin", 1)):
            log.append({"kind": kind, "version": versions[index]}, lambda _: False)
        seen = datasets.versions(lake, toy.NAME)
        assert [(v.version, v.pinned) for v in seen] == [(versions[0], True), (versions[1], False)]
        assert datasets.latest(lake, toy.NAME).version == versions[1]
        assert [v.retired for v in read_versions(lake, toy.NAME).commits] == [0, 0, 1]

    def test_another_manifest_for_a_committed_version_is_refused(self, lake):
        committed = toy.publish(lake)
        with pytest.raises(IntegrityError, match="committed with another manifest"):
            append_commit(
                lake,
                toy.NAME,
                committed.version,
                manifest_sha256="0" * 64,
                created="2026-01-31",
            )

    def test_nothing_is_hinted_at_before_the_first_commit(self, lake):
        refresh_hint(lake, toy.NAME)
        assert list(lake.list()) == []

    def test_kinds_of_the_future_are_passed_over(self, lake):
        committed = toy.publish(lake)
        version_log(lake, toy.NAME).append({"kind": "bless", "version": "x"}, lambda _: False)
        assert datasets.latest(lake, toy.NAME).version == committed.version

    def test_the_hint_may_lag_and_is_brought_up(self, lake):
        first, second = toy.publish(lake, "a"), toy.publish(lake, "b")
        hint = json.loads(lake.get(latest_key(toy.NAME)))
        assert hint == {
            "version": second.version,
            "path": f"datasets/toy/{second.version}/",
            "manifest": second.manifest_key,
            "manifest_sha256": second.manifest_sha256,
            "number": 2,
        }
        lake.replace(latest_key(toy.NAME), json.dumps({"version": first.version}).encode())
        assert datasets.latest(lake, toy.NAME).version == second.version
        toy.publish(lake, "a")
        assert json.loads(lake.get(latest_key(toy.NAME))) == hint
        lake.replace(latest_key(toy.NAME), b"no json")
        toy.publish(lake, "a")
        assert json.loads(lake.get(latest_key(toy.NAME))) == hint


class TestReaders:
    """With pandas and pyarrow alone."""

    @pytest.fixture
    def folder(self, tmp_path):
        toy.publish(LocalStore(tmp_path), "a")
        toy.publish(LocalStore(tmp_path), "b")
        return tmp_path / "datasets" / "toy"

    def test_a_version_is_one_line_of_pandas(self, folder):
        hint = json.loads((folder / "_latest.json").read_text())
        frame = pd.read_parquet(folder / hint["version"])
        assert list(frame) == ["sample_id", "image", "label"]
        assert sorted(frame.sample_id) == list(range(50))
        assert frame.image[0]["bytes"].startswith(b"\x89PNG")
        assert frame.label.value_counts().to_dict() == {"ant": 17, "bee": 17, "cat": 16}
        assert len(set(frame.label[:5])) > 1

    def test_a_shard_says_what_it_is(self, folder):
        hint = json.loads((folder / "_latest.json").read_text())
        (shard, *_) = sorted((folder / hint["version"]).iterdir())
        said = pq.read_metadata(shard).metadata
        assert said[b"synthetic"] == b"true"
        assert said[b"generator"] == b"toy/x"
        assert said[b"run_key"] == b"b" * 64
        assert said[b"snapshot_digest"] == b"d" * 64
        assert said[b"shard_index"] == b"0"

    def test_a_mistaken_read_of_the_root_fails_loudly(self, folder):
        with pytest.raises(pa.ArrowInvalid, match=r"README\.md"):
            pd.read_parquet(folder)
        with pytest.raises(pa.ArrowInvalid, match=r"README\.md"):
            pq.read_table(folder)
        with pytest.raises(pa.ArrowInvalid, match=r"README\.md"):
            pa.dataset.dataset(folder, format="parquet").to_table()
        with pytest.raises(pa.ArrowInvalid, match=r"README\.md"):
            pa.dataset.dataset(folder, format="parquet").count_rows()

    def test_it_fails_as_loudly_before_the_first_commit(self, tmp_path):
        lake = LocalStore(tmp_path)
        plan = agree(lake, toy.proposal())
        Publisher(lake, plan).put_shard(0, toy.records(plan, 0))
        with pytest.raises(pa.ArrowInvalid, match=r"README\.md"):
            pd.read_parquet(tmp_path / "datasets" / "toy")

    def test_raw_pixels_reshape(self, tmp_path):
        lake = LocalStore(tmp_path)
        plan = agree(lake, toy.proposal(shard_format="parquet-raw"))
        put_all(lake, plan).commit(toy.fields(), {})
        frame = pd.read_parquet(tmp_path / "datasets" / "toy" / plan.version)
        pixels = np.frombuffer(b"".join(frame.image[:15]), "uint8").reshape(-1, *toy.SHAPE)
        expected = toy.records(plan, 0).column("image").combine_chunks().to_numpy_ndarray()
        np.testing.assert_array_equal(pixels, expected)


def test_an_unconditional_generator_publishes_too(lake):
    schema = pa.schema([toy.SCHEMA.field("image")])
    kind = toy.RecordKind(schema=schema, label=None, class_counts=(), modality="images")
    config = SynthesisConfig(samples=20, shard_samples=10)
    plan = agree(
        lake, toy.propose(toy.identity(), config, kind, format="parquet", created=toy.CREATED)
    )
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        images = np.full((10, *toy.SHAPE), index, np.uint8)
        tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(images)
        publisher.put_shard(index, pa.table([tensor], schema=schema))
    publisher.commit(toy.fields(), {})
    assert verify(lake, toy.NAME) == []
    assert datasets.read_manifest(lake, toy.NAME).class_counts == ()
