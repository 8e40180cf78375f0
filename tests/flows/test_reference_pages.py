"""The reference pages are made from the models, complete, and committed as made."""

import json
from pathlib import Path

import pytest
import yaml

from flows.cli.app import execute
from flows.errors import EXIT_CODES, MEANINGS
from flows.recipe import Recipe
from flows.reference import (
    PAGES,
    error_sentences,
    recipe_page,
    sentences,
    settings_page,
    variable,
    write_pages,
)
from storage.stores.settings import Settings, StorageProfile

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_committed_page_is_what_the_code_says(name):
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run `python -m flows.reference docs`"


def paths(schema, definitions, prefix=""):
    for name, inner in schema["properties"].items():
        below = definitions.get(inner.get("$ref", "").rsplit("/", 1)[-1])
        if below is None:
            yield f"{prefix}{name}"
        else:
            yield from paths(below, definitions, f"{prefix}{name}.")


def test_every_key_is_there_with_a_meaning():
    schema = Recipe.model_json_schema()
    rows = [line for line in recipe_page().splitlines() if line.startswith("| `")]
    listed = [row.split("`")[1] for row in rows]
    assert sorted(listed) == sorted(paths(schema, schema["$defs"]))
    assert not [row for row in rows if row.rstrip(" |").count(" | ") < 3]


def test_every_variable_is_there():
    text = settings_page()
    for name in StorageProfile.model_fields:
        assert f"__{name.upper()}`" in text
    for name in set(Settings.model_fields) - {"storage"}:
        assert f"`{variable(name, Settings.model_fields[name])}`" in text


def test_complete_recipe_is_the_default_one():
    block = recipe_page().split("```yaml\n")[-1].split("```")[0]
    recipe = Recipe.model_validate(yaml.safe_load(block))
    assert recipe == Recipe(name="digits", source={"uri": "example:digits"})


def test_pages_are_written(tmp_path):
    write_pages(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)
    assert (tmp_path / "recipe.md").read_text(encoding="utf-8") == recipe_page()


def test_errors_are_found_where_they_are_made(capsys):
    found = {(name, text) for name, text in sentences() if len(text) > 20}
    assert len(found) > 80
    assert any("set source.resize" in text for name, text in found if name == "SourceError")
    assert execute(["errors"]) == 0
    text = capsys.readouterr().out
    for code in (2, 3, 4, 5, 6):
        assert f"Exit code {code}: {MEANINGS[code]}" in text
    assert execute(["errors", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["exit_code"] for one in listed] == [one.exit_code for one in error_sentences()]
    assert {one["sentence"] for one in listed} <= {text for _, text in sentences()}
    assert all(f"  {one['sentence']}\n" in text for one in listed)


def test_every_exit_code_has_a_meaning():
    assert set(EXIT_CODES.values()) | {0, 1} == set(MEANINGS)
