"""The rules that keep the recipe usable as a form: literal defaults, titles, no ambiguity."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from flows.recipe import Recipe

SCHEMA = Recipe.model_json_schema()


def models(model: type[BaseModel] = Recipe) -> Iterator[type[BaseModel]]:
    """Yield a model and every model below it."""
    yield model
    for field in model.model_fields.values():
        yield from (found for part in parts(field.annotation) for found in models(part))


def parts(annotation: Any) -> list[type[BaseModel]]:
    inside = [annotation, *getattr(annotation, "__args__", ())]
    return [part for part in inside if isinstance(part, type) and issubclass(part, BaseModel)]


FIELDS = [
    pytest.param(model, name, field, id=f"{model.__name__}.{name}")
    for model in dict.fromkeys(models())
    for name, field in model.model_fields.items()
]


@pytest.mark.parametrize(("model", "name", "field"), FIELDS)
def test_every_field_is_fit_for_the_form(model, name: str, field: FieldInfo):
    assert field.default_factory is None, "a default_factory shows an empty field"
    assert field.title, "the form shows the title"
    assert field.description, "the docstring below the field is the form's help"
    models_inside = parts(field.annotation)
    alternatives = getattr(field.annotation, "__args__", ())
    is_list = getattr(field.annotation, "__origin__", None) in (tuple, list)
    assert not models_inside or is_list or not alternatives, "the form sends the first branch"
    assert field.annotation is not SecretStr, "a secret would be shown and stored"


@pytest.mark.parametrize("model", list(dict.fromkeys(models())), ids=lambda model: model.__name__)
def test_every_model_is_frozen_and_strict(model):
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == "forbid"


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def test_no_free_dictionary_is_in_the_schema():
    for node in nodes(SCHEMA):
        if node.get("type") == "object":
            assert node.get("additionalProperties") is False
            assert "properties" in node


def test_no_union_holds_a_model():
    for node in nodes(SCHEMA):
        assert not any("$ref" in branch for branch in node.get("anyOf", ()))


def test_only_name_and_uri_are_asked_for():
    assert SCHEMA["required"] == ["name", "source"]
    assert SCHEMA["$defs"]["SourceConfig"]["required"] == ["uri"]


def test_every_default_is_literal_in_the_schema():
    for name, node in SCHEMA["properties"].items():
        assert "default" in node or name in SCHEMA["required"]


def test_the_form_stays_small():
    assert len(Recipe.model_json_schema().__repr__()) < 100_000
