"""Reading recipes: what is accepted, and one sentence for everything that is not."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import RecipeError
from flows.recipe import Recipe, apply_change, load_recipe, parse_recipe

RECIPES = sorted((Path(__file__).parents[2] / "deployments" / "recipes").glob("*.yaml"))
MINIMAL = {"name": "mine", "source": {"uri": "example:digits"}}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_named_after_its_file(path):
    assert load_recipe(path).name == path.stem


def test_name_and_source_are_all_it_takes():
    recipe = parse_recipe(MINIMAL)
    assert (recipe.synthesis.samples, recipe.gate.on_reject) == (10_000, "keep-champion")
    assert (recipe.output.lake, recipe.privacy.min_group) == ("./lake", 10)


@pytest.mark.parametrize("text", ["no", "false", "'no'"])
def test_nothing_is_required_of_lift_by_no_and_by_false(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nsource: {{uri: x}}\ngate: {{require_lift: {text}}}\n")
    assert load_recipe(path).gate.require_lift == "no"


def test_what_is_required_of_lift_is_measured():
    raw = MINIMAL | {"gate": {"require_lift": "positive"}, "lift": {"when": "never"}}
    with pytest.raises(RecipeError, match="so that no generator could show it; set"):
        parse_recipe(raw)


def test_a_recipe_is_itself_when_written_out_in_full():
    for gate in ({}, {"bounds": [{"metric": "fd", "pass": 3}]}):
        recipe = parse_recipe(MINIMAL | {"gate": gate})
        assert parse_recipe(json.loads(recipe.model_dump_json())) == recipe
        assert parse_recipe(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.budget_sampels=5", "did you mean `training.budget_samples`?"),
        ("trainig.budget_samples=5", "`trainig` is unknown; did you mean `training`?"),
        ("output.colour=red", "`output.colour` is unknown; known here: lake, storage, format"),
        ("training.budget_samples=0", "`training.budget_samples` is 0, but must be greater"),
        ("training.batch_size=big", "`training.batch_size` is 'big', but must be"),
        ("engine.workers=0", "`engine.workers` is 0, but must be greater than or equal to 1"),
        (
            "output.format=webdataset",
            "`output.format` is 'webdataset', but must be 'parquet', 'parquet-raw', 'csv'",
        ),
        ("name=Über", "`name` is 'Über', but must match pattern"),
        ("seed=-1", "`seed` is -1, but must be greater than or equal to 0"),
        ("source.split.holdout=1.5", "`source.split.holdout` is 1.5, but must be less than 1"),
        ("source.uri=", "`source.uri` is None, but must be a valid string"),
        ("engine=local", "`engine` is 'local', but must be a valid dictionary"),
        ("training.every=night", "`training.every` is unknown"),
        ("gate.fd_pass=3", "the key `gate.fd_pass` is unknown; write bounds as a list: bounds: ["),
        ("gate.spread_min=0", "`gate.spread_min` is unknown; write bounds as a list"),
        ("synthesis.truncation=0.7", "is unknown; it is `generator.truncation`, because what is"),
        ("source.sums=named", "is unknown; `source.structure` says it now: found, named or off"),
        ("gate.aprove=always", "did you mean `gate.approval`?"),
        ("gate.bounds=[{metric: fd}]", "`gate.bounds[0]` is {'metric': 'fd'}, but must give pass"),
        ("gate.bounds=[{metric: fd, pas: 1}]", "did you mean `gate.bounds[0].pass`?"),
        (
            "gate.bounds=[{metric: fd, pass: -1}]",
            "`gate.bounds[0].pass` is -1, but must be",
        ),
        (
            "gate.bounds=[{metric: fd, pass: 1}, {metric: fd, block: 2}]",
            "but must name every metric once, and has fd more than once",
        ),
    ],
)
def test_a_wrong_value_is_one_sentence_with_its_path(tmp_path, change, sentence):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, [change])
    text = str(caught.value)
    assert sentence in text
    assert text.startswith(str(path))
    assert "\n" not in text


def test_a_mistake_in_a_list_names_its_place():
    raw = MINIMAL | {"synthesis": {"class_fractions": [{"label": "a", "fraction": 2}]}}
    with pytest.raises(RecipeError, match=r"`synthesis.class_fractions\[0\].fraction` is 2"):
        parse_recipe(raw)


def test_more_mistakes_are_counted():
    with pytest.raises(RecipeError, match=r"\(and 2 more mistakes\)"):
        parse_recipe(MINIMAL | {"seed": -1, "sed": 1, "engine": {"workers": 0}})


def test_what_is_missing_is_named():
    with pytest.raises(RecipeError, match="the key `source` is missing"):
        parse_recipe({"name": "mine"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds NoneType, not keys and values"),
        ("- a\n- b", "holds list, not keys and values"),
        ("name: [", "is not YAML"),
        ("a: b: c", "is not YAML: mapping values are not allowed here in line 1"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path, text, sentence):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot be read .* `ganmill init` writes one"):
        load_recipe(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not UTF-8"):
        load_recipe(binary)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("a.b=1", {"a": {"b": 1, "c": 2}}),
        ("a.b=1.5", {"a": {"b": 1.5, "c": 2}}),
        ("a.b=null", {"a": {"b": None, "c": 2}}),
        ("a.b=", {"a": {"b": None, "c": 2}}),
        ("a.b=x=y", {"a": {"b": "x=y", "c": 2}}),
        ("a.b=[1, 2]", {"a": {"b": [1, 2], "c": 2}}),
        ("d.e.f=true", {"a": {"c": 2}, "d": {"e": {"f": True}}}),
        ("a.b=*.png", {"a": {"b": "*.png", "c": 2}}),
    ],
)
def test_a_change_sets_one_value(change, expected):
    raw = {"a": {"c": 2}}
    apply_change(raw, change)
    assert raw == expected


@pytest.mark.parametrize("change", ["a.b", "=3", "a..b=1", "a.c.d=1"])
def test_a_change_that_is_none(change):
    with pytest.raises(RecipeError, match="--set"):
        apply_change({"a": {"c": 2}}, change)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_whatever_a_recipe_holds_the_answer_is_a_recipe_or_a_sentence(value):
    for raw in ({"name": value}, {"source": value}, {"training": {"budget_samples": value}}):
        try:
            assert isinstance(parse_recipe(MINIMAL | raw), Recipe)
        except RecipeError:
            continue
