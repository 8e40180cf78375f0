"""What a training is watched for, and what is done about it: every threshold, in one table.

Rules are pure. They see the signals of a tick, its assessment and the progress, which is in the
checkpoint, so that a resumed training decides as an uninterrupted one would have.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from gan.config import ResolvedConfig
from gan.protocols import Assessment
from gan.training.signals import Signals
from gan.training.state import Progress

ROW = 3
"""Steps left out in a row from which numbers do not recover by themselves."""
LEAST_STEPS = 100
"""Steps of the generator before which nothing is said of what it makes: it has hardly begun."""
LATE_STEPS = 500
"""Steps by which samples must have begun to differ."""
DEAD = 0.01
"""Diversity below which samples are one sample."""
COLLAPSED, LIVELY = 0.1, 0.3
"""Diversity below which it has collapsed, and what it must have had before."""
ASTRAY = 5.0
"""Diversity above which samples have nothing to do with real ones."""
FALLEN, COVERED = 0.25, 0.4
"""Share of its best coverage below which it has collapsed, and what that best must have been."""
FADED, SURE = 1e-3, 0.01
"""Share of its largest tick's gradient below which a generator learns nothing more, and the size of
the discriminator's loss below which that is because nothing deceives it."""
OVERFIT, FITTING = 0.5, 0.25
"""Validation gap from which augmentation is raised, and below which it is lowered again."""
AUGMENT_STEP, AUGMENT_MOST = 0.1, 0.8
"""How much, and up to which share: above, shifts leak into samples (Karras et al., StyleGAN2-ADA,
2020, figure 2)."""


class TickState(NamedTuple):
    """What a rule looks at."""

    config: ResolvedConfig
    progress: Progress
    signals: Signals
    assessment: Assessment | None

    @property
    def steps(self) -> int:
        """Steps of the generator so far."""
        per_step = self.config.batch_size * self.config.discriminator_steps
        return self.progress.samples_seen // per_step

    @property
    def lived(self) -> bool:
        """Whether samples once differed about as much as real ones, or covered them."""
        found = [line["diversity"] for line in self.progress.history if "diversity" in line]
        covers = self.best("coverage_ratio") >= COVERED
        return covers or any(LIVELY <= diversity <= ASTRAY for diversity in found)

    def best(self, name: str) -> float:
        """Return the largest value of a number at earlier ticks, 0 where it has none."""
        return max((line[name] for line in self.progress.history if name in line), default=0.0)


def leaves_the_numbers(seen: TickState) -> str | None:
    """Find weights that are no finite numbers, or too many steps in a row that were left out."""
    if not seen.signals.weights_finite:
        return "weights are no finite numbers"
    if seen.signals.longest >= ROW:
        return f"losses or gradients of {seen.signals.longest} steps in a row were not finite"
    return None


def collapses(seen: TickState) -> str | None:
    """Find samples that were as different as real ones and are not any more."""
    diversity = seen.signals.diversity
    if diversity is not None and diversity < COLLAPSED and seen.lived:
        return (
            f"samples differ {diversity:.2g} times as much as real ones, after "
            f"{seen.best('diversity'):.2g} times"
        )
    found = {} if seen.assessment is None else seen.assessment.metrics
    coverage, best = found.get("coverage_ratio"), seen.best("coverage_ratio")
    if coverage is not None and coverage < FALLEN * best and best >= COVERED:
        return f"coverage fell from {best:.2f} to {coverage:.2f} of real"
    return None


def goes_astray(seen: TickState) -> str | None:
    """Find samples far outside of what real ones are, which too large steps lead to."""
    diversity = seen.signals.diversity
    if diversity is None or diversity < ASTRAY or seen.steps < LEAST_STEPS:
        return None
    return f"samples differ {diversity:.3g} times as much as real ones"


