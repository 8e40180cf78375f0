"""What a run used: the clocks, the GPU's share, and the bytes it wrote."""

import subprocess
import sys

import pytest

from flows.job import Spending, cost_text, uncounted
from storage.stores.counting import CountingStore
from storage.stores.memory import MemoryStore

BUSY = "import time\nwhile time.process_time() < 0.3: pass"


@pytest.fixture
def account():
    return Spending()


@pytest.fixture
def lake(account):
    return CountingStore(MemoryStore(), account.wrote)


def test_a_child_that_has_ended_is_on_the_bill(account):
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    cost = account.so_far()
    assert cost["cpu_s"] >= 0.3
    assert cost["wall_s"] > 0
    assert (cost["gpu_s"], cost["written_bytes"]) == (0, 0)


def test_only_a_cuda_device_counts_as_one_and_also_when_the_stage_fails(account):
    with account.using("cpu"):
        pass
    assert account.gpu_s == 0
    with pytest.raises(RuntimeError), account.using("cuda:1"):
        raise RuntimeError
    assert account.gpu_s > 0
    before_s = account.gpu_s
    with account.using("cuda"):
        pass
    assert account.gpu_s > before_s


def test_every_device_of_a_training_counts(account, monkeypatch):
    clock = iter((10.0, 13.0))
    monkeypatch.setattr("flows.job.monotonic", lambda: next(clock))
    with account.using("cuda", 4):
        pass
    assert account.gpu_s == 12.0


def test_what_is_put_is_counted_and_what_is_there_already_is_not(account, lake):
    assert lake.put_once("a", b"12345")
    assert not lake.put_once("a", b"12345")
    assert account.written_bytes == 5
    for _ in range(2):
        assert lake.put_or_adopt("b", bytes(bytearray(b"123"))) == b"123"
    assert lake.put_or_adopt("b", b"other") == b"123"
    assert account.written_bytes == 8
    lake.replace("hint", b"1")
    lake.replace("hint", b"2")
    lake.delete("a")
    assert account.so_far()["written_bytes"] == 10


def test_shards_are_counted_where_they_are_known_and_only_there(account, lake):
    uncounted(lake).put_once("shard", b"1234567")
    assert lake.get("shard") == b"1234567"
    assert account.written_bytes == 0
    bare = MemoryStore()
    assert uncounted(bare) is bare


@pytest.mark.parametrize(
    ("gpu_s", "text"),
    [
        (0.0, "1,234 CPU-s in 600 s, 2.0 MiB written"),
        (59.6, "60 GPU-s, 1,234 CPU-s in 600 s, 2.0 MiB written"),
    ],
)
def test_the_line_names_a_gpu_only_where_there_was_one(gpu_s, text):
    cost = {"wall_s": 600.2, "cpu_s": 1234.4, "gpu_s": gpu_s, "written_bytes": 2 * 2**20}
    assert cost_text(cost) == text
