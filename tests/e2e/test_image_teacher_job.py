"""`labels: teacher` of images from the command line, in both formats, by one process and by two."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

pytestmark = pytest.mark.full

BLOCK = {
    "coverage": 0.0,
    "density_low": 0.0,
    "density_high": 1e3,
    "fd": 1e9,
    "label_accuracy": 0.0,
    "copies": 1e3,
    "spread": 0.0,
    "recall": 0.0,
    "tstr_gap": 1.0,
}
"""A gate that lets every generator pass."""
PROBABILITIES = [f"label_probability_{digit}" for digit in range(10)]


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_place):
    place = make_place(tmp_path_factory.mktemp("digits"))
    recipe = {
        "name": "digits",
        "source": {"uri": "example:digits", "label": "label"},
        "training": {"budget_samples": 16_000, "device": "cpu"},
        "lift": {"when": "never"},
        "gate": {
            "accept_unknown": True,
            "bounds": [
                {"metric": name, "block": bound}
                | ({"pass": bound} if name in ("coverage", "copies", "spread") else {})
                for name, bound in BLOCK.items()
            ],
        },
        "synthesis": {"samples": 300, "labels": "teacher", "shard_samples": 100},
        "engine": {"workers": 1},
    }
    (place.folder / "digits.yaml").write_text(yaml.safe_dump(recipe))
    return place


@pytest.fixture(scope="module")
def published(place):
    done = place.run("run", "digits.yaml", "--json")
    assert done.code == 0, done.err
    return done.json["published"]


def first_shard(place, published):
    return pq.read_table(min((place.folder / published["path"]).glob("*.parquet")))


def test_an_image_stands_beside_what_the_teacher_says_of_it(place, published):
    table = first_shard(place, published)
    assert table.column_names[-10:] == PROBABILITIES
    shares = np.stack([table[name].to_numpy() for name in PROBABILITIES], axis=1)
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    agrees = shares.argmax(axis=1) == table["label"].to_numpy()
    assert agrees.mean() > 0.5, "it was asked for these digits, and it picked one of four"


def test_card_and_manifest_say_whose_the_labels_are(place, published):
    meta = place.folder / "lake/datasets/digits/_meta" / published["version"]
    manifest = json.loads((meta / "manifest.json").read_bytes())
    assert len(manifest["provenance"]["teacher"]) == 64
    assert "lightgbm" not in manifest["provenance"]["libraries"]
    (said,) = [
        one
        for one in manifest["composition"]["sentences"]
        if one.startswith("Labelled by a teacher")
    ]
    assert "it picked one of 4 images" in said
    (stored,) = (place.folder / "lake/generators/digits").glob("*/internal/teacher-*")
    assert b"ganmill-image-teacher/1" in stored.read_bytes()


def test_two_workers_make_the_same_images_and_raw_pixels_carry_the_same_answers(place, published):
    before = first_shard(place, published)
    for changes in (["engine.workers=2", "synthesis.samples=310"], ["output.format=parquet-raw"]):
        words = [word for one in changes for word in ("--set", one)]
        done = place.run("run", "digits.yaml", "--json", *words)
        assert done.code == 0, done.err
        after = first_shard(place, done.json["published"])
        assert done.json["published"]["path"] != published["path"]
        same = ["label", *PROBABILITIES]
        assert after.select(same).equals(before.select(same))
    assert len(list((place.folder / "lake/generators/digits").glob("*/internal/teacher-*"))) == 1
