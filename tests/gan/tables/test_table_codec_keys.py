"""Keys and patterns: unique over shards, of their form, without coordination."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_tables import cycle, described

from gan.errors import ConfigError, DataError
from gan.tables.codec import TableCodec
from gan.tables.keys import Integers, Texts, permute, read_form
from gan.tables.spread_keys import SpreadIntegers

ROWS = 200


def keyed(form, kind="key", type_=None):
    real = pa.array(np.arange(ROWS), pa.int64()).cast(type_ or pa.string())
    records = described(
        {"id": real, "a": cycle(["p", "q"], ROWS), "b": cycle([1, 2], ROWS)},
        kinds={"id": kind},
        forms={"id": form},
    )
    return TableCodec.fit(records, None)


def made(codec, first_row, rows):
    cells = np.zeros((rows, 2), dtype=np.int32)
    return codec.decode(cells, np.zeros(rows, dtype=np.int64), first_row)["id"]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 64, 1000, 4097, 65_536])
def test_a_permutation_is_a_bijection(size):
    numbers = np.arange(size)
    assert np.array_equal(np.sort(permute(numbers, size, 5)), numbers)


@settings(max_examples=50, deadline=None)
@given(size=st.integers(2, 2**62), key=st.integers(0, 2**62))
def test_a_permutation_of_any_size_stays_inside_and_apart(size, key):
    numbers = np.linspace(0, size - 1, min(size, 300)).astype(np.int64).clip(0, size - 1)
    numbers = np.unique(numbers)
    found = permute(numbers, size, key)
    assert found.min() >= 0
    assert found.max() < size
    assert len(np.unique(found)) == len(numbers)


def test_another_key_is_another_permutation():
    numbers = np.arange(1000)
    one, other = permute(numbers, 1000, 1), permute(numbers, 1000, 2)
    assert (one == other).mean() < 0.02
    assert (one == numbers).mean() < 0.02
    assert (np.diff(one) == 1).mean() < 0.02


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("K-99999999", r"K-\d{8}"),
        (r"\A\9AA99", r"A9[A-Z]{2}\d\d"),
        ("aaaa_FF", r"[a-z]{4}_[0-9A-F]{2}"),
        (r"ffffffff-ffff-\4fff-ffff-ffffffffffff", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-.{17}"),
        ("Ä9999\\\\", r"Ä\d{4}\\"),
    ],
)
def test_keys_have_their_form_and_are_unique_over_shards(form, pattern):
    codec = keyed(form)
    shards = [made(codec, first, 1500) for first in (0, 1500, 3000)]
    keys = [key for shard in shards for key in shard.to_pylist()]
    assert len(set(keys)) == 4500
    assert all(re.fullmatch(pattern, key) for key in keys)
    assert made(codec, 700, 10).to_pylist() == keys[700:710]
    assert shards[0].type == pa.string()


@pytest.mark.parametrize("kind", [pa.int16(), pa.int64(), pa.uint64(), pa.large_string()])
def test_keys_keep_the_type_of_their_column(kind):
    codec = keyed("9999", type_=kind)
    keys = made(codec, 0, 1000)
    assert keys.type == kind
    assert len(keys.unique()) == 1000
    if pa.types.is_integer(kind):
        assert min(keys.to_pylist()) >= 1000
        assert max(keys.to_pylist()) <= 9999


def test_every_key_of_an_exhausted_form_is_used_once():
    codec = keyed("999", type_=pa.int64())
    assert codec.capacities == {"id": 900}
    assert sorted(made(codec, 0, 900).to_pylist()) == list(range(100, 1000))
    with pytest.raises(DataError, match="901 rows need as many keys and the form '999' has 900"):
        made(codec, 900, 1)
    codec.check((), 900)
    with pytest.raises(ConfigError, match="901 rows need as many keys in column 'id'"):
        codec.check((), 901)


@pytest.mark.parametrize(
    ("form", "kind", "room"),
    [
        ("99", None, 100),
        ("A9", pa.string(), 260),
        ("f" * 32, None, 16**32),
        ("", None, 1),
        ("99", pa.int64(), 90),
        ("9", pa.int64(), 10),
        ("-999", pa.int16(), 900),
        ("999", pa.int8(), 28),
        ("209", pa.int64(), 10),
        ("99999", pa.uint16(), 55_536),
    ],
)
def test_capacity(form, kind, room):
    assert read_form(form, kind or pa.string()).capacity == room


def test_forms_that_make_no_integers_are_refused():
    for form in ("A99", "", "-", "9.9"):
        with pytest.raises(DataError, match="makes no integers"):
            Integers(form, pa.int64())
    with pytest.raises(DataError, match="ends in a backslash"):
        Texts("A\\")
    with pytest.raises(DataError, match="keys are strings or integers"):
        keyed("9.99", type_=pa.float64())


def test_text_is_replaced_by_patterns():
    codec = keyed("aaaa a", kind="text")
    texts = made(codec, 0, 3000)
    assert all(re.fullmatch("[a-z]{4} [a-z]", text) for text in texts.to_pylist())
    assert 2950 < len(texts.unique()) <= 3000
    assert codec.capacities == {}
    assert made(keyed("9", kind="text"), 0, 500).value_counts().field(1).to_numpy().min() > 25
    codec.check((), 10**9)


def test_digits_of_keys_look_random():
    keys = Texts("99999999").make(0, 20_000, 3).to_pylist()
    digits = np.array([[int(digit) for digit in key] for key in keys])
    for place in digits.T:
        shares = np.bincount(place, minlength=10) / len(keys)
        assert np.abs(shares - 0.1).max() < 0.015
    assert abs(np.corrcoef(digits[:, 0], np.arange(len(keys)))[0, 1]) < 0.03


def opened(rows, kind=None, seed=3):
    """Account numbers of which ever more were given, from four digits to eight."""
    numbers = np.random.default_rng(seed).random(2 * rows)
    keys = np.unique((2_500 + 36_000_000 * numbers**0.5).astype(np.int64))
    return pa.array(np.random.default_rng(seed).permutation(keys)[:rows], kind or pa.int64())


def spread(keys, min_group=10):
    rows = len(keys)
    columns = {"id": keys, "a": cycle(["p", "q"], rows), "b": cycle([1, 2], rows)}
    forms = {"id": "99999999"}
    records = described(columns, kinds={"id": "key"}, forms=forms, min_group=min_group)
    return TableCodec.fit(records, None)


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64()])
def test_whole_numbers_lie_as_densely_as_the_real_keys(kind):
    real = opened(6000, kind)
    codec = spread(real)
    keys = pa.concat_arrays([made(codec, f, 3000).combine_chunks() for f in (0, 3000)])
    assert keys.type == kind
    assert len(keys.unique()) == 6000
    shares = np.linspace(0.01, 0.99, 50)
    ends = [np.quantile(each.to_numpy().astype(float), shares) for each in (real, keys)]
    assert np.abs(ends[0] - ends[1]).max() < 900_000
    assert pc.sum(pc.is_in(keys, real)).as_py() < 12, "so many meet by chance"
    assert made(codec, 700, 10).to_pylist() == keys[700:710].to_pylist()
    assert TableCodec.from_json(codec.to_json()) == codec


def test_no_real_key_is_in_the_codec_and_no_outlier_moves_it_far():
    real = opened(6000).to_numpy()
    lone = np.append(real, 99_999_999)
    knots = [spread(pa.array(each)).derived[0].knots for each in (real, lone)]
    assert not set(knots[1]) & set(lone.tolist())
    assert max(knots[1]) < 36_002_500, "those at the end count as the next one"
    one_group = np.append(real, np.arange(99_999_000, 99_999_000 + 30))
    assert max(spread(pa.array(one_group)).derived[0].knots) > 90_000_000


def test_keys_that_count_up_or_are_few_are_those_of_their_form():
    for keys in (pa.array(np.arange(6000)), pa.array(np.arange(6000) * 15), opened(200)):
        (key,) = spread(keys).derived
        assert key.knots == ()


def test_rows_without_a_place_go_on_after_the_last_knot():
    values = SpreadIntegers([100, 130, 200], pa.int16())
    keys = values.make(0, 200, 5).to_pylist()
    assert len(set(keys)) == 200
    assert all(100 <= key < 200 for key in keys[:60])
    assert keys[60:] == list(range(200, 340))
    assert values.capacity == 60 + 2**15 - 200
    with pytest.raises(DataError, match="type has 32628"):
        values.make(32_620, 9, 5)


def test_made_columns_keep_their_nulls():
    notes = pa.array(cycle(["call me", None, "later on"], ROWS))
    records = described(
        {"note": notes, "a": cycle(["p", "q"], ROWS)},
        kinds={"note": "text"},
        forms={"note": "aaaa aa"},
    )
    codec = TableCodec.fit(records, None)
    encoded = codec.encode(records)
    found = codec.decode(encoded.values, encoded.labels_N)["note"]
    assert found.is_null().equals(records["note"].is_null())
    assert all(re.fullmatch("[a-z]{4} [a-z]{2}", note) for note in found.drop_null().to_pylist())
