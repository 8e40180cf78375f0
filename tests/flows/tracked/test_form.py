"""What Prefect makes of every flow: a form that a person can fill in without a manual."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flows.cockpit.deployments import DeploymentSpec
from flows.cockpit.specs import ON_DEMAND_NAME, wanted
from flows.recipe import Recipe, parse_recipe
from flows.tracked.housekeeping import TAG
from flows.tracked.on_demand import adjust_flow, form_values

RECIPE = parse_recipe({"name": "digits", "source": {"uri": "example:digits"}})
EVERY = wanted([RECIPE])
MAX_BYTES = 400_000
"""Prefect's own limit is 512 kB for parameters."""

each_deployment = pytest.mark.parametrize("one", EVERY, ids=lambda one: one.full_name)


def test_every_flow_of_the_design_is_deployed():
    assert {one.full_name for one in EVERY} == {
        "nightly/digits",
        "adjust/digits",
        *(
            f"{flow}/{ON_DEMAND_NAME}"
            for flow in (
                "train",
                "evaluate",
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
}
"""Any whole number is a seed, a class may be called by any, and a column may hold any."""


@each_deployment
def test_parameters_are_complete_valid_and_small(one: DeploymentSpec):
    assert len(json.dumps(one.parameters)) + len(json.dumps(one.form)) < MAX_BYTES
    known = set(one.form["properties"])
    if one.one_at_a_time:
        assert set(one.parameters) == known
        valid = one.flow.validate_parameters(dict(one.parameters))
        dumped = {
            name: value.model_dump(mode="json") if isinstance(value, Recipe) else value
            for name, value in valid.items()
        }
        assert dumped == one.parameters
    else:
        assert one.parameters == {}


@each_deployment
def test_a_deployment_says_what_it_does_and_whose_it_is(one: DeploymentSpec):
    assert one.tags == [TAG, one.name]
    doc = inspect.getdoc(one.flow.fn)
    assert one.description.startswith(doc.splitlines()[0])
    assert not {"Args:", "Raises:"} & set(one.description.splitlines())
    module, _, function = one.entrypoint.rpartition(".")
    assert (module, function) == (one.flow.fn.__module__, one.flow.fn.__name__)
    assert module.startswith("flows.tracked.")


def test_the_short_form_shows_the_recipe_and_bounds_what_it_bounds():
    short = dict(fields(form_of(adjust_flow.name)))
    whole = {path.partition(".")[2]: node for path, node in fields(form_of("nightly"))}
    same = {
        "samples": "synthesis.samples",
        "balance": "synthesis.balance",
        "synthesis_seed": "synthesis.seed",
        "budget_samples": "training.budget_samples",
        "budget_s": "training.budget_s",
        "seed": "seed",
    }
    assert set(short) == {"recipe", *same}
    told = {"title", "description", "position"}
    for name, path in same.items():
        here = {key: value for key, value in short[name].items() if key not in told}
        there = {key: value for key, value in whole[path].items() if key not in told}
        assert here == there, name
    assert form_values(RECIPE) == {
        "recipe": "digits",
        **{name: node["default"] for name, node in short.items() if name != "recipe"},
    }


def form_of(flow: str) -> dict[str, Any]:
    return next(one.form for one in EVERY if one.flow.name == flow)
