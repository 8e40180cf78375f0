"""Pages and catalogue entries made from a manifest."""

import dataclasses
import json

import pytest
import toy

from storage.lake.datasets import load_manifest
from storage.lake.manifest import (
    Manifest,
    root_readme,
    version_croissant,
    version_readme,
    version_stats,
)
from storage.records.schema import with_class_names


@pytest.fixture
def manifest(lake):
    return load_manifest(lake, toy.publish(lake))


def test_the_card_shows_verdict_rows_classes_and_how_to_read(manifest):
    text = version_readme(manifest).decode()
    assert f"# toy {manifest.version}" in text
    assert "50 synthetic images in 4 shards" in text
    assert "Verdict of the gate: pass" in text
    assert "coverage .97 of the ceiling" in text
    assert "| bee | 17 |" in text
    assert "| sample_id | int64 |" in text
    assert f"datasets/toy/{manifest.version}/" in text


def test_classes_that_have_names_are_shown_with_them(manifest):
    schema = with_class_names(manifest.schema, "label", ["ant", "bee"])
    named = dataclasses.replace(manifest, schema=schema, class_counts=((0, 5), (1, 6), (2, 7)))
    text = version_readme(named).decode()
    assert "| 0 (ant) | 5 |" in text
    assert "| 1 (bee) | 6 |" in text
    assert "| 2 | 7 |" in text


def test_an_override_is_shown_beside_the_verdict(manifest):
    override = {"by": "ada", "reason": "a demo", "at": "2026-01-31"}
    gate = {"verdict": "block", "reasons": [], "override": override}
    fields = dataclasses.replace(manifest.fields, gate=gate)
    text = version_readme(dataclasses.replace(manifest, fields=fields)).decode()
    assert "block, overridden by ada: a demo" in text


def test_an_approval_is_shown_beside_the_verdict(manifest):
    approval = {"by": "ada", "reason": "seen", "at": "2026-01-31"}
    gate = {"verdict": "pass", "reasons": [], "override": None, "approval": approval}
    fields = dataclasses.replace(manifest.fields, gate=gate)
    text = version_readme(dataclasses.replace(manifest, fields=fields)).decode()
    assert "pass, approved by ada: seen" in text


def test_the_card_says_of_which_rows_the_verdict_speaks_and_what_is_lost(manifest):
    composition = {"balance": "equal", "sentences": ["Re-weighted after the verdict"]}
    gate = {"verdict": "pass", "judged": "It speaks of these", "not_judged": ["recall is .35"]}
    fields = dataclasses.replace(
        manifest.fields, gate=gate, composition=composition, losses=("age: its sum falls by 3 %",)
    )
    changed = dataclasses.replace(manifest, fields=fields)
    lines = version_readme(changed).decode().splitlines()
    for line in (
        "- It speaks of these",
        "- Re-weighted after the verdict",
        "- Measured and not judged:",
        "  - recall is .35",
        "  - age: its sum falls by 3 %",
    ):
        assert line in lines
    assert Manifest.from_json(changed.to_json()).fields == fields


def test_a_manifest_of_an_older_version_says_none_of_it(manifest):
    raw = json.loads(manifest.to_json())
    del raw["composition"], raw["losses"]
    older = Manifest.from_json(json.dumps(raw).encode())
    assert (older.fields.composition, older.fields.losses) == ({}, ())
    assert "not judged" not in version_readme(older).decode()


def test_stats_add_up(manifest):
    stats = json.loads(version_stats(manifest))
    assert stats["rows"] == sum(shard["rows"] for shard in stats["shards"]) == 50
    assert stats["bytes"] == sum(shard["bytes"] for shard in stats["shards"])
    assert dict(stats["class_counts"]) == {"ant": 17, "bee": 17, "cat": 16}


def test_croissant_names_every_file_and_field(manifest):
    document = json.loads(version_croissant(manifest))
    assert document["@type"] == "sc:Dataset"
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    listed = {item["contentUrl"]: item["sha256"] for item in document["distribution"]}
    assert listed == {entry.path: entry.sha256 for entry in manifest.files}
    (records,) = document["recordSet"]
    kinds = {field["name"]: field["dataType"] for field in records["field"]}
    assert kinds == {"sample_id": "sc:Integer", "image": "sc:ImageObject", "label": "sc:Text"}


def test_the_guard_of_the_root_says_how_to_read():
    text = root_readme("toy").decode()
    assert "never this folder" in text
    assert "_latest.json" in text
