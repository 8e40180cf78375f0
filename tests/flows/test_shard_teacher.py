"""Whoever makes a shard reads the planned teacher, and no other."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from flows.engines.interface import SynthesisRequest
from flows.engines.local import ShardMaker, _load_labeller
from flows.teacher import local_teacher
from gan.tables.teacher import TableTeacher
from storage.digests import sha256_hex
from storage.errors import IntegrityError
from storage.lake.layout import generator_internal_key
from storage.lake.plan import Identity, RecordKind, propose
from storage.lake.synthesis import SynthesisConfig
from storage.stores.memory import MemoryStore

VERSION = "20260101T000000Z-abababab"
DATA = TableTeacher(label="kind", classes=("a", "b"), columns=(), members=()).to_bytes()


@pytest.fixture
def plan():
    from datetime import UTC, datetime

    identity = Identity(
        name="tiny", run_key="ab" * 32, generator=f"tiny/{VERSION}", snapshot_digest="d" * 64
    )
    kind = RecordKind(
        schema=pa.schema([("kind", pa.string())]),
        label="kind",
        class_counts=(("a", 3), ("b", 5)),
        modality="tables",
        teacher=sha256_hex(DATA),
    )
    config = SynthesisConfig(samples=8, shard_samples=4, labels="teacher")
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return propose(identity, config, kind, format="table-parquet", created=created)


@pytest.fixture
def job(tmp_path):
    lake = MemoryStore()
    lake.put_once(generator_internal_key("tiny", VERSION, "teacher"), DATA)
    return SimpleNamespace(lake=lake, name="tiny", work=tmp_path)


def test_the_planned_teacher_is_fetched_once_and_whole(job, plan):
    path = local_teacher(job, plan, VERSION)
    assert path.read_bytes() == DATA
    path.write_bytes(b"cut")
    assert local_teacher(job, plan, VERSION).read_bytes() == DATA
    bare = dataclasses.replace(plan, resolved={})
    assert local_teacher(job, bare, VERSION) is None


def test_another_teacher_than_the_planned_is_refused(job, plan):
    job.lake.delete(generator_internal_key("tiny", VERSION, "teacher"))
    job.lake.put_once(generator_internal_key("tiny", VERSION, "teacher"), b"other")
    with pytest.raises(IntegrityError, match="not the teacher"):
        local_teacher(job, plan, VERSION)
    (job.work / "t").write_bytes(b"other")
    request = SynthesisRequest(
        plan=plan, snapshot=job.work, lake_uri="", profile=None, teacher=job.work / "t"
    )
    with pytest.raises(IntegrityError, match="changed since it was fetched"):
        _load_labeller(request, "tables")


def test_a_shard_carries_what_the_teacher_says(job, plan, monkeypatch):
    monkeypatch.setattr(
        TableTeacher, "predict", lambda _, records: np.tile([0.0, 1.0], (len(records), 1))
    )
    request = SynthesisRequest(
        plan=plan,
        snapshot=job.work,
        lake_uri="",
        profile=None,
        teacher=local_teacher(job, plan, VERSION),
    )
    sampler = SimpleNamespace(records=lambda rows, **_: pa.table({"kind": ["a"] * rows}))
    labeller = _load_labeller(request, "tables")
    maker = ShardMaker(request=request, sampler=sampler, lake=job.lake, labeller=labeller)
    records = maker.sample(0)
    assert records.to_pylist() == 4 * [
        {"kind": "b", "kind_probability_a": 0.0, "kind_probability_b": 1.0}
    ]
    assert maker.store(0, records).rows == 4
