"""Checkpoints in the lake: complete or not there."""

import json

import pytest

from storage.lake import registry
from storage.lake.layout import checkpoint_folder, checkpoint_prefix
from storage.stores.memory import MemoryStore

KEY = "ab" * 32


def make(folder, samples_seen, salt=b""):
    """Write a checkpoint as the training loop does and return its folder."""
    path = folder / f"step-{samples_seen}"
    (path / "optimizer").mkdir(parents=True)
    (path / "state.json").write_text(json.dumps({"samples_seen": samples_seen}))
    (path / "weights.safetensors").write_bytes(b"weights %d" % samples_seen + salt)
    (path / "optimizer" / "adam.safetensors").write_bytes(b"adam %d" % samples_seen + salt)
    return path


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def mirror_all(store, folder, *samples_seen, salt=b""):
    for count in samples_seen:
        registry.mirror_checkpoint(store, KEY, make(folder, count, salt), count)


@pytest.fixture
def memory():
    return MemoryStore()


def test_goes_there_and_back(store, tmp_path):
    original = make(tmp_path / "here", 1000)
    registry.mirror_checkpoint(store, KEY, original, 1000)
    fetched = registry.fetch_checkpoint(store, KEY, tmp_path / "there")
    assert fetched == tmp_path / "there" / original.name
    assert content(fetched) == content(original)
    assert [path.name for path in (tmp_path / "there").iterdir()] == [original.name]


def test_none_is_none(store, tmp_path):
    assert registry.fetch_checkpoint(store, KEY, tmp_path / "there") is None
    assert registry.complete_checkpoints(store, KEY) == []


def test_two_are_kept(store, tmp_path):
    mirror_all(store, tmp_path, 900, 1000, 10_000)
    assert registry.complete_checkpoints(store, KEY) == [10_000, 1000]
    left = {info.key.split("/")[3] for info in store.list(checkpoint_prefix(KEY))}
    assert left == {"000000010000", "000000001000"}


def test_the_index_is_put_last_and_deleted_first(tmp_path):
    steps = []

    class Noting(MemoryStore):
        def put_once(self, key, data):
            steps.append(("put", key))
            return super().put_once(key, data)

        def delete(self, key):
            steps.append(("delete", key))
            super().delete(key)

    store = Noting()
    mirror_all(store, tmp_path, 1, 2, 3)
    puts = [key for verb, key in steps if verb == "put"]
    deletes = [key for verb, key in steps if verb == "delete"]
    assert [key.endswith("/index.json") for key in puts] == [False, False, False, True] * 3
    assert [key.endswith("/index.json") for key in deletes] == [True, False, False, False]


@pytest.mark.parametrize("operations", range(14))
def test_killed_anywhere_and_run_again(tmp_path, operations):
    """The process stops before its n-th operation; the newest complete one is always whole."""

    class Stop(Exception):  # noqa: N818 - not an error
        pass

    class Killed(MemoryStore):
        left = 10**9

        def _step(self):
            self.left -= 1
            if self.left < 0:
                raise Stop

        def put_once(self, key, data):
            self._step()
            return super().put_once(key, data)

        def delete(self, key):
            self._step()
            super().delete(key)

    store = Killed()
    mirror_all(store, tmp_path / "here", 1, 2)
    store.left = operations
    newest = make(tmp_path / "here", 3)
    try:
        registry.mirror_checkpoint(store, KEY, newest, 3)
    except Stop:
        assert operations < 8
    store.left = 10**9
    found = registry.fetch_checkpoint(store, KEY, tmp_path / "there")
    assert content(found) == content(tmp_path / "here" / found.name)
    registry.mirror_checkpoint(store, KEY, newest, 3)
    assert registry.complete_checkpoints(store, KEY) == [3, 2]
    assert len(list(store.list(checkpoint_prefix(KEY)))) == 8


def test_two_machines_never_mix(memory, tmp_path):
    """One is killed before its index; another with other weights completes the same place."""
    base = checkpoint_folder(KEY, 5)
    mirror_all(memory, tmp_path / "one", 5, salt=b" of one")
    memory.delete(f"{base}/index.json")
    mirror_all(memory, tmp_path / "two", 5, salt=b" of two")
    fetched = registry.fetch_checkpoint(memory, KEY, tmp_path / "there")
    assert content(fetched) == content(tmp_path / "two" / "step-5")


def test_the_first_complete_one_stands(memory, tmp_path):
    mirror_all(memory, tmp_path / "one", 5, salt=b" of one")
    mirror_all(memory, tmp_path / "two", 5, salt=b" of two")
    fetched = registry.fetch_checkpoint(memory, KEY, tmp_path / "there")
    assert content(fetched) == content(tmp_path / "one" / "step-5")


def test_a_damaged_one_gives_way_to_the_one_before(memory, tmp_path):
    mirror_all(memory, tmp_path / "here", 1, 2)
    (victim,) = (
        info.key
        for info in memory.list(checkpoint_folder(KEY, 2))
        if memory.get(info.key).startswith(b"weights")
    )
    memory.replace(victim, b"garbage")
    assert registry.fetch_checkpoint(memory, KEY, tmp_path / "a").name == "step-1"
    memory.delete(victim)
    assert registry.fetch_checkpoint(memory, KEY, tmp_path / "b").name == "step-1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["step-1"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "other/1"},
        {"folder": "../outside"},
        {"folder": ".."},
        {"files": {"../outside": "0" * 64}},
        {"files": {"a": "../../x"}},
        {"files": None},
    ],
)
def test_a_hostile_index_writes_nothing(memory, tmp_path, change):
    mirror_all(memory, tmp_path / "here", 1)
    key = f"{checkpoint_folder(KEY, 1)}/index.json"
    memory.replace(key, json.dumps(json.loads(memory.get(key)) | change).encode())
    assert registry.fetch_checkpoint(memory, KEY, tmp_path / "there" / "in") is None
    assert not (tmp_path / "there").exists()


def test_one_that_is_here_already_is_not_read(memory, tmp_path):
    mirror_all(memory, tmp_path / "here", 1)
    for info in memory.list(checkpoint_folder(KEY, 1)):
        if not info.key.endswith("index.json"):
            memory.delete(info.key)
    assert registry.fetch_checkpoint(memory, KEY, tmp_path / "here") == tmp_path / "here" / "step-1"
