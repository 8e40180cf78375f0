"""The split: a record's side depends on its content and on nothing else."""

import json
from hashlib import blake2b, sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from storage.sources.split import (
    SALT,
    SplitConfig,
    as_digests,
    assign,
    content_digests,
    distinct_rows,
    leaks,
    occurrences,
    split_rule,
    units,
    value_digests,
    with_occurrence,
)

images = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.just(2), st.just(3), st.sampled_from([1, 3, 4]))
)
digests = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=40).map(
    lambda rows: as_digests(b"".join(rows))
)
few_digests = st.lists(st.sampled_from([b"a" * 16, b"b" * 16, b"c" * 16]), min_size=1).map(
    lambda rows: as_digests(b"".join(rows))
)


def sides_of(images_NHWC: np.ndarray) -> np.ndarray:
    return assign(content_digests(images_NHWC), validation=0.3, holdout=0.3)


@given(images, st.randoms(use_true_random=False))
def test_order_does_not_matter(images_NHWC: np.ndarray, random) -> None:
    order = list(range(len(images_NHWC)))
    random.shuffle(order)
    np.testing.assert_array_equal(sides_of(images_NHWC)[order], sides_of(images_NHWC[order]))


@given(images, images)
def test_new_data_does_not_move_a_record(old: np.ndarray, new: np.ndarray) -> None:
    if old.shape[1:] != new.shape[1:]:
        new = np.broadcast_to(new[..., :1], (*new.shape[:3], old.shape[3]))
    together = sides_of(np.concatenate([old, new]))
    np.testing.assert_array_equal(together[: len(old)], sides_of(old))


@given(images)
def test_equal_records_are_on_one_side(images_NHWC: np.ndarray) -> None:
    twice = np.concatenate([images_NHWC, images_NHWC])
    first, second = np.split(sides_of(twice), 2)
    np.testing.assert_array_equal(first, second)


@given(hnp.arrays(np.uint8, (5, 3, 2, 1)))
def test_a_grey_image_has_one_digest_in_every_mode(grey: np.ndarray) -> None:
    rgb = np.repeat(grey, 3, axis=3)
    rgba = np.concatenate([rgb, np.full_like(grey, 255)], axis=3)
    np.testing.assert_array_equal(content_digests(grey), content_digests(rgb))
    np.testing.assert_array_equal(content_digests(grey), content_digests(rgba))


def test_shape_and_transparency_are_content() -> None:
    flat = np.zeros((1, 2, 6, 1), np.uint8)
    rgba = np.zeros((1, 2, 6, 4), np.uint8)
    all_digests = np.concatenate(
        [
            content_digests(flat),
            content_digests(flat.reshape(1, 6, 2, 1)),
            content_digests(rgba),
        ]
    )
    assert distinct_rows(all_digests) == 3


def test_the_digest_is_that_of_the_design() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    shape = b"".join(side.to_bytes(4, "little") for side in (2, 3, 1))
    expected = blake2b(SALT + shape + bytes(range(6)), digest_size=16).digest()
    assert content_digests(image).tobytes() == expected
    assert units(as_digests(expected))[0] == pytest.approx(
        int.from_bytes(expected, "big") / 2**128, abs=1e-15
    )


def test_the_rule_never_changes() -> None:
    """A golden value: when it fails, every record of every user has moved."""
    images_NHWC = np.arange(8 * 64, dtype=np.uint32).astype(np.uint8).reshape(8, 8, 8, 1)
    images_NHWC[4:] ^= 1
    digests_N = content_digests(images_NHWC)
    assert sha256(digests_N.tobytes()).hexdigest() == GOLDEN_DIGEST
    assert assign(digests_N, validation=0.2, holdout=0.2).tolist() == GOLDEN_SIDES


GOLDEN_DIGEST = "9d05085c61c1a521d4a906ff707223fe1dfc7e190e7bf3dd1d3aba59907a5055"
GOLDEN_SIDES = [0, 1, 2, 0, 1, 1, 0, 0]


@given(digests)
def test_units_are_in_zero_to_one(some: np.ndarray) -> None:
    u = units(some)
    assert ((u >= 0) & (u < 1)).all()


def test_the_largest_digest_is_below_one() -> None:
    assert units(as_digests(b"\xff" * 16))[0] < 1


def test_fractions_are_kept() -> None:
    some = np.random.default_rng(0).integers(0, 256, (20_000, 16), np.uint8)
    counts = np.bincount(assign(some, validation=0.1, holdout=0.3)) / len(some)
    np.testing.assert_allclose(counts, [0.6, 0.1, 0.3], atol=0.02)


@given(few_digests)
def test_occurrences_count_from_zero(some: np.ndarray) -> None:
    seen: dict[bytes, int] = {}
    expected = []
    for row in some:
        expected.append(seen.get(row.tobytes(), 0))
        seen[row.tobytes()] = expected[-1] + 1
    assert occurrences(some).tolist() == expected
    assert distinct_rows(some) == len(seen)


@given(few_digests)
def test_copies_get_digests_of_their_own(some: np.ndarray) -> None:
    own = with_occurrence(some)
    assert distinct_rows(own) == len(own)
    first = occurrences(some) == 0
    np.testing.assert_array_equal(own[first], some[first])


@given(few_digests, st.data())
def test_without_the_leaks_the_sides_share_nothing(some: np.ndarray, data) -> None:
    sides = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=len(some), max_size=len(some))), np.uint8
    )
    kept = ~leaks(some, sides)
    held = [{row.tobytes() for row in some[kept & (sides == side)]} for side in range(3)]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    assert (kept | (sides != 2)).all()


def test_groups_are_hashed_by_their_text() -> None:
    np.testing.assert_array_equal(value_digests([7, True, "é"]), value_digests(["7", "True", "é"]))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"validation": 0.5, "holdout": 0.5}, "leave nothing to train on"),
        ({"validation": 0}, "greater than 0"),
        ({"holdout": 1}, "less than 1"),
        ({"column": "a", "group_by": "b"}, "already decides"),
        ({"column": "a", "holdout_uri": "b"}, "already decides"),
        ({"colum": "a"}, "colum"),
    ],
)
def test_a_wrong_split_is_refused(fields: dict, word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        SplitConfig(**fields)


def test_the_rule_is_json_and_hides_the_uri() -> None:
    rule = split_rule(SplitConfig(holdout_uri="s3://secret/place"))
    assert "secret" not in json.dumps(rule)
    assert rule != split_rule(SplitConfig(holdout_uri="s3://secret/other"))
    assert rule["holdout"] is None
    assert split_rule(SplitConfig(), by_occurrence=True)["rows"] == "occurrence"


@settings(max_examples=20)
@given(st.floats(0.05, 0.45), st.floats(0.05, 0.45))
def test_the_schema_names_every_field(validation: float, holdout: float) -> None:
    rule = split_rule(SplitConfig(validation=validation, holdout=holdout))
    assert (rule["validation"], rule["holdout"], rule["by"]) == (validation, holdout, "content")
