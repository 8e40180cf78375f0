"""Recipes that are to be deployed: found, told apart, independent of the folder."""

import pytest
import yaml

from flows.cockpit.recipes import find_recipes, sift_recipes
from flows.cockpit.specs import sift_schedules, wanted
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


WRONG = {
    "misspelt.yaml": ("name: misspelt\nsorce: {uri: x}\n", "the key `sorce` is unknown"),
    "range.yaml": ("name: range\nsource: {uri: x}\nseed: -1\n", "`seed` is -1"),
    "broken.yaml": ("name: [\n", "is not YAML"),
    "binary.yaml": (b"\xff\xfe\x00", "is not UTF-8"),
    "day.yaml": ("name: day\nsource: {uri: 2026-02-30}\n", "day is out of range"),
    "list.yaml": ("- name\n", "holds list"),
}


def test_one_wrong_recipe_takes_no_other_with_it(tmp_path):
    write(tmp_path, "a.yaml", name="a")
    write(tmp_path, "z.yaml", name="z")
    for file, (content, _) in WRONG.items():
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / file).write_bytes(data)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    found = sift_recipes(tmp_path)
    assert [recipe.name for recipe in found.recipes] == ["a", "z"]
    assert len(found.faults) == len(WRONG) + 2
    for file, (_, words) in WRONG.items():
        (fault,) = [one for one in found.faults if f"{tmp_path / file}" in one.sentence]
        assert words in fault.sentence
        assert "\n" not in fault.sentence
    assert {"misspelt", "range"} <= {fault.name for fault in found.faults}
    with pytest.raises(RecipeError, match=r"misspelt\.yaml"):
        find_recipes(tmp_path)


def test_of_two_recipes_of_one_name_neither_is_taken_and_the_others_are(tmp_path):
    for file, name in (("a.yaml", "same"), ("b.yaml", "same"), ("c.yaml", "other")):
        write(tmp_path, file, name=name)
    found = sift_recipes(tmp_path)
    assert [recipe.name for recipe in found.recipes] == ["other"]
    (fault,) = found.faults
    assert fault.name == "same"
    assert "both have the name 'same'" in fault.sentence


def test_a_recipe_that_is_named_alone_must_be_right(tmp_path):
    (tmp_path / "misspelt.yaml").write_text(WRONG["misspelt.yaml"][0])
    with pytest.raises(RecipeError, match="the key `sorce` is unknown"):
        sift_recipes(tmp_path / "misspelt.yaml")
    assert not sift_recipes(tmp_path).recipes


def test_a_schedule_that_prefect_cannot_read_takes_no_other_with_it(tmp_path):
    write(tmp_path, "a.yaml", name="a", schedule={"cron": "0 3 * * *"})
    write(tmp_path, "b.yaml", name="b", schedule={"cron": "99 3 * * *"})
    found = sift_recipes(tmp_path)
    sifted = sift_schedules(found)
    assert [recipe.name for recipe in sifted.recipes] == ["a"]
    (fault,) = sifted.faults
    assert fault.name == "b"
    assert "`schedule.cron` is '99 3 * * *', which Prefect cannot read" in fault.sentence
    with pytest.raises(RecipeError, match="recipe b: `schedule"):
        wanted(found.recipes)
