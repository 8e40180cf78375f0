"""Tuning real digits with real trainings: killed, shared by two processes, finished."""

import json

import pytest
import yaml
from conftest import Place
from patience import wait

from flows.recipe import load_recipe

RECIPE = {
    "name": "digits",
    "source": {"uri": "example:digits"},
    "generator": {"preset": "mlp"},
    "training": {"device": "cpu"},
}
TUNE = ("tune", "digits.yaml", "--trials", "4", "--budget-s", "8")
LONG_S = 500


@pytest.fixture
def place(tmp_path):
    text = "# real digits\n" + yaml.safe_dump(RECIPE, sort_keys=False)
    (tmp_path / "digits.yaml").write_text(text, encoding="utf-8")
    return Place(tmp_path)


def trials(place):
    return sorted(path.name for path in place.lake.glob("runs/*/trials/*.json"))


@pytest.mark.full
def test_digits_are_tuned_through_a_kill_and_by_two_processes(place):
    killed = place.start(*TUNE)
    assert wait(lambda: trials(place), LONG_S)
    killed.kill()
    killed.communicate()
    before = {path: path.read_bytes() for path in place.lake.rglob("trials/*.json")}
    assert 1 <= len(before) < 4

    both = [place.start(*TUNE, "--json", "--report", f"{one}.html") for one in "ab"]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    found = [json.loads(out) for out, _ in said]
    assert found[0]["trials"] == found[1]["trials"]
    assert sum(one["made"] for one in found) == 4 - len(before)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert trials(place) == [f"{number:08d}.json" for number in range(1, 5)]
    assert {one["state"] for one in found[0]["trials"]} <= {"complete", "pruned"}
    assert all(one["samples_seen"] > 0 and one["cpu_s"] >= 1 for one in found[0]["trials"])
    assert not list(place.folder.glob(".ganmill/tuning/*/*/")), "no training is left behind"

    again = place.run(*TUNE, "--json")
    assert (again.code, again.json["made"]) == (0, 0)
    assert "torch" in again.modules
    assert not {"prefect", "sqlalchemy"} & again.modules
    best = again.json["best"]
    if not best["settings"]:
        assert again.json["recipe"] is None
        return
    tuned = load_recipe(place.folder / again.json["recipe"])
    assert "# real digits" in (place.folder / again.json["recipe"]).read_text(encoding="utf-8")
    for setting, value in best["settings"].items():
        section, _, key = setting.partition(".")
        assert getattr(getattr(tuned, section), key) == value
    assert tuned.generator.preset == "mlp"
