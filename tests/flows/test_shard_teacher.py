"""Whoever makes a shard reads the planned teacher, and no other."""

import dataclasses
from datetime import UTC, datetime
from types import SimpleNamespace

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from flows.engines.interface import SynthesisRequest
from flows.engines.maker import ShardMaker, load_labeller
from flows.progress import SilentReporter
from flows.recipe import parse_recipe
from flows.teacher import labeller_of, local_teacher, teacher_file
from gan.tables.teacher import TableTeacher, TaughtColumn
from storage.digests import sha256_hex
from storage.errors import IntegrityError
from storage.lake.layout import generator_internal_key
from storage.lake.plan import Identity, RecordKind, propose
from storage.lake.synthesis import SynthesisConfig
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, with_table_metadata
from storage.stores.memory import MemoryStore

FILE = "teacher-0123456789abcdef"
VERSION = "20260101T000000Z-abababab"
TREES = lightgbm.train(
    {"objective": "binary", "verbose": -1, "num_threads": 1},
    lightgbm.Dataset(np.arange(120.0).reshape(-1, 1), np.arange(120) % 2),
    1,
)
COLUMNS = (TaughtColumn(name="size", form="number"),)
DATA = TableTeacher(label="kind", classes=("a", "b"), columns=COLUMNS, members=(TREES,)).to_bytes()


@pytest.fixture
def plan():
    identity = Identity(
        name="tiny", run_key="ab" * 32, generator=f"tiny/{VERSION}", snapshot_digest="d" * 64
    )
    kind = RecordKind(
        schema=pa.schema([("kind", pa.string())]),
        label="kind",
        class_counts=(("a", 3), ("b", 5)),
        modality="tables",
        teacher=sha256_hex(DATA),
        teacher_file=FILE,
    )
    config = SynthesisConfig(samples=8, shard_samples=4, labels="teacher")
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return propose(identity, config, kind, format="table-parquet", created=created)


@pytest.fixture
def job(tmp_path):
    lake = MemoryStore()
    lake.put_once(generator_internal_key("tiny", VERSION, FILE), DATA)
    return SimpleNamespace(lake=lake, name="tiny", work=tmp_path)


def test_the_planned_teacher_is_fetched_once_and_whole(job, plan):
    path = local_teacher(job, plan, VERSION)
    assert path.read_bytes() == DATA
    path.write_bytes(b"cut")
    assert local_teacher(job, plan, VERSION).read_bytes() == DATA
    bare = dataclasses.replace(plan, resolved={})
    assert local_teacher(job, bare, VERSION) is None


def test_lift_gets_the_same_teacher_and_learns_it_where_there_is_none(job):
    records = pa.table({"kind": ["a", "b"] * 60, "size": [float(i % 7) for i in range(120)]})
    columns = (Column(name="kind", kind="category"), Column(name="size", kind="float"))
    schema = with_table_metadata(records.schema, TableMetadata(columns=columns))
    prepared = SimpleNamespace(
        source_digest="s",
        split_digest="p",
        reading={},
        schema=schema,
        label="kind",
        class_counts={"train": (("a", 60), ("b", 60))},
        modality="tables",
        records={"train": records.cast(schema)},
    )
    job.recipe = parse_recipe(
        {
            "name": "tiny",
            "source": {"uri": "x.csv", "label": "kind"},
            "synthesis": {"labels": "teacher"},
        }
    )
    job.reporter = SilentReporter()
    name = teacher_file(job.recipe, prepared)
    job.lake.put_once(generator_internal_key("tiny", VERSION, name), DATA)
    kept = labeller_of(job, prepared, VERSION, seed=3)
    assert (kept.teacher.label, kept.relabels, kept.picks, kept.seed) == ("kind", True, 4, 3)
    assert len(kept.teacher.members) == 1
    other = labeller_of(job, prepared, VERSION.replace("2026", "2027"), seed=3)
    assert len(other.teacher.members) == 5
    plain = job.recipe.model_copy(update={"synthesis": SynthesisConfig()})
    job.recipe = plain
    assert labeller_of(job, prepared, VERSION, seed=3) is None

    for change in (
        {"source_digest": "t"},
        {"split_digest": "q"},
        {"label": "size"},
        {"class_counts": {"train": (("a", 60), ("b", 59), ("d", 1))}},
    ):
        assert teacher_file(job.recipe, SimpleNamespace(**vars(prepared) | change)) != name
    reseeded = job.recipe.model_copy(update={"seed": 5})
    assert teacher_file(reseeded, prepared) != name


def test_an_early_plan_finds_the_file_of_its_time(job, plan):
    early = {name: one for name, one in plan.resolved["teacher"].items() if name != "file"}
    plan = dataclasses.replace(plan, resolved={"teacher": early})
    job.lake.put_once(generator_internal_key("tiny", VERSION, "teacher"), DATA)
    job.lake.delete(generator_internal_key("tiny", VERSION, FILE))
    assert local_teacher(job, plan, VERSION).read_bytes() == DATA


@pytest.mark.parametrize("change", [{"label": "sort"}, {"classes": ("a", "c")}, {"classes": ()}])
def test_a_teacher_of_other_classes_than_the_planned_is_refused(job, plan, change):
    told = {"label": "kind", "classes": ("a", "b")} | change
    data = TableTeacher(**told, columns=COLUMNS, members=(TREES,)).to_bytes()
    (job.work / "t").write_bytes(data)
    raw = plan.resolved["teacher"] | {"sha256": sha256_hex(data)}
    request = SynthesisRequest(
        plan=dataclasses.replace(plan, resolved={"teacher": raw}),
        snapshot=job.work,
        lake_uri="",
        profile=None,
        teacher=job.work / "t",
    )
    with pytest.raises(IntegrityError, match="was planned with kind_probability_a, kind_prob"):
        load_labeller(request, "tables")


def test_another_teacher_than_the_planned_is_refused(job, plan):
    job.lake.delete(generator_internal_key("tiny", VERSION, FILE))
    job.lake.put_once(generator_internal_key("tiny", VERSION, FILE), b"other")
    with pytest.raises(IntegrityError, match="not the teacher"):
        local_teacher(job, plan, VERSION)
    (job.work / "t").write_bytes(b"other")
    request = SynthesisRequest(
        plan=plan, snapshot=job.work, lake_uri="", profile=None, teacher=job.work / "t"
    )
    with pytest.raises(IntegrityError, match="changed since it was fetched"):
        load_labeller(request, "tables")


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
    labeller = load_labeller(request, "tables")
    maker = ShardMaker(request=request, sampler=sampler, lake=job.lake, labeller=labeller)
    records = maker.sample(0)
    assert records.to_pylist() == 4 * [
        {"kind": "b", "kind_probability_a": 0.0, "kind_probability_b": 1.0}
    ]
    assert maker.store(0, records).entry.rows == 4
