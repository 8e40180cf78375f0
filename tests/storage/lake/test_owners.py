"""Whose a name is: the first claim stands."""

from datetime import UTC, datetime

import pytest

from storage.errors import IntegrityError, SettingsError
from storage.lake.layout import owner_key
from storage.lake.registry import Ownership, candidates, claim, list_generators, read_owner

AT, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_a_name_is_nobody_s_until_it_is_claimed(store):
    assert read_owner(store, "digits") is None
    mine = Ownership(name="digits", owner="vision", since="2026-01-01T00:00:00+00:00")
    assert claim(store, "digits", "vision", AT) == mine
    assert read_owner(store, "digits") == mine
    assert read_owner(store, "other") is None


def test_the_first_claim_stands(store):
    first = claim(store, "digits", "vision", AT)
    assert claim(store, "digits", "vision", LATER) == first
    assert claim(store, "digits", "sound", LATER) == first


def test_a_claim_is_no_generator(store):
    claim(store, "digits", "vision", AT)
    assert list_generators(store) == []
    assert candidates(store, "digits") == []


@pytest.mark.parametrize("data", [b"", b"[]", b'{"name": "digits"}'])
def test_a_record_that_says_nothing_is_named(store, data):
    store.put_once(owner_key("digits"), data)
    for call in (read_owner, lambda *given: claim(*given, "vision", AT)):
        with pytest.raises(IntegrityError, match=r"generators/digits/_owner\.json does not say"):
            call(store, "digits")


def test_only_names_are_claimed(store):
    with pytest.raises(SettingsError):
        claim(store, "../digits", "vision", AT)
