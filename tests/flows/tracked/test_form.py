"""What Prefect makes of every flow: a form that a person can fill in without a manual."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.utilities.schema_tools import ValidationError, validate

from flows.cockpit.deployments import DeploymentSpec
from flows.cockpit.forms import find_modality
from flows.cockpit.specs import ON_DEMAND_NAME, of_recipe, wanted
from flows.recipe import parse_recipe
from flows.tracked.housekeeping import TAG
from flows.tracked.short_form import KNOBS, knob_values
from storage.records.modalities import MODALITIES

RECIPE = parse_recipe({"name": "digits", "source": {"uri": "example:digits"}})
ROWS = parse_recipe(
    {
        "name": "rows",
        "source": {"uri": "example:breast-cancer", "label": "diagnosis"},
        "schedule": {"cron": "0 3 * * *"},
    }
)
AWAY = parse_recipe({"name": "away", "source": {"uri": "no/such/folder"}, "seed": 4})
EVERY = wanted([RECIPE, ROWS, AWAY])
MAX_BYTES = 400_000
"""Prefect's own limit is 512 kB for parameters."""

NAMES = ("digits", "rows", "away")
RECIPES = [one for one in EVERY if one.one_at_a_time]
each_of_a_recipe = pytest.mark.parametrize("one", RECIPES, ids=lambda one: one.full_name)
each_deployment = pytest.mark.parametrize("one", EVERY, ids=lambda one: one.full_name)


def test_every_flow_of_the_design_is_deployed():
    assert {one.full_name for one in EVERY} == {
        *(f"run/{name}{kind}" for name in NAMES for kind in ("", " (all settings)")),
        *(
            f"{flow}/{ON_DEMAND_NAME}"
            for flow in (
                "train",
                "evaluate",
                "lift",
                "tune",
                "synthesize",
                "promote",
                "rollback",
                "verify",
                "maintain",
            )
        ),
    }


