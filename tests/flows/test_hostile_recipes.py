"""Recipes that want to exhaust or to fool the reader: one short sentence, whatever they hold."""

import pytest

from flows.errors import LONGEST_SENTENCE, RecipeError, bounded, sentence
from flows.recipe import load_recipe
from flows.recipe_yaml import MOST_LETTERS, parse_yaml

GOOD = "name: a\nsource: {uri: x}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE = [
    (BOMB + "name: *i\n", "once its aliases are written out"),
    ("name: " + "[" * 50_000, "nested deeper than 32 levels"),
    ("name: " + "{a: " * 500, "nested deeper than 32 levels"),
    ("name: &a [*a]\n", "an alias refers to what it is part of"),
    ("# " + "x" * MOST_LETTERS, "it has more than 2,097,152 letters"),
    ("name: a\nname: b\n", "the key 'name' stands twice in line 2"),
    ("? [a, b]\n: c\n", "a key is a list or a mapping"),
    ("name: 2020-99-99\n", "a value is impossible (month must be in 1..12)"),
    ("seed: " + "9" * 6000 + "\n", "a value is impossible"),
    ("name: !!python/object/apply:os.system ['touch hacked']\n", "python/object/apply"),
    ("name: a\x07b\n", "special characters are not allowed"),
    ("name: a\n--- \nname: b\n", "another document"),
    ("1: 2\n" + GOOD, "Keys must be strings"),
    ("name: " + "x" * 500_000 + "\nsource: {uri: x}\n", "`name` is 'xxx"),
    ("? " + "k" * 100_000 + "\n: 1\n" + GOOD, "is unknown"),
]


@pytest.mark.parametrize(("text", "reason"), HOSTILE, ids=range(len(HOSTILE)))
def test_one_short_sentence(tmp_path, monkeypatch, text, reason):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as raised:
        load_recipe(path)
    shown = sentence(raised.value)
    assert reason in shown
    assert len(shown) <= LONGEST_SENTENCE + 10
    assert "\n" not in shown
    assert not (tmp_path / "hacked").exists()


def test_aliases_that_share_a_part_are_fine():
    text = "a: &a {x: 1, y: [1, 2]}\nb: {<<: *a, z: *a}\n"
    assert parse_yaml(text)["b"] == {"x": 1, "y": [1, 2], "z": {"x": 1, "y": [1, 2]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("name=" + "[" * 20_000, "`name` is '[[["),
        ("source.storage={key: AKIA, secret: hunter2}", "'secret': '***'"),
        ("source.storage.secret=hunter2", "--set source.storage.secret: `storage` holds"),
        ("source.uri=s3://AKIA:hunter2@b/x", "s3://***@b/x"),
        ("output.lake=s3://AKIA:hunter2@b/x", "output.lake holds a login"),
        ("source.split.holdout_uri=https://h/x?token=hunter2", "split.holdout_uri holds"),
        ("s3://AKIA:hunter2@b", "--set takes key=value"),
    ],
)
def test_changes_are_shown_short_and_without_secrets(tmp_path, change, said):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nsource: {uri: x, storage: y}\n")
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, [change])
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert len(str(raised.value)) < LONGEST_SENTENCE


def test_what_is_cut_keeps_both_ends():
    assert bounded("short", 10) == "short"
    assert bounded("a" * 50 + "b" * 50, 12) == "aaaaaaaa … bbbb"
