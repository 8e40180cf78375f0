"""The retry layer, with a clock that does not tick by itself."""

import logging

import pytest

from storage.errors import (
    DeadlineError,
    LakeError,
    ObjectNotFoundError,
    RetryableError,
    ServerFaultError,
    ThrottledError,
    UnreachableError,
    WriteConflictError,
)
from storage.stores.memory import MemoryStore
from storage.stores.retry import RetryingStore, RetryPolicy, system_jitter, with_retries


class FakeTime:
    def __init__(self, call_s=0.0):
        self.now_s = 100.0
        self.call_s = call_s
        self.waits_s = []

    def clock(self):
        return self.now_s

    def sleep(self, wait_s):
        self.waits_s.append(wait_s)
        self.now_s += wait_s

    def policy(self, jitter=lambda: 1.0, **changes):
        return RetryPolicy(clock=self.clock, sleep=self.sleep, jitter=jitter, **changes)


class Flaky:
    """Raises each error in turn, then returns what it guards."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


class FlakyStore(MemoryStore):
    """A store whose every operation fails before it succeeds, or acts and then loses the reply."""

    def __init__(self, faults=2):
        super().__init__()
        self.faults = faults
        self.left = {}

    def _fail(self, name):
        left = self.left.setdefault(name, self.faults)
        if left:
            self.left[name] -= 1
            raise UnreachableError(name)

    def get(self, key):
        self._fail("get")
        return super().get(key)

    def put_once(self, key, data):
        created = super().put_once(key, data)
        self._fail("put_once")
        return created

    def replace(self, key, data):
        self._fail("replace")
        super().replace(key, data)

    def stat(self, key):
        self._fail("stat")
        return super().stat(key)

    def delete(self, key):
        super().delete(key)
        self._fail("delete")

    def list(self, prefix=""):
        for count, info in enumerate(super().list(prefix)):
            if count == 2:
                self._fail("list")
            yield info


class TestWithRetries:
    @pytest.mark.parametrize("error", [*RetryableError.__subclasses__(), RetryableError])
    def test_every_retryable_error_is_tried_again(self, error):
        time = FakeTime()
        call = Flaky(error("1"), error("2"))
        assert with_retries(call, what="get x", policy=time.policy()) == "done"
        assert call.calls == 3

    @pytest.mark.parametrize("error", [LakeError, ObjectNotFoundError, DeadlineError, OSError])
    def test_nothing_else_is(self, error):
        time = FakeTime()
        call = Flaky(error("no"))
        with pytest.raises(error):
            with_retries(call, what="get x", policy=time.policy())
        assert call.calls == 1
        assert time.waits_s == []

    def test_waits_double_up_to_the_longest(self):
        time = FakeTime()
        faults = [ThrottledError("slow")] * 7
        with_retries(
            Flaky(*faults), what="x", policy=time.policy(first_wait_s=0.5, longest_wait_s=6)
        )
        assert time.waits_s == [0.5, 1, 2, 4, 6, 6, 6]

    @pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 2.0), (0.5, 3.0), (1.0, 4.0)])
    def test_half_of_a_wait_is_drawn(self, jitter, wait_s):
        policy = RetryPolicy(first_wait_s=1, jitter=lambda: jitter)
        assert policy.wait_s(3) == wait_s

    def test_no_wait_grows_without_bound(self):
        assert RetryPolicy(jitter=lambda: 1.0).wait_s(10**9) == RetryPolicy().longest_wait_s

    def test_the_deadline_ends_it_and_says_why(self):
        time = FakeTime()
        last = ServerFaultError("Cannot get x: 500.")
        call = Flaky(*[last] * 99)
        with pytest.raises(
            DeadlineError, match=r"get x, after 5 attempts in 10\.0 s .*500"
        ) as raised:
            with_retries(call, what="get x", policy=time.policy(first_wait_s=1, deadline_s=10))
        assert raised.value.__cause__ is last
        assert time.waits_s == [1, 2, 4, 3]

    def test_the_deadline_counts_the_calls_too(self):
        time = FakeTime()

        def call():
            time.now_s += 6
            raise UnreachableError

        with pytest.raises(DeadlineError, match="after 2 attempts in 12"):
            with_retries(call, what="get x", policy=time.policy(deadline_s=10))

    def test_a_deadline_of_zero_tries_once(self):
        call = Flaky(UnreachableError("no"))
        with pytest.raises(DeadlineError):
            with_retries(call, what="x", policy=FakeTime().policy(deadline_s=0))
        assert call.calls == 1

    def test_every_wait_is_logged(self, caplog):
        with caplog.at_level(logging.INFO, "storage.stores.retry"):
            with_retries(Flaky(ThrottledError("Slow down.")), what="x", policy=FakeTime().policy())
        assert "Slow down. Trying again in 0.1 s (attempt 2)." in caplog.text

    def test_jitter_of_the_system_is_in_range_and_differs(self):
        drawn = [system_jitter() for _ in range(100)]
        assert all(0 <= number < 1 for number in drawn)
        assert len(set(drawn)) == 100


class TestRetryingStore:
    @pytest.fixture
    def time(self):
        return FakeTime()

    @pytest.fixture
    def store(self, time):
        return RetryingStore(FlakyStore(), time.policy())

    def test_every_operation_survives_passing_faults(self, store, time):
        store.replace("a", b"1")
        assert store.get("a") == b"1"
        assert store.stat("a").size_bytes == 1
        store.delete("a")
        assert store.stat("a") is None
        assert len(time.waits_s) == 8

    def test_a_put_whose_reply_was_lost_is_not_certainly_ours(self, store):
        assert store.put_once("a", b"1") is False
        assert store.get("a") == b"1"

    def test_an_adoption_survives_a_lost_reply(self, store):
        assert store.put_or_adopt("a", b"1") == b"1"

    def test_an_adoption_survives_an_object_that_vanishes(self, time):
        class Vanishing(MemoryStore):
            def get(self, key):
                self.delete(key)
                return super().get(key)

        inner = Vanishing()
        inner.put_once("a", b"other")
        with pytest.raises(WriteConflictError, match="gone"):
            inner.put_or_adopt("a", b"mine")
        inner.put_once("a", b"other")
        assert RetryingStore(inner, time.policy()).put_or_adopt("a", b"mine") == b"mine"

    def test_a_listing_goes_on_where_it_broke(self, store, time):
        keys = [f"k{number}" for number in range(7)]
        for key in keys:
            store.inner._objects[key] = b""
        assert [info.key for info in store.list("k")] == keys
        assert len(time.waits_s) == 2

    def test_an_open_file_reads_again_from_where_it_was(self, time):
        class Once(MemoryStore):
            def open(self, key):
                file = super().open(key)
                broken = [UnreachableError("cut"), UnreachableError("cut")]
                inner_read = file.read

                class File:
                    def read(self, size=-1):
                        data = inner_read(size)
                        if broken:
                            raise broken.pop()
                        return data

                    seek, tell, close = file.seek, file.tell, file.close

                return File()

        inner = Once()
        inner.put_once("a", b"0123456789")
        with RetryingStore(inner, time.policy()).open("a") as file:
            file.seek(2)
            assert file.read(3) == b"234"
            assert file.read() == b"56789"
        assert file.closed
        assert len(time.waits_s) == 2