def is_dead(seen: TickState) -> str | None:
    """Find a generator that makes one sample, or that learns nothing from a sure discriminator."""
    signals = seen.signals
    if seen.steps < LEAST_STEPS:
        return None
    if signals.diversity is not None and signals.diversity < DEAD:
        return (
            f"the generator makes one and the same sample: they differ {signals.diversity:.1g} "
            "times as much as real ones"
        )
    late = seen.steps >= LATE_STEPS and not seen.lived
    if signals.diversity is not None and signals.diversity < COLLAPSED and late:
        return (
            f"samples still differ only {signals.diversity:.1g} times as much as real ones, after "
            f"{seen.steps:,} steps"
        )
    gradient, loss = signals.generator_gradient, signals.losses.get("discriminator_loss")
    largest = seen.best("generator_gradient")
    if gradient is None or loss is None or abs(loss) >= SURE:
        return None
    if gradient < FADED * largest:
        return (
            f"the generator learns nothing: its gradient fell from {largest:.2g} to {gradient:.2g} "
            f"and the discriminator's loss is {loss:.2g}"
        )
    return None


def overfits(seen: TickState) -> str | None:
    """Find a discriminator that knows training records from validation ones."""
    gap = seen.signals.validation_gap
    if gap is None or not seen.signals.gap_certain or gap < OVERFIT:
        return None
    return (
        "the discriminator learns by heart: validation records score "
        f"{gap:.0%} of the way from training records to fakes"
    )


Remedy = Literal["skip", "steady", "slower", "restart", "augment"]
"""skip: a step changes nothing. steady: back, with half the rate in float32. slower: back, with a
tenth of the rate. restart: back, with doubled gamma and other randoms. augment: more of it."""


class Rule(NamedTuple):
    """One thing that goes wrong, and what is done about it."""

    name: str
    when: str
    """With its thresholds, as the documentation says it."""
    then: str
    remedy: Remedy
    finds: Callable[[TickState], str | None] | None = None
    """Returns the evidence, half a sentence; None: found on the device, at every step."""


RULES = (
    Rule(
        "not finite, once",
        "a loss or a gradient of a step is no finite number",
        "the step changes no weight; `skipped_steps` of a tick counts them",
        "skip",
    ),
    Rule(
        "not finite",
        f"that happens {ROW} times in a row, or a weight is no finite number",
        "back to the last tick, with half the learning rate and in float32",
        "steady",
        leaves_the_numbers,
    ),
    Rule(
        "collapse",
        f"samples differ less than {COLLAPSED:g} times as much as real ones after having reached "
        f"{LIVELY:g}, or coverage falls below {FALLEN:g} times its best after having reached "
        f"{COVERED:g}",
        "back by two ticks, with gamma doubled (without a gamma: half the discriminator's rate) "
        "and other randoms",
        "restart",
        collapses,
    ),
    Rule(
        "astray",
        f"after {LEAST_STEPS} steps samples differ more than {ASTRAY:g} times as much as real ones",
        "back by two ticks, with a tenth of the learning rate",
        "slower",
        goes_astray,
    ),
    Rule(
        "dead generator",
        f"after {LEAST_STEPS} steps samples differ less than {DEAD:g} times as much as real ones, "
        f"after {LATE_STEPS} steps less than {COLLAPSED:g} times, having never reached {LIVELY:g}, "
        f"or the generator's gradient is below {FADED:g} times its largest while the "
        f"discriminator's loss is within ±{SURE:g}",
        "as after a collapse",
        "restart",
        is_dead,
    ),
    Rule(
        "overfitting discriminator",
        f"(D(train) - D(validation)) / (D(train) - D(fakes)) is above {OVERFIT:g}, and more than "
        "chance",
        f"augmentation changes {AUGMENT_STEP:g} more of the samples, up to {AUGMENT_MOST:g}; "
        f"below {FITTING:g} that much less again, down to the preset's share; where nothing is "
        "augmented, that is said once",
        "augment",
        overfits,
    ),
)
"""In the order in which they are asked. What never made samples that differ about as much as real
ones starts anew from other weights, where it would go back by two ticks."""


class Fault(NamedTuple):
    """A rule that applies, and why."""

    rule: Rule
    evidence: str


def find_fault(seen: TickState) -> Fault | None:
    """Return what makes it necessary to go back; None where training goes on."""
    for rule in RULES:
        if rule.finds is not None and rule.remedy != "augment":
            evidence = rule.finds(seen)
            if evidence is not None:
                return Fault(rule, evidence)
    return None