def fields(form: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of a form by its path, those of nested models too."""
    models = form.get("definitions", {})

    def below(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, node in schema.get("properties", {}).items():
            yield f"{path}{name}", node
            for target in references(node):
                yield from below(models[target], f"{path}{name}.")

    yield from below(form, "")


def references(node: dict[str, Any]) -> list[str]:
    """Return the models that a field is made of: itself, or the entries of its list."""
    held = [node, *node.get("allOf", ()), node.get("items", {})]
    return [each["$ref"].rpartition("/")[2] for each in held if "$ref" in each]


@each_deployment
def test_every_field_has_a_title_and_a_help_text(one: DeploymentSpec):
    models = one.form.get("definitions", {})
    for path, node in fields(one.form):
        told = [node, *(models[name] for name in references(node))]
        title = next((each["title"] for each in told if each.get("title")), None)
        assert title, path
        assert title != path.rpartition(".")[2], f"{path} shows the bare name"
        assert any(each.get("description") for each in told), path


@each_deployment
def test_a_field_is_required_or_has_a_literal_default(one: DeploymentSpec):
    models = [one.form, *one.form.get("definitions", {}).values()]
    for model in models:
        for name, node in model.get("properties", {}).items():
            assert ("default" in node) != (name in model.get("required", ())), name


@each_deployment
def test_no_field_asks_for_json_or_a_secret_or_one_of_several_models(one: DeploymentSpec):
    for path, node in fields(one.form):
        branches = node.get("anyOf", [])
        assert not any("$ref" in branch for branch in branches), f"{path}: the form sends the first"
        for part in [node, *branches]:
            assert "$ref" in part or part.get("type") != "object", f"{path} is raw JSON"
            assert part.get("format") != "password", f"{path} would be stored"
            assert part.get("type") or "$ref" in part or branches, f"{path} takes anything"


@each_deployment
def test_numbers_and_required_texts_have_bounds(one: DeploymentSpec):
    for path, node in fields(one.form):
        for part in [node, *node.get("anyOf", [])]:
            if part.get("type") in ("integer", "number") and path not in UNBOUNDED:
                assert {"minimum", "exclusiveMinimum"} & set(part), f"{path} takes any number"


UNBOUNDED = {
    "synthesis_seed",
    "recipe.synthesis.seed",
    "recipe.synthesis.class_fractions.label",
    "recipe.source.constraints.low",
    "recipe.source.constraints.high",
    "recipe.source.constraints.offset",
}
"""Any whole number is a seed, a class may be called by any, and a column may hold any."""


@each_of_a_recipe
def test_nothing_of_a_recipe_is_required_and_every_default_is_the_recipe_s(one: DeploymentSpec):
    """*Quick run* of Prefect's UI opens the form where its schema requires anything."""
    assert "required" not in one.form
    whole = one.parameters["recipe"]
    for path, node in fields(one.form):
        name, _, below = path.partition(".")
        if name != "recipe":
            assert node["default"] == one.parameters[name], path
        elif below and not entry_of_a_list(one.form, below):
            value = whole
            for key in below.split("."):
                value = value[key]
            assert node["default"] == value, path
    models = one.form.get("definitions", {})
    parts = {name for _, node in fields(one.form) for name in references(node)}
    lists = {name for _, node in fields(one.form) for name in references(node.get("items", {}))}
    assert not [name for name in parts - lists if "required" in models[name]]


def entry_of_a_list(form: dict[str, Any], path: str) -> bool:
    """Say whether a field belongs to what a person adds to a list, which has no default."""
    above = path.rpartition(".")[0]
    return bool(above) and "items" in dict(fields(form)).get(f"recipe.{above}", {})


@each_of_a_recipe
def test_a_whole_recipe_is_taken_by_the_server_s_check(one: DeploymentSpec):
    """Deployments of earlier versions, and callers of the API, send every key."""
    whole = RECIPE.model_dump(mode="json") | {"seed": 5}
    validate(one.parameters | {"recipe": whole}, one.form, raise_on_error=True)
    if "recipe" in one.form["properties"]:
        with pytest.raises(ValidationError, match="sede"):
            validate({"recipe": whole | {"sede": 5}}, one.form, raise_on_error=True)
    assert one.flow.fn.__name__ in ("nightly_flow", "adjust_flow"), "what they name as entrypoint"


def keys(name: str) -> set[str]:
    return {path.partition(".")[2] for path, _ in fields(form_of(f"{name} (all settings)"))}


def test_a_form_shows_what_fits_its_kind_of_records():
    everything = keys("away")
    for row in MODALITIES.values():
        assert set(row.own_keys) <= everything, "where nobody knows what the records are"
    for name, modality in (("digits", "images"), ("rows", "tables")):
        others = {key for row in MODALITIES.values() for key in row.own_keys}
        others -= set(MODALITIES[modality].own_keys)
        assert others
        assert not {key for key in keys(name) if key.startswith(tuple(others))}
        assert set(MODALITIES[modality].own_keys) <= keys(name)
        formats = dict(fields(form_of(f"{name} (all settings)")))["recipe.output.format"]["enum"]
        assert set(formats) == set(MODALITIES[modality].formats)
    assert keys("digits").isdisjoint({"source.csv", "source.columns", "synthesis.given"})
    assert keys("rows").isdisjoint({"source.resize", "source.label_from"})


@pytest.mark.parametrize(
    ("source", "modality"),
    [
        ({"modality": "tables"}, "tables"),
        ({"columns": [{"name": "a", "kind": "float"}]}, "tables"),
        ({"resize": "32"}, "images"),
        ({"resize": "32", "structure": "named"}, None),
        ({}, None),
    ],
)
def test_a_recipe_says_its_kind_where_its_source_cannot_be_read(source, modality):
    recipe = parse_recipe({"name": "away", "source": {"uri": "no/such/folder"} | source})
    assert find_modality(recipe) == modality


OPENINGS = {"images": ("Image", "With pictures"), "tables": ("Table",)}
"""How the help text of a setting begins that is for one kind of records alone."""


@pytest.mark.parametrize("modality", OPENINGS)
def test_a_setting_that_says_it_is_of_one_kind_is_in_that_row(modality):
    found = {
        path.partition(".")[2]
        for path, node in fields(form_of("away (all settings)"))
        if node.get("description", "").startswith(OPENINGS[modality])
    }
    assert found <= set(MODALITIES[modality].own_keys)


def test_what_a_recipe_says_is_shown_whatever_its_kind():
    raw = {"name": "odd", "source": {"uri": "example:digits", "structure": "named"}}
    (_, whole), *_ = [of_recipe(parse_recipe(raw))]
    shown = {path for path, _ in fields(whole.form)}
    assert "recipe.source.structure" in shown
    assert "recipe.source.columns" not in shown


def test_only_what_is_scheduled_is_called_nightly():
    for one in RECIPES:
        said = {*one.tags, one.name, one.flow.name}
        assert ("nightly" in said) is (one.schedule is not None), one.full_name
    assert [one.name for one in RECIPES if one.schedule] == ["rows"]


def test_the_deployments_of_one_recipe_are_told_apart():
    for name in NAMES:
        short, whole = (one for one in RECIPES if name in one.tags)
        assert short.name != whole.name
        assert set(whole.tags) - set(short.tags) == {"all settings"}
        assert short.description.startswith(f"**{name}, short form.**")
        assert whole.description.startswith(f"**{name}, all settings.**")


@each_deployment
def test_parameters_are_complete_valid_and_small(one: DeploymentSpec):
    assert len(json.dumps(one.parameters)) + len(json.dumps(one.form)) < MAX_BYTES
    known = set(one.form["properties"])
    if one.one_at_a_time:
        assert set(one.parameters) == known | {"recipe"}
        validate(one.parameters, one.form, raise_on_error=True)
        assert parse_recipe(one.parameters["recipe"]) in (RECIPE, ROWS, AWAY)
    else:
        assert one.parameters == {}


@each_deployment
def test_a_deployment_says_what_it_does_and_whose_it_is(one: DeploymentSpec):
    assert one.tags[0] == TAG
    doc = inspect.getdoc(one.flow.fn)
    assert doc.splitlines()[0] in one.description
    assert not {"Args:", "Raises:"} & set(one.description.splitlines())
    module, _, function = one.entrypoint.rpartition(".")
    assert (module, function) == (one.flow.fn.__module__, one.flow.fn.__name__)
    assert module.startswith("flows.tracked.")


@each_deployment
def test_the_flow_takes_every_field_of_the_form(one: DeploymentSpec):
    assert set(one.form["properties"]) <= set(inspect.signature(one.flow.fn).parameters)


def test_the_short_form_shows_the_recipe_and_bounds_what_it_bounds():
    short = dict(fields(form_of("digits")))
    whole = {
        path.partition(".")[2]: node for path, node in fields(form_of("digits (all settings)"))
    }
    assert list(short) == list(KNOBS)
    told = {"title", "position"}
    for name, knob in KNOBS.items():
        here = {key: value for key, value in short[name].items() if key not in told}
        there = {key: value for key, value in whole[knob.path].items() if key not in told}
        if name == "balance":
            there["enum"] = [one for one in there["enum"] if one != "fractions"]
        assert here == there, name
    assert knob_values(RECIPE) == {name: node["default"] for name, node in short.items()}


def test_the_balance_of_fractions_is_offered_where_the_recipe_has_some():
    raw = {
        "name": "parts",
        "source": {"uri": "example:digits"},
        "synthesis": {"balance": "fractions", "class_fractions": [{"label": 1, "fraction": 1}]},
    }
    short, _ = of_recipe(parse_recipe(raw))
    assert "fractions" in short.form["properties"]["balance"]["enum"]
    assert "fractions" not in form_of("digits")["properties"]["balance"]["enum"]


def form_of(name: str) -> dict[str, Any]:
    return next(one.form for one in EVERY if one.name == name)
