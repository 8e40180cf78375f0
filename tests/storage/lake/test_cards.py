"""Pages and catalogue entries made from a manifest."""

import dataclasses
import json

import pyarrow as pa
import pytest
import toy

from storage.errors import IntegrityError
from storage.lake.datasets import load_manifest
from storage.lake.manifest import (
    Manifest,
    root_readme,
    version_croissant,
    version_readme,
    version_stats,
)
from storage.lake.markdown import plain
from storage.lake.plan import Plan
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


def test_the_card_says_whether_it_helps(manifest):
    line = "- Does it help? Oversampling adds .032 for nothing."
    assert line in version_readme(manifest).decode().splitlines()
    unknown = dataclasses.replace(manifest.fields, lift={"answer": "not measured"})
    text = version_readme(dataclasses.replace(manifest, fields=unknown)).decode()
    assert "- Does it help? Not measured." in text.splitlines()


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
    del raw["composition"], raw["losses"], raw["lift"]
    older = Manifest.from_json(json.dumps(raw).encode())
    assert (older.fields.composition, older.fields.losses) == ({}, ())
    assert (older.fields.lift, older.fields.lift_answer) == ({}, "")
    assert "Does it help?" not in version_readme(older).decode()
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


HOSTILE = "a|b`c`\n# <script>x</script> [l](https://e.x) ![p](u) *d* s3://AK:hunter2@b"
SHOWN = (
    r"a\|b\`c\` \# &lt;script&gt;x&lt;/script&gt; \[l\](https\://e.x) \!\[p\](u) \*d\* "
    r"s3://\*\*\*@b"
)


def test_what_comes_from_data_and_people_stays_text(manifest):
    signed = {"by": HOSTILE, "reason": HOSTILE, "at": "2026-01-31"}
    gate = {"verdict": "block", "reasons": [HOSTILE], "override": signed, "approval": signed}
    fields = dataclasses.replace(manifest.fields, gate=gate, license=HOSTILE)
    named = pa.schema([pa.field(HOSTILE, pa.int64())])
    changed = dataclasses.replace(
        manifest, fields=fields, schema=named, class_counts=((HOSTILE, 3),)
    )
    text = version_readme(changed).decode()
    assert f"block, overridden by {SHOWN}: {SHOWN}, approved by {SHOWN}: {SHOWN}\n" in text
    assert f"  - {SHOWN}\n" in text
    assert f"- License: {SHOWN}\n" in text
    assert f"| {SHOWN} | int64 |\n" in text
    assert f"| {SHOWN} | 3 |\n" in text
    for raw in ("<script", "hunter2", "](https:", "\n# <"):
        assert raw not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain_name", "plain_name"),
        ("_edge_", r"\_edge\_"),
        ("1. x", r"1\. x"),
        ("- x", r"\- x"),
        ("-5", "-5"),
        ("see www.x.y", r"see www\.x.y"),
        ("a\u202eb\x07c\u200bd", "abcd"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("a\n\tb", "a b"),
    ],
)
def test_text_in_markdown_stays_text(text, shown):
    assert plain(text) == shown


def test_long_text_is_cut():
    assert plain("x" * 100, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("read", [Manifest.from_json, Plan.from_json])
@pytest.mark.parametrize("data", [b"[" * 200_000, b"{}", b"[]", b"\xff", b'{"format": 1}'])
def test_strange_documents_are_told_from_good_ones(read, data):
    with pytest.raises(IntegrityError, match="this is no ganmill"):
        read(data)
