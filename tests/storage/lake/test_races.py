"""Publishers, promoters and a collector interleaved at random, operation by operation."""

import threading

import numpy as np
import pytest
import toy

from storage.errors import AbandonedError, PromotionConflictError, UnreachableError
from storage.lake import datasets, promotions
from storage.lake.log import read_versions, version_log
from storage.lake.verify import verify
from storage.stores.memory import MemoryStore
from storage.stores.retry import RetryingStore, RetryPolicy

SEEDS = [*range(12), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(12, 300))]
AT_ONCE = RetryPolicy(first_wait_s=1e-9, sleep=lambda _: None, jitter=lambda: 0)


class Interleaved:
    """Runs actors as threads, one at a time, handing over after every object operation."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)
        self._memory = MemoryStore()
        self._arrived = threading.Semaphore(0)
        self.errors = []

    def lake(self, turn):
        return RetryingStore(toy.SteppingStore(self._memory, turn), AT_ONCE)

    def run(self, *actors):
        go = [threading.Semaphore(0) for _ in actors]
        waiting = set(range(len(actors)))

        def act(index, actor):
            def turn():
                self._arrived.release()
                go[index].acquire()

            go[index].acquire()
            try:
                actor(self.lake(turn))
            except Exception as error:  # noqa: BLE001 - raised again by the main thread
                self.errors.append(error)
            waiting.discard(index)
            self._arrived.release()

        threads = [threading.Thread(target=act, args=item) for item in enumerate(actors)]
        for thread in threads:
            thread.start()
        while waiting:
            go[self._rng.choice(sorted(waiting))].release()
            self._arrived.acquire()
        for thread in threads:
            thread.join()
        assert self.errors == []
        return self._memory


def publisher(run):
    def act(lake):
        while True:
            try:
                return toy.publish(lake, run)
            except AbandonedError:
                continue

    return act


def collector(run, patience):
    """Give the run's version up after a while and delete what it has, as `gc` does."""

    def act(lake):
        for _ in range(patience):
            lake.stat("nothing")
        version = toy.proposal(run).version

        def committed(record):
            return record["kind"] == "commit" and record["version"] == version

        log = version_log(lake, toy.NAME)
        number = log.append({"kind": "abandon", "version": version}, committed)
        if {e.number: e.record["kind"] for e in log.read()}[number] == "abandon":
            for prefix in (f"datasets/toy/{version}/", f"datasets/toy/_meta/{version}/"):
                for info in lake.list(prefix):
                    lake.delete(info.key)

    return act


def check_log(lake):
    """Each version is committed once, and never after it was given up."""
    entries = version_log(lake, toy.NAME).read()
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    seen = [(entry.record["kind"], entry.record["version"]) for entry in entries]
    assert len(seen) == len(set(seen))
    for at, (kind, version) in enumerate(seen):
        assert kind != "commit" or ("abandon", version) not in seen[:at]


@pytest.mark.parametrize("seed", SEEDS)
def test_publishers_of_two_runs_and_a_collector(seed):
    patience = seed * 7 % 90
    lake = Interleaved(seed).run(
        publisher("a"), publisher("a"), publisher("b"), collector("a", patience)
    )
    check_log(lake)
    visible = datasets.versions(lake, toy.NAME)
    assert len(visible) == 2
    for version in visible:
        assert verify(lake, toy.NAME, version.version) == []
    run_keys = {datasets.read_manifest(lake, toy.NAME, v.version).run_key for v in visible}
    assert run_keys == {"a" * 64, "b" * 64}
    before = read_versions(lake, toy.NAME)
    for run in "ab":
        toy.publish(lake, run)
    assert read_versions(lake, toy.NAME) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_challengers_promoted_at_once(seed, tmp_path):
    """Each reads the champion again when the log has moved; each becomes champion once."""
    folders = {run: toy.snapshot_folder(tmp_path / run, weights=run.encode()) for run in "ab"}

    def promoter(run):
        def act(lake):
            while True:
                try:
                    return toy.promote(lake, folders[run], run)
                except PromotionConflictError as error:
                    if "was champion before" in str(error):
                        return None

        return act

    lake = Interleaved(seed).run(promoter("a"), promoter("a"), promoter("b"))
    records = promotions.standing(lake, toy.NAME).records
    assert [record.number for record in records] == [1, 2]
    assert [record.previous for record in records] == [0, 1]
    assert len({record.version for record in records}) == 2


class Unreliable(MemoryStore):
    """Loses a third of all requests on the way there and a third of all replies."""

    def __init__(self, seed):
        super().__init__()
        self._fate = np.random.default_rng(seed)

    def _lossy(self, call):
        fate = self._fate.integers(3)
        if fate == 0:
            raise UnreachableError
        value = call()
        if fate == 1:
            raise UnreachableError
        return value

    def put_once(self, key, data):
        return self._lossy(lambda: MemoryStore.put_once(self, key, data))

    def replace(self, key, data):
        self._lossy(lambda: MemoryStore.replace(self, key, data))

    def get(self, key):
        return self._lossy(lambda: MemoryStore.get(self, key))


@pytest.mark.parametrize("seed", range(5))
def test_lost_requests_and_lost_replies_change_nothing(seed, tmp_path):
    memory = Unreliable(seed)
    lake = RetryingStore(memory, AT_ONCE)
    committed = toy.publish(lake, "a")
    assert committed.number == 1
    assert verify(lake, toy.NAME) == []
    folder = toy.snapshot_folder(tmp_path / "s")
    assert toy.promote(lake, folder, "b").number == 1
    assert toy.promote(lake, folder, "b").number == 1
