"""The short form of a recipe: the few settings that a person changes for one run.

A run of the short form holds the whole recipe among its parameters and, beside it, the value of
every knob; what the knobs say goes before what the recipe says. A knob that is not given
(`AS_RECIPE`) leaves the recipe as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from flows.recipe import Recipe, parse_recipe

AsRecipe = Literal["as the recipe says"]
AS_RECIPE: Final = "as the recipe says"
"""The value of a knob that nobody has turned."""


@dataclass(frozen=True)
class Knob:
    """One field of the short form."""

    path: str
    """Of the setting in the recipe."""
    title: str = ""
    """In place of the recipe's own, where that says too little without its section."""

    @property
    def keys(self) -> list[str]:
        """The path, key by key."""
        return self.path.split(".")


KNOBS: Mapping[str, Knob] = {
    "samples": Knob("synthesis.samples"),
    "balance": Knob("synthesis.balance"),
    "synthesis_seed": Knob("synthesis.seed", "Seed of the synthesis"),
    "budget_samples": Knob("training.budget_samples"),
    "budget_s": Knob("training.budget_s"),
    "seed": Knob("seed", "Seed of training and evaluation"),
    "lift": Knob("lift.when", "Measure whether it helps"),
    "on_reject": Knob("gate.on_reject"),
    "approval": Knob("gate.approval"),
    "name": Knob("name", "Name of generator and data set"),
}
"""Parameter of the flow → the setting it changes, in the order of the form."""
FILL: Final = "fill"
"""The balance that `synthesis.fill_counts` is for."""
FRACTIONS: Final = "fractions"
"""The balance that needs `synthesis.class_fractions`, which the short form does not have."""


def knob_values(recipe: Recipe) -> dict[str, Any]:
    """Return what the short form of a recipe shows before anything is changed."""
    raw = recipe.model_dump(mode="json")
    return {name: value_at(raw, knob.keys) for name, knob in KNOBS.items()}


def value_at(raw: Mapping[str, Any], keys: list[str]) -> Any:
    """Return a value of nested plain values by its keys."""
    value: Any = raw
    for key in keys:
        value = value[key]
    return value


def turned(recipe: Recipe, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the knobs' values that differ from what the recipe says."""
    said = knob_values(recipe)
    given = {name: values.get(name, AS_RECIPE) for name in KNOBS}
    return {name: one for name, one in given.items() if one not in (AS_RECIPE, said[name])}


def adjusted(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Return a recipe with the values of the short form.

    Raises:
        RecipeError: they do not go together, or one is out of its range.
    """
    raw = recipe.model_dump(mode="json")
    for name, value in turned(recipe, values).items():
        *sections, key = KNOBS[name].keys
        value_at(raw, sections)[key] = value
    if raw["synthesis"]["balance"] != FRACTIONS:
        raw["synthesis"]["class_fractions"] = []
    if raw["synthesis"]["balance"] != FILL:
        raw["synthesis"].pop("fill_counts", None)
    return parse_recipe(raw, where=f"recipe {recipe.name}, adjusted")
