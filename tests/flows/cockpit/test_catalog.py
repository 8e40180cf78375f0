"""Recipes that are to be deployed: found, told apart, independent of the folder."""

import pytest
import yaml

from flows.cockpit.recipes import find_recipes
from flows.errors import RecipeError
from flows.recipe import ScheduleConfig


def write(folder, file, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    recipe = {"name": "digits", "source": {"uri": "example:digits"}, **changes}
    (folder / file).write_text(yaml.safe_dump(recipe))


def test_local_paths_become_absolute_and_uris_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = {"uri": "photos", "split": {"holdout_uri": "s3://bucket/test"}}
    write(tmp_path / "recipes", "a.yaml", source=source, output={"lake": "./lake"})
    (recipe,) = find_recipes(tmp_path / "recipes")
    assert recipe.source.uri == str(tmp_path / "photos")
    assert recipe.source.split.holdout_uri == "s3://bucket/test"
    assert recipe.output.lake == str(tmp_path / "lake")


def test_an_example_stays_and_a_change_reaches_every_recipe(tmp_path):
    write(tmp_path, "b.yaml", name="b")
    write(tmp_path, "a.yml", name="a")
    found = find_recipes(tmp_path, ["output.lake=s3://bucket/lake"])
    assert [recipe.name for recipe in found] == ["a", "b"]
    assert {recipe.source.uri for recipe in found} == {"example:digits"}
    assert {recipe.output.lake for recipe in found} == {"s3://bucket/lake"}


def test_two_recipes_of_one_name_and_no_recipe_are_refused(tmp_path):
    write(tmp_path / "two", "a.yaml")
    write(tmp_path / "two", "b.yaml")
    with pytest.raises(RecipeError, match=r"a\.yaml and .*b\.yaml both have the name 'digits'"):
        find_recipes(tmp_path / "two")
    with pytest.raises(RecipeError, match="there is no recipe in"):
        find_recipes(tmp_path / "none")


@pytest.mark.parametrize(
    ("schedule", "words"),
    [({"cron": "0 3 * *"}, "4 fields"), ({"timezone": "Mars/Base"}, "Mars/Base")],
)
def test_a_schedule_that_cannot_be_meant_is_refused(schedule, words):
    with pytest.raises(ValueError, match=words):
        ScheduleConfig(**schedule)
