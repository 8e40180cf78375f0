"""The recipe's source section: what is accepted, what is refused, what goes into keys."""

import re

import pytest
from pydantic import ValidationError

from storage.records.constraint import Constraint
from storage.sources.builder import load_builder
from storage.sources.config import (
    ColumnConfig,
    CsvConfig,
    SourceConfig,
    parse_resize,
)
from storage.sources.paths import path_selector
from storage.sources.split import SplitConfig


def test_every_field_is_documented_and_titled() -> None:
    for model in (SourceConfig, SplitConfig, CsvConfig, ColumnConfig, Constraint):
        for name, schema in model.model_json_schema()["properties"].items():
            assert schema["title"], name
            assert schema["description"], name
    assert SourceConfig.model_json_schema()["properties"]["split"]["default"]["validation"] == 0.2


@pytest.mark.parametrize(
    ("written", "kept", "size"),
    [(32, "32", (32, 32)), ("8", "8", (8, 8)), ("32x48", "32x48", (32, 48))],
)
def test_resize_is_a_number_or_two(written: object, kept: str, size: tuple[int, int]) -> None:
    config = SourceConfig(uri="x", resize=written)
    assert config.resize == kept
    assert parse_resize(kept) == size


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"resize": "big"}, "write 32, or 32x48"),
        ({"resize": 7}, "outside 8 to 128"),
        ({"resize": "8x129"}, "outside 8 to 128"),
        ({"resize": True}, "string"),
        ({"label": "image"}, "taken by ganmill"),
        ({"label": "sample_id"}, "taken by ganmill"),
        ({"label_from": "depth:0"}, "names no folder"),
        ({"label_from": "("}, "no regular expression"),
        ({"label_from": "a.*"}, "0 groups"),
        ({"split": {"holdout_uri": "x"}}, "source.uri itself"),
        ({"uri": ""}, "at least 1"),
        ({"lable": "x"}, "lable"),
        ({"modality": "video"}, "'images', 'series' or 'tables'"),
        ({"columns": [{"name": "a"}, {"name": "a"}]}, "'a' is more than once"),
    ],
)
def test_a_wrong_source_is_refused(fields: dict, word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        SourceConfig(**({"uri": "x"} | fields))


def test_a_part_of_the_path_is_a_depth_or_an_expression() -> None:
    assert path_selector("depth:1") == 1
    assert path_selector("depth:-2") == -2
    assert path_selector(r"class_(\d+)") == re.compile(r"class_(\d+)")


def keys(modality: str = "images", min_group: int = 10, **fields: object) -> dict:
    config = SourceConfig(**({"uri": "x"} | fields))
    return load_builder(modality).settings(config, min_group)


def test_keys_hold_what_shapes_records_and_no_place() -> None:
    here = keys(uri="s3://a/b", storage="x", resize=32, include=("*.png",))
    there = keys(uri="/other", modality="images", resize="32x32", confidential=False, min_group=20)
    assert here == there
    assert here != keys(label="y", resize=32)


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "y"},
        {"min_group": 20},
        {"csv": {"decimal": ","}},
        {"columns": [{"name": "a", "kind": "category"}]},
        {"constraints": [{"kind": "unique", "columns": ["a"]}]},
    ],
    ids=str,
)
def test_keys_of_a_table_hold_what_is_said_of_it(fields: dict) -> None:
    assert keys("tables", **fields) != keys("tables")
    assert keys("tables", resize=32, label_from="depth:1") == keys("tables")
