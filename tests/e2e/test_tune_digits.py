"""Tuning real digits with real trainings: killed, shared by two processes, finished."""

import json
import os
import subprocess
import sys

import pytest
import yaml
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
SCRIPT = """
import json, sys
from pathlib import Path
from flows.cli.app import execute
code = execute(sys.argv[1:])
Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
sys.exit(code)
"""
"""`ganmill`, and a note of what it has imported."""


@pytest.fixture
def place(tmp_path):
    text = "# real digits\n" + yaml.safe_dump(RECIPE, sort_keys=False)
    (tmp_path / "digits.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def start(place, *more):
    """Start the command in the folder."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *TUNE, *more],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trials(place):
    return sorted(path.name for path in place.glob("lake/runs/*/trials/*.json"))


@pytest.mark.full
def test_digits_are_tuned_through_a_kill_and_by_two_processes(place):
    killed = start(place)
    assert wait(lambda: trials(place), LONG_S)
    killed.kill()
    killed.communicate()
    before = {path: path.read_bytes() for path in (place / "lake").rglob("trials/*.json")}
    assert 1 <= len(before) < 4

    both = [start(place, "--json", "--report", f"{one}.html") for one in "ab"]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    found = [json.loads(out) for out, _ in said]
    assert found[0]["trials"] == found[1]["trials"]
    ended = found[0]["trials"]
    assert sum(one["made"] for one in found) == len(ended) - len(before)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert trials(place) == [f"{number:08d}.json" for number in range(1, len(ended) + 1)]
    trained = [
        one for one in ended if one["state"] != "refused"
    ]  # settings that do not go together
    assert [one["state"] in {"complete", "pruned"} for one in trained] == [True] * 4
    assert all(one["samples_seen"] > 0 and one["cpu_s"] >= 1 for one in trained)
    assert not list(place.glob(".ganmill/tuning/*/*/")), "no training is left behind"

    again = start(place, "--json")
    out, _ = again.communicate()
    told = json.loads(out)
    assert (again.returncode, told["made"]) == (0, 0)
    loaded = set(json.loads((place / "modules.json").read_text()))
    assert "torch" in loaded
    assert not {"prefect", "sqlalchemy"} & loaded
    best = told["best"]
    if not best["settings"]:
        assert told["recipe"] is None
        return
    tuned = load_recipe(place / told["recipe"])
    assert "# real digits" in (place / told["recipe"]).read_text(encoding="utf-8")
    for setting, value in best["settings"].items():
        section, _, key = setting.partition(".")
        assert getattr(getattr(tuned, section), key) == value
    assert tuned.generator.preset == "mlp"
