"""The contract of every object store, over all three kinds."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from storage.errors import LakeError, ObjectNotFoundError
from storage.stores.interface import ObjectInfo
from storage.stores.open import open_store

RACERS = 16

ODD_KEYS = [
    "plain",
    "a b/c+d%20e",
    "ä/ö ü.png",
    "tilde~/quote'\"/at@",
    "hash#/question?/amp&=",
    "deep/" * 20 + "leaf",
]


def keys_of(store, prefix=""):
    return [info.key for info in store.list(prefix)]


class TestPutOnce:
    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096], ids=["0", "1", "1M"])
    def test_returns_what_was_put(self, store, data):
        assert store.put_once("folder/name.bin", data) is True
        assert store.get("folder/name.bin") == data

    @pytest.mark.parametrize("first", [b"", b"first"], ids=["empty", "full"])
    @pytest.mark.parametrize("second", [b"", b"second"], ids=["by-empty", "by-full"])
    def test_never_overwrites(self, store, first, second):
        store.put_once("key", first)
        assert store.put_once("key", second) is False
        assert store.get("key") == first

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_takes_any_sensible_key(self, store, key):
        assert store.put_once(key, key.encode())
        assert not store.put_once(key, b"again")
        assert store.get(key) == key.encode()
        assert store.stat(key).size_bytes == len(key.encode())
        assert keys_of(store) == [key]
        store.delete(key)
        assert keys_of(store) == []

    def test_adopts_what_the_first_put(self, store):
        assert store.put_or_adopt("plan.json", b"mine") == b"mine"
        assert store.put_or_adopt("plan.json", b"late") == b"mine"

    def test_is_one_large_request(self, store):
        data = np.random.default_rng(0).bytes(12 * 2**20 + 7)
        assert store.put_once("shard", data)
        assert not store.put_once("shard", data[:-1])
        assert store.get("shard") == data

    def test_one_of_sixteen_threads_wins(self, store):
        with ThreadPoolExecutor(RACERS) as pool:
            for race in range(5):
                key = f"races/{race}"
                bodies = [f"racer {racer}".encode() * 1000 for racer in range(RACERS)]
                won = list(pool.map(lambda body, k=key: store.put_once(k, body), bodies))
                assert sum(won) == 1
                assert store.get(key) == bodies[won.index(True)]

    @pytest.mark.parametrize(
        ("processes", "threads"),
        [(4, 4), pytest.param(16, 1, marks=pytest.mark.full)],
    )
    def test_one_of_sixteen_in_several_processes_wins(self, address, processes, threads):
        won = race_in_processes(address, processes, threads)
        assert len(won) == RACERS
        winners = [body for body, created in won.items() if created]
        assert len(winners) == 1
        store = open_store(address.uri, address.profile)
        assert store.get("folder/race") == winners[0].encode()


class TestReplace:
    def test_creates_and_overwrites(self, store):
        store.replace("datasets/x/_latest.json", b"one")
        store.replace("datasets/x/_latest.json", b"")
        assert store.get("datasets/x/_latest.json") == b""
        store.replace("datasets/x/_latest.json", b"three")
        assert store.get("datasets/x/_latest.json") == b"three"
        assert store.stat("datasets/x/_latest.json").size_bytes == len(b"three")


class TestMissing:
    def test_get_and_open_raise(self, store):
        for read in (store.get, store.open):
            with pytest.raises(ObjectNotFoundError, match="no/such"):
                read("no/such")

    def test_stat_is_none_and_delete_does_nothing(self, store):
        assert store.stat("no/such") is None
        store.delete("no/such")

    def test_a_folder_is_no_object(self, store):
        store.put_once("folder/name", b"1")
        assert store.stat("folder") is None
        with pytest.raises(ObjectNotFoundError):
            store.get("folder")
        store.delete("folder")
        assert keys_of(store) == ["folder/name"]

    def test_nothing_lies_below_an_object(self, store):
        store.put_once("name", b"1")
        assert store.stat("name/below") is None
        with pytest.raises(ObjectNotFoundError):
            store.get("name/below")
        store.delete("name/below")
        assert keys_of(store, "name/") == []


class TestList:
    def test_is_empty_at_first(self, store):
        assert keys_of(store) == []
        assert keys_of(store, "folder/") == []

    def test_is_sorted_by_key_and_filtered_by_prefix(self, store):
        keys = ["a", "a-b", "a.c", "b/a-", "b/a/x", "b/a0", "b2", "c/d/e", "é"]
        for key in reversed(keys):
            store.put_once(key, key.encode())
        assert keys_of(store) == keys == sorted(keys)
        assert keys_of(store, "a") == ["a", "a-b", "a.c"]
        assert keys_of(store, "b/") == ["b/a-", "b/a/x", "b/a0"]
        assert keys_of(store, "b/a") == ["b/a-", "b/a/x", "b/a0"]
        assert keys_of(store, "b/a/") == ["b/a/x"]
        assert keys_of(store, "c/d/e") == ["c/d/e"]
        assert keys_of(store, "z") == []

    def test_agrees_with_stat(self, store):
        store.put_once("x/1", b"12345")
        store.put_once("x/2", b"")
        for info in store.list("x/"):
            assert info == store.stat(info.key)
            assert isinstance(info, ObjectInfo)

    def test_is_never_cached(self, store):
        for count in range(3):
            assert len(keys_of(store, "log/")) == count
            store.put_once(f"log/{count}", b"")
        store.delete("log/1")
        assert keys_of(store, "log/") == ["log/0", "log/2"]

    @pytest.mark.full
    def test_goes_on_after_a_page(self, store):
        keys = [f"many/{number:05d}" for number in range(2_100)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.put_once(key, b""), keys))
        assert keys_of(store, "many/") == keys


class TestDelete:
    def test_makes_room_for_another(self, store):
        store.put_once("a/b/c", b"1")
        store.delete("a/b/c")
        assert store.stat("a/b/c") is None
        assert store.put_once("a/b/c", b"2")
        assert store.get("a/b/c") == b"2"

    def test_leaves_the_neighbours(self, store):
        store.put_once("a/b", b"1")
        store.put_once("a/bc", b"2")
        store.delete("a/b")
        assert keys_of(store) == ["a/bc"]


class TestOpen:
    def test_reads_and_seeks(self, store):
        data = np.random.default_rng(0).bytes(100_000)
        store.put_once("blob", data)
        with store.open("blob") as file:
            assert file.seekable()
            assert file.readable()
            assert file.read(10) == data[:10]
            assert file.tell() == 10
            assert file.seek(-20, 2) == len(data) - 20
            assert file.read() == data[-20:]
            assert file.read(5) == b""
            assert file.seek(50_000) == 50_000
            assert file.seek(5, 1) == 50_005
            assert file.read(100) == data[50_005:50_105]
            buffer = bytearray(7)
            assert file.readinto(buffer) == 7
            assert bytes(buffer) == data[50_105:50_112]

    def test_reads_an_empty_object(self, store):
        store.put_once("empty", b"")
        with store.open("empty") as file:
            assert file.read() == b""

    def test_serves_parquet(self, store):
        table = pa.table({"label": ["cat", "dog"] * 500, "sample_id": range(1000)})
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink, row_group_size=100)
        store.put_once("train.parquet", sink.getvalue().to_pybytes())
        with store.open("train.parquet") as file:
            assert parquet.ParquetFile(file).read_row_group(3).equals(table.slice(300, 100))

    def test_sees_the_newest_content(self, store):
        for data in (b"one", b"other"):
            store.replace("hint", data)
            with store.open("hint") as file:
                assert file.read() == data


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        ["", "/etc/passwd", "../outside", "a/../../outside", ".", "a/./b", "a//b", "a/", "nul\0"],
    )
    def test_cannot_leave_the_root(self, store, key, tmp_path):
        (tmp_path / "outside").write_bytes(b"secret")
        calls = [
            lambda: store.get(key),
            lambda: store.open(key),
            lambda: store.put_once(key, b"x"),
            lambda: store.replace(key, b"x"),
            lambda: store.stat(key),
            lambda: store.delete(key),
        ]
        for call in calls:
            with pytest.raises(LakeError, match="plain relative path"):
                call()
        assert (tmp_path / "outside").read_bytes() == b"secret"
        assert keys_of(store) == []


_RACER = """
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

