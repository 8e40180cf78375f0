"""The threshold is free: every arm has the one that does best on validation."""

import numpy as np
import pyarrow as pa
import pytest
from toy_task import MeansTask, request, rows

from gan.lift.arms import BASELINE, CHOSEN, PRIOR, TRAINED
from gan.lift.measure import measure_lift
from gan.lift.scoring import scoring_of
from gan.lift.task import Made

PRIORS = np.array([0.7, 0.2, 0.1])


def drawn(seed, count=1500):
    """Class indexes, and one number for each that tells of them."""
    numbers = np.random.default_rng(seed)
    classes = numbers.choice(3, count, p=PRIORS)
    return classes, numbers.normal(classes * 1.5, 1.0)


class Rare:
    """Three classes by their true probabilities; `fill` only makes rare ones said more often."""

    goal, what, classes = "classes", "class of kind", ("a", "b", "c")
    models = {"truth": "Knows the densities."}  # noqa: RUF012

    def __init__(self):
        self.splits = {"validation": drawn(1), "holdout": drawn(2)}

    def remedies(self, model):  # noqa: ARG002
        return {}

    def targets(self, split):
        return self.splits[split][0]

    def scores(self, model, data, seed):  # noqa: ARG002
        noise = np.random.default_rng(seed)
        shift = np.array([1.0, 1.0, 1.0]) if data.synthetic is None else 1 / PRIORS
        found = {}
        for split, (_, values) in self.splits.items():
            far = values[:, None] - 1.5 * np.arange(3) - noise.normal(0, 0.05)
            raised = np.exp(-(far**2) / 2) * PRIORS * shift
            found[split] = raised / raised.sum(axis=1, keepdims=True)
        return found


def test_what_only_moves_the_threshold_is_no_help():
    task = Rare()
    real = pa.table({"kind": ["a"] * 70 + ["b"] * 20 + ["c"] * 10})

    def make(wanted):
        count = wanted if isinstance(wanted, int) else sum(n for _, n in wanted)
        kinds = (
            ["a"] * count if isinstance(wanted, int) else [c for c, n in wanted for _ in range(n)]
        )
        return Made(pa.table({"kind": kinds}))

    lift = measure_lift(task, real, make, request())
    assert lift.effect.metric == "balanced_accuracy"
    assert abs(lift.effect.effect.value) < 0.01
    assert lift.answer == "no measurable effect"
    values = {arm.name: arm.validation["balanced_accuracy"].value for arm in lift.arms}
    assert values[BASELINE.name] > values[TRAINED] + 0.05
    assert values[BASELINE.name] >= values[PRIOR] > values[TRAINED]
    assert lift.effect.baseline > values[TRAINED] + 0.05
    (said,) = [note for note in lift.notes if "as trained" in note]
    assert f"{values[TRAINED]:.3f} as trained" in said
    assert lift.remedy.arm == "real twice", "a threshold is in the baseline, so it is no remedy"
    plain = {arm.name: arm.validation["brier"].value for arm in lift.arms}
    assert plain[BASELINE.name] == pytest.approx(plain[TRAINED]), "probabilities stay as trained"


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_of_two_classes_validation_says_the_boundary_and_the_order_stays(share):
    task = MeansTask(rows(400, 1, share=share), rows(400, 2, share=share))
    scoring, targets = scoring_of(task), task.targets("validation")
    numbers = np.random.default_rng(0)
    scores = {}
    for split in ("validation", "holdout"):
        yes = 1 / (1 + np.exp(4 - task.targets(split) - numbers.normal(0, 0.5, 400)))
        scores[split] = np.stack([1 - yes, yes], axis=1)  # nobody is said to be yes
    found = scoring.at_threshold(scores, targets, "chosen")
    recalls = scoring.recalls_of(task.targets("holdout"), found["holdout"])
    assert recalls.mean() > 0.7 > scoring.recalls_of(targets, scores["validation"]).mean()
    order = [np.argsort(one["holdout"][:, 1], kind="stable") for one in (scores, found)]
    assert np.array_equal(*order)
    assert scoring.at_threshold(scores, targets, "trained")["holdout"] is scores["holdout"]


def test_the_boundary_of_two_classes_is_shown_and_never_compared():
    task = MeansTask(rows(300, 1, share=0.1), rows(400, 2, share=0.1))
    train = rows(150, 5, share=0.1)

    def make(wanted):
        count = wanted if isinstance(wanted, int) else sum(n for _, n in wanted)
        return Made(rows(count, 6, share=0.3 if isinstance(wanted, int) else 1.0))

    lift = measure_lift(task, train, make, request())
    values = {arm.name: arm.validation for arm in lift.arms}
    assert TRAINED not in values
    better = values[CHOSEN]["balanced_accuracy"].value - values["real"]["balanced_accuracy"].value
    assert better > 0.05
    assert values[CHOSEN]["average_precision"] == values["real"]["average_precision"]
    assert lift.remedy.arm in ("real twice", "class weights")


def test_a_class_without_validation_records_is_never_favoured():
    task = Rare()
    for split, (classes, values) in task.splits.items():
        kept = classes != 2
        task.splits[split] = classes[kept], values[kept]
    scoring = scoring_of(task)
    assert scoring.scored.tolist() == [0, 1]
    count = len(task.targets("validation"))
    scores = {split: np.tile([0.6, 0.2, 0.2], (count, 1)) for split in ("validation", "holdout")}
    for threshold in ("prior", "chosen"):
        found = scoring.at_threshold(scores, task.targets("validation"), threshold)
        assert found["holdout"][0, 2] <= 0.2
