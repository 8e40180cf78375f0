"""The append-only log, over every store."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.digests import canonical_json, sha256_hex
from storage.errors import AbandonedError, IntegrityError
from storage.lake.log import AppendLog
from storage.stores.memory import MemoryStore

FOLDER = "datasets/digits/_versions"


def commit(version, **more):
    return {"kind": "commit", "version": version, **more}


def same_as(record):
    return lambda other: other["version"] == record["version"]


@pytest.fixture
def memory():
    return MemoryStore()


@pytest.fixture
def log(memory):
    return AppendLog(memory, FOLDER)


class TestOverEveryStore:
    def test_records_are_numbered_in_order(self, store):
        log = AppendLog(store, FOLDER)
        assert log.read() == []
        for number, version in enumerate("abc", start=1):
            assert log.append(commit(version), same_as(commit(version))) == number
        entries = AppendLog(store, FOLDER).read()
        assert [entry.number for entry in entries] == [1, 2, 3]
        assert [entry.record["version"] for entry in entries] == ["a", "b", "c"]
        assert entries[0].digest == sha256_hex(canonical_json(commit("a")))
        assert store.stat(f"{FOLDER}/00000003.json") is not None

    def test_appending_again_changes_nothing(self, store):
        log = AppendLog(store, FOLDER)
        for created in ("1", "2"):
            for version in "ab":
                record = commit(version, created=created)
                assert log.append(record, same_as(record)) == "ab".index(version) + 1
        assert len(AppendLog(store, FOLDER).read()) == 2

    def test_sixteen_appenders_get_sixteen_numbers(self, store):
        versions = [f"{index:02d}" for index in range(16)]

        def append(version):
            return AppendLog(store, FOLDER).append(commit(version), same_as(commit(version)))

        with ThreadPoolExecutor(16) as pool:
            numbers = list(pool.map(append, versions))
        assert sorted(numbers) == list(range(1, 17))
        entries = AppendLog(store, FOLDER).read()
        found = {entry.record["version"]: entry.number for entry in entries}
        assert found == dict(zip(versions, numbers, strict=True))

    def test_sixteen_appenders_of_one_record_make_one(self, store):
        def append(_):
            return AppendLog(store, FOLDER).append(commit("a"), same_as(commit("a")))

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(append, range(16))) == {1}
        assert len(AppendLog(store, FOLDER).read()) == 1


class TestAppendAt:
    def test_the_first_owns_the_number(self, log):
        assert log.append_at(1, commit("a"))
        assert not log.append_at(1, commit("b"))
        assert log.append_at(1, commit("a")), "ours, whose reply was lost"
        assert [entry.record for entry in log.read()] == [commit("a")]

    def test_may_leave_a_gap(self, log):
        log.append_at(1, commit("a"))
        log.append_at(5, commit("b"))
        assert log.append(commit("c"), same_as(commit("c"))) == 6


class TestAppend:
    def test_finds_its_own_among_those_that_came_meanwhile(self, memory):
        """Between the reading and the first try, another appender is faster with the same."""

        class Late(MemoryStore):
            def list(self, prefix=""):
                found = list(super().list(prefix))
                AppendLog(memory, FOLDER).append_at(1, commit("other"))
                AppendLog(memory, FOLDER).append_at(2, commit("mine", by="another"))
                return iter(found)

        late = Late()
        late._objects = memory._objects
        record = commit("mine", by="me")
        assert AppendLog(late, FOLDER).append(record, same_as(record)) == 2
        assert len(AppendLog(memory, FOLDER).read()) == 2

    def test_is_stopped_by_what_it_meets(self, log):
        log.append_at(1, {"kind": "abandon", "version": "a"})

        def same(record):
            if record["kind"] == "abandon":
                raise AbandonedError(record["version"])
            return False

        with pytest.raises(AbandonedError):
            log.append(commit("a"), same)
        assert len(log.read()) == 1


class TestRead:
    def test_reads_every_record_once(self):
        reads = []

        class Counting(MemoryStore):
            def get(self, key):
                reads.append(key)
                return super().get(key)

        counting = Counting()
        for number in (1, 2, 3):
            AppendLog(counting, FOLDER).append_at(number, commit(str(number)))
        log = AppendLog(counting, FOLDER)
        for _ in range(3):
            assert len(log.read()) == 3
        assert len(reads) == 3

    def test_leaves_out_what_vanished(self):
        class Vanishing(MemoryStore):
            def list(self, prefix=""):
                found = list(super().list(prefix))
                self._objects.pop(f"{FOLDER}/00000001.json", None)
                return iter(found)

        store = Vanishing()
        for number in (1, 2):
            AppendLog(store, FOLDER).append_at(number, commit(str(number)))
        assert [entry.number for entry in AppendLog(store, FOLDER).read()] == [2]

    def test_leaves_out_what_is_no_record(self, log, memory):
        memory.put_once(f"{FOLDER}/README.md", b"hello")
        log.append_at(1, commit("a"))
        assert len(log.read()) == 1

    @pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff", b"null"])
    def test_names_what_is_broken(self, log, memory, data):
        memory.put_once(f"{FOLDER}/00000001.json", data)
        with pytest.raises(IntegrityError, match=r"00000001\.json is no JSON object"):
            log.read()