uri, profile, process, threads = json.loads(sys.argv[1])
store = open_store(uri, profile and StorageProfile(**profile))
store.stat("folder/race")
barrier = threading.Barrier(threads)
print("ready", flush=True)
sys.stdin.readline()

def race(thread):
    body = f"process {process} thread {thread}"
    barrier.wait()
    return body, store.put_once("folder/race", body.encode())

with ThreadPoolExecutor(threads) as pool:
    print(json.dumps(dict(pool.map(race, range(threads)))))
"""


def race_in_processes(address, processes: int, threads: int) -> dict[str, bool]:
    """Let every thread of every process create one object at once; return who says he did."""
    profile = address.profile
    plain = profile and profile.model_dump(exclude_none=True)
    if plain and profile.secret:
        plain["secret"] = profile.secret.get_secret_value()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, json.dumps([address.uri, plain, process, threads])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for process in range(processes)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won: dict[str, bool] = {}
    for racer in racers:
        answer, _ = racer.communicate(timeout=60)
        assert racer.returncode == 0
        won |= json.loads(answer)
    return won


def test_what_is_stored_is_stamped_by_the_clock_that_the_store_tells(store):
    """Memory keeps no time; the others tell one that is not before the stamp."""
    store.put_once("a", b"1")
    listed, stated, now = next(store.list()), store.stat("a"), store.now()
    if stated.stored_at is None:
        assert (listed.stored_at, now) == (None, None)
        return
    assert listed.stored_at == stated.stored_at
    assert abs((now - stated.stored_at).total_seconds()) < 600
    assert [info.key for info in store.list()] == ["a"], "asking leaves nothing behind"
