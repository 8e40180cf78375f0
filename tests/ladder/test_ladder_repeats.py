"""What is made again and again is named as such; real records that repeat are no fault."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from gan.gate import GateConfig, judge
from gan.images.evaluation.image_repeats import ImageRepeats
from gan.images.judge import METRICS as IMAGES
from gan.images.judge import evaluate
from gan.modalities import Options, Splits
from gan.report import Evaluation
from gan.tables.evaluation.closeness import RowIdentity
from gan.tables.evaluation.columns import build_context
from gan.tables.evaluation.row_repeats import RowRepeats
from gan.tables.judge import METRICS as TABLES
from tests.ladder.conftest import meant


def judged(measured, metrics):
    """Return outcome and sentence of one metric alone."""
    evaluation = Evaluation(
        measured=(measured,),
        facts=(),
        too_few=(),
        n=measured.metric.n,
        holdout_rows=measured.metric.n,
        candidate_rows=measured.metric.n,
        candidate_class_counts=(),
        seed=0,
        made="",
        notes=(),
        seconds=0.0,
    )
    (reason,) = judge(evaluation, metrics, GateConfig()).reasons
    return reason.outcome, reason.text


def noisy(images, spread):
    noise = np.random.default_rng(7).normal(0, spread, images.shape)
    return np.clip(np.round(images + noise), 0, 255).astype(np.uint8)


def half_one_picture(images):
    made = images.copy()
    made[: len(made) // 2] = made[0]
    return made


def fifty_pictures(images):
    return images[np.random.default_rng(7).integers(50, size=len(images))]


IMAGES_THAT_REPEAT = {
    "half one picture": (half_one_picture, 0, "one picture is there 180 times"),
    "half one picture, noisy": (half_one_picture, 8, "one picture is there 1"),
    "fifty pictures": (fifty_pictures, 0, "359 of 359 synthetic images look like another one"),
    "fifty pictures, noisy": (fifty_pictures, 8, "of 359 synthetic images look like another one"),
}


@pytest.fixture(scope="module")
def pictures(digits, digits_reference):
    def measure(images):
        rows = np.arange(digits_reference.n)
        return judged(digits_reference.repeats.measure(images, [rows]), IMAGES)

    return measure


@pytest.mark.parametrize("name", IMAGES_THAT_REPEAT)
def test_pictures_that_are_made_again_and_again_are_blocked_and_named(name, digits, pictures):
    make, spread, named = IMAGES_THAT_REPEAT[name]
    outcome, text = pictures(noisy(make(digits.images[digits.unseen]), spread))
    assert outcome == "block"
    assert named in text


def test_a_fifth_is_warned_of(digits, pictures):
    images = digits.images[digits.unseen].copy()
    images[:72] = images[0]
    assert pictures(images)[0] == "warn"


@pytest.mark.parametrize("damage", ["none", "grain", "train"])
def test_what_does_not_repeat_passes(damage, digits, pictures):
    images = digits.images[digits.unseen]
    made = {"none": images, "grain": noisy(images, 40), "train": digits.images[digits.train]}
    assert pictures(made[damage])[0] == "pass"


def test_real_pictures_that_repeat_are_no_fault(digits):
    """Every real picture is there twice, on one side; a generator may do as much."""
    sides = [
        np.repeat(digits.images[rows[:150]], 2, axis=0)
        for rows in (digits.holdout, digits.validation)
    ]
    repeats = ImageRepeats(sides, 0.0, draws=20, replicates=20, seed=0)
    assert repeats.real.value == 1.0
    assert judged(repeats.measure(sides[0], [np.arange(300)]), IMAGES)[0] == "pass"


@pytest.mark.full  # tests/ladder/test_ladder_corruptions.py has one whole judgement, of a collapse
def test_the_whole_judgement_names_them(digits, digits_reference):
    made = dataclasses.replace(digits, images=digits.images.copy())
    made.images[digits.unseen] = half_one_picture(digits.images[digits.unseen])
    found = judge(evaluate(made.table(digits.unseen), digits_reference), IMAGES, GateConfig())
    (reason,) = [one for one in found.reasons if one.metric == "repeats"]
    assert reason.outcome == "block"
    assert "one picture is there" in reason.text


def rows_of(table, label):
    """Return how rows of a table are looked at: a function of a candidate."""
    third = table.num_rows // 3
    train, validation, holdout = (table.slice(start, third) for start in (0, third, 2 * third))
    splits = Splits(train=train, validation=validation, holdout=holdout, label=label)
    context = build_context(splits, Options(halves=20, replicates=20))
    repeats = RowRepeats(context, RowIdentity((train, validation, holdout), context.columns))
    return lambda rows: judged(repeats.measure(rows, context.sets(rows.num_rows)), TABLES)


def test_fifty_rows_again_and_again_are_blocked_and_named(customers):
    measure = rows_of(customers.train, "churned")
    chosen = np.random.default_rng(0).integers(50, size=800)
    outcome, text = measure(customers.unseen.take(chosen))
    assert outcome == "block"
    assert "synthetic rows equal another one of them, one row is there" in text
    assert measure(customers.unseen)[0] == "pass"


def test_numbers_that_no_real_row_has_are_told_apart():
    rng = np.random.default_rng(0)
    kinds = {"a": "float", "b": "float"}
    tables = [
        meant(pa.table(dict(zip("ab", rng.normal(size=(2, 600)), strict=True))), kinds)
        for _ in "12"
    ]
    assert rows_of(tables[0], None)(tables[1])[0] == "pass"


def test_a_table_of_few_values_repeats_as_real_rows_do():
    rng = np.random.default_rng(0)
    kinds = {"a": "category", "b": "category"}
    tables = [
        meant(pa.table({name: rng.choice(list("pqrs"), 600) for name in "ab"}), kinds) for _ in "12"
    ]
    assert rows_of(tables[0], None)(tables[1])[0] == "pass"
