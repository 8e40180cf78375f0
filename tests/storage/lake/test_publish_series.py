"""Series published: entities are counted, in every format, and pandas reads them."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import toy

from storage.errors import IntegrityError
from storage.lake.datasets import load_manifest
from storage.lake.manifest import Manifest, ManifestFields, version_croissant, version_readme
from storage.lake.plan import Plan, RecordKind, propose
from storage.lake.publish import Publisher, encode_shard
from storage.lake.synthesis import SynthesisConfig
from storage.lake.verify import verify
from storage.records.modalities import MODALITIES
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step, to_nested
from storage.shards.format import load_format
from storage.stores.local import LocalStore

METADATA = SeriesMetadata(
    entity=Column(name="shop", kind="key", form="S99"),
    time=Column(name="day", kind="date"),
    statics=(Column(name="kind", kind="category"),),
    variables=(Column(name="sold", kind="integer"),),
    order=("day", "shop", "kind", "sold"),
    step=Step(count=1, unit="days"),
)
COUNTS = (("city", 30), ("mall", 70))


def rows(plan: Plan, index: int) -> pa.Table:
    shard = plan.shards[index]
    kinds = np.repeat(*zip(*shard.class_counts, strict=True)).tolist()
    lengths = np.arange(shard.rows) % 4 + 1
    days = np.concatenate([np.arange(20_000, 20_000 + n) for n in lengths]).astype(np.int32)
    entities = pa.table({"shop": [f"S{index}{n:02}" for n in range(shard.rows)], "kind": kinds})
    steps = pa.table({"day": pa.array(days).cast(pa.date32()), "sold": np.arange(len(days))})
    return to_nested(entities, steps, lengths.astype(np.int64), METADATA)


@pytest.fixture(params=[one.key for one in MODALITIES["series"].formats.values()])
def plan(request) -> Plan:
    schema = to_nested(
        pa.table({"shop": ["S000"], "kind": ["city"]}),
        pa.table({"day": pa.array([1], pa.int32()).cast(pa.date32()), "sold": np.arange(1)}),
        np.array([1]),
        METADATA,
    ).schema
    kind = RecordKind(schema=schema, label="kind", class_counts=COUNTS, modality="series")
    config = SynthesisConfig(samples=50, shard_samples=15, seed=7, balance="real")
    return propose(toy.identity(), config, kind, format=request.param, created=toy.CREATED)


def publish(lake, plan: Plan) -> Manifest:
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, rows(plan, index))
    fields = ManifestFields(modality="series", real_class_counts=COUNTS)
    return load_manifest(lake, publisher.commit(fields, {}))


def test_a_version_counts_entities_and_is_whole(lake, plan):
    manifest = publish(lake, plan)
    assert verify(lake, toy.NAME) == []
    assert (manifest.rows, [one.rows for one in manifest.files]) == (50, [15, 15, 15, 5])
    assert manifest.class_counts == (("city", 15), ("mall", 35))
    assert "50 synthetic entities in 4 shards" in version_readme(manifest).decode()
    for index, entry in enumerate(manifest.files):
        stored = load_format(plan.format).decode(lake.get(entry.path), plan.record_schema)
        assert stored.equals(rows(plan, index).replace_schema_metadata(None))


def test_pandas_reads_a_version_as_its_card_says(tmp_path, plan):
    manifest = publish(LocalStore(tmp_path), plan)
    lines = [line.strip() for line in version_readme(manifest).decode().splitlines()]
    code = [line.replace("<lake>", str(tmp_path)) for line in lines if " = " in line][:2]
    space = {"pandas": pd}
    exec("\n".join(code), space)  # noqa: S102 - what the card tells a reader to run
    assert len(space["nested"]) == 50
    steps = sum((np.arange(one.rows) % 4 + 1).sum() for one in manifest.files)
    assert len(space["long"]) == steps


def test_croissant_says_which_fields_are_lists(lake, plan):
    document = json.loads(version_croissant(publish(lake, plan)))
    fields = {one["name"]: one for one in document["recordSet"][0]["field"]}
    assert {name: one["dataType"] for name, one in fields.items()} == {
        "shop": "sc:Text",
        "kind": "sc:Text",
        "day": "sc:Date",
        "sold": "sc:Integer",
    }
    lists = {name for name, one in fields.items() if one.get("cr:repeated")}
    assert lists == (set() if plan.format == "series-long" else {"day", "sold"})


def test_a_stored_shard_is_adopted_and_another_is_not(lake, plan):
    publish(lake, plan)
    assert Publisher(lake, plan).missing() == []
    moved = encode_shard(plan, 3, rows(plan, 3))
    with pytest.raises(IntegrityError):
        load_format(plan.format).decode(moved[:-7], plan.record_schema)
    with pytest.raises(ValueError, match="their classes are"):
        encode_shard(plan, 0, rows(plan, 0).set_column(1, "kind", pa.array(["city"] * 15)))
