"""The local engine: the same shards whoever makes them, and workers that die."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from flows.engines import local as pool_module
from flows.engines.interface import ENGINES, SynthesisRequest, make_engine
from flows.engines.local import LocalEngine, WorkerPool
from flows.errors import EngineError
from gan.errors import SnapshotError
from gan.evaluation.published_copies import RecordHasher, ShardHashes
from gan.images.judge import pixel_hashes
from storage.errors import IntegrityError
from storage.shards.format import load_format
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

HASHER = RecordHasher(pixel_hashes, 0.3)
"""Sent to whoever makes shards; three of ten records are looked at for near ones."""


@pytest.fixture
def order(snapshot, plan, tmp_path) -> SynthesisRequest:
    return SynthesisRequest(
        plan=plan,
        snapshot=snapshot[0],
        lake_uri=str(tmp_path / "lake"),
        profile=None,
        hasher=HASHER,
    )


def make(order: SynthesisRequest, engine: LocalEngine, indices=None, say=print) -> dict[str, bytes]:
    """Run the engine and return every object of its lake."""
    lake = open_store(order.lake_uri)
    done = {}
    wanted = range(len(order.plan.shards)) if indices is None else indices
    engine.run(order, list(wanted), lake=lake, on_shard=done.__setitem__, say=say)
    assert sorted(done) == sorted(wanted)
    stored = {info.key: lake.get(info.key) for info in lake.list()}
    for index, (entry, hashes) in done.items():
        assert entry.path == order.plan.shard_key(index)
        assert entry.bytes == len(stored[entry.path])
        check_hashes(order, stored[entry.path], hashes)
    return stored


def check_hashes(order: SynthesisRequest, data: bytes, hashes: ShardHashes | None) -> None:
    """The worker's hashes are those of what readers will read."""
    if order.hasher is None:
        assert hashes is None
        return
    read = order.hasher(load_format(order.plan.format).decode(data, order.plan.record_schema))
    assert (len(hashes.whole_N), len(hashes.near_NG)) == (10, 3)
    np.testing.assert_array_equal(hashes.whole_N, read.whole_N)
    np.testing.assert_array_equal(hashes.near_NG, read.near_NG)


@pytest.fixture(scope="module")
def expected(snapshot, plan, tmp_path_factory) -> dict[str, bytes]:
    uri = str(tmp_path_factory.mktemp("alone"))
    alone = SynthesisRequest(plan=plan, snapshot=snapshot[0], lake_uri=uri, profile=None)
    return make(alone, LocalEngine(workers=1))


def test_one_process_makes_every_shard(expected, plan):
    assert sorted(expected) == [plan.shard_key(index) for index in range(len(plan.shards))]


@pytest.mark.parametrize("workers", [2, pytest.param(5, marks=pytest.mark.full)])
def test_workers_make_the_same_shards(order, expected, workers):
    assert make(order, LocalEngine(workers=workers, patience_s=0)) == expected


def test_any_order_makes_the_same_shards(order, expected):
    engine = LocalEngine(workers=1)
    assert make(order, engine, indices=[7, 3, 10, 0, 1, 2, 9, 8, 4, 6, 5]) == expected


def test_a_part_makes_its_part(order, expected):
    made = make(order, LocalEngine(workers=1), indices=[4, 2])
    assert made == {key: expected[key] for key in made}
    assert len(made) == 2


@pytest.mark.full
def test_the_caller_goes_on_until_the_workers_are_ready(order, expected, monkeypatch):
    """A long job starts in this process; the workers take the rest over."""
    readiness = iter([False] * 4)
    real = WorkerPool.ready
    monkeypatch.setattr(
        WorkerPool, "ready", lambda self: next(readiness, None) is None and _wait(self, real)
    )
    assert make(order, LocalEngine(workers=2, patience_s=1e-9)) == expected


def _wait(pool, ready) -> bool:
    while pool.workers and not ready(pool):
        time.sleep(0.05)
    return bool(pool.workers)


