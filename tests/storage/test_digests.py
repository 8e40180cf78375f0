"""Digests and canonical JSON."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.digests import canonical_json, digest_json, sha256_file, sha256_hex

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    LEAVES.filter(lambda value: not (isinstance(value, float) and math.isinf(value))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def _surrogate_free(value) -> bool:
    try:
        canonical_json(value)
    except UnicodeEncodeError:
        return False
    return True


def test_sha256_is_the_published_one(tmp_path):
    # FIPS 180-4's example "abc"
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_hex(b"abc") == expected
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == expected


def test_json_depends_on_content_only():
    assert canonical_json({"b": (1, 2), "a": "ä"}) == '{"a":"ä","b":[1,2]}'.encode()
    assert digest_json({"b": 1, "a": 2}) == digest_json({"a": 2, "b": 1})
    assert digest_json({"a": 1}) != digest_json({"a": 1.5})


@settings(max_examples=50, deadline=None)
@given(JSON.filter(_surrogate_free))
def test_json_is_read_back_as_it_was(value):
    assert json.loads(canonical_json(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_cannot_carry_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": value})
