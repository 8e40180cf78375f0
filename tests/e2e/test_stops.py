"""Nights that are interrupted: Ctrl-C, a power cut, a question to a person on a busy machine."""

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from patience import wait

LONG_S = 400
"""Some starts on a busy machine."""
BEAT_S = 3
WINDOW_S = 3 * BEAT_S
BURN = "while True: pass"


@pytest.fixture
def place(finished, small_recipe, tmp_path):
    """A folder with one recipe that trains for some seconds."""
    source = finished.place.folder / "stripes.parquet"
    (tmp_path / "stripes.parquet").write_bytes(source.read_bytes())
    (tmp_path / "recipes").mkdir()
    deploy(tmp_path, small_recipe | {"training": small_recipe["training"]}, samples=120_000)
    return tmp_path


def deploy(folder, recipe, *, samples):
    training = recipe["training"] | {"budget_samples": samples}
    (folder / "recipes" / "stripes.yaml").write_text(
        yaml.safe_dump(recipe | {"training": training})
    )


def states(up, run):
    found = up.client.get("/flow_run_states/", params={"flow_run_id": run}).json()
    return sorted(found, key=lambda one: one["timestamp"])


def begin(up):
    """Start a run, and wait until it has a checkpoint of the midst of its training."""
    run = up.ask(up.deployment("stripes"))
    folder = up.place.folder / ".ganmill" / "runs"
    assert wait(lambda: list(folder.glob("*/checkpoints/0*[1-9]*")), LONG_S), states(up, run)
    return run


def end(up, run):
    """Wait for the end of a run; a crash is none."""
    last = up.ended(run, LONG_S)
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
    lines = up.client.post("/logs/filter", json=wanted).raise_for_status().json()
    assert any("Continuing at" in line["message"] for line in lines)
    versions = up.place.folder / "lake" / "datasets" / "stripes" / "_meta"
    assert len(list(versions.glob("*/manifest.json"))) == 1
    return last


@pytest.mark.full
def test_what_ctrl_c_stops_goes_on_at_the_next_up(place, bring_up):
    with bring_up(place) as up:
        run = begin(up)
        parameters, night = up.flow_run(run)["parameters"], up.flow_run(run)["expected_start_time"]
    with bring_up(place) as up:  # within the minute in which Prefect takes the worker for alive
        (*_, stopped) = (one for one in states(up, run) if one["name"] == "AwaitingRetry")
        assert stopped["message"].startswith("stopped, will continue")
        last = end(up, run)
        assert not {"CRASHED", "FAILED"} & {one["type"] for one in states(up, run)}
        assert (last["parameters"], last["run_count"]) == (parameters, 2)
        assert last["expected_start_time"] == night


@pytest.mark.full
def test_what_a_power_cut_stops_is_crashed_and_goes_on(place, bring_up):
    with bring_up(place, GANMILL_HEARTBEAT_S=str(BEAT_S)) as up:
        run = begin(up)
        everything = psutil.Process(up.process.pid)
        for one in [everything, *everything.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        up.process.communicate()
    with bring_up(place, GANMILL_HEARTBEAT_S=str(BEAT_S)) as up:
        assert up.flow_run(run)["state_type"] == "RUNNING", "nobody could say that it is gone"
        last = end(up, run)
        names = [one["name"] for one in states(up, run)]
        assert names[names.index("Running") :][:4] == [
            "Running",
            "Lost",
            "Crashed",
            "AwaitingRetry",
        ]
        assert last["run_count"] == 2


@pytest.fixture
def busy():
    """More work than the machine has cores for."""
    burners = [
        subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    yield
    for one in burners:
        one.kill()
        one.wait()


@pytest.mark.full
def test_on_a_busy_machine_runs_that_wait_for_a_person_wait_on(place, small_recipe, bring_up, busy):
    gate = small_recipe["gate"] | {"approval": "always"}
    names = [f"asks-{number}" for number in range(3)]
    (place / "recipes" / "stripes.yaml").unlink()
    for name in names:
        recipe = small_recipe | {"name": name, "gate": gate}
        (place / "recipes" / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    with bring_up(place, GANMILL_HEARTBEAT_S=str(BEAT_S)) as up:
        runs = [up.ask(up.deployment(name)) for name in names]

        def all_ask():
            return all(up.flow_run(run)["state_name"] == "Suspended" for run in runs)

        assert wait(all_ask, LONG_S), [up.flow_run(run)["state"] for run in runs]
        time.sleep(4 * WINDOW_S)
        for run in runs:
            names = [one["name"] for one in states(up, run)]
            assert names[-1] == "Suspended", names
            assert not {"Crashed", "Lost"} & set(names)
        for run in runs:
            keys = up.flow_run(run)["state"]["state_details"]["run_input_keyset"]
            assert up.client.get(f"/flow_runs/{run}/input/{keys['schema']}").is_success
            answer = {"run_input": {"answer": "publish", "by": "Ana", "reason": "seen and agreed"}}
            sent = up.client.post(f"/flow_runs/{run}/resume", json=answer).raise_for_status()
            assert sent.json()["status"] == "ACCEPT", sent.text
        for run in runs:
            last = up.ended(run, LONG_S)
            assert last["state_type"] == "COMPLETED", last["state"]["message"]
            assert "Crashed" not in {one["name"] for one in states(up, run)}
