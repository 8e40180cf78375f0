"""A table published: the source's own schema, in every format that holds rows."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import toy

from storage.errors import IntegrityError
from storage.lake import datasets
from storage.lake.datasets import load_manifest
from storage.lake.layout import meta_key, version_folder
from storage.lake.manifest import Manifest, ManifestFields, version_croissant, version_readme
from storage.lake.plan import Plan, RecordKind, propose
from storage.lake.publish import Publisher, encode_shard
from storage.lake.synthesis import SynthesisConfig
from storage.lake.verify import verify
from storage.records.modalities import MODALITIES
from storage.shards.format import load_format
from storage.sources.tables.dialect import Dialect, with_dialect
from storage.stores.local import LocalStore

PLAIN = pa.schema(
    {
        "age": pa.int64(),
        "price": pa.decimal128(8, 2),
        "share": pa.float64(),
        "day": pa.date32(),
        "seen": pa.timestamp("us"),
        "hour": pa.time64("us"),
        "member": pa.bool_(),
        "kind": pa.string(),
    }
)
SCHEMA = with_dialect(PLAIN, Dialect(delimiter=";", decimal=","))
COUNTS = (("no", 30), ("yes", 70))


def proposal(shard_format: str, **kind: object) -> Plan:
    described = {"schema": SCHEMA, "label": "kind", "class_counts": COUNTS, "modality": "tables"}
    config = SynthesisConfig(samples=50, shard_samples=15, seed=7, balance="real")
    record_kind = RecordKind(**(described | kind))
    created = toy.CREATED
    return propose(toy.identity(), config, record_kind, format=shard_format, created=created)


def rows(plan: Plan, index: int) -> pa.Table:
    shard = plan.shards[index]
    rng = np.random.default_rng([plan.seed, index])
    kinds = np.repeat(*zip(*shard.class_counts, strict=True)) if shard.class_counts else "no"
    days = rng.integers(0, 20_000, shard.rows)
    columns = [
        pa.array(rng.integers(0, 99, shard.rows)),
        pa.array([Decimal(int(cents)).scaleb(-2) for cents in rng.integers(0, 9999, shard.rows)]),
        pa.array(rng.normal(size=shard.rows).round(4)),
        pa.array(days.astype(np.int32), pa.date32()),
        pa.array(days * 86_400_000_000 + 5, pa.timestamp("us")),
        pa.array(days * 1_000_000, pa.time64("us")),
        pa.array(rng.random(shard.rows) < 0.5),
        pa.array(np.broadcast_to(kinds, shard.rows).tolist()),
    ]
    return pa.table(
        [column.cast(field.type) for column, field in zip(columns, PLAIN, strict=True)],
        schema=PLAIN,
    )


def publish(lake, plan: Plan) -> Manifest:
    publisher = Publisher(lake, plan)
    for index in publisher.missing():
        publisher.put_shard(index, rows(plan, index))
    fields = ManifestFields(modality="tables", real_class_counts=COUNTS)
    return load_manifest(lake, publisher.commit(fields, {}))


@pytest.fixture(params=[one.key for one in MODALITIES["tables"].formats.values()])
def plan(request):
    return proposal(request.param)


def test_a_version_is_whole_and_has_the_sources_columns(lake, plan):
    manifest = publish(lake, plan)
    assert verify(lake, toy.NAME) == []
    assert manifest.schema.names == PLAIN.names
    assert manifest.class_counts == (("no", 15), ("yes", 35))
    assert datasets.read_manifest(lake, toy.NAME) == manifest
    shard_format = load_format(plan.format)
    for index, entry in enumerate(manifest.files):
        stored = shard_format.decode(lake.get(entry.path), plan.record_schema)
        assert stored.equals(rows(plan, index))


def test_a_plan_of_rows_survives_json(plan):
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.schema.equals(SCHEMA, check_metadata=True)
    assert again.record_schema.names == PLAIN.names


def test_a_stored_shard_of_rows_is_adopted_and_another_is_not(lake, plan):
    publish(lake, plan)
    other = Publisher(lake, plan)
    assert other.missing() == []
    done = other.commit(ManifestFields(modality="tables"), {})
    assert load_manifest(lake, done).rows == 50


def test_rows_of_another_kind_are_not_planned(plan):
    wrong = rows(plan, 0).set_column(0, "age", pa.array([0.5] * 15))
    with pytest.raises(ValueError, match="their schema is age: double"):
        encode_shard(plan, 0, wrong)
    classes = rows(plan, 0).set_column(7, "kind", pa.array(["no"] * 15))
    with pytest.raises(ValueError, match="their classes are"):
        encode_shard(plan, 0, classes)


def test_a_shard_in_the_wrong_place_is_refused(lake, plan):
    moved = encode_shard(plan, 3, rows(plan, 3))
    lake.put_once(plan.shard_key(0), moved)
    with pytest.raises(IntegrityError, match="is not shard 0 of this run"):
        Publisher(lake, plan).put_shard(0, rows(plan, 0))


def test_formats_without_metadata_have_a_document_instead(lake, plan):
    manifest = publish(lake, plan)
    said = {entry.path.rpartition("/")[2] for entry in manifest.documents}
    assert ("shards.json" in said) is not load_format(plan.format).self_describing
    if "shards.json" in said:
        document = json.loads(lake.get(meta_key(toy.NAME, plan.version, "shards.json")))
        assert document[plan.shard_key(2)] == plan.shard_metadata(2)


def test_the_card_says_rows_and_how_to_read_them(lake, plan):
    text = version_readme(publish(lake, plan)).decode()
    assert "50 synthetic rows in 4 shards" in text
    assert "| yes | 35 |" in text
    assert "| price | decimal128(8, 2) |" in text
    assert "pandas.read_" in text
    assert f"<lake>/{version_folder(toy.NAME, plan.version)}/" in text


def test_croissant_knows_the_types(lake, plan):
    document = json.loads(version_croissant(publish(lake, plan)))
    (records,) = document["recordSet"]
    assert {field["name"]: field["dataType"] for field in records["field"]} == {
        "age": "sc:Integer",
        "price": "sc:Float",
        "share": "sc:Float",
        "day": "sc:Date",
        "seen": "sc:DateTime",
        "hour": "sc:Time",
        "member": "sc:Boolean",
        "kind": "sc:Text",
    }
    assert document["distribution"][0]["encodingFormat"] == load_format(plan.format).media_type


def test_without_classes_rows_are_rows(lake):
    plan = proposal("table-parquet", label=None, class_counts=())
    assert publish(lake, plan).class_counts == ()
    assert verify(lake, toy.NAME) == []


def test_pandas_reads_a_version_as_its_card_says(tmp_path, plan):
    manifest = publish(LocalStore(tmp_path), plan)
    lines = [line.strip() for line in version_readme(manifest).decode().splitlines()]
    start = next(at for at, line in enumerate(lines) if "pandas." in line or "names =" in line)
    *before, last = [line for line in lines[start : start + 2] if line]
    space = {"pandas": pd}
    exec("\n".join(before), space)  # noqa: S102 - what the card tells a reader to run
    frame = eval(last.replace("<lake>", str(tmp_path)), space)  # noqa: S307
    assert list(frame) == PLAIN.names
    assert frame["kind"].value_counts().to_dict() == {"yes": 35, "no": 15}
    expected = pa.concat_tables([rows(plan, index) for index in range(4)])
    np.testing.assert_allclose(frame["share"], expected["share"].to_numpy())
