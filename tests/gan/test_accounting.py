"""What a private training takes, against what is known in closed form."""

import math
import sys

import pytest
from scipy.stats import norm

from gan.accounting import (
    check_installed,
    plan_counting,
    spent,
    usual_delta,
)
from gan.config import GeneratorConfig
from gan.errors import ConfigError

pytestmark = pytest.mark.full  # importing Opacus takes some seconds


def exact_delta(epsilon, mu):
    """Return δ of Gaussian mechanisms of a joint sensitivity ÷ noise of µ (Balle & Wang 2018)."""
    return norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)


@pytest.mark.parametrize(("sigma", "times"), [(4.0, 1), (20.0, 30), (90.0, 40)])
def test_counts_take_at_least_what_they_must_and_little_more(sigma, times):
    delta, mu = 1e-5, math.sqrt(times) / sigma
    found = spent([(sigma, 1.0, times)], delta)
    assert exact_delta(found, mu) <= delta
    assert exact_delta(found * 0.8, mu) > delta


def test_counts_and_steps_together_take_more_than_either():
    counts, steps = (40.0, 1.0, 30), (1.5, 0.01, 500)
    both = spent([counts, steps], 1e-5)
    assert both > max(spent([counts], 1e-5), spent([steps], 1e-5))
    assert both < spent([counts], 5e-6) + spent([steps], 5e-6)


def test_fewer_records_in_a_step_take_less():
    assert spent([(1.5, 0.01, 500)], 1e-5) < spent([(1.5, 0.05, 500)], 1e-5)


def test_less_epsilon_takes_more_noise():
    strict, loose = (plan_counting(each, 1e-5, 30).budget for each in (0.5, 8.0))
    assert strict.sigma > 5 * loose.sigma
    assert spent([(strict.sigma, 1.0, 30)], 0.9e-5) <= 0.3 * 0.5
    assert strict.delta == pytest.approx(1e-6)


def test_no_noise_is_enough_for_next_to_nothing():
    with pytest.raises(ConfigError, match=r"privacy\.epsilon is too small for any noise"):
        plan_counting(1e-9, 1e-5, 30)


def test_delta_is_well_below_one_record():
    assert usual_delta(10_000) == pytest.approx(1 / (10_000 * math.log(10_000)))
    assert usual_delta(1) < 1


def test_without_opacus_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(ConfigError, match=r'pip install "ganmill\[privacy\]"'):
        check_installed()


def test_presets_that_cannot_are_refused():
    from gan.modalities import load_modality

    kwargs = {"epsilon": 1.0, "delta": 1e-5}
    with pytest.raises(ConfigError, match="no preset for images is differentially private, only"):
        load_modality("images").begin_private(GeneratorConfig(), None, **kwargs)
    with pytest.raises(ConfigError, match=r"generator\.preset is 'ctgan', which cannot be trained"):
        load_modality("tables").begin_private(GeneratorConfig(preset="ctgan"), None, **kwargs)
