"""What a measurement of lift will cost, said before: by constants at once, or by a short trial."""

from dataclasses import dataclass, replace
from statistics import fmean
from time import process_time

import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.errors import DataError
from gan.lift.arms import BASELINE
from gan.lift.choice import Lab, supply_of
from gan.lift.plan import (
    CURVE,
    CURVE_SEEDS,
    FIRST_SEEDS,
    FIT_S,
    LiftPlan,
    LiftRequest,
    expected_s,
    fits_of,
    plan_lift,
)
from gan.lift.scoring import scoring_of, why_unknown
from gan.lift.task import DownstreamTask, Made, Priced

FEW = 200
"""Records of a first fit that is not timed: it loads libraries."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a measurement will take."""

    fits: int
    """Trainings of a downstream model, at most."""
    cpu_s: float
    """Processor seconds, as a short trial on this machine says, or the task's constants."""
    least_cpu_s: float
    """The same where the cheapest model turns out the main one; `cpu_s` is then that of the
    dearest. Equal where it is known which one it is."""


def estimate(task: DownstreamTask, real: pa.Table, request: LiftRequest) -> Cost:
    """Return what `measure_lift` with these arguments will take.

    Every model is trained once on real records. That says which is the main one, in all likelihood,
    and how much longer or shorter it takes than its constants say.

    Raises:
        ConfigError: `lift.models` names a model that there is not.
    """
    plan, scoring = plan_lift(task, real, request), scoring_of(task)
    if why_unknown(task, scoring) is not None:
        return Cost(fits=0, cpu_s=0.0, least_cpu_s=0.0)
    lab = Lab(
        task=task,
        scoring=scoring,
        plan=plan,
        supply=supply_of(task, real, request, plan, _nothing),
        seed=request.seed,
        progress=lambda _: None,
    )
    tried: dict[str, tuple[float, float]] = {}
    with one_thread_everywhere():
        for model in plan.models:
            try:
                task.scores(model, lab.supply.training_set(BASELINE, 0, real.slice(0, FEW)), seed=0)
            except DataError:
                continue
            started_s = process_time()
            values = lab.values(model, BASELINE, seeds=(0,))
            if values:
                tried[model] = values[0], process_time() - started_s
    cost = forecast(task, real, request)
    if not tried:
        return cost
    main = max(tried, key=lambda model: tried[model][0])
    slower = tried[main][1] / max(_fit_s(task, main, plan.real_rows), 1e-9)
    first_s = FIRST_SEEDS * sum(taken_s for _, taken_s in tried.values())
    cpu_s = first_s + slower * _whole_s(plan, task, main, request)
    return replace(cost, cpu_s=cpu_s, least_cpu_s=cpu_s)


def forecast(task: DownstreamTask, real: pa.Table, request: LiftRequest) -> Cost:
    """Return the same by the task's constants alone, at once: nothing is trained.

    Raises:
        ConfigError: `lift.models` names a model that there is not.
    """
    plan = plan_lift(task, real, request)
    if why_unknown(task, scoring_of(task)) is not None:
        return Cost(fits=0, cpu_s=0.0, least_cpu_s=0.0)
    first_s = 0.0
    if len(plan.models) > 1 and not plan.all_models:
        first_s = FIRST_SEEDS * sum(_fit_s(task, model, plan.real_rows) for model in plan.models)
    each_s = [first_s + _whole_s(plan, task, model, request) for model in plan.models]
    fits = fits_of(plan, task, curve_fits(request))
    return Cost(fits=fits, cpu_s=max(each_s), least_cpu_s=min(each_s))


def _whole_s(plan: LiftPlan, task: DownstreamTask, main: str, request: LiftRequest) -> float:
    """Return the processor seconds after the first fits, if this is the main model."""
    rows = round(fmean(CURVE) * plan.real_rows * (2 + fmean(plan.ratios)) / 2)
    return expected_s(plan, task, main) + curve_fits(request) * _fit_s(task, main, rows)


def curve_fits(request: LiftRequest) -> int:
    """Return the fits of the learning curve, where it was asked for."""
    return 2 * CURVE_SEEDS * len(CURVE) if request.curve else 0


def _fit_s(task: DownstreamTask, model: str, rows: int) -> float:
    return task.cost_s(model, rows) if isinstance(task, Priced) else FIT_S


def _nothing(_: object) -> Made:
    """Stand in for synthesis where none is needed."""
    msg = "an estimate makes no records"
    raise DataError(msg)
