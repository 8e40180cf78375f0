import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.ndimage import gaussian_filter

from gan.bounds import pass_bounds
from gan.errors import DataError
from gan.images.codec import read_images, write_images
from gan.images.evaluation.assess import ValidationAssess, rank
from gan.images.judge import METRICS, build_assess
from storage.records.schema import ClassCounts

PASSES = pass_bounds(METRICS)
PERFECT = {
    "coverage_ratio": 1.0,
    "worst_class_ratio": 1.0,
    "density_ratio": 1.0,
    "fd_ratio": 1.0,
    "copies_share": 0.05,
    "exact_copies": 0.0,
    "spread": 1.0,
    "told_apart": 0.5,
}


class Fixed:
    """A generator that makes what it is given, of such a likelihood."""

    def __init__(self, table: pa.Table, likelihood: float | None = None) -> None:
        self.table, self.likelihood = table, likelihood
        self.asked: ClassCounts | int = 0
        self.scored: pa.Table | None = None

    def __call__(self, wanted: ClassCounts | int) -> pa.Table:
        """Return as many as a tick asks for, at least."""
        self.asked = wanted
        return pa.concat_tables([self.table] * 6)

    def log_likelihood(self, records: pa.Table) -> np.ndarray | None:
        """Return the same for all."""
        self.scored = records
        return None if self.likelihood is None else np.full(len(records), self.likelihood)


@pytest.fixture(scope="module")
def digits(digits) -> pa.Table:
    """Shuffled: as they come, neighbours are of one hand."""
    return digits.take(np.random.default_rng(0).permutation(len(digits)))


@pytest.fixture(scope="module")
def assess(digits) -> ValidationAssess:
    return build_assess(digits.slice(0, 150), digits.slice(150, 80), label="digit", seed=0)


def _table(images, like):
    return pa.table({"image": write_images(images), "digit": like["digit"]})


def test_real_data_ranks_before_blurred_before_collapsed(assess, digits):
    unseen = digits.slice(230, 70)
    images = read_images(unseen)
    soft = gaussian_filter(images.astype(float), (0, 0.7, 0.7, 0)).astype(np.uint8)
    collapsed = np.repeat(images[:1], len(images), axis=0)
    tables = [unseen, _table(soft, unseen), _table(collapsed, unseen)]
    found = [assess(Fixed(t), 0) for t in tables]
    ranks = [one.rank for one in found]
    assert ranks == sorted(ranks)
    assert math.isinf(ranks[2])
    assert not found[2].full_coverage
    assert assess(Fixed(digits.slice(150, 80)), 0).full_coverage


def test_copies_rank_last_and_are_told(assess, digits):
    copied = assess(Fixed(digits.slice(0, 150)), 0)
    unseen = assess(Fixed(digits.slice(230, 70)), 0)
    assert copied.copies == 1.0
    assert copied.metrics["exact_copies"] == 1.0
    assert copied.rank > unseen.rank + 10


def test_copies_below_nominal_are_no_reference_for_a_trend(assess, digits):
    """Else a generator that starts far from everything would be stopped while it learns."""
    noise = np.random.default_rng(0).integers(0, 256, (70, 8, 8, 1), dtype=np.uint8)
    found = assess(Fixed(_table(noise, digits.slice(230, 70))), 0)
    assert found.metrics["copies_share"] < assess.nominal
    assert found.copies == assess.nominal


def test_the_sample_that_a_tick_asks_for(assess, digits):
    sample = Fixed(digits.slice(230, 70))
    assess(sample, 0)
    real = np.bincount(digits.slice(150, 80)["digit"].to_numpy(), minlength=10)
    assert dict(sample.asked) == {label: 4 * max(1, count) for label, count in enumerate(real)}


def test_equal_samples_give_equal_assessments(assess, digits):
    sample = Fixed(digits.slice(230, 70))
    again = build_assess(digits.slice(0, 150), digits.slice(150, 80), label="digit", seed=0)
    assert assess(sample, 1) == again(sample, 2)


def test_a_generator_that_knows_likelihoods_is_ranked_by_that_of_validation(assess, digits):
    unseen = digits.slice(230, 70)
    plain, likelier = assess(Fixed(unseen), 0), Fixed(unseen, -40.0)
    found = [assess(Fixed(unseen, -50.0), 0), assess(likelier, 0)]
    assert [one.rank for one in found] == [50.0, 40.0]
    assert [one.metrics["validation_nll"] for one in found] == [50.0, 40.0]
    assert {one.gate_rank for one in found} == {plain.rank}
    assert likelier.scored.equals(digits.slice(150, 80)), "all of validation, and nothing else"
    collapsed = np.repeat(read_images(unseen)[:1], len(unseen), axis=0)
    assert math.isinf(assess(Fixed(_table(collapsed, unseen), -1.0), 0).rank)
    copied = assess(Fixed(digits.slice(0, 150), -30.0), 0)
    assert found[0].rank < copied.rank < math.inf, "likelier, but with exact copies"


def test_unlabelled(digits):
    plain = digits.select(["image"])
    assess = build_assess(plain.slice(0, 150), plain.slice(150, 80), label=None, seed=0)
    assert assess.wanted == 320
    found = assess(Fixed(plain.slice(230, 70)), 0)
    assert math.isfinite(found.rank)
    assert not {"worst_class_ratio", "label_accuracy"} & found.metrics.keys()


def test_a_tiny_validation_is_refused(digits):
    with pytest.raises(DataError, match="the validation split has 5 records"):
        build_assess(digits.slice(0, 150), digits.slice(150, 5), label="digit", seed=0)


def test_rank_is_zero_for_real_data_and_one_per_measure_at_its_pass_bound():
    assert rank(PERFECT, 0.05, PASSES) == 0
    assert rank(PERFECT | {"coverage_ratio": 0.75}, 0.05, PASSES) == pytest.approx(1)
    assert rank(PERFECT | {"worst_class_ratio": 0.75}, 0.05, PASSES) == pytest.approx(1)
    assert rank(PERFECT | {"fd_ratio": PASSES["fd"]}, 0.05, PASSES) == pytest.approx(1)
    assert rank(PERFECT | {"density_ratio": 1.5}, 0.05, PASSES) == pytest.approx(1)
    assert rank(PERFECT | {"density_ratio": 0.6}, 0.05, PASSES) == pytest.approx(1)
    assert rank(PERFECT | {"copies_share": 0.075}, 0.05, PASSES) == pytest.approx(1)
    told = PASSES["c2st/statistics"]
    assert rank(PERFECT | {"told_apart": told}, 0.05, PASSES) == pytest.approx(1)


def test_rank_rewards_nothing_beyond_real_data():
    better = PERFECT | {"coverage_ratio": 1.1, "fd_ratio": 0.5, "copies_share": 0.0}
    assert rank(better, 0.05, PASSES) == 0


@pytest.mark.parametrize("broken", [{"spread": 0.05}, {"fd_ratio": math.nan}])
def test_what_cannot_be_used_ranks_infinite(broken):
    assert math.isinf(rank(PERFECT | broken, 0.05, PASSES))
