"""What is measured within a budget: arms, seeds and rows, from constants and never from the clock.

A nightly measurement is cut in a fixed order until its price by the task's constants fits; what was
left out is said. Real rows are cut last and at a cost: the generator has seen them all, so that
synthetic records would bring what the cut baseline lacks. Then nothing can be said to help.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import pyarrow as pa

from gan.errors import ConfigError
from gan.lift.arms import (
    BASELINE,
    FILL,
    MANY,
    RATIOS,
    SPARE,
    TAUGHT,
    WEIGHTS,
    Arm,
    Offer,
    arms_of,
    missing_rows,
    synthetic_rows,
)
from gan.lift.config import LiftConfig
from gan.lift.installed import installed_models
from gan.lift.scoring import scoring_of
from gan.lift.task import DownstreamTask, Priced
from storage.records.schema import ClassCounts

NIGHTLY_CPU_S = 120.0
"""Processor seconds that a nightly measurement may take."""
ROOM = 0.8
"""Share of them that fits and synthesis are planned for; the bootstrap takes the rest."""
FIRST_SEEDS = 2
"""Fits of every model on real records alone, by which the main one is chosen."""
CHOICE_SEEDS = 3
"""Most seeds by which a nightly measurement chooses an arm."""
LEAST_SEEDS = 3
"""Fewest seeds of the comparison on the holdout."""
FEWEST_ROWS = 500
"""Real rows are never cut below this."""
LEFT_OUT = ("real + 4x synthetic", "real twice", "synthetic alone", "real + 0.25x synthetic")
"""Arms that are left out first, in this order; at last a teacher on real records, which is what
records with a teacher's labels have to beat."""
MOST_FILL = 4
"""Times the real rows: `fill` that makes more is left out before real rows are cut."""
SAVING = 0.9
"""Real rows are cut only where that takes the price below this share of it."""
CURVE = (0.1, 0.2, 0.5, 1.0)
"""Shares of the real records of the learning curve."""
CURVE_SEEDS = 3
DEAR = 3.0
"""A remedy that costs more fits of the baseline than this is left out after the first of them."""
FIT_S, RECORD_S = 2.0, 0.001
"""Processor seconds of a fit and of a synthetic record, for a task that does not say."""
CONFIRMED = 3
"""Arms that are compared on the holdout: baseline, synthetic, free."""


@dataclass(frozen=True, kw_only=True)
class LiftRequest:
    """How thoroughly lift is measured."""

    config: LiftConfig
    seed: int
    """Of the recipe."""
    label: str | None
    """Name of the label column."""
    thorough: bool = False
    """All arms at full size with all models, whatever it costs."""
    curve: bool = False
    """Also with parts of the real records, for a learning curve."""
    labels: Literal["generator", "teacher"] = "generator"
    """Who says the label of synthetic records."""
    has_teacher: bool = False
    """Whether a teacher can answer of real records, too."""
    picks: int = 1
    """Records that are made for each that is kept, where a teacher labels."""
    groups: tuple[str, ...] = ()
    """Columns whose values are groups of which each is told for itself."""


@dataclass(frozen=True, kw_only=True)
class LiftPlan:
    """What will be trained."""

    models: tuple[str, ...]
    """Candidates for the main model, or all that are measured."""
    all_models: bool
    """Whether the arms are measured with every model, not with the main one alone."""
    missing: ClassCounts
    """What `fill` makes; empty where classes are balanced or no classes."""
    left_out: tuple[str, ...]
    """Arms that do not fit into the budget."""
    choice_seeds: int
    holdout_seeds: int
    real_rows: int
    """Of them all, or fewer."""
    ratios: tuple[float, ...] = RATIOS
    """Synthetic records for every real one."""
    has_teacher: bool = False
    """Whether real records can have a teacher's labels."""
    has_threshold: bool = False
    """Whether every arm is compared with the threshold that validation says."""
    picks: int = 1
    """Records that are made for each that is kept where a class is asked for."""
    notes: tuple[str, ...] = ()

    def arms(self, task: DownstreamTask, model: str) -> tuple[Arm, ...]:
        """Return the arms of a model."""
        offer = Offer(
            missing=self.missing,
            ratios=self.ratios,
            has_teacher=self.has_teacher,
            has_threshold=self.has_threshold,
        )
        return tuple(arm for arm in arms_of(task, model, offer) if arm.name not in self.left_out)

    def most_synthetic(self, task: DownstreamTask) -> int:
        """Return how many records the largest arm takes, as the generator makes them."""
        found = (self.arms(task, model) for model in self.models)
        plain = [arm for arms in found for arm in arms if not arm.fill]
        return max(synthetic_rows(arm, self.real_rows, self.missing) for arm in plain)


