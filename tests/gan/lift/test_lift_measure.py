"""The answer to "does it help?", on a task whose truth is known by construction."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from toy_task import MeansTask, drawing, indexes, request, rows, shuffled, swapped

from gan.errors import DataError
from gan.lift.arms import BASELINE
from gan.lift.measure import estimate, forecast, measure_lift
from gan.lift.result import Lift
from gan.lift.task import Made

VALIDATION, HOLDOUT = rows(300, 1), rows(400, 2)


def balanced(count, seed, **more):
    """Equally many of both classes."""
    many = rows(20 * count, seed, **more)
    classes = indexes(many)
    chosen = [np.flatnonzero(classes == c)[: count // 2] for c in (0, 1)]
    return many.take(pa.array(np.sort(np.concatenate(chosen))))


def measured(train, source, *, holdout=HOLDOUT, **more):
    return measure_lift(MeansTask(VALIDATION, holdout), train, drawing(source), request(**more))


def test_unseen_real_rows_in_place_of_synthetic_ones_help_where_real_ones_are_few():
    lift = measured(balanced(20, 7), rows(2000, 6), curve=True)
    assert lift.answer == "helps"
    assert lift.effect.effect.low > 0.02
    assert lift.effect.arm.startswith("real + 4x synthetic")
    assert lift.text.startswith("Training with synthetic records helps: AUC 0.")
    assert "80 synthetic records beside 20 real ones" in lift.text
    assert "the classes are balanced: there is nothing to fill" in lift.notes
    assert [point.real_rows for point in lift.curve] == [10, 20]  # 2 and 4 rows teach nothing
    assert all(point.best.value > point.real.value for point in lift.curve)
    assert any("learning curve" in note for note in lift.notes)


def test_rows_with_shuffled_labels_hurt():
    lift = measured(balanced(60, 7), shuffled(rows(2000, 6)))
    assert lift.answer == "hurts"
    assert lift.effect.effect.value < -0.02
    assert lift.effect.arm == "real + 1x synthetic"
    assert any("what most would do is compared" in note for note in lift.notes)


def test_copies_of_the_training_rows_have_no_measurable_effect():
    train = balanced(400, 7)
    lift = measured(train, train)
    assert lift.answer == "no measurable effect"
    assert abs(lift.effect.effect.value) < lift.effect.detectable < 0.02
    assert "would have been seen" in lift.text


def test_too_small_a_holdout_cannot_know_it():
    lift = measured(balanced(20, 7), rows(2000, 6), holdout=balanced(24, 7, apart=0.1))
    assert lift.answer == "cannot be known"
    assert lift.effect.detectable > 0.1
    assert "bring more holdout records" in lift.text


def test_a_class_without_enough_holdout_records_cannot_be_known_and_trains_nothing():
    task = MeansTask(VALIDATION, rows(100, 2, share=0.05))
    lift = measure_lift(task, balanced(20, 7), drawing(rows(2000, 6)), request())
    assert (lift.answer, lift.effect, task.fits) == ("cannot be known", None, [])
    assert "two classes need 10 records each in validation and in the holdout" in lift.text
    assert "'yes' " in lift.text
    assert estimate(task, balanced(20, 7), request()).fits == 0


def test_a_rare_class_is_filled_and_judged_by_its_average_precision():
    train = rows(150, 5, share=0.1)
    lift = measure_lift(
        MeansTask(rows(300, 1, share=0.1), rows(400, 2, share=0.1)),
        train,
        drawing(rows(3000, 6, share=0.3)),
        request(),
    )
    fill = next(arm for arm in lift.arms if arm.name == "real + fill")
    assert fill.synthetic_rows == train.num_rows - 2 * indexes(train).sum()
    assert lift.effect.metric == "average_precision"
    recalls = {name: (was, now) for name, was, now in lift.per_class}
    assert set(recalls) == {"no", "yes"}
    assert {"accuracy", "auc", "balanced_accuracy", "calibration_error", "recall/yes"} <= set(
        fill.validation
    )


def test_the_choice_looks_at_validation_alone_and_the_comparison_has_fresh_seeds():
    train, source = balanced(20, 7), rows(2000, 6)
    tasks = [MeansTask(VALIDATION, holdout) for holdout in (HOLDOUT, shuffled(HOLDOUT))]
    one, two = (measure_lift(task, train, drawing(source), request()) for task in tasks)
    assert one.effect.arm == two.effect.arm
    assert [arm.validation for arm in one.arms] == [arm.validation for arm in two.arms]
    assert one.effect.effect != two.effect.effect
    real = [seed for _, data, seed in tasks[0].fits if data.synthetic is None and not data.remedy]
    chosen_by, compared = set(real[:3]), set(real[-3:])
    assert not chosen_by & compared
    compared_arms = [arm.name for arm in one.arms if arm.holdout]
    assert set(compared_arms) == {BASELINE.name, one.effect.arm, one.remedy.arm}


def test_the_main_model_is_the_best_on_real_records_not_the_one_that_gains_most():
    task = MeansTask(VALIDATION, HOLDOUT, models=("coin", "means"))
    lift = measure_lift(task, balanced(60, 7), drawing(rows(2000, 6)), request())
    assert lift.effect.model == "means"
    assert any("not because synthetic ones change it most" in note for note in lift.notes)
    assert {arm.model for arm in lift.arms} == {"means"}
    thorough = measure_lift(
        task, balanced(60, 7), drawing(rows(2000, 6)), request(thorough=True, seeds=2)
    )
    assert {arm.model for arm in thorough.arms} == {"means", "coin"}


def test_it_costs_at_most_what_was_said_and_equal_arguments_give_equal_answers():
    train, source = balanced(20, 7), rows(2000, 6)
    task, done = MeansTask(VALIDATION, HOLDOUT), []
    cost = estimate(task, train, request())
    assert cost.cpu_s > 0
    task.fits.clear()
    one = measure_lift(task, train, drawing(source), request(), done.append)
    assert sum(done) == len(task.fits) <= cost.fits
    two = measured(train, source)
    assert dataclasses.replace(one, cpu_s=0.0) == dataclasses.replace(two, cpu_s=0.0)
    assert Lift.from_json(one.to_json()) == one


def test_the_price_is_that_of_the_main_model_or_spans_all_of_them():
    class Unequal(MeansTask):
        def cost_s(self, model, rows, remedy=""):
            return (100 if model == "coin" else 1) * super().cost_s(model, rows, remedy)

    task, train = Unequal(VALIDATION, HOLDOUT, models=("coin", "means")), balanced(60, 7)
    said = forecast(task, train, request())
    assert task.fits == []
    assert said.cpu_s > 10 * said.least_cpu_s
    timed = estimate(task, train, request())
    assert {model for model, *_ in task.fits} == {"coin", "means"}
    assert timed.cpu_s == timed.least_cpu_s < said.least_cpu_s, "means is the better one, and fast"


def test_where_nothing_can_be_trained_it_says_why():
    train = balanced(20, 7)
    alone = train.take(pa.array(np.flatnonzero(indexes(train) == 0)))
    lift = measured(alone, rows(2000, 6))
    assert (lift.answer, lift.effect) == ("cannot be known", None)
    assert "one class alone" in lift.text


def test_an_arm_that_cannot_be_trained_is_left_out_with_a_note():
    train, source = balanced(20, 7), rows(2000, 6)
    one_class = source.take(pa.array(np.flatnonzero(indexes(source) == 0)))

    def make(wanted):
        return Made(one_class.slice(0, wanted))

    lift = measure_lift(MeansTask(VALIDATION, HOLDOUT), train, make, request())
    assert "synthetic alone" not in {arm.name for arm in lift.arms}
    assert "synthetic alone with means could not be trained: one class alone" in lift.notes
    assert lift.effect is not None


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "often", "seldom"),
    [("unseen", "helps", "hurts"), ("swapped", "hurts", "helps"), ("copies", "no", "helps")],
)
def test_what_is_known_by_construction_is_found_over_many_draws(kind, often, seldom):
    found = []
    for seed in range(30):
        train = balanced(400 if kind == "copies" else 20, 100 + seed)
        source = {"copies": train, "unseen": rows(2000, seed)}.get(kind, swapped(rows(900, seed)))
        task = MeansTask(rows(500, 200 + seed), rows(600, 300 + seed))
        lift = measure_lift(task, train, drawing(source, seed), request())
        found.append(lift.answer.split()[0])
    assert found.count(often) >= 18
    assert found.count(seldom) <= 3


def test_what_the_generator_cannot_fill_fails_that_arm_alone():
    made = drawing(rows(300, 6, share=0.2))

    def make(wanted):
        if not isinstance(wanted, int):
            message = "the generator knows no class 'yes'"
            raise DataError(message)
        return made(wanted)

    task = MeansTask(rows(200, 1, share=0.2), rows(200, 2, share=0.2))
    lift = measure_lift(task, rows(100, 5, share=0.2), make, request())
    assert lift.effect is not None
    assert "synthetic" in lift.effect.arm
    said = "real + fill with means could not be trained: the generator knows no class 'yes'"
    assert said in lift.notes


class GroupedTask(MeansTask):
    """Records of `where` are in north or south; three are in the west."""

    def groups(self, column):
        where = self.splits["holdout"][column].to_numpy(zero_copy_only=False)
        return {name: where == name for name in ("north", "south", "west")}


def test_groups_are_told_for_themselves_and_small_ones_as_unknown():
    """In the south a record's class says nothing, so nothing changes there."""
    holdout = rows(800, 2)
    north = np.arange(800) < 400
    mixed = np.where(north, holdout["kind"], np.roll(holdout["kind"], 3))
    holdout = holdout.set_column(10, "kind", pa.array(mixed))
    where = np.where(north, "north", "south").astype(object)
    where[:3] = "west"
    holdout = holdout.append_column("where", pa.array(where))
    task, asked = (
        GroupedTask(VALIDATION, holdout),
        dataclasses.replace(request(), groups=("where",)),
    )
    lift = measure_lift(task, balanced(20, 7), drawing(rows(2000, 6)), asked)
    by_name = {one.group: one for one in lift.groups}
    assert by_name["north"].answer == "helps"
    assert by_name["north"].effect.effect.low > 0
    assert by_name["south"].effect.effect.low < 0 < by_name["south"].effect.effect.high
    assert by_name["south"].effect.baseline == pytest.approx(0.5, abs=0.07)
    assert (by_name["west"].answer, by_name["west"].rows) == ("cannot be known", 3)
    assert by_name["west"].why == "two classes need 10 records each"
    assert Lift.from_json(lift.to_json()) == lift
    alone = measure_lift(task, balanced(20, 7), drawing(rows(2000, 6)), request())
    assert alone.groups == ()
    assert b'"groups"' not in alone.to_json(), "the digest of earlier reports would change"
    assert dataclasses.replace(lift, groups=(), cpu_s=0) == dataclasses.replace(alone, cpu_s=0)
