"""Measure lift: arms, choice on validation, one comparison on the holdout.

The main model is the one that does best on real records alone, on validation: not the one that
synthetic records help most, which would be chance as often as not. For it the best synthetic arm,
its weight, and the best free remedy are chosen on validation (`gan.lift.choice`). These two and the
baseline are then trained again with seeds that the choice has not seen, and compared on the holdout
once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import process_time

import numpy as np
import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.errors import DataError
from gan.lift.answer import Price, answer_of, text_of, unknown
from gan.lift.arms import BASELINE, Arm, Supply
from gan.lift.choice import Choice, Lab, choose, main_model
from gan.lift.effect import difference, mean_over_seeds, over_seeds, resampled
from gan.lift.plan import FIT_S, NIGHTLY_CPU_S, LiftRequest, Plan, fits_of, plan_lift, price
from gan.lift.result import ArmResult, CurvePoint, Effect, Interval, Lift
from gan.lift.scoring import Array, scoring_of, why_unknown
from gan.lift.task import DownstreamTask, Made, Make, Priced
from gan.randomness import numpy_stream

__all__ = ["NIGHTLY_CPU_S", "Cost", "LiftRequest", "estimate", "forecast", "measure_lift"]

HOLDOUT_SEED = 1000
"""Number of the first seed of the comparison: none that the choice has seen."""
DRAWS = 2000
"""Resamples behind an effect."""
REPORTED_DRAWS = 200
"""Resamples behind the intervals of what is only reported."""
CURVE = (0.1, 0.2, 0.5, 1.0)
"""Shares of the real records of the learning curve."""
CURVE_SEEDS = 3
FEW = 200
"""Records of a first fit that is not timed: it loads libraries."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a measurement will take."""

    fits: int
    """Trainings of a downstream model, at most."""
    cpu_s: float
    """Processor seconds, as a short trial on this machine says, or the task's constants."""


def estimate(task: DownstreamTask, real: pa.Table, request: LiftRequest) -> Cost:
    """Return what `measure_lift` with these arguments will take.

    Every model is trained once on real records: how much longer or shorter that takes than its
    constants say is what the machine makes of all of the plan.

    Raises:
        ConfigError: `lift.models` names a model that there is not.
    """
    plan = plan_lift(task, real, request)
    supply = _supply(task, real, request, plan, _nothing)
    if why_unknown(task, scoring_of(task)) is not None:
        return Cost(fits=0, cpu_s=0.0)
    planned_s = taken_s = 0.0
    with one_thread_everywhere():
        for model in plan.models:
            try:
                task.scores(model, supply.training_set(BASELINE, 0, real.slice(0, FEW)), seed=0)
                started_s = process_time()
                task.scores(model, supply.training_set(BASELINE, 0), seed=0)
            except DataError:
                continue
            taken_s += process_time() - started_s
            planned_s += _fit_s(task, model, plan.real_rows)
    slower = taken_s / planned_s if planned_s else 1.0
    cost = forecast(task, real, request)
    return replace(cost, cpu_s=slower * cost.cpu_s)


def forecast(task: DownstreamTask, real: pa.Table, request: LiftRequest) -> Cost:
    """Return the same by the task's constants alone, at once: nothing is trained.

    Raises:
        ConfigError: `lift.models` names a model that there is not.
    """
    plan = plan_lift(task, real, request)
    if why_unknown(task, scoring_of(task)) is not None:
        return Cost(fits=0, cpu_s=0.0)
    curve_s = 0.0
    if request.curve:
        longest = max(_fit_s(task, model, 5 * plan.real_rows) for model in plan.models)
        curve_s = _curve_fits(request) * longest
    fits = fits_of(plan, task, _curve_fits(request))
    return Cost(fits=fits, cpu_s=price(plan, task) + curve_s)