def models_of(task: DownstreamTask, config: LiftConfig) -> tuple[str, ...]:
    """Return the models that are measured; `auto` leaves out those of installed packages.

    Raises:
        ConfigError: `lift.models` names one that there is not.
    """
    if config.models == "auto":
        of_others = installed_models()
        return tuple(name for name, why in task.models.items() if of_others.get(name) != why)
    for name in config.models:
        if name not in task.models:
            msg = (
                f"lift.models names {name!r}, which is no downstream model of these records; "
                f"choose from {', '.join(task.models)}"
            )
            raise ConfigError(msg)
    if not config.models:
        msg = f"lift.models is empty: name some of {', '.join(task.models)}, or say auto"
        raise ConfigError(msg)
    return config.models


def plan_lift(task: DownstreamTask, real: pa.Table, request: LiftRequest) -> LiftPlan:
    """Return what will be trained, cut to the budget unless it is thorough.

    Raises:
        ConfigError: `lift.models` names one that there is not.
    """
    missing, seeds = missing_rows(real, request.label, task), request.config.seeds
    plan = LiftPlan(
        models=models_of(task, request.config),
        all_models=request.thorough,
        missing=missing,
        left_out=(),
        choice_seeds=seeds if request.thorough else min(seeds, CHOICE_SEEDS),
        holdout_seeds=seeds,
        real_rows=real.num_rows,
        ratios=(*RATIOS, MANY) if request.thorough and request.labels == "teacher" else RATIOS,
        has_teacher=request.has_teacher,
        picks=request.picks,
        has_threshold=scoring_of(task).has_threshold,
    )
    if task.goal == "classes" and not missing:
        plan = replace(plan, notes=("the classes are balanced: there is nothing to fill",))
    return plan if request.thorough else _cut(plan, task)


def _cut(plan: LiftPlan, task: DownstreamTask) -> LiftPlan:
    """Return the plan cut until it fits, with a note on each cut."""
    for cut in _ever_smaller(plan, task, _dear(plan, task)):
        if price(cut, task) <= ROOM * NIGHTLY_CPU_S:
            break
    notes = []
    if cut.left_out:
        notes.append(f"left out to fit into the night: {', '.join(cut.left_out)}")
    if len(cut.models) < len(plan.models):
        notes.append(f"only {cut.models[0]} is trained, to fit into the night")
    if cut.holdout_seeds < plan.holdout_seeds:
        notes.append(f"{cut.holdout_seeds} seeds instead of {plan.holdout_seeds}")
    if cut.real_rows < plan.real_rows:
        notes.append(
            f"trained on {cut.real_rows} of {plan.real_rows} real records, while the generator has "
            "seen them all: that synthetic ones help can be known from a thorough measurement only"
        )
    if (cost_s := price(cut, task)) > NIGHTLY_CPU_S:
        notes.append(
            f"even so it takes about {cost_s:.0f} CPU-s, more than the {NIGHTLY_CPU_S:.0f} of a "
            "night"
        )
    return replace(cut, notes=(*plan.notes, *notes))


def _dear(plan: LiftPlan, task: DownstreamTask) -> tuple[str, ...]:
    """Return the remedies that cost many times what the baseline does, with any model."""
    found = [
        arm.name
        for model in plan.models
        for arm in plan.arms(task, model)
        if arm.remedy and fit_s(plan, task, arm, model) > DEAR * fit_s(plan, task, BASELINE, model)
    ]
    return tuple(dict.fromkeys(found))


def _ever_smaller(
    plan: LiftPlan, task: DownstreamTask, dear: tuple[str, ...]
) -> Iterator[LiftPlan]:
    """Yield the plan, then what is left of it after one cut more each time."""
    yield plan
    names = (LEFT_OUT[0], *dear, *LEFT_OUT[1:], *((TAUGHT,) * plan.has_teacher))
    for count in range(1, len(names) + 1):
        smaller = replace(plan, left_out=names[:count])
        yield smaller
    smaller = replace(smaller, choice_seeds=2)
    yield smaller
    smaller = replace(smaller, models=plan.models[:1])
    yield smaller
    for seeds in range(plan.holdout_seeds - 1, LEAST_SEEDS - 1, -1):
        smaller = replace(smaller, holdout_seeds=seeds)
        yield smaller
    if sum(count for _, count in plan.missing) > MOST_FILL * plan.real_rows:
        smaller = replace(smaller, left_out=(*smaller.left_out, FILL))
        yield smaller
    if price(_of_rows(smaller, FEWEST_ROWS), task) > SAVING * price(smaller, task):
        return  # fits take equally long whatever they learn from
    rows = plan.real_rows
    while rows > FEWEST_ROWS:
        rows = max(FEWEST_ROWS, int(0.8 * rows))
        yield _of_rows(smaller, rows)


