"""A bit that flips on the way is read once more; what is damaged stays damaged."""

import pytest

from storage.digests import sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.stores.interface import put_or_agree, read_checked
from storage.stores.memory import MemoryStore


class FlippingStore(MemoryStore):
    """A store whose first readings of a key have one bit flipped."""

    def __init__(self, times=1):
        super().__init__()
        self.times, self.reads = times, 0

    def get(self, key):
        data = super().get(key)
        self.reads += 1
        if self.reads > self.times:
            return data
        at = self.reads % len(data)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def check(data):
    if sha256_hex(data) != sha256_hex(b"as it was put"):
        msg = f"{data!r} is damaged"
        raise IntegrityError(msg)
    return len(data)


def test_one_flip_is_read_once_more():
    store = FlippingStore()
    store.put_once("a", b"as it was put")
    assert read_checked(store, "a", check) == 13
    assert store.reads == 2


def test_damage_is_said_after_the_second_reading():
    store = MemoryStore()
    store.put_once("a", b"damaged")
    with pytest.raises(IntegrityError, match="b'damaged' is damaged"):
        read_checked(store, "a", check)
    with pytest.raises(ObjectNotFoundError):
        read_checked(store, "b", check)


@pytest.mark.parametrize("times", [0, 1])
def test_what_is_adopted_is_what_two_readings_agree_on(times):
    store = FlippingStore(times)
    store.put_once("a", b"theirs")
    assert put_or_agree(store, "a", b"mine") == b"theirs"
    assert put_or_agree(store, "b", b"mine") == b"mine"


def test_readings_that_never_agree_are_an_error():
    store = FlippingStore(9)
    store.put_once("a", b"theirs")
    with pytest.raises(IntegrityError, match="reads differently every time"):
        put_or_agree(store, "a", b"mine")