def measure_lift(
    task: DownstreamTask,
    real: pa.Table,
    make: Make,
    request: LiftRequest,
    progress: Callable[[int], None] = lambda _: None,
) -> Lift:
    """Return whether synthetic records help.

    Args:
        task: what is learned, with the records that score it.
        real: the training records.
        make: synthesizes.
        request: how thoroughly.
        progress: called with the number of further fits that are done.

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
            supply=_supply(task, real, request, plan, make),
            seed=request.seed,
            progress=progress,
            is_cut=plan.real_rows < real.num_rows,
        )
        found = _measured(lab, request)
    return replace(found, cpu_s=round(process_time() - started_s, 1))


def _supply(
    task: DownstreamTask, real: pa.Table, request: LiftRequest, plan: Plan, make: Make
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
    )


def _measured(lab: Lab, request: LiftRequest) -> Lift:
    """Return the answer of a task that can be scored."""
    try:
        model = main_model(lab)
    except DataError as error:
        return unknown(lab.task.what, str(error))
    chosen = choose(lab, model)
    scores = _holdout_scores(lab, model, chosen)
    effects = _compare(lab, model, scores)
    effect, remedy = (
        None if arm is None else effects.get(arm.name) for arm in (chosen.synthetic, chosen.remedy)
    )
    lift = Lift(
        answer=answer_of(effect, is_cut=lab.is_cut),
        text="",
        task=lab.task.what,
        effect=effect,
        remedy=remedy,
        per_class=_per_class(lab, chosen, scores),
        arms=_results(lab, model, chosen, scores),
        curve=_curve(lab, model, chosen) if request.curve else (),
        seeds=lab.plan.holdout_seeds,
        notes=_notes(lab, model, chosen, request),
    )
    price = Price(made=lab.supply.rows_of(chosen.synthetic), real=lab.supply.real.num_rows)
    return replace(lift, text=text_of(lift, lab.scoring.title, price))


def _holdout_scores(lab: Lab, model: str, chosen: Choice) -> dict[str, list[Array]]:
    """Train what is compared with fresh seeds and return its scores; without what cannot be."""
    found = {}
    for arm in chosen.compared:
        try:
            found[arm.name] = [
                lab.scores(model, arm, HOLDOUT_SEED + index)["holdout"]
                for index in range(lab.plan.holdout_seeds)
            ]
        except DataError as error:
            lab.failed[arm.name] = str(error)
    return found if BASELINE.name in found else {}


def _compare(lab: Lab, model: str, scores: Mapping[str, Sequence[Array]]) -> dict[str, Effect]:
    """Return what each arm changes on the holdout."""
    if not scores:
        return {}
    metric, targets = lab.scoring.primary, lab.task.targets("holdout")
    found = resampled({metric: lab.scoring.primary_of}, targets, scores, lab.seed, DRAWS)
    baseline_SB, effects = found[BASELINE.name, metric], {}
    for name in scores:
        values_SB = found[name, metric]
        changed = difference(values_SB, baseline_SB, lab.seed)
        effects[name] = Effect(
            arm=name,
            model=model,
            metric=metric,
            baseline=float(baseline_SB[:, 0].mean()),
            value=float(values_SB[:, 0].mean()),
            effect=changed.interval,
            detectable=changed.detectable,
        )
    return effects


def _per_class(
    lab: Lab, chosen: Choice, scores: Mapping[str, Sequence[Array]]
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
    lab: Lab, model: str, chosen: Choice, scores: Mapping[str, Sequence[Array]]
) -> tuple[ArmResult, ...]:
    """Return every arm that was trained, with all metrics."""
    results, holdout = [], _on_holdout(lab, scores)
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


def _over_seeds(lab: Lab, model: str, arm: Arm) -> dict[str, Interval]:
    """Return all metrics on validation, with intervals over the seeds alone."""
    targets = lab.task.targets("validation")
    ones = np.ones((1, len(targets)))
    seeds = range(lab.plan.choice_seeds)
    each = [
        lab.scoring.all_of(targets, lab.scores(model, arm, index)["validation"], ones)
        for index in seeds
    ]
    return {name: over_seeds([float(one[name][0]) for one in each]) for name in each[0]}


def _on_holdout(lab: Lab, scores: Mapping[str, Sequence[Array]]) -> dict[str, dict[str, Interval]]:
    """Return arm → all metrics on the holdout, with intervals over seeds and records."""
    metrics = {name: lab.scoring.metric(name) for name in lab.scoring.names}
    targets = lab.task.targets("holdout")
    found: dict[str, dict[str, Interval]] = {arm: {} for arm in scores}
    for (arm, name), values_SB in resampled(
        metrics, targets, scores, lab.seed, REPORTED_DRAWS
    ).items():
        found[arm][name] = mean_over_seeds(values_SB, lab.seed).interval
    return found


def _curve(lab: Lab, model: str, chosen: Choice) -> tuple[CurvePoint, ...]:
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
                    scores = lab.task.scores(model, data, lab.fit_seed(index))["validation"]
                    values.append(float(lab.scoring.primary_of(targets, scores, ones)[0]))
                    lab.progress(1)
        except DataError:
            continue
        points.append(
            CurvePoint(real_rows=count, real=over_seeds(both[0]), best=over_seeds(both[1]))
        )
    return tuple(points)


def _notes(lab: Lab, model: str, chosen: Choice, request: LiftRequest) -> tuple[str, ...]:
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
    notes += [f"{name} could not be trained: {why}" for name, why in lab.failed.items()]
    left = [lab.scoring.classes[c] for c in lab.scoring.unscored]
    if left:
        notes.append(f"too few records to score class {', '.join(repr(name) for name in left)}")
    if request.curve:
        notes.append(
            "the generator of the learning curve's synthetic records has seen all real ones, also "
            "where few of them are trained on"
        )
    return tuple(notes)


def _curve_fits(request: LiftRequest) -> int:
    return 2 * CURVE_SEEDS * len(CURVE) if request.curve else 0


def _fit_s(task: DownstreamTask, model: str, rows: int) -> float:
    return task.cost_s(model, rows) if isinstance(task, Priced) else FIT_S


def _nothing(_: object) -> Made:
    """Stand in for synthesis where none is needed."""
    msg = "an estimate makes no records"
    raise DataError(msg)
