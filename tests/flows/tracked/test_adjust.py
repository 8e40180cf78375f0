"""The short form: what it changes of a recipe, and what it leaves alone."""

import pytest

from flows.errors import RecipeError
from flows.recipe import parse_recipe
from flows.tracked.short_form import AS_RECIPE, KNOBS, adjusted, knob_values, turned

RAW = {
    "name": "digits",
    "source": {"uri": "example:digits"},
    "training": {"budget_samples": None, "budget_s": 60.0, "batch_size": 64},
    "synthesis": {
        "samples": 100,
        "balance": "fractions",
        "class_fractions": [{"label": 1, "fraction": 1.0}],
        "seed": "night",
    },
    "seed": 3,
}


def test_an_untouched_form_is_the_recipe():
    recipe = parse_recipe(RAW)
    assert adjusted(recipe, knob_values(recipe)) == recipe


def test_what_is_changed_changes_and_the_rest_stays():
    recipe = parse_recipe(RAW)
    changes = {"samples": 7, "budget_samples": 50, "seed": 4, "lift": "never"}
    found = adjusted(recipe, knob_values(recipe) | changes)
    assert (recipe.lift.when, found.lift.when) == ("changed", "never")
    assert (found.synthesis.samples, found.training.budget_samples, found.seed) == (7, 50, 4)
    assert found.training.batch_size == 64
    assert found.synthesis.seed == "night"
    assert found.synthesis.class_fractions == recipe.synthesis.class_fractions


def test_another_balance_takes_the_fractions_away_and_fractions_need_some():
    recipe = parse_recipe(RAW)
    equal = adjusted(recipe, knob_values(recipe) | {"balance": "equal"})
    assert equal.synthesis.class_fractions == ()
    with pytest.raises(RecipeError, match=r"digits, adjusted: .*class_fractions"):
        adjusted(equal, knob_values(equal) | {"balance": "fractions"})


def test_another_balance_takes_away_what_fill_counts():
    recipe = parse_recipe(RAW | {"synthesis": {"balance": "fill", "fill_counts": "train"}})
    assert adjusted(recipe, knob_values(recipe)) == recipe
    equal = adjusted(recipe, knob_values(recipe) | {"balance": "equal"})
    assert (equal.synthesis.balance, equal.synthesis.fill_counts) == ("equal", "source")


def test_without_any_budget_a_sentence_says_so():
    recipe = parse_recipe(RAW)
    with pytest.raises(RecipeError, match="set at least one"):
        adjusted(recipe, knob_values(recipe) | {"budget_s": None})


def test_a_knob_that_nobody_turned_leaves_the_recipe_as_it_is():
    recipe = parse_recipe(RAW)
    assert adjusted(recipe, {}) == recipe
    assert adjusted(recipe, dict.fromkeys(KNOBS, AS_RECIPE)) == recipe
    assert turned(recipe, knob_values(recipe) | {"seed": 9}) == {"seed": 9}


def test_who_decides_and_another_name_are_changed_for_the_run():
    recipe = parse_recipe(RAW)
    changes = {"on_reject": "ask", "approval": "always", "name": "digits-trial"}
    found = adjusted(recipe, changes)
    assert (found.gate.on_reject, found.gate.approval) == ("ask", "always")
    assert found.name == "digits-trial"
    with pytest.raises(RecipeError, match=r"`name` is 'Not one'"):
        adjusted(recipe, {"name": "Not one"})
