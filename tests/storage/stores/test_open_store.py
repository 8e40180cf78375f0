"""From URIs to stores."""

import multiprocessing
import subprocess
import sys

import pytest

from storage.errors import NotWritableError, SchemeError, SettingsError
from storage.stores.local import LocalStore
from storage.stores.open import open_store
from storage.stores.retry import RetryingStore
from storage.stores.s3 import S3Store
from storage.stores.settings import StorageProfile


@pytest.mark.parametrize(
    ("uri", "kind", "shown"),
    [
        ("lake", LocalStore, "lake"),
        ("./lake/", LocalStore, "lake"),
        ("/data/lake", LocalStore, "/data/lake"),
        ("/data/c:d", LocalStore, "/data/c:d"),
        ("file:///data/my%20lake/", LocalStore, "/data/my lake"),
        ("FILE:///data", LocalStore, "/data"),
        ("s3://bucket", S3Store, "s3://bucket"),
        ("s3://bucket/", S3Store, "s3://bucket"),
        ("s3://bucket/a/b/", S3Store, "s3://bucket/a/b"),
    ],
)
def test_serves_folders_and_s3(uri, kind, shown):
    store = open_store(uri)
    assert isinstance(store, RetryingStore)
    assert isinstance(store.inner, kind)
    assert store.uri == shown


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert open_store("~/lake").uri == "/home/ada/lake"


@pytest.mark.parametrize("scheme", ["gs", "az", "http", "https", "memory", "s3a", "hdfs"])
def test_other_schemes_are_refused_and_those_served_are_named(scheme):
    with pytest.raises(SchemeError, match=rf"'{scheme}'.*file:///folder or s3://bucket/prefix"):
        open_store(f"{scheme}://somewhere/else")


@pytest.mark.parametrize(
    "uri", ["", "  ", "file://", "s3://", "s3:///key", "s3://-bad-/x", "s3://a/"]
)
def test_nothing_named_is_a_wrong_setting(uri):
    with pytest.raises(SettingsError, match="names no"):
        open_store(uri)


def test_the_deadline_is_the_profiles():
    store = open_store("lake", StorageProfile(retry_deadline_s=7))
    assert store._policy.deadline_s == 7


def test_a_read_only_store_refuses_every_change(tmp_path):
    open_store(str(tmp_path)).put_once("a", b"1")
    store = open_store(str(tmp_path), read_only=True)
    changes = [
        lambda: store.put_once("b", b"1"),
        lambda: store.put_or_adopt("b", b"1"),
        lambda: store.replace("a", b"2"),
        lambda: store.delete("a"),
    ]
    for change in changes:
        with pytest.raises(NotWritableError, match="for reading only"):
            change()
    assert [info.key for info in store.list()] == ["a"]
    assert store.get("a") == b"1"
    with store.open("a") as file:
        assert file.read() == b"1"


def test_a_store_may_be_sent_to_a_spawned_process(address):
    store = open_store(address.uri, address.profile)
    store.put_once("before", b"1")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(store.get, ("before",)) == b"1"
        assert pool.apply(store.put_once, ("after", b"2")) is True
    assert store.get("after") == b"2"


def test_a_local_lake_loads_nothing_of_s3():
    script = (
        "import sys; from storage.stores.open import open_store; open_store('lake');"
        "assert not {'s3fs', 'botocore', 'torch', 'prefect'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
