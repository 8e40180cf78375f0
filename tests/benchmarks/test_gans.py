"""Generators of images on equal budgets: stored results go on, and the page says what is stored."""

import json
from types import SimpleNamespace

import pytest

from benchmarks import gans, gans_page, preset_pictures
from gan.modalities import load_modality

FACTS = {"images": "digits", "rows": {"train": 9}, "budget_cpu_s": 60.0, "compared": 5}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(gans, "RESULTS", tmp_path)
    return tmp_path


class Told:
    """A contest whose every training gives the same numbers."""

    def __init__(self):
        self.asked = []

    def resolve(self, preset, seed):
        kind = "mlp" if preset == "modern" else preset
        return None, SimpleNamespace(model_dump_json=lambda **_: kind + str(seed))

    def measure(self, preset, seed):
        self.asked.append((preset, seed))
        return {"preset": preset, "seed": seed, "fd": float(len(preset) + seed)}


def test_what_is_stored_is_not_measured_again(results):
    first, again = Told(), Told()
    gans.run(first, gans.Kept.open("x", FACTS), ["modern", "mlp", "dcgan"], [0])
    assert first.asked == [("mlp", 0), ("dcgan", 0)]  # `modern` is `mlp`, and measured once
    kept = gans.Kept.open("x", FACTS)
    gans.run(again, kept, gans.best(kept.rows, 1), [0, 1])
    assert again.asked == [("mlp", 1)]
    stored = json.loads((results / "gans-x.json").read_text())
    assert [(row["preset"], row["seed"]) for row in stored["results"]] == [
        ("mlp", 0),
        ("dcgan", 0),
        ("mlp", 1),
    ]
    assert stored["twins"] == {"modern": "mlp"}
    with pytest.raises(ValueError, match="was measured otherwise"):
        gans.Kept.open("x", {**FACTS, "budget_cpu_s": 5.0})


def test_the_page_says_what_is_stored(results):
    rows = {"train": 9_000, "validation": 500, "holdout": 500}
    found = [
        {"preset": "dcgan", "seed": 0, "fd": 30.0, "coverage": 0.5},
        {"preset": "dcgan", "seed": 1, "fd": 50.0, "coverage": 0.7},
        {"preset": "mixture", "seed": 0, "fd": 12.0, "coverage": 0.9},
        {"preset": "wgan", "seed": 0, "failed": "CollapseError"},
    ]
    page = {**FACTS, "rows": rows, "machine": "one core", "twins": {"modern": "mlp"}}
    (results / "gans-x.json").write_text(json.dumps({**page, "results": found}))
    lines = gans_page.page(results).splitlines()
    table = [text for text in lines if text.startswith("| `")]
    assert [text.split("`")[1] for text in table] == ["mixture", "dcgan", "wgan"]
    assert "| 40.0 (30.0 to 50.0) | 0.60 (0.50 to 0.70) |" in table[1]
    assert "1, of which 1 gave up" in table[2]
    assert any("`modern` is `mlp` here" in text for text in lines)


def test_the_committed_page_is_made_of_the_committed_results():
    said = "write it anew: python -m benchmarks.gans_page"
    assert gans_page.PAGE.read_text(encoding="utf-8") == gans_page.page(), said


def test_every_preset_of_images_has_a_picture():
    drawn = {name for family in preset_pictures.FAMILIES.values() for name in family}
    assert drawn == set(load_modality("images").presets) - {"modern"}
    for family in preset_pictures.FAMILIES:
        path = preset_pictures.PICTURES / f"{family}.png"
        assert path.stat().st_size <= preset_pictures.MOST_BYTES
