"""A run on demand names a recipe: found among the deployments, or refused with their names."""

from types import SimpleNamespace

import pytest

from flows.errors import RecipeError
from flows.tracked import on_demand


class Known(dict):
    """Deployments of today, and those that were made by an earlier version."""

    def __init__(self):
        super().__init__()
        self.former = {}


@pytest.fixture
def known(monkeypatch):
    """Deployments by name, as Prefect would list them; those of an earlier version in `former`."""
    parameters = Known()

    def read(flow_name, *, tag):
        assert tag == "ganmill", "a server may have other users"
        found = {"run": parameters, "nightly": parameters.former}[flow_name]
        return [SimpleNamespace(name=name, parameters=each) for name, each in found.items()]

    monkeypatch.setattr(on_demand, "read_deployments", read)
    return parameters


def test_the_parameters_of_the_deployment_are_the_recipe(known):
    known["digits"] = {"recipe": {"name": "digits", "source": {"uri": "example:digits"}}}
    known["other"] = {"recipe": {"name": "other", "source": {"uri": "s3://bucket/x"}, "seed": 5}}
    assert on_demand.deployed_recipe("other").seed == 5
    recipes, faults = on_demand.deployed_recipes()
    assert ([recipe.name for recipe in recipes], faults) == (["digits", "other"], [])


def test_one_wrong_deployment_keeps_no_other_from_being_looked_after(known):
    known["a"] = {"recipe": {"name": "a", "source": {"uri": "example:digits"}, "sede": 1}}
    known["b"] = {"recipe": {"name": "b", "source": {"uri": "example:digits"}}}
    recipes, faults = on_demand.deployed_recipes()
    assert [recipe.name for recipe in recipes] == ["b"]
    (fault,) = faults
    assert fault.startswith("left out: deployment run/a: the key `sede` is unknown")


def test_an_unknown_name_lists_the_known_ones(known):
    known |= {"b": {}, "a": {}}
    with pytest.raises(RecipeError, match=r"^no recipe 'c' is deployed; deployed are: a, b$"):
        on_demand.deployed_recipe("c")


def test_without_any_deployment_the_remedy_is_named(known):
    with pytest.raises(RecipeError, match="none, run `ganmill deploy` first"):
        on_demand.deployed_recipe("digits")


def test_parameters_that_are_no_recipe_are_named_with_their_deployment(known):
    known["a"] = {"recipe": {"name": "a", "source": {"uri": "example:digits"}, "sede": 1}}
    with pytest.raises(RecipeError, match=r"deployment run/a: the key `sede` is unknown"):
        on_demand.deployed_recipe("a")


def test_what_was_changed_in_the_short_form_s_parameters_is_deployed(known):
    recipe = {"name": "a", "source": {"uri": "example:digits"}}
    known["a"] = {"recipe": recipe, "samples": 7, "approval": "always"}
    known["a (all settings)"] = {"recipe": recipe}
    ((found,), _) = on_demand.deployed_recipes()
    assert (found.synthesis.samples, found.gate.approval) == (7, "always")


def test_a_deployment_of_an_earlier_version_is_found_until_there_is_another(known):
    recipe = {"name": "a", "source": {"uri": "example:digits"}}
    known.former["a"] = {"recipe": recipe | {"seed": 1}}
    known.former["b"] = {"recipe": recipe | {"name": "b"}}
    known["a"] = {"recipe": recipe | {"seed": 2}}
    assert on_demand.deployed_recipe("a").seed == 2
    assert on_demand.deployed_recipe("b").name == "b"
