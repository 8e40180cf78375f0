"""What is trained within a budget: cut in a fixed order, by constants, and said."""

from dataclasses import replace

import pytest
from toy_task import MeansTask, request, rows

from gan.errors import ConfigError
from gan.lift.arms import CHOSEN, FILL, PRIOR
from gan.lift.config import LiftConfig
from gan.lift.plan import (
    FEWEST_ROWS,
    LEFT_OUT,
    NIGHTLY_CPU_S,
    ROOM,
    _ever_smaller,
    plan_lift,
    price,
)

SMALL = rows(60, 1)
REAL = rows(2000, 2, share=0.2)


def planned(fit_s, *, models=("one", "two"), **more):
    task = MeansTask(SMALL, SMALL, models=models, fit_s=fit_s)
    return plan_lift(task, REAL, request(seeds=5, **more)), task


def test_what_is_cheap_is_not_cut():
    plan, task = planned(0.001)
    assert plan.models == ("one", "two")
    assert (plan.left_out, plan.choice_seeds, plan.holdout_seeds) == ((), 3, 5)
    assert plan.real_rows == 2000
    assert plan.notes == ()
    names = [arm.name for arm in plan.arms(task, "one")]
    assert names[:2] == ["real", "real + fill"]
    assert {*LEFT_OUT, "class weights", PRIOR, CHOSEN} <= set(names)


def test_the_dearer_a_fit_the_less_is_trained_and_the_night_is_kept():
    counts, plans = [], [planned(fit_s) for fit_s in (0.001, 0.3, 0.5, 0.7, 1.2, 2.0)]
    for plan, task in plans:
        assert price(plan, task) <= ROOM * NIGHTLY_CPU_S
        arms = len(plan.arms(task, "one"))
        counts.append((arms, len(plan.models), plan.holdout_seeds, plan.real_rows))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] != counts[-1]
    assert plans[2][0].notes[0].startswith("left out to fit into the night: real + 4x synthetic")


def test_real_rows_are_cut_last_and_it_is_said_that_helping_cannot_be_known_then():
    plan, _ = planned(1.8)
    assert FEWEST_ROWS <= plan.real_rows < 2000
    assert plan.holdout_seeds == 3
    assert plan.missing[0][1] < 1600
    assert any("can be known from a thorough measurement only" in note for note in plan.notes)


def test_a_thorough_measurement_is_not_cut():
    plan, _ = planned(50.0, thorough=True)
    assert (plan.left_out, plan.choice_seeds, plan.real_rows) == ((), 5, 2000)
    assert plan.all_models


def test_models_are_chosen_by_name_and_an_unknown_one_lists_the_known():
    assert planned(0.001, models=("one", "two"))[0].models == ("one", "two")
    task = MeansTask(SMALL, SMALL, models=("one", "two"))
    assert plan_lift(task, REAL, request(models=("two",))).models == ("two",)
    with pytest.raises(ConfigError, match=r"names 'three'.*choose from one, two"):
        plan_lift(task, REAL, request(models=("three",)))
    with pytest.raises(ConfigError, match="empty"):
        plan_lift(task, REAL, request(models=()))
    assert LiftConfig().seeds == 5


def test_real_rows_stay_where_cutting_them_saves_nothing_and_what_does_not_fit_is_said():
    class Steps(MeansTask):
        def cost_s(self, model, rows, remedy=""):  # noqa: ARG002
            return 50.0

    task = Steps(SMALL, SMALL, models=("one", "two"))
    plan = plan_lift(task, REAL, request(seeds=5))
    assert (plan.real_rows, plan.holdout_seeds, plan.models) == (2000, 3, ("one",))
    assert price(plan, task) > NIGHTLY_CPU_S
    assert plan.notes[-1].startswith("even so it takes about")


def test_a_fill_of_many_times_the_real_rows_is_left_out_before_real_rows_are_cut():
    task = MeansTask(SMALL, SMALL, models=("one",), fit_s=0.0)
    task.record_s = 0.004
    plan = plan_lift(task, REAL, request(seeds=5))
    assert FILL not in plan.left_out
    most = replace(plan, missing=(("yes", 5 * 2000),))
    found = list(_ever_smaller(most, task, ()))
    without = next(one for one in found if FILL in one.left_out)
    assert without.real_rows == 2000
    assert price(without, task) < price(found[0], task)
    assert price(replace(most, picks=4), task) > price(most, task)
    assert FILL not in [arm.name for arm in without.arms(task, "one")]
