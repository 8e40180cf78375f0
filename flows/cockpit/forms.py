"""The run forms of a recipe's deployments: JSON schemas that Prefect's UI draws.

Nothing is required, so that *Quick run* runs: every field has the recipe's own value for its
default. A field that says something of another kind of records is left out as long as the recipe
leaves it alone. What a form leaves out keeps its value, as Prefect adds the deployment's parameters
to those of a run, and a whole recipe is taken as parameter by every form: its keys are known even
where they are not shown.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from prefect.utilities.callables import parameter_schema

from flows.recipe import Recipe
from flows.tracked.nightly import nightly_flow
from flows.tracked.short_form import FRACTIONS, KNOBS, Knob, knob_values, value_at
from storage.errors import StorageError
from storage.records.modalities import MODALITIES
from storage.sources.config import SourceConfig
from storage.sources.open import open_source
from storage.stores.settings import load_profile

WHOLE = "recipe"
"""The parameter that holds the whole recipe."""


def short_form(recipe: Recipe, modality: str | None) -> dict[str, Any]:
    """Return the form with the knobs alone; the whole recipe stays a parameter, unseen."""
    whole = whole_form(recipe, modality)
    values = knob_values(recipe)
    fields = {
        name: _knob_field(whole, knob, values[name], position)
        for position, (name, knob) in enumerate(KNOBS.items())
    }
    if recipe.synthesis.balance != FRACTIONS:
        choices = fields["balance"]["enum"]
        fields["balance"]["enum"] = [one for one in choices if one != FRACTIONS]
    return {"title": "Parameters", "type": "object", "properties": fields}


def whole_form(recipe: Recipe, modality: str | None) -> dict[str, Any]:
    """Return the form with every setting of a recipe that its kind of records has.

    Args:
        recipe: what the fields show.
        modality: of its records; None when it is not known, then every field is shown.
    """
    form = deepcopy(dict(parameter_schema(nightly_flow.fn).model_dump(exclude_unset=True)))
    form.pop("required", None)
    models = form["definitions"]
    values = recipe.model_dump(mode="json")
    _fill(models, models[Recipe.__name__], values, _other_keys(modality))
    form["properties"][WHOLE]["default"] = values
    if modality is not None:
        output = _model(models, models[Recipe.__name__]["properties"]["output"])
        field = output["properties"]["format"]
        kept = {*MODALITIES[modality].formats, recipe.output.format}
        field["enum"] = [one for one in field["enum"] if one in kept]
    _drop_unused(form)
    return form


def find_modality(recipe: Recipe) -> str | None:
    """Return what the records of a recipe are; None where this machine cannot tell.

    The recipe says it, or the source is looked into; where that is elsewhere, settings in the
    recipe that not all kinds of records have spare the look: of several kinds that have them the
    last one takes what the others leave. A store is asked once: a machine that deploys need not
    have access to it.
    """
    source, said = recipe.source, _kinds_said(recipe)
    if source.modality in MODALITIES:
        return source.modality
    hint = said[-1] if said else None
    if hint is not None and "://" in source.uri:
        return hint
    try:
        profile = load_profile(source.storage).model_copy(update={"retry_deadline_s": 0.0})
        return open_source(source, profile).modality
    except (StorageError, OSError):
        return hint


def _kinds_said(recipe: Recipe) -> list[str]:
    """Return the kinds of records that have all settings that only some kinds have and it sets."""
    plain = Recipe(name=recipe.name, source=SourceConfig(uri=recipe.source.uri))
    here, there = recipe.model_dump(mode="json"), plain.model_dump(mode="json")
    said = {
        key
        for row in MODALITIES.values()
        for key in row.own_keys
        if value_at(here, key.split(".")) != value_at(there, key.split("."))
    }
    return [name for name, row in MODALITIES.items() if said and said <= {*row.own_keys}]


def _other_keys(modality: str | None) -> set[str]:
    """Return the keys that only records of another kind have."""
    if modality is None:
        return set()
    keys = {name: set(row.own_keys) for name, row in MODALITIES.items()}
    return set().union(*keys.values()) - keys[modality]


def _fill(
    models: Mapping[str, Any],
    model: dict[str, Any],
    values: Mapping[str, Any],
    hidden: set[str],
    above: str = "",
) -> None:
    """Give every field of a model, and of those below, its value as default; drop the hidden."""
    model.pop("required", None)
    if not model.pop("additionalProperties", True):
        model["propertyNames"] = {"enum": list(model["properties"])}
    for name, field in list(model["properties"].items()):
        path, below = f"{above}{name}", _model(models, field)
        if path in hidden and field.get("default") == values[name]:
            del model["properties"][name]
            continue
        field["default"] = values[name]
        if below is not None:
            _fill(models, below, values[name], hidden, f"{path}.")


def _model(models: Mapping[str, Any], field: Mapping[str, Any]) -> Any:
    """Return the model that a field is, None for a plain value or a list."""
    for node in (field, *field.get("allOf", ())):
        if "$ref" in node:
            return models[node["$ref"].rpartition("/")[2]]
    return None


def _knob_field(whole: Mapping[str, Any], knob: Knob, value: Any, position: int) -> dict[str, Any]:
    """Return a knob's field: that of the recipe, with a title that stands alone."""
    models = whole["definitions"]
    model = models[Recipe.__name__]
    *sections, key = knob.keys
    for section in sections:
        model = _model(models, model["properties"][section])
    field = deepcopy(model["properties"][key])
    title = {"title": knob.title} if knob.title else {}
    return {**field, **title, "default": value, "position": position}


def _drop_unused(form: dict[str, Any]) -> None:
    """Drop the models that only fields which were left out had."""
    models, known = form["definitions"], set[str]()
    todo = [form["properties"]]
    while todo:
        for name in _references(todo.pop()) - known:
            known.add(name)
            todo.append(models[name])
    form["definitions"] = {name: model for name, model in models.items() if name in known}


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = [_references(one) for one in node.values()]
        own = node.get("$ref")
        return set().union({own.rpartition("/")[2]} if isinstance(own, str) else set(), *found)
    if isinstance(node, list):
        return set().union(*map(_references, node))
    return set()
