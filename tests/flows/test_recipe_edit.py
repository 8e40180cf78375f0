"""Editing a recipe's text: a few settings change, everything else stays."""

import pytest

from flows.errors import RecipeError
from flows.recipe import parse_recipe
from flows.recipe_edit import edited
from flows.recipe_yaml import parse_yaml

TEXT = """\
# the shop's nights
name: shop          # of everything
source: {uri: "s3://bucket/a", label: 'y'}
generator:
  # tried before: 2.0
  gamma: 1.0   # steady
synthesis:
  balance: fractions
  class_fractions:
    - {label: a, fraction: 0.5}
    - {label: b, fraction: 0.5}
seed: 0
"""


def test_a_setting_changes_and_comments_quotes_and_lists_stay():
    settings = {"generator.gamma": 0.5, "generator.width": 64, "training.batch_size": 32}
    text = edited(TEXT, settings)
    for line in TEXT.splitlines():
        assert ("gamma: 1.0" in line) or line in text.splitlines(), line
    assert "  gamma: 0.5   # steady" in text
    recipe = parse_recipe(parse_yaml(text))
    assert (recipe.generator.gamma, recipe.generator.width) == (0.5, 64)
    assert recipe.training.batch_size == 32
    assert recipe.source == parse_recipe(parse_yaml(TEXT)).source


def test_changes_come_first_and_a_head_stands_on_top():
    text = edited(TEXT, {"generator.gamma": 0.5}, ["generator.gamma=9", "seed=7"], "made by hand")
    assert text.startswith("# made by hand\n# the shop's nights\n")
    recipe = parse_recipe(parse_yaml(text))
    assert (recipe.generator.gamma, recipe.seed) == (0.5, 7)


@pytest.mark.parametrize(
    "text",
    [
        "name: a\nsource: {uri: x}\ngenerator:\n",
        "name: a\nsource: {uri: x}",
        "{name: a, source: {uri: x}, generator: {preset: mlp}}",
        '{"name": "a", "source": {"uri": "x"}}',
        "name: a\nsource: &s {uri: x}\n",
        "---\nname: a\nsource:\n    uri: x\n...\n",
        "name: a\r\nsource:\r\n  uri: x\r\n",
    ],
)
def test_whatever_a_recipe_looks_like_the_result_means_what_it_should(text):
    recipe = parse_recipe(parse_yaml(edited(text, {"generator.width": 48})))
    assert recipe.generator.width == 48
    assert (recipe.name, recipe.source.uri) == ("a", "x")


def test_a_word_that_yaml_takes_for_another_value_means_what_it_says():
    text = edited(TEXT, {"generator.augment": "off"}, ["source.label=no label"])
    recipe = parse_recipe(parse_yaml(text))
    assert (recipe.generator.augment, recipe.source.label) == ("off", "no label")
    label = parse_recipe(parse_yaml(edited(TEXT, {"source.label": "yes"}))).source.label
    assert label == "yes", "written anew, in quotes"


def test_what_results_must_be_a_recipe():
    with pytest.raises(RecipeError, match=r"generator\.width"):
        edited(TEXT, {"generator.width": 1})
