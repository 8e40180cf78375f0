"""A run on demand names a recipe: found among the deployments, or refused with their names."""

from types import SimpleNamespace

import pytest

from flows.errors import RecipeError
from flows.tracked import on_demand


@pytest.fixture
def known(monkeypatch):
    """Deployments by name, as Prefect would list them."""
    parameters = {}

    def read(flow_name):
        assert flow_name == "nightly"
        return [SimpleNamespace(name=name, parameters=each) for name, each in parameters.items()]

    monkeypatch.setattr(on_demand, "read_deployments", read)
    return parameters


def test_the_parameters_of_the_nightly_deployment_are_the_recipe(known):
    known["digits"] = {"recipe": {"name": "digits", "source": {"uri": "example:digits"}}}
    known["other"] = {"recipe": {"name": "other", "source": {"uri": "s3://bucket/x"}, "seed": 5}}
    assert on_demand.deployed_recipe("other").seed == 5
    assert [recipe.name for recipe in on_demand.deployed_recipes()] == ["digits", "other"]


def test_an_unknown_name_lists_the_known_ones(known):
    known |= {"b": {}, "a": {}}
    with pytest.raises(RecipeError, match=r"^no recipe 'c' is deployed; deployed are: a, b$"):
        on_demand.deployed_recipe("c")


def test_without_any_deployment_the_remedy_is_named(known):
    with pytest.raises(RecipeError, match="none, run `ganmill deploy` first"):
        on_demand.deployed_recipe("digits")


def test_parameters_that_are_no_recipe_are_named_with_their_deployment(known):
    known["a"] = {"recipe": {"name": "a", "source": {"uri": "example:digits"}, "sede": 1}}
    with pytest.raises(RecipeError, match=r"deployment nightly/a: the key `sede` is unknown"):
        on_demand.deployed_recipe("a")
