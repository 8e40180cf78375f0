"""A teacher on real records, without any generator, is what a teacher's labels have to beat."""

from dataclasses import replace

import numpy as np
from toy_task import MeansTask, drawing, indexes, request, rows

from gan.lift.arms import TAUGHT
from gan.lift.measure import measure_lift
from gan.lift.plan import LEFT_OUT, NIGHTLY_CPU_S, ROOM, plan_lift, price

VALIDATION, HOLDOUT = rows(300, 1), rows(400, 2)


def sure(records):
    return np.eye(2)[indexes(records)]


def test_the_arm_learns_from_all_real_rows_with_the_teachers_answers():
    train, task, asked = rows(60, 7), MeansTask(VALIDATION, HOLDOUT), []

    def teach(records):
        asked.append(records)
        return sure(records)

    wanted = replace(request(), labels="teacher", has_teacher=True)
    lift = measure_lift(task, train, drawing(rows(900, 6)), wanted, teach=teach)
    (arm,) = [one for one in lift.arms if one.name == TAUGHT]
    assert (arm.kind, arm.real_rows, arm.synthetic_rows) == ("free", 60, 0)
    taught = [data for _, data, _ in task.fits if data.real_probabilities_NC is not None]
    assert all(np.array_equal(one.real_probabilities_NC, sure(train)) for one in taught)
    assert all(one.synthetic is None for one in taught)
    assert asked == [train], "once for all seeds"


def test_without_a_teacher_there_is_no_such_arm_and_one_that_fails_is_said():
    train, task = rows(60, 7), MeansTask(VALIDATION, HOLDOUT)
    lift = measure_lift(task, train, drawing(rows(900, 6)), request())
    assert TAUGHT not in {arm.name for arm in lift.arms}
    asked = replace(request(), has_teacher=True)
    lift = measure_lift(task, train, drawing(rows(900, 6)), asked)
    assert f"{TAUGHT} with means could not be trained: there is no teacher" in lift.notes


def test_eight_times_as_many_are_measured_thoroughly_where_a_teacher_labels():
    many, task, real = "real + 8x synthetic", MeansTask(VALIDATION, HOLDOUT), rows(60, 7)
    for thorough, labels, there in (
        (True, "teacher", True),
        (False, "teacher", False),
        (True, "generator", False),
    ):
        plan = plan_lift(task, real, replace(request(thorough=thorough), labels=labels))
        assert (many in {arm.name for arm in plan.arms(task, "means")}) == there
        assert plan.most_synthetic(task) == (480 if there else 240)


def test_it_is_the_last_arm_to_be_left_out_and_the_night_is_kept():
    real, left = rows(2000, 2, share=0.2), []
    for fit_s in (0.3, 0.5, 1.2, 2.0):
        task = MeansTask(VALIDATION, HOLDOUT, models=("one", "two"), fit_s=fit_s)
        plan = plan_lift(task, real, replace(request(seeds=5), has_teacher=True))
        assert price(plan, task) <= ROOM * NIGHTLY_CPU_S
        left.append(plan.left_out)
    assert left[1]
    assert TAUGHT not in left[1]
    assert left[-1] == (*LEFT_OUT, TAUGHT)
