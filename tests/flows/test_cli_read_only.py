"""`init`, `check` and `--help`: what they print, and that they leave the lake alone."""

import json
from pathlib import Path

import pytest
import yaml

from flows.cli.app import execute
from flows.cli.init import guess_name
from flows.recipe import load_recipe


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("lake").exists()


def test_init_prints_a_recipe_that_is_valid(capsys):
    assert execute(["init", "example:digits"]) == 0
    printed = capsys.readouterr().out
    assert "# 10 classes: 0: 178" in printed
    Path("made.yaml").write_text(printed)
    recipe = load_recipe(Path("made.yaml"))
    assert (recipe.name, recipe.source.label) == ("digits", "label")


def test_init_takes_a_name_and_a_label(capsys):
    assert execute(["init", "example:digits", "--name", "mine", "--label", "label"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "mine"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("example:digits", "digits"),
        ("s3://bucket/My Pictures/", "my-pictures"),
        ("data/*.parquet", "data"),
        ("/home/x/Cats_and_Dogs.parquet", "cats-and-dogs"),
        ("***", "images"),
        ("./x/" + "y" * 100, "y" * 63),
    ],
)
def test_a_name_is_made_from_the_uri(uri, name):
    assert guess_name(uri, "images") == name


def test_check_counts_and_plans(capsys):
    Path("r.yaml").write_text("name: mine\nsource: {uri: 'example:digits'}\n")
    assert execute(["check", "r.yaml", "--json", "--set", "synthesis.samples=3200"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(found["rows"].values()) == 1797
    assert found["plan"]["rows"] == 3200
    assert found["plan"]["shards"] == 16
    assert found["plan"]["class_counts"] == [[digit, 320] for digit in range(10)]
    assert any("preset" in note for note in found["notes"])


def test_check_fills_what_the_skewed_digits_lack(capsys):
    recipes = Path(__file__).parents[2] / "deployments" / "recipes"
    assert execute(["check", str(recipes / "digits-skewed.yaml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    train, validation = (
        dict(map(tuple, found["class_counts"][split])) for split in ("train", "validation")
    )
    real = {label: train[label] + validation[label] for label in train}
    made = dict(map(tuple, found["plan"]["class_counts"]))
    assert {real[label] + made.get(label, 0) for label in real} == {max(real.values())}
    assert 0 < sum(count > 0 for count in made.values()) < len(real)
    whole = max(real.values())
    texts = found["plan"]["composition"]
    assert "of train and validation you have" in texts[1]
    assert texts[1].endswith(f"you have {whole:,} of each of 10 classes")
    assert "of holdout" in texts[2]


def test_check_for_a_person(capsys):
    Path("r.yaml").write_text("name: mine\nsource: {uri: 'example:digits', label: null}\n")
    assert execute(["check", "r.yaml", "--set", "synthesis.balance=real"]) == 0
    printed = capsys.readouterr().out
    assert "10,000 images in 16 shards" in printed
    assert "Next      ganmill run r.yaml" in printed


def test_help_names_every_command(capsys):
    assert execute(["--help"]) == 0
    printed = capsys.readouterr().out
    for command in ("init", "check", "run", "train", "evaluate", "synthesize", "datasets"):
        assert command in printed
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ganmill ")
