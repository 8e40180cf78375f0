"""Any data set as a candidate: real data pass, damaged data block, nothing goes into the lake."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.cli.app import execute


def stripes(rows, seed, grain=0):
    """Return small grey images of two classes, bright above or below, with noise."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 120, (rows, 8, 8))
    classes = draw.integers(0, 2, rows)
    for image, kind in zip(images, classes, strict=True):
        image[4 * kind : 4 * kind + 4] += 100
    images = images + draw.normal(0, grain, images.shape) if grain else images
    return {"images": np.clip(images, 0, 255).astype(np.uint8), "labels": classes}


def customers(rows, seed):
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 80, rows)
    spent = draw.gamma(3, age / 2, rows).round(2)
    stays = np.where(draw.random(rows) < 1 / (1 + np.exp(3 - age / 15)), "yes", "no")
    ids = [f"K{seed}{row:05d}" for row in range(rows)]
    return pd.DataFrame({"id": ids, "age": age, "spent": spent, "stays": stays})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two sources and their recipes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANMILL_WORK_FOLDER", str(tmp_path / "work"))
    np.savez("stripes.npz", **stripes(400, 0))
    customers(500, 0).to_csv("shop.csv", index=False)
    for name, source in (
        ("stripes", {"uri": "stripes.npz", "label": "label"}),
        ("shop", {"uri": "shop.csv", "label": "stays"}),
    ):
        recipe = {
            "name": name,
            "source": source,
            "lift": {"when": "never"},
            "output": {"lake": "lake"},
        }
        Path(f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def judge(capsys, *arguments):
    code = execute(["judge", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


UNSEEN = {
    "shop": (lambda path: customers(300, 1).to_csv(path, index=False), "unseen.csv", "row"),
    "stripes": (lambda path: np.savez(path, **stripes(300, 1)), "unseen.npz", "image"),
}
"""By recipe: what writes unseen real records, their file, and what one is called."""


@pytest.mark.parametrize("recipe", ["shop", pytest.param("stripes", marks=pytest.mark.full)])
def test_unseen_real_records_pass_and_the_page_says_what_was_judged(place, capsys, recipe):
    write, file, record = UNSEEN[recipe]
    write(file)
    code, found = judge(capsys, file, "--recipe", f"{recipe}.yaml")
    assert code == 0, found["reasons"]
    assert found["verdict"] != "block"
    assert found["lift"] == {"answer": "not measured"}
    assert (found["data"], found["rows"], found["report"]) == (
        file,
        300,
        f"{recipe}-judge.html",
    )
    assert found["compared_rows"] <= found["judged_rows"] <= 300
    assert {metric["name"] for metric in found["metrics"]} >= {"coverage", "copies"}
    page = (place / f"{recipe}-judge.html").read_text()
    assert f"Data set <code>{file}</code>, judged as it is" in page
    assert f"{record}s of the data set &#x27;{file}&#x27; as it is, held against" in page
    assert "Generator <code>" not in page
    assert not (place / "lake").exists()
    assert not list((place / "work").glob("judge-*"))


def test_damaged_rows_of_a_peer_block_and_their_ids_are_not_asked_for(place, capsys):
    damaged = customers(300, 1).drop(columns="id")
    damaged["spent"] = (damaged["spent"] * 3).sample(frac=1, random_state=0).to_numpy()
    damaged.to_parquet("peer.parquet")
    changes = (
        "lift.when=changed",
        "lift.seeds=2",
        "lift.models=[linear]",
        "report.groups=[stays]",
    )
    arguments = [word for change in changes for word in ("--set", change)]
    code, found = judge(
        capsys, "peer.parquet", "--recipe", "shop.yaml", "--report", "peer.html", *arguments
    )
    assert code == 3
    assert found["lift"]["task"] == "class of stays"
    assert found["lift"]["effect"]["model"] == "linear"
    page = (place / "peer.html").read_text()
    assert found["lift"]["text"].split(":")[0] in page
    assert "Groups of stays: rows of each against unseen real rows" in page
    assert found["verdict"] == "block"
    assert {one["metric"] for one in found["reasons"] if one["outcome"] == "block"} & {
        "one_way",
        "c2st",
    }
    assert any("lacks 'id'" in note for note in found["notes"])
    assert (place / "peer.html").exists()
    assert not (place / "lake").exists()


def test_few_rows_are_judged_by_as_few(place, capsys):
    customers(30, 1).to_csv("few.csv", index=False)
    code = execute(["judge", "few.csv", "--recipe", "shop.yaml"])
    shown = capsys.readouterr().out
    assert code == 0
    assert "few.csv: judged as it is by shop" in shown
    assert "30 rows of the data set 'few.csv' as it is, held against 30 of" in shown
    assert "the data set has no more" in shown
    assert "cannot be known from 30 holdout records" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nothing.csv"], 4, "The data set 'nothing.csv' does not exist; point DATA at"),
        (["narrow.csv"], 4, "lacks 'age' that the source 'shop.csv' has"),
        (["odd.csv"], 4, "'age' cannot be read as integer"),
        (["ten.csv"], 4, "the data set has 10 rows and 20 are needed"),
        (["stripes.npz"], 4, "The data set 'stripes.npz' holds no Parquet, CSV"),
        (["shop.csv", "--report", "page.txt"], 2, "ends in .html"),
        (["shop.csv", "--report", "away/page.html"], 2, "does not exist: create it"),
        (["shop.csv", "--storage", "nowhere"], 2, "nowhere"),
        (["shop.csv", "--set", "gate.bounds=[{metric: fd, pass: 1}]"], 2, "names 'fd'"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(place, capsys, arguments, code, sentence):
    rows = customers(40, 1)
    rows.drop(columns="age").to_csv("narrow.csv", index=False)
    rows.assign(age="old").to_csv("odd.csv", index=False)
    rows.head(10).to_csv("ten.csv", index=False)
    assert execute(["judge", *arguments, "--recipe", "shop.yaml"]) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said[-1]
    assert not list(place.glob("*.html"))
