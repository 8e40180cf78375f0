"""Single faults of the store: a bit flips in any one reading, the disk is full at any write."""

import pytest
import toy

from storage.errors import LakeFullError
from storage.lake import datasets, promotions, registry
from storage.lake.layout import latest_key
from storage.lake.log import read_versions
from storage.lake.verify import verify
from storage.stores.interface import ObjectStore
from storage.stores.memory import MemoryStore


class FaultyStore(MemoryStore):
    """Flips a bit of one reading, or refuses the writes from one on, counted from 1."""

    def __init__(self, *, flip=0, full_from=0):
        super().__init__()
        self.flip, self.full_from, self.reads, self.writes = flip, full_from, 0, 0

    def get(self, key):
        data = super().get(key)
        self.reads += 1
        if self.reads != self.flip or not data:
            return data
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]

    def _write(self):
        self.writes += 1
        if self.full_from and self.writes >= self.full_from:
            msg = f"{self.uri} is full; free space and run again, nothing half-written is visible."
            raise LakeFullError(msg)

    def put_once(self, key, data):
        if self.stat(key) is None:
            self._write()
        return super().put_once(key, data)

    def replace(self, key, data):
        self._write()
        super().replace(key, data)


def whole(lake: ObjectStore) -> None:
    (commit,) = read_versions(lake, toy.NAME).commits
    assert verify(lake, toy.NAME) == []
    assert datasets.read_manifest(lake, toy.NAME).rows == 50
    assert commit.version.encode() in lake.get(latest_key(toy.NAME))


def test_a_disk_that_is_full_at_any_step_of_a_publish():
    """Nothing half is visible, and the same run publishes when there is space again."""
    counting = FaultyStore()
    toy.publish(counting)
    assert counting.writes > 12
    for step in range(1, counting.writes + 1):
        lake = FaultyStore(full_from=step)
        with pytest.raises(LakeFullError):
            toy.publish(lake)
        for version in datasets.versions(lake, toy.NAME):
            keys = {problem.key for problem in verify(lake, toy.NAME, version.version)}
            assert keys <= {latest_key(toy.NAME), "datasets/toy/README.md"}, "the hint may lag"
        lake.full_from = 0
        toy.publish(lake)
        whole(lake)


def test_a_bit_that_flips_in_any_one_reading_of_a_publish():
    """Also when everything is adopted from another publisher; nothing wrong is committed."""
    before = MemoryStore()
    toy.publish(before)
    kept = {key: data for key, data in before._objects.items() if "/_versions/" not in key}
    counting = FaultyStore()
    counting._objects = dict(kept)
    toy.publish(counting)
    assert counting.reads > 8
    for reading in range(1, counting.reads + 1):
        lake = FaultyStore(flip=reading)
        lake._objects = dict(kept)
        toy.publish(lake)
        lake.flip = 0
        whole(lake)


def test_a_bit_that_flips_in_any_one_reading_of_a_verification():
    plain = FaultyStore()
    toy.publish(plain)
    plain.reads = 0
    verify(plain, toy.NAME)
    for reading in range(1, plain.reads + 1):
        lake = FaultyStore()
        lake._objects = plain._objects
        lake.flip = reading
        assert verify(lake, toy.NAME) == [], f"reading {reading}"


def test_a_bit_that_flips_in_any_one_reading_of_a_generator(tmp_path):
    folder = toy.snapshot_folder(tmp_path / "snapshot")
    plain = MemoryStore()
    record = toy.promote(plain, folder)
    for reading in range(1, 6):
        lake = FaultyStore(flip=reading)
        lake._objects = plain._objects
        target = tmp_path / str(reading)
        found = registry.fetch_generator(lake, toy.NAME, record.version, target)
        assert found == promotions.champion(plain, toy.NAME).snapshot_digest
