"""The log of versions: whole, and every version what its name says."""

import dataclasses
import json

import pytest
import toy

from storage.digests import canonical_json, sha256_hex
from storage.lake.datasets import load_manifest
from storage.lake.hint import refresh_hint
from storage.lake.layout import (
    commits_folder,
    log_seen_key,
    manifest_key,
    numbered_key,
    promotions_folder,
)
from storage.lake.log import FOLLOWS, version_log
from storage.lake.log_check import check_log, check_names
from storage.lake.retention import UNCOMMITTED_PERIOD, Collector, pin, retract, unpin
from storage.lake.verify import verify

WHO = {"by": "ada", "reason": "asked for"}


def record_key(number):
    return numbered_key(commits_folder(toy.NAME), number)


def problems(lake):
    return {problem.key: problem.what for problem in verify(lake, toy.NAME)}


@pytest.fixture
def versions(lake):
    return [toy.publish(lake, run).version for run in "abc"]


@pytest.fixture
def pinned(lake, versions):
    """Three commits, a pin and a retraction: five records."""
    pin(lake, toy.NAME, versions[0], **WHO)
    retract(lake, toy.NAME, versions[1], **WHO)
    return versions


def test_a_whole_log_has_no_problems(lake, pinned):
    assert check_names(lake, toy.NAME) == []
    assert problems(lake) == {}
    entries = version_log(lake, toy.NAME).read()
    assert FOLLOWS not in entries[0].record
    assert [one.record[FOLLOWS] for one in entries[1:]] == [one.digest for one in entries[:-1]]


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_hole_is_named(lake, pinned, number):
    lake.delete(record_key(number))
    assert "is missing; restore it from a backup" in problems(lake)[record_key(number)]


@pytest.mark.parametrize("records", [1, 2])
def test_removed_last_records_are_named(lake, pinned, records):
    """The retraction, or the pin with it."""
    gone = {record_key(n): lake.get(record_key(n)) for n in range(6 - records, 6)}
    for key in gone:
        lake.delete(key)
    assert "was removed or changed" in problems(lake)[record_key(5)]
    for key, data in gone.items():
        lake.put_once(key, data)
    assert problems(lake) == {}


@pytest.mark.parametrize("move", [pin, unpin])
def test_new_records_do_not_hide_that_one_was_removed(lake, pinned, move):
    lake.delete(record_key(5))
    toy.publish(lake, "d")
    move(lake, toy.NAME, pinned[0], **WHO)
    assert "was removed or changed" in problems(lake)[record_key(5)]


def test_what_was_meant_to_be_removed_is_forgotten_with_what_was_seen(lake, pinned):
    lake.delete(record_key(5))
    lake.delete(log_seen_key(toy.NAME))
    refresh_hint(lake, toy.NAME)
    assert problems(lake) == {}


@pytest.mark.parametrize("number", [4, 5])
def test_a_changed_record_is_named(lake, pinned, number):
    record = json.loads(lake.get(record_key(number)))
    lake.replace(record_key(number), canonical_json(record | {"by": "eve"}))
    what = problems(lake)[record_key(number)]
    assert "changed" in what
    assert "restore it from a backup" in what


def test_records_of_before_the_chain_are_valid(lake, pinned):
    for entry in version_log(lake, toy.NAME).read():
        older = {key: value for key, value in entry.record.items() if key != FOLLOWS}
        lake.replace(record_key(entry.number), canonical_json(older))
    lake.delete(log_seen_key(toy.NAME))
    assert check_log(lake, toy.NAME) == []
    toy.publish(lake, "d")
    assert FOLLOWS in json.loads(lake.get(record_key(6)))
    assert problems(lake) == {}


def recommit(lake, number, manifest, version):
    """Commit a manifest under a version, as a faulty publisher would."""
    data = manifest.to_json()
    key = manifest_key(toy.NAME, version)
    record = {"kind": "commit", "version": version, "created": "x", "manifest": key}
    lake.replace(key, data)
    lake.replace(record_key(number), canonical_json(record | {"manifest_sha256": sha256_hex(data)}))
    lake.delete(log_seen_key(toy.NAME))
    refresh_hint(lake, toy.NAME)


def test_a_version_that_is_not_of_the_run_it_is_named_after_is_named(lake):
    committed = toy.publish(lake, "a")
    manifest = load_manifest(lake, committed)
    recommit(lake, 1, dataclasses.replace(manifest, run_key="e" * 64), committed.version)
    what = problems(lake)[committed.manifest_key]
    assert "its run_key begins with 'eeeeeeee', and its version ends in 'aaaaaaaa'" in what


def test_a_manifest_of_another_version_is_named(lake):
    first, second = toy.publish(lake, "a"), toy.publish(lake, "b")
    recommit(lake, 2, load_manifest(lake, first), second.version)
    what = problems(lake)[second.manifest_key]
    assert f"it is the manifest of toy/{first.version}, and record 2 commits it" in what


def test_a_hole_in_the_log_of_promotions_is_named(lake, versions):
    folder = promotions_folder(toy.NAME)
    lake.put_once(numbered_key(folder, 2), b"{}")
    assert list(problems(lake)) == [numbered_key(folder, 1)]


@pytest.mark.parametrize("number", [4, 5])
def test_nothing_is_collected_of_a_log_that_is_not_whole(lake, pinned, number):
    later = toy.CREATED + 3 * UNCOMMITTED_PERIOD
    collector = dataclasses.replace(Collector(lake, later), now=later.replace(year=2099))
    assert collector.due(), "the files of the retracted version"
    lake.delete(record_key(number))
    assert collector.due() == []