def test_small_jobs_spawn_nothing(order, expected, monkeypatch):
    def refuse(self):
        pytest.fail("a worker was spawned")

    monkeypatch.setattr(WorkerPool, "start", refuse)
    assert make(order, LocalEngine(workers=4, patience_s=600)) == expected


def test_the_shards_of_a_worker_that_dies_are_taken_over(order, expected, monkeypatch):
    told, victims = [], []
    finish = pool_module.WorkerPool._hand

    def hand(self, worker, todo):
        finish(self, worker, todo)
        if not victims:
            victims.append(worker.process.pid)
            os.kill(worker.process.pid, signal.SIGKILL)

    monkeypatch.setattr(pool_module.WorkerPool, "_hand", hand)
    assert make(order, LocalEngine(workers=2, patience_s=0), say=told.append) == expected
    assert len(told) == 1
    assert "a worker died" in told[0]
    assert "take" in told[0]


def test_workers_that_keep_dying_end_the_job(order, monkeypatch):
    def hand(self, worker, todo):
        worker.held.append(todo.popleft())
        worker.process.kill()

    monkeypatch.setattr(pool_module.WorkerPool, "_hand", hand)
    monkeypatch.setattr(pool_module, "DEATHS", 1)
    with pytest.raises(EngineError, match="run it again: finished shards are kept"):
        make(order, LocalEngine(workers=1 + 1, patience_s=0))


def test_no_worker_outlives_an_error(order, monkeypatch):
    def explode(self, worker, finish):
        raise KeyboardInterrupt

    monkeypatch.setattr(pool_module.WorkerPool, "_receive", explode)
    with pytest.raises(KeyboardInterrupt):
        make(order, LocalEngine(workers=2, patience_s=0))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    "patience_s",
    [pytest.param(0, marks=pytest.mark.full, id="in a worker"), pytest.param(60, id="here")],
)
def test_what_fails_in_the_lake_is_raised_here(order, plan, patience_s):
    lake = open_store(order.lake_uri)
    lake.put_once(plan.shard_key(5), b"not a shard")
    with pytest.raises(IntegrityError, match="00005"):
        make(order, LocalEngine(workers=2, patience_s=patience_s))


@pytest.mark.full
def test_a_tampered_snapshot_is_refused_in_a_worker(order, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in order.snapshot.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    broken = SynthesisRequest(plan=order.plan, snapshot=copy, lake_uri=order.lake_uri, profile=None)
    with pytest.raises(SnapshotError, match="was changed after training"):
        make(broken, LocalEngine(workers=2, patience_s=0))


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.full] * (kind != "local")) for kind in sorted(ENGINES)],
)
def test_every_engine_makes_the_same_shards(order, expected, kind):
    lake = open_store(order.lake_uri)
    done = {}
    engine = make_engine(kind, 1, "local")
    indices = list(range(len(order.plan.shards)))
    engine.run(order, indices, lake=lake, on_shard=done.__setitem__, say=print)
    assert {entry.path: lake.get(entry.path) for entry, _ in done.values()} == expected


def test_auto_takes_every_usable_core():
    assert make_engine("local", "auto").workers == len(os.sched_getaffinity(0))


def test_memory_holds_two_shards_however_many_there_are(order, monkeypatch):
    """Every sampled shard is stored before the one after the next is sampled."""
    from flows.engines.maker import ShardMaker

    alive, most = set(), 0
    sample, store = ShardMaker.sample, ShardMaker.store

    def counted_sample(self, index):
        nonlocal most
        alive.add(index)
        most = max(most, len(alive))
        return sample(self, index)

    def counted_store(self, index, records):
        entry = store(self, index, records)
        alive.discard(index)
        return entry

    monkeypatch.setattr(ShardMaker, "sample", counted_sample)
    monkeypatch.setattr(ShardMaker, "store", counted_store)
    make(order, LocalEngine(workers=1))
    assert most <= 3


def test_the_order_hides_its_secret(order):
    profile = StorageProfile(key="me", secret=SecretStr("sesame"))
    assert "sesame" not in repr(SynthesisRequest(**{**vars(order), "profile": profile}))
    assert Path(order.snapshot).is_dir()
