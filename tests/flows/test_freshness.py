"""When training is due, and what the log says of it."""

from datetime import date

import pytest

from flows.recipe import parse_recipe
from flows.train import training_due, what_changed

VERSION = "20261118T031500Z-0123abcd"
TRAINED = {
    "algorithm_version": 1,
    "source_digest": "monday",
    "split_digest": "split",
    "generator": {"preset": "mlp"},
    "seed": 0,
}


def due(when="changed", *, night="2026-11-21", trained=TRAINED, champion=VERSION, **change):
    training = {"when": when, "interval_days": 7}
    recipe = parse_recipe(
        {"name": "mine", "source": {"uri": "example:digits"}, "training": training}
    )
    return training_due(recipe, date.fromisoformat(night), champion, trained, TRAINED | change)


@pytest.mark.parametrize("when", ["changed", "interval", "always"])
def test_without_a_champion_there_is_always_something_to_train(when):
    answer = due(when, champion=None)
    assert answer.is_due
    assert answer.why == "No generator of mine is champion yet: training"


def test_changed_waits_for_a_change():
    assert not due("changed").is_due
    answer = due("changed", source_digest="tuesday")
    assert answer.is_due
    assert answer.why == f"The source changed since champion {VERSION} was trained: training"


def test_always_is_due_on_a_champion_of_the_same_night():
    answer = due("always", night="2026-11-18")
    assert answer.is_due
    assert "the night 2026-11-18" in answer.why


@pytest.mark.parametrize("source", ["monday", "tuesday"])
@pytest.mark.parametrize(
    ("night", "is_due", "why"),
    [
        ("2026-11-17", False, "is 0 days old; training is due in 7 days"),
        ("2026-11-18", False, "is 0 days old; training is due in 7 days"),
        ("2026-11-21", False, "is 3 days old; training is due in 4 days"),
        ("2026-11-24", False, "is 6 days old; training is due in 1 day"),
        ("2026-11-25", True, "is 7 days old, and training is due after 7 days"),
        ("2026-12-25", True, "is 37 days old, and training is due after 7 days"),
    ],
)
def test_interval_waits_for_the_age_whatever_the_source(night, is_due, why, source):
    answer = due("interval", night=night, source_digest=source)
    assert answer.is_due is is_due
    assert answer.why == f"Champion {VERSION} {why}"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"generator": {"preset": "resnet"}}, "recipe's settings"),
        ({"seed": 1, "source_digest": "tuesday"}, "recipe's settings"),
        ({"split_digest": "other", "source_digest": "tuesday"}, "split rule"),
        ({"algorithm_version": 2}, "version of ganmill's algorithms"),
    ],
)
def test_interval_does_not_wait_when_something_else_was_asked_for(change, word):
    answer = due("interval", **change)
    assert answer.is_due
    assert answer.why == f"The {word} changed since champion {VERSION} was trained: training"


@pytest.mark.parametrize("when", ["changed", "interval"])
def test_a_champion_of_unknown_origin_does_not_spare_a_training(when):
    answer = due(when, trained={})
    assert answer.is_due
    assert "not on record" in answer.why


def test_a_part_that_one_of_two_trainings_lacks_is_a_change():
    assert what_changed(TRAINED, TRAINED) is None
    assert what_changed(TRAINED, TRAINED | {"new": 1}) == "recipe's settings"
    assert what_changed(TRAINED | {"old": 1}, TRAINED) == "recipe's settings"
