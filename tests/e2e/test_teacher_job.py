"""`labels: teacher` from the command line: what is published, by one process and by several."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.full

ROWS = 700
BOUNDS = ("one_way", "two_way", "c2st", "tstr_gap", "coverage", "copies", "dcr_share", "null_rate")
PROBABILITIES = ["left_probability_false", "left_probability_true"]
"""yes and no are read as true and false, and written again as yes and no."""


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    months, plan = rng.integers(1, 60, ROWS), rng.integers(0, 3, ROWS)
    risk = 1 / (1 + np.exp(0.1 * months - 1.5 * (plan == 2)))
    return pd.DataFrame(
        {
            "months": months,
            "plan": np.array(["basic", "plus", "trial"])[plan],
            "spent": (months * 9.9 * (1 + plan) + rng.gamma(2, 10, ROWS)).round(2),
            "left": np.where(rng.random(ROWS) < risk, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_place):
    place = make_place(tmp_path_factory.mktemp("customers"))
    customers().to_csv(place.folder / "customers.csv", index=False, sep=";", decimal=",")
    recipe = {
        "name": "customers",
        "source": {"uri": "customers.csv", "label": "left"},
        "training": {"budget_samples": 20_000, "device": "cpu"},
        "gate": {
            "accept_unknown": True,
            "on_reject": "keep-champion",
            "bounds": [{"metric": name, "block": 1e9} for name in BOUNDS if name != "coverage"]
            + [{"metric": "coverage", "block": 0.0}],
        },
        "synthesis": {"samples": 600, "labels": "teacher", "shard_samples": 100},
        "output": {"format": "csv"},
        "engine": {"workers": 1},
    }
    (place.folder / "customers.yaml").write_text(yaml.safe_dump(recipe))
    return place


@pytest.fixture(scope="module")
def published(place):
    done = place.run("run", "customers.yaml", "--json")
    assert done.code == 0, done.err
    return done.json["published"]


def read(place, published) -> pd.DataFrame:
    parts = sorted((place.folder / published["path"]).glob("*.csv"))
    frames = [pd.read_csv(part, sep=";", decimal=",") for part in parts]
    return pd.concat(frames, ignore_index=True)


def test_probabilities_stand_beside_labels_drawn_from_them(place, published):
    frame = read(place, published)
    assert list(frame) == [*customers(), *PROBABILITIES]
    assert np.allclose(frame[PROBABILITIES].sum(axis=1), 1, atol=1e-5)
    left = frame["left"] == "yes"
    assert abs(left.mean() - frame[PROBABILITIES[1]].mean()) < 0.06
    assert frame[PROBABILITIES[1]][left].mean() > frame[PROBABILITIES[1]][~left].mean() + 0.1


def test_the_manifest_names_the_teacher_which_lies_where_nobody_reads(place, published):
    meta = place.folder / "lake/datasets/customers/_meta" / published["version"]
    manifest = json.loads((meta / "manifest.json").read_bytes())
    (stored,) = (place.folder / "lake/generators/customers").glob("*/internal/teacher-*")
    assert len(manifest["provenance"]["teacher"]) == 64
    assert "lightgbm" in manifest["provenance"]["libraries"]
    assert any("Labelled by a teacher" in one for one in manifest["composition"]["sentences"])
    assert b"ganmill-table-teacher/1" in stored.read_bytes()


def test_it_learns_once_and_every_engine_makes_the_same_rows(place, published):
    again = place.run("run", "customers.yaml", "--json")
    assert again.json["status"] == "present"
    before = {p.name: p.read_bytes() for p in (place.folder / published["path"]).glob("*.csv")}
    (teacher,) = (place.folder / "lake/generators/customers").glob("*/internal/teacher-*")
    learned = teacher.stat().st_mtime_ns
    changes = ("--set", "synthesis.samples=601", "--set", "engine.workers=2")
    more = place.run("run", "customers.yaml", "--json", *changes)
    assert more.code == 0, more.err
    assert teacher.stat().st_mtime_ns == learned
    folder = place.folder / more.json["published"]["path"]
    first = (folder / "train-00000-of-00007.csv").read_bytes()
    assert first == before["train-00000-of-00006.csv"]


def test_what_was_asked_of_the_label_stays(place, published):
    changes = ("--set", "synthesis.balance=equal", "--set", "synthesis.samples=200")
    done = place.run("run", "customers.yaml", "--json", *changes)
    assert done.code == 0, done.err
    frame = read(place, done.json["published"])
    assert (frame["left"] == "yes").sum() == 100
    assert frame[PROBABILITIES[1]].between(0, 1).all()
