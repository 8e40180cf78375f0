"""What the builder of every modality does: a source in, split records out, the same every time.

The source is a shard of the modality's own first format: what is published can be read again.
"""

import json

import pytest

from storage.records.modalities import MODALITIES
from storage.shards.format import load_format
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.given import GivenRequest
from storage.sources.open import open_source
from storage.sources.prepare import prepare
from storage.sources.prepared import load_prepared
from storage.sources.split import SPLITS

ROWS = 300


@pytest.fixture(params=[*MODALITIES, "vectors"])
def modality(request):
    return request.param


@pytest.fixture(params=["kind", None], ids=["labelled", "unlabelled"])
def config(request, modality, example, tmp_path):
    entry = next(iter(MODALITIES[modality].formats.values()))
    data = load_format(entry.key).encode(example(modality, ROWS), {})
    (tmp_path / "source.parquet").write_bytes(data)
    return SourceConfig(uri=str(tmp_path / "source.parquet"), label=request.param)


def test_a_source_is_recognised_and_described(modality, config):
    source = open_source(config)
    assert source.modality == source.description.modality == modality
    assert source.description.rows == ROWS
    assert open_source(config.model_copy(update={"modality": modality})).digest == source.digest


def test_records_are_split_and_come_back(modality, config, tmp_path):
    prepared = prepare(config, folder=tmp_path / "cache", min_group=10)
    assert prepared.modality == modality
    assert sum(prepared.rows.values()) == ROWS
    for name in SPLITS:
        records = prepared.records[name]
        assert records.num_rows == prepared.rows[name] > 0
        assert records.schema.equals(prepared.schema, check_metadata=True)
        counts = dict(prepared.class_counts[name])
        assert sum(counts.values()) == (prepared.rows[name] if config.label else 0)
    again = load_prepared(prepared.folder)
    assert all(again.records[name].equals(prepared.records[name]) for name in SPLITS)
    elsewhere = prepare(config, folder=tmp_path / "other", min_group=10)
    assert elsewhere.split_digest == prepared.split_digest
    assert all(elsewhere.records[name].equals(prepared.records[name]) for name in SPLITS)
    assert MODALITIES[modality].words.records in load_builder(modality).describe(prepared.schema)


def test_what_is_published_can_be_given_back(modality, config, tmp_path):
    prepared = prepare(config, folder=tmp_path / "cache", min_group=10)
    (tmp_path / "given").mkdir()
    request = GivenRequest(
        uri=config.uri,
        config=config,
        known=prepared.records["train"],
        min_group=10,
        folder=tmp_path / "given",
    )
    given = load_builder(modality).read_given(request)
    assert given.records.num_rows == ROWS
    assert given.records.schema.equals(prepared.schema)
    assert given.absent == ()
    assert given.digest == open_source(config).digest


def test_settings_are_json_and_name_the_modality(modality, config):
    builder = load_builder(modality)
    settings = builder.settings(config, 10)
    assert json.loads(json.dumps(settings)) == settings
    assert settings["modality"] == modality
    assert config.uri not in json.dumps(settings)
    assert settings != builder.settings(config.model_copy(update={"label": "other"}), 10)
    assert all(isinstance(text, str) for text in builder.libraries().values())
