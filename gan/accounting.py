"""What a private training takes: noise for a given (ε, δ), by Rényi differential privacy.

Counts of the codec and steps of the training are Gaussian mechanisms, the steps on records drawn by
chance; together they take what their Rényi divergences sum to (Mironov, "Rényi differential
privacy", CSF 2017, proposition 1; Mironov, Talwar & Zhang, "Rényi differential privacy of the
sampled Gaussian mechanism", 2019). Opacus computes them (`ganmill[privacy]`). δ has two parts: one
for the divergence, one for the thresholds that levels must pass (`gan.tables.columns.noisy`).

The neighbour of a data set has one record more or less. The number of training records is taken as
public.
"""

import math
import secrets
import warnings
from collections.abc import Callable
from typing import Final, NamedTuple

from gan.config import PrivateConfig, ResolvedConfig
from gan.errors import ConfigError

CODEC_SHARE: Final = 0.3
"""Of ε: what the codec's counts would take alone. It is about a tenth of the divergence."""
THRESHOLD_SHARE: Final = 0.1
"""Of δ: what thresholds take."""
CLIP: Final = 1.0
"""Longest gradient of one record; Adam's steps do not depend on the unit."""
ORDERS: Final = (1.5, *range(2, 64), *(2**power for power in range(6, 13)))
MOST_NOISE: Final = 1e6
PRECISION: Final = 1e-3
"""Of a noise that is searched for; it is rounded up."""
SECRET_BITS: Final = 62


class CodecBudget(NamedTuple):
    """How the columns are counted."""

    sigma: float
    """Standard deviation of the noise on every count."""
    delta: float
    """What the thresholds of all columns may add to δ."""
    seed: int | None = None
    """Of the noise, for tests; None: nobody can repeat it, so that nobody can take it away."""

    def secret(self) -> int:
        """Return the seed of the noise."""
        return new_secret() if self.seed is None else self.seed


class Counting(NamedTuple):
    """What is asked of the columns."""

    questions: int
    """Histograms in which every record counts once."""
    budget: CodecBudget


def new_secret() -> int:
    """Return a seed from the operating system's randoms, which is stored nowhere."""
    return secrets.randbits(SECRET_BITS)


def usual_delta(records: int) -> float:
    """Return δ = 1 / (n log n): well below one record in n."""
    n = max(records, 3)
    return 1.0 / (n * math.log(n))


def check_installed() -> None:
    """Check that Opacus can be imported.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import opacus.accountants  # noqa: F401
    except ImportError as error:
        msg = (
            f"privacy.epsilon is set, and its accounting needs {error.name or 'opacus'}, which is "
            'not installed: run pip install "ganmill[privacy]", or set privacy.epsilon to null'
        )
        raise ConfigError(msg) from error


def spent(history: list[tuple[float, float, int]], delta: float) -> float:
    """Return ε of mechanisms (noise multiplier, share of the records, times) at a δ."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = history
    with warnings.catch_warnings():  # at the end of the orders ε is an upper bound all the same
        warnings.simplefilter("ignore", UserWarning)
        epsilon, _ = accountant.get_privacy_spent(delta=delta, alphas=list(ORDERS))
    return float(epsilon)


def plan_counting(epsilon: float, delta: float, questions: int) -> Counting:
    """Return the noise with which the codec's columns are counted."""
    for_divergence = (1 - THRESHOLD_SHARE) * delta
    sigma = _least(
        lambda noise: spent([(noise, 1.0, questions)], for_divergence), CODEC_SHARE * epsilon
    )
    return Counting(questions, CodecBudget(sigma=sigma, delta=THRESHOLD_SHARE * delta))


def plan_training(
    epsilon: float, delta: float, counting: Counting, config: ResolvedConfig, records: int
) -> ResolvedConfig:
    """Return the configuration with the noise of its steps.

    Raises:
        ConfigError: ε is too small for any noise.
    """
    if config.budget_samples is None:
        msg = "a private training has a budget in samples"
        raise ValueError(msg)
    steps = math.ceil(config.budget_samples / config.batch_size)
    sample_rate = min(config.batch_size / records, 1.0)
    for_divergence = (1 - THRESHOLD_SHARE) * delta
    counts = (counting.budget.sigma, 1.0, counting.questions)

    def together(noise: float) -> float:
        return spent([counts, (noise, sample_rate, steps)], for_divergence)

    private = PrivateConfig(
        epsilon=epsilon,
        delta=delta,
        noise=_least(together, epsilon),
        clip=CLIP,
        sample_rate=sample_rate,
        steps=steps,
        count_noise=counting.budget.sigma,
        questions=counting.questions,
    )
    told = (
        f"(ε {epsilon:g}, δ {delta:.2g}): {counting.questions} counts of columns with noise "
        f"{private.count_noise:.3g}, {steps} steps on {sample_rate:.2%} of the records with noise "
        f"{private.noise:.3g}"
    )
    return config.model_copy(update={"private": private, "notes": (*config.notes, told)})


def _least(takes: Callable[[float], float], epsilon: float) -> float:
    """Return the least noise that takes at most ε, rounded up.

    Raises:
        ConfigError: there is none.
    """
    low, high = 0.0, 1.0
    while takes(high) > epsilon:
        low, high = high, high * 2
        if high > MOST_NOISE:
            msg = (
                "privacy.epsilon is too small for any noise, or for so many columns: raise it, 1 "
                "to 10 are usual"
            )
            raise ConfigError(msg)
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if takes(middle) > epsilon else (low, middle)
    return high
