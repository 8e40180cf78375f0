"""Measure lift: arms, choice on validation, one comparison on the holdout.

The main model is the one that does best on real records alone, on validation: not the one that
synthetic records help most, which would be chance as often as not. For it the best synthetic arm,
its weight, and the best free remedy are chosen on validation (`gan.lift.choice`). These two and the
baseline are then trained again with seeds that the choice has not seen, and compared on the holdout
once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from time import process_time

import numpy as np
import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.errors import DataError
from gan.lift.answer import Price, answer_of, text_of, unknown
from gan.lift.arms import BASELINE, PRIOR, TRAINED, Arm
from gan.lift.choice import ArmChoice, Lab, choose, main_model, supply_of
from gan.lift.comparison import compare, group_lifts
from gan.lift.cost import Cost, estimate, forecast
from gan.lift.effect import mean_over_seeds, over_seeds, resampled
from gan.lift.plan import (
    CURVE,
    CURVE_SEEDS,
    NIGHTLY_CPU_S,
    LiftRequest,
    plan_lift,
)
from gan.lift.result import ArmResult, CurvePoint, Estimate, Lift
from gan.lift.scoring import Array, scoring_of, why_unknown
from gan.lift.task import DownstreamTask, Make, Teach
from gan.randomness import numpy_stream

__all__ = ["NIGHTLY_CPU_S", "Cost", "LiftRequest", "estimate", "forecast", "measure_lift"]

HOLDOUT_SEED = 1000
"""Number of the first seed of the comparison: none that the choice has seen."""
DRAWS = 2000
"""Resamples behind an effect."""
REPORTED_DRAWS = 200
"""Resamples behind the intervals of what is only reported."""
LEAST_DRAWS, RESAMPLED = 40, 10_000_000
"""Fewest of these; and records times classes times draws that fit into a night."""
Scores = Mapping[Arm, Sequence[Array]]
"""Of every arm that is compared, those of the holdout with every seed."""


def measure_lift(
    task: DownstreamTask,
    real: pa.Table,
    make: Make,
    request: LiftRequest,
    progress: Callable[[int], None] = lambda _: None,
    teach: Teach | None = None,
) -> Lift:
    """Return whether synthetic records help.

    Args:
        task: what is learned, with the records that score it.
        real: the training records.
        make: synthesizes.
        request: how thoroughly.
        progress: called with the number of further fits that are done.
        teach: what a teacher says of real records, where the request says that there is one.

    Raises:
        ConfigError: `lift.models` names a model that there is not, or that cannot be loaded.
    """
    started_s = process_time()
    plan, scoring = plan_lift(task, real, request), scoring_of(task)
    if (why := why_unknown(task, scoring)) is not None:
        return unknown(task.what, why)
    with one_thread_everywhere():
        lab = Lab(
            task=task,
            scoring=scoring,
            plan=plan,
            supply=supply_of(task, real, request, plan, make, teach),
            seed=request.seed,
            progress=progress,
            is_cut=plan.real_rows < real.num_rows,
        )
        found = _measured(lab, request)
    return replace(found, cpu_s=round(process_time() - started_s, 1))


def _measured(lab: Lab, request: LiftRequest) -> Lift:
    """Return the answer of a task that can be scored."""
    try:
        model = main_model(lab)
    except DataError as error:
        return unknown(lab.task.what, str(error))
    chosen = choose(lab, model)
    scores = _holdout_scores(lab, model, chosen)
    decided = _decided(lab, model, scores)
    effects = compare(lab, model, decided, lab.task.targets("holdout"), lab.scoring, DRAWS)
    effect, remedy = (
        None if arm is None else effects.get(arm.name) for arm in (chosen.synthetic, chosen.remedy)
    )
    lift = Lift(
        answer=answer_of(effect, is_cut=lab.is_cut),
        text="",
        task=lab.task.what,
        effect=effect,
        remedy=remedy,
        per_class=_per_class(lab, chosen, decided),
        arms=_results(lab, model, chosen, scores, decided),
        curve=_curve(lab, model, chosen) if request.curve else (),
        groups=group_lifts(lab, model, decided, chosen.synthetic, request.groups, DRAWS),
        seeds=lab.plan.holdout_seeds,
        notes=_notes(lab, model, chosen, request),
    )
    price = Price(made=lab.supply.rows_of(chosen.synthetic), real=lab.supply.real.num_rows)
    return replace(lift, text=text_of(lift, lab.scoring.title, price))


def _holdout_scores(lab: Lab, model: str, chosen: ArmChoice) -> Scores:
    """Train what is compared with fresh seeds and return its scores; without what cannot be."""
    found: dict[Arm, list[Array]] = {}
    for arm in chosen.compared:
        try:
            found[arm] = [
                lab.scores(model, arm, HOLDOUT_SEED + index)["holdout"]
                for index in range(lab.plan.holdout_seeds)
            ]
        except DataError as error:
            lab.failed[model, arm.name] = str(error)
    return found if BASELINE in found else {}


def _decided(lab: Lab, model: str, scores: Scores) -> Mapping[str, Sequence[Array]]:
    """Return the same scores by which arms are compared; see `Lab.decided`."""
    return {
        arm.name: [
            lab.decided(model, arm, HOLDOUT_SEED + index)["holdout"]
            for index in range(len(of_seeds))
        ]
        for arm, of_seeds in scores.items()
    }


def _per_class(
    lab: Lab, chosen: ArmChoice, scores: Mapping[str, Sequence[Array]]
) -> tuple[tuple[str, float, float], ...]:
    """Return class, and its mean recall of baseline and synthetic arm on the holdout."""
    arm = chosen.synthetic
    if lab.task.goal != "classes" or arm is None or arm.name not in scores:
        return ()
    targets = lab.task.targets("holdout")
    both = [
        np.mean([lab.scoring.recalls_of(targets, one) for one in scores[name]], axis=0).tolist()
        for name in (BASELINE.name, arm.name)
    ]
    rows = zip(lab.task.classes, *both, strict=True)
    return tuple((name, was, now) for name, was, now in rows if not np.isnan(was))


def _results(
    lab: Lab,
    model: str,
    chosen: ArmChoice,
    scores: Scores,
    decided: Mapping[str, Sequence[Array]],
) -> tuple[ArmResult, ...]:
    """Return every arm that was trained, with all metrics."""
    results, holdout = [], _on_holdout(lab, scores, decided)
    for one, arms in chosen.arms.items():
        for arm in arms:
            if not lab.values(one, arm):
                continue
            result = ArmResult(
                name=arm.name,
                kind=arm.kind,
                model=one,
                real_rows=lab.supply.real.num_rows * arm.copies if arm.with_real else 0,
                synthetic_rows=lab.supply.rows_of(arm),
                validation=_over_seeds(lab, one, arm),
                holdout=holdout.get(arm.name, {}) if one == model else {},
            )
            results.append(result)
    return tuple(results)


def _over_seeds(lab: Lab, model: str, arm: Arm) -> dict[str, Estimate]:
    """Return all metrics on validation, with intervals over the seeds alone."""
    targets = lab.task.targets("validation")
    ones = np.ones((1, len(targets)))
    seeds = range(lab.plan.choice_seeds)
    each = []
    for index in seeds:
        both = (of(model, arm, index)["validation"] for of in (lab.scores, lab.decided))
        plain, decided = (lab.scoring.all_of(targets, one, ones) for one in both)
        each.append({name: (decided if _decides(name) else plain)[name] for name in plain})
    return {name: over_seeds([float(one[name][0]) for one in each]) for name in each[0]}


def _decides(name: str) -> bool:
    """Return whether a metric goes with the threshold that every arm is compared with."""
    return name == "balanced_accuracy" or name.startswith("recall/")


def _on_holdout(
    lab: Lab, scores: Scores, decided: Mapping[str, Sequence[Array]]
) -> dict[str, dict[str, Estimate]]:
    """Return arm → all metrics on the holdout, with intervals over seeds and records."""
    targets = lab.task.targets("holdout")
    found: dict[str, dict[str, Estimate]] = {name: {} for name in decided}
    plain = {arm.name: of_seeds for arm, of_seeds in scores.items()}
    for decides, of_arms in ((False, plain), (True, decided)):
        metrics = {
            name: lab.scoring.metric(name)
            for name in lab.scoring.names
            if _decides(name) == decides
        }
        if not metrics:
            continue
        for (arm, name), values_SB in resampled(
            metrics, targets, of_arms, lab.seed, _reported_draws(lab)
        ).items():
            found[arm][name] = mean_over_seeds(values_SB, lab.seed).interval
    return found


def _reported_draws(lab: Lab) -> int:
    """Return the resamples of what is only reported: fewer of many records and classes."""
    cells = len(lab.task.targets("holdout")) * max(1, len(lab.task.classes))
    return max(min(LEAST_DRAWS, REPORTED_DRAWS), min(REPORTED_DRAWS, RESAMPLED // cells))


def _curve(lab: Lab, model: str, chosen: ArmChoice) -> tuple[CurvePoint, ...]:
    """Return the learning curve of the baseline and of the chosen synthetic arm."""
    if chosen.synthetic is None:
        return ()
    rows = lab.supply.real.num_rows
    targets = lab.task.targets("validation")
    ones, points = np.ones((1, len(targets))), []
    for share in CURVE:
        count = max(1, round(share * rows))
        both: list[list[float]] = [[], []]
        try:
            for index in range(CURVE_SEEDS):
                order = numpy_stream(lab.seed, "lift-curve", index).permutation(rows)
                real = lab.supply.real.take(pa.array(np.sort(order[:count])))
                for values, arm in zip(both, (BASELINE, chosen.synthetic), strict=True):
                    data = lab.supply.training_set(arm, index, real)
                    scores = lab.task.scores(model, data, lab.fit_seed(index))
                    if lab.scoring.has_threshold:
                        scores = lab.at_threshold(scores, "chosen")
                    value = lab.scoring.primary_of(targets, scores["validation"], ones)[0]
                    values.append(float(value))
                    lab.progress(1)
        except DataError:
            continue
        points.append(
            CurvePoint(real_rows=count, real=over_seeds(both[0]), best=over_seeds(both[1]))
        )
    return tuple(points)


def _notes(lab: Lab, model: str, chosen: ArmChoice, request: LiftRequest) -> tuple[str, ...]:
    """Return what a reader must know besides."""
    notes = [*lab.plan.notes]
    if len(lab.plan.models) > 1:
        notes.append(
            f"{model} is compared because it is the best of {', '.join(lab.plan.models)} on real "
            "records alone, on validation; not because synthetic ones change it most"
        )
    if chosen.is_plain and chosen.synthetic is not None:
        notes.append(
            "no arm with synthetic records did better on validation than real ones alone by more "
            f"than chance: what most would do is compared, {chosen.synthetic.name}"
        )
    notes += _threshold_note(lab, model)
    notes += [
        f"{name} with {one} could not be trained: {why}" for (one, name), why in lab.failed.items()
    ]
    if chosen.synthetic is not None and lab.supply.is_whole(chosen.synthetic):
        notes.append(
            f"every seed of {chosen.synthetic.name} learns from the same synthetic records, all "
            "that were made: the luck of making them is not in its interval"
        )
    left = [lab.scoring.classes[c] for c in lab.scoring.unscored]
    if left:
        notes.append(f"too few records to score class {', '.join(repr(name) for name in left)}")
    if request.curve:
        notes.append(
            "the generator of the learning curve's synthetic records has seen all real ones, also "
            "where few of them are trained on"
        )
    return tuple(notes)


def _threshold_note(lab: Lab, model: str) -> list[str]:
    """Return what the threshold alone does, where every arm has it chosen on validation."""
    if not lab.scoring.has_threshold:
        return []
    arms = {arm.name: arm for arm in lab.plan.arms(lab.task, model)}
    trained, prior, chosen = (
        fmean(lab.values(model, arm)) for arm in (arms[TRAINED], arms[PRIOR], BASELINE)
    )
    return [
        "every arm is compared with the threshold that does best on validation, which is free: "
        f"with real records alone {lab.scoring.title} on validation is {trained:.3f} as trained, "
        f"{prior:.3f} at the prior, {chosen:.3f} so"
    ]
