"""Names and keys."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from storage.errors import SettingsError
from storage.lake import layout

VERSION = "20260131T020304Z-0123abcd"
KEY = "0123abcd" + "0" * 56


def test_the_lake_is_laid_out_as_documented():
    assert layout.dataset_readme_key("digits") == "datasets/digits/README.md"
    assert (
        layout.shard_key("digits", VERSION, 0, 16, "parquet")
        == f"datasets/digits/{VERSION}/train-00000-of-00016.parquet"
    )
    assert (
        layout.manifest_key("digits", VERSION) == f"datasets/digits/_meta/{VERSION}/manifest.json"
    )
    assert layout.announced_key("digits", VERSION).endswith(f"_meta/{VERSION}/announced.json")
    assert (
        layout.numbered_key(layout.commits_folder("digits"), 42)
        == "datasets/digits/_versions/00000042.json"
    )
    assert layout.latest_key("digits") == "datasets/digits/_latest.json"
    assert layout.snapshot_key("digits", VERSION) == f"generators/digits/{VERSION}/snapshot.json"
    assert (
        layout.generator_report_key("digits", VERSION, "ab" * 32, "report.json")
        == f"generators/digits/{VERSION}/reports/{'ab' * 8}/report.json"
    )
    assert (
        layout.generator_internal_key("digits", VERSION, "n.png")
        == f"generators/digits/{VERSION}/internal/n.png"
    )
    assert (
        layout.numbered_key(layout.promotions_folder("digits"), 7)
        == "generators/digits/_promotions/00000007.json"
    )
    assert layout.plan_key(KEY) == f"runs/{KEY}/plan.json"
    assert layout.plan_key(KEY, 2) == f"runs/{KEY}/plan-2.json"
    assert layout.stats_key(KEY) == f"runs/{KEY}/stats.jsonl"
    assert layout.checkpoint_folder(KEY, 12_800) == f"runs/{KEY}/checkpoint/000000012800"


def test_a_version_is_the_time_and_the_key():
    created = datetime(2026, 1, 31, 2, 3, 4, 999_999, tzinfo=UTC)
    assert layout.make_version(created, KEY) == VERSION
    east = created.astimezone(timezone(timedelta(hours=9)))
    assert layout.make_version(east, KEY) == VERSION
    assert layout.is_version(VERSION)


@pytest.mark.parametrize("created", [datetime(2026, 1, 31), None])  # noqa: DTZ001 - the mistake
def test_a_version_needs_a_zone_and_a_digest(created):
    with pytest.raises(ValueError, match="needs a time with a zone and a digest"):
        layout.make_version(created or datetime.now(UTC), KEY if created else "not a digest")


@pytest.mark.parametrize("name", ["digits", "a", "0-9", "a" * 64])
def test_good_names(name):
    assert layout.check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a/b", "..", "ä", "a\n", "a" * 65, "a b"])
def test_bad_names_are_refused(name):
    with pytest.raises(SettingsError, match="cannot be used"):
        layout.dataset_folder(name)
    with pytest.raises(SettingsError, match="cannot be used"):
        layout.generator_folder(name)


@pytest.mark.parametrize("version", ["", "latest", "../x", VERSION + "0", VERSION.upper()])
def test_bad_versions_are_refused(version):
    for key in (layout.version_folder, layout.manifest_key, layout.snapshot_key):
        with pytest.raises(SettingsError, match="is not a version"):
            key("digits", version)


def test_a_run_is_named_by_a_digest():
    with pytest.raises(ValueError, match="hexadecimal digest"):
        layout.plan_key("../x")


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("datasets/x/_versions/00000042.json", 42),
        ("datasets/x/_versions/42.json", None),
        ("datasets/x/_versions/00000042.json.tmp", None),
        ("datasets/x/_versions/README.md", None),
    ],
)
def test_record_numbers(key, number):
    assert layout.record_number(key) == number