def _of_rows(plan: LiftPlan, rows: int) -> LiftPlan:
    """Return a plan with so many real rows, and as many fewer to fill."""
    lacking = tuple((c, round(rows / plan.real_rows * n)) for c, n in plan.missing)
    return replace(plan, real_rows=rows, missing=lacking)


def price(plan: LiftPlan, task: DownstreamTask) -> float:
    """Return the processor seconds of a plan, by the task's constants."""
    per_model = [_model_price(plan, task, model) for model in plan.models]
    first = 0.0
    if not plan.all_models and len(plan.models) > 1:
        first = sum(FIRST_SEEDS * fit_s(plan, task, BASELINE, model) for model in plan.models)
    making = made_records(plan, task) * (task.record_s if isinstance(task, Priced) else RECORD_S)
    return first + making + (sum(per_model) if plan.all_models else max(per_model))


def made_records(plan: LiftPlan, task: DownstreamTask) -> int:
    """Return how many records the generator makes for all arms."""
    fill = 0 if FILL in plan.left_out else SPARE * sum(count for _, count in plan.missing)
    return plan.most_synthetic(task) + plan.picks * fill


def _model_price(plan: LiftPlan, task: DownstreamTask, model: str) -> float:
    costs = [fit_s(plan, task, arm, model) for arm in plan.arms(task, model)]
    compared = plan.holdout_seeds * CONFIRMED + plan.choice_seeds * len(WEIGHTS)
    return plan.choice_seeds * sum(costs) + compared * max(costs)


def expected_s(plan: LiftPlan, task: DownstreamTask, main: str) -> float:
    """Return the processor seconds of a plan whose main model turns out to be this one.

    Without the first fits of the other models. Of the arms that are compared at last nobody knows
    which they will be: the mean of their kind.
    """
    total_s = made_records(plan, task) * (task.record_s if isinstance(task, Priced) else RECORD_S)
    for model in plan.models if plan.all_models else (main,):
        arms = _trained(plan.arms(task, model))
        costs = {
            kind: [fit_s(plan, task, arm, model) for arm in arms if arm.kind == kind]
            for kind in ("baseline", "synthetic", "free")
        }
        total_s += plan.choice_seeds * sum(map(sum, costs.values()))
        total_s += plan.choice_seeds * len(WEIGHTS) * fmean(costs["synthetic"])
        if model == main:
            total_s += plan.holdout_seeds * sum(fmean(found) for found in costs.values() if found)
    return total_s


def fits_of(plan: LiftPlan, task: DownstreamTask, curve_fits: int) -> int:
    """Return the number of fits, at most."""
    arms = [len(_trained(plan.arms(task, model))) for model in plan.models]
    first = 0 if plan.all_models or len(plan.models) == 1 else FIRST_SEEDS * (len(arms) - 1)
    choice = plan.choice_seeds * (sum(arms) if plan.all_models else max(arms))
    tuned = plan.choice_seeds * len(WEIGHTS)
    return first + choice + tuned + plan.holdout_seeds * CONFIRMED + curve_fits


def _trained(arms: Sequence[Arm]) -> list[Arm]:
    return [arm for arm in arms if arm.threshold is None]


def fit_s(plan: LiftPlan, task: DownstreamTask, arm: Arm, model: str) -> float:
    """Return the processor seconds of one fit."""
    if arm.threshold is not None:
        return 0.0
    rows = arm_rows(plan, arm)
    return task.cost_s(model, rows, arm.remedy) if isinstance(task, Priced) else FIT_S


def arm_rows(plan: LiftPlan, arm: Arm) -> int:
    """Return the rows that an arm learns from; a remedy makes at most so many of every class."""
    rows = arm.copies * plan.real_rows if arm.with_real else 0
    rows += synthetic_rows(arm, plan.real_rows, plan.missing)
    if arm.remedy:
        rows += sum(count for _, count in plan.missing)
    return rows
