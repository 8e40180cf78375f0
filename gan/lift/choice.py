"""Fits, each done once, and what is chosen by them on validation.

The synthetic arm that does best is chosen where it beats real records alone by more than the spread
of that difference. Where none does, the milder the arm the smaller the harm, and the best would be
next to no synthetic records at all: then the plain arm is compared, which is what most who take the
data would do, so that harm is said.

Where the primary metric asks for the predicted class, every arm has the threshold that does best on
validation. It is free, and most of what filling a rare class changes is the threshold.

Shapes: E records of a split, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.lift.arms import BASELINE, PLAIN, WEIGHTS, Arm, Supply
from gan.lift.effect import difference, resampled
from gan.lift.plan import FIRST_SEEDS, LiftPlan, LiftRequest
from gan.lift.result import ArmKind
from gan.lift.scoring import Array, Scoring, Threshold
from gan.lift.task import DownstreamTask, Make, Split, Teach
from gan.randomness import derive, numpy_stream

CHOICE_DRAWS = 200
"""Resamples behind the spread of a difference on validation."""
MOST_SEED = 2**31 - 1
"""What every library takes as a seed."""


@dataclass(kw_only=True, eq=False)
class Lab:
    """Fits that are done, each once, and what failed."""

    task: DownstreamTask
    scoring: Scoring
    plan: LiftPlan
    supply: Supply
    seed: int
    progress: Callable[[int], None]
    is_cut: bool = False
    """Whether fewer real records are trained on than the generator has seen."""
    done: dict[tuple[str, str, int], Mapping[Split, Array]] = field(default_factory=dict)
    tuned: dict[tuple[str, str, int], Mapping[Split, Array]] = field(default_factory=dict)
    """The same with the threshold that validation says."""
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    """Model and arm → why it cannot be trained."""

    def scores(self, model: str, arm: Arm, index: int) -> Mapping[Split, Array]:
        """Return the scores of one fit.

        Raises:
            DataError: nothing can be learned from these rows.
        """
        if arm.threshold is not None:
            found = self.scores(model, BASELINE, index)
            return self.at_threshold(found, arm.threshold)
        key = (model, arm.name, index)
        if key not in self.done:
            data = self.supply.training_set(arm, index)
            self.done[key] = self.task.scores(model, data, self.fit_seed(index))
            self.progress(1)
        return self.done[key]

    def decided(self, model: str, arm: Arm, index: int) -> Mapping[Split, Array]:
        """Return the scores of one fit by which arms are compared.

        Where the predicted class counts, its threshold is chosen on validation, for every arm
        alike: else an arm that only says rare classes more often would seem to know them better.

        Raises:
            DataError: nothing can be learned from these rows.
        """
        found = self.scores(model, arm, index)
        if not self.scoring.has_threshold or arm.threshold is not None:
            return found
        key = (model, arm.name, index)
        if key not in self.tuned:
            self.tuned[key] = self.at_threshold(found, "chosen")
        return self.tuned[key]

    def at_threshold(
        self, scores: Mapping[Split, Array], threshold: Threshold
    ) -> Mapping[Split, Array]:
        """Return scores with another threshold."""
        return self.scoring.at_threshold(scores, self.task.targets("validation"), threshold)

    def fit_seed(self, index: int) -> int:
        """Return the seed of a fit: the same in every arm, so that arms are paired."""
        return derive(self.seed, "lift-fit", index) % MOST_SEED

    def values(self, model: str, arm: Arm, seeds: Sequence[int] | None = None) -> list[float]:
        """Return the primary metric of every seed on validation; empty where it cannot be trained.

        The seeds are those of the choice, unless others are given.
        """
        seeds = range(self.plan.choice_seeds) if seeds is None else seeds
        try:
            found = [self.decided(model, arm, index)["validation"] for index in seeds]
        except DataError as error:
            self.failed[model, arm.name] = str(error)
            return []
        targets = self.task.targets("validation")
        ones = np.ones((1, len(targets)))
        return [float(self.scoring.primary_of(targets, one, ones)[0]) for one in found]


@dataclass(frozen=True, kw_only=True)
class ArmChoice:
    """What is compared on the holdout, and all arms that were trained for it."""

    synthetic: Arm | None
    remedy: Arm | None
    arms: Mapping[str, tuple[Arm, ...]]
    """Model → its arms."""
    is_plain: bool = False
    """Whether no synthetic arm beat real records alone, so that the plain one is compared."""

    @property
    def compared(self) -> tuple[Arm, ...]:
        """The baseline first."""
        return (BASELINE, *(arm for arm in (self.synthetic, self.remedy) if arm is not None))


def main_model(lab: Lab) -> str:
    """Return the model that does best on real records alone, on validation.

    Raises:
        DataError: none can be trained.
    """
    if len(lab.plan.models) == 1 and lab.values(lab.plan.models[0], BASELINE):
        return lab.plan.models[0]
    seeds = range(lab.plan.choice_seeds if lab.plan.all_models else FIRST_SEEDS)
    found = {model: lab.values(model, BASELINE, seeds) for model in lab.plan.models}
    means = {model: float(np.mean(values)) for model, values in found.items() if values}
    if not means:
        raise DataError("; ".join(dict.fromkeys(lab.failed.values())))
    return max(means, key=lambda model: means[model])


def choose(lab: Lab, model: str) -> ArmChoice:
    """Return the synthetic arm, with its weight, and the free remedy that do best on validation."""
    models = lab.plan.models if lab.plan.all_models else (model,)
    arms = {one: lab.plan.arms(lab.task, one) for one in models}
    for one in models:
        for arm in arms[one]:
            lab.values(one, arm)
    synthetic, is_plain = _best(lab, model, arms[model], "synthetic"), False
    if synthetic is not None:
        others = tuple(synthetic.weighing(weight) for weight in WEIGHTS)
        arms[model] = (*arms[model], *others)
        synthetic = _best(lab, model, (synthetic, *others), "synthetic")
    if synthetic is not None and not _beats_baseline(lab, model, synthetic):
        plain = next(
            (arm for arm in arms[model] if arm.name in PLAIN and lab.values(model, arm)), None
        )
        if plain is not None:
            synthetic, is_plain = plain, True
    remedy = _best(lab, model, arms[model], "free")
    return ArmChoice(synthetic=synthetic, remedy=remedy, arms=arms, is_plain=is_plain)


def _beats_baseline(lab: Lab, model: str, arm: Arm) -> bool:
    """Return whether an arm is better on validation by more than one standard deviation."""
    seeds = range(lab.plan.choice_seeds)
    found = resampled(
        {"primary": lab.scoring.primary_of},
        lab.task.targets("validation"),
        {
            one.name: [lab.decided(model, one, index)["validation"] for index in seeds]
            for one in (arm, BASELINE)
        },
        lab.seed,
        CHOICE_DRAWS,
    )
    changed = difference(found[arm.name, "primary"], found[BASELINE.name, "primary"], lab.seed)
    return changed.interval.value > changed.spread


def _best(lab: Lab, model: str, arms: Sequence[Arm], kind: ArmKind) -> Arm | None:
    """Return the arm of a kind with the highest mean; the first of equal ones."""
    means = {
        arm.name: float(np.mean(values))
        for arm in arms
        if arm.kind == kind and arm.may_be_chosen and (values := lab.values(model, arm))
    }
    if not means:
        return None
    best = max(means, key=lambda name: means[name])
    return next(arm for arm in arms if arm.name == best)


def supply_of(
    task: DownstreamTask,
    real: pa.Table,
    request: LiftRequest,
    plan: LiftPlan,
    make: Make,
    teach: Teach | None = None,
) -> Supply:
    """Return the records of a plan, drawn from the real ones where it takes fewer."""
    rows = real
    if plan.real_rows < real.num_rows:
        order = numpy_stream(request.seed, "lift-real").permutation(real.num_rows)
        rows = real.take(pa.array(np.sort(order[: plan.real_rows])))
    return Supply(
        real=rows,
        label=request.label,
        make=make,
        missing=plan.missing,
        most=plan.most_synthetic(task),
        seed=request.seed,
        teach=teach,
    )
