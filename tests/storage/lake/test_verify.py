"""Every object that is not as committed is named."""

import dataclasses
import json

import pytest
import toy

from storage.digests import sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake import datasets
from storage.lake.datasets import load_manifest
from storage.lake.hint import refresh_hint
from storage.lake.layout import (
    commits_folder,
    log_seen_key,
    manifest_key,
    numbered_key,
)
from storage.lake.verify import verify


@pytest.fixture
def committed(lake):
    return toy.publish(lake)


def problems(lake):
    return {problem.key: problem.what for problem in verify(lake, toy.NAME)}


def test_a_whole_version_has_none(lake, committed):
    seen = []
    assert verify(lake, toy.NAME, progress=lambda *at: seen.append(at)) == []
    assert seen == [(n, 8) for n in range(1, 9)]


def test_every_damaged_shard_is_named(lake, committed):
    one, two, three = (entry.path for entry in load_manifest(lake, committed).files[:3])
    data = lake.get(one)
    lake.replace(one, data[:60] + bytes([data[60] ^ 1]) + data[61:])
    lake.replace(two, lake.get(two)[:-5])
    lake.delete(three)
    found = problems(lake)
    assert set(found) == {one, two, three}
    assert "sha256" in found[one]
    assert "bytes, not" in found[two]
    assert "missing" in found[three]


def test_a_changed_document_is_named(lake, committed):
    key = committed.manifest_key.replace("manifest.json", "report.json")
    lake.replace(key, b"[]")
    assert "sha256" in problems(lake)[key]


def test_a_foreign_file_among_the_shards_is_named(lake, committed):
    key = f"datasets/toy/{committed.version}/train-00004-of-00004.parquet"
    lake.put_once(key, b"stray")
    assert "not in the manifest" in problems(lake)[key]


def test_a_changed_manifest_is_named_and_not_read(lake, committed):
    lake.replace(committed.manifest_key, lake.get(committed.manifest_key) + b" ")
    assert "not the manifest that was committed" in problems(lake)[committed.manifest_key]
    with pytest.raises(IntegrityError, match=committed.manifest_key):
        datasets.read_manifest(lake, toy.NAME)
    lake.delete(committed.manifest_key)
    assert "missing" in problems(lake)[committed.manifest_key]


def recommit(lake, manifest):
    """Commit a manifest that lies, as a faulty publisher would."""
    data = manifest.to_json()
    record = {"kind": "commit", "version": manifest.version, "created": "x"}
    record |= {"manifest": manifest_key(toy.NAME, manifest.version)}
    record |= {"manifest_sha256": sha256_hex(data)}
    lake.replace(manifest_key(toy.NAME, manifest.version), data)
    lake.replace(numbered_key(commits_folder(toy.NAME), 1), json.dumps(record).encode())
    lake.delete(log_seen_key(toy.NAME))
    refresh_hint(lake, toy.NAME)


def test_rows_and_schema_are_compared_with_the_manifest(lake, committed):
    manifest = load_manifest(lake, committed)
    entry = manifest.files[0]
    lying = dataclasses.replace(entry, rows=entry.rows + 1)
    recommit(lake, dataclasses.replace(manifest, files=(lying, *manifest.files[1:])))
    found = problems(lake)
    assert "15 rows" in found[entry.path]
    assert "add up" in found[committed.manifest_key]
    recommit(lake, dataclasses.replace(manifest, schema=toy.SCHEMA))
    assert all("schema" in what for what in problems(lake).values())


def test_a_shard_that_never_was_one_is_named(lake, committed):
    manifest, data = load_manifest(lake, committed), b"not Parquet"
    entry = dataclasses.replace(manifest.files[0], bytes=len(data), sha256=sha256_hex(data))
    lake.replace(entry.path, data)
    recommit(lake, dataclasses.replace(manifest, files=(entry, *manifest.files[1:])))
    assert "damaged" in problems(lake)[entry.path]


def test_what_is_not_committed_cannot_be_verified(lake):
    with pytest.raises(ObjectNotFoundError, match="no committed version"):
        verify(lake, toy.NAME)


def test_a_commit_record_that_lacks_a_field_is_refused(lake):
    lake.put_once(numbered_key(commits_folder(toy.NAME), 1), b'{"kind": "commit", "version": "v"}')
    with pytest.raises(IntegrityError, match="commit record 1 lacks 'created'"):
        datasets.versions(lake, toy.NAME)
