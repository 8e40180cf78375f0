"""What kills a run, and that nothing is lost by it: signals, workers, servers, stores, recipes."""

import os
import shutil
import socket
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import patience
import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from flows.cockpit.local import Cockpit, start_server, start_worker, stop
from flows.prefect_defaults import ENVIRONMENT_DEFAULTS

LONG_S = 400
"""Three heartbeats, a start, and a busy machine."""


wait = partial(patience.wait, limit_s=LONG_S)


def long_recipe(small_recipe, name, **changes):
    """A recipe whose training takes some seconds, with a lake of its own."""
    training = small_recipe["training"] | {"budget_samples": 60_000}
    recipe = small_recipe | {"name": name, "output": {"lake": f"lake-{name}"}}
    return recipe | {"training": training} | changes


def states(up, run):
    """Return the names of the states that a run went through."""
    found = up.client.get("/flow_run_states/", params={"flow_run_id": run}).json()
    return [one["name"] for one in sorted(found, key=lambda one: one["timestamp"])]


def log_of(up, run):
    """Return the log of a run."""
    wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
    lines = up.client.post("/logs/filter", json=wanted).raise_for_status().json()
    return "\n".join(line["message"] for line in lines)


def process_of(up, run):
    """Return the process of a run."""
    return psutil.Process(int(up.flow_run(run)["infrastructure_pid"]))


def training(up, run, before):
    """Wait until a run has a checkpoint of the midst of its training; return its process."""
    folder = up.place.folder / ".ganmill" / "runs"
    begun = wait(lambda: set(folder.glob("*/checkpoints/0*[1-9]*")) - before)
    assert begun, up.flow_run(run)["state"]
    return process_of(up, run)


def ended(up, run, *states):
    """Wait until a run has come to one of these types of state, and return it."""
    wanted = states or ("COMPLETED", "FAILED", "CANCELLED")
    found = wait(lambda: up.flow_run(run)["state_type"] in wanted)
    last = up.flow_run(run)
    assert found, last["state"]
    return last


def local_checkpoints(up):
    """Return the checkpoints that are in the work folder."""
    return set((up.place.folder / ".ganmill" / "runs").glob("*/checkpoints/[0-9]*"))


def published(lake):
    """Return the shards that a lake has made readable, by name."""
    (manifest,) = lake.glob("datasets/*/_meta/*/manifest.json")
    shards = (lake / "datasets").glob(f"*/{manifest.parent.name}/*.parquet")
    return {path.name: pq.read_table(path).to_pylist() for path in shards}


def undisturbed(up, recipe, tmp_path):
    """Return the shards of a recipe that a command made without any trouble."""
    place = type(up.place)(tmp_path)
    shutil.copy(up.place.folder / "stripes.parquet", tmp_path)
    (tmp_path / "same.yaml").write_text(yaml.safe_dump(recipe))
    done = place.run("run", "same.yaml")
    assert done.code == 0, done.err
    return published(tmp_path / recipe["output"]["lake"])


@pytest.mark.full
def test_a_cancelled_training_keeps_its_checkpoint_and_run_again_continues(up, small_recipe):
    deployment, before = up.deploy(long_recipe(small_recipe, "cancelled")), local_checkpoints(up)
    run = up.ask(deployment)
    process = training(up, run, before)
    cancel = {"state": {"type": "CANCELLING"}}
    up.client.post(f"/flow_runs/{run}/set_state", json=cancel).raise_for_status()
    process.wait(60)
    assert ended(up, run)["state_type"] == "CANCELLED"
    assert not {"Crashed", "Failed"} & set(states(up, run))
    lake = up.place.folder / "lake-cancelled"
    (kept,) = lake.glob("runs/*/checkpoint/*/index.json")
    assert int(kept.parent.name) > 0
    assert not list(lake.glob("datasets/*/_versions/*"))

    again = up.ask(deployment)
    assert ended(up, again)["state_type"] == "COMPLETED"
    assert f"Continuing at {int(kept.parent.name):,} samples" in log_of(up, again)
    assert published(lake)


@pytest.mark.full
def test_a_killed_run_starts_again_by_itself_and_publishes_the_same(up, small_recipe, tmp_path):
    recipe = long_recipe(small_recipe, "killed", seed=1)
    deployment, before = up.deploy(recipe), local_checkpoints(up)
    run = up.ask(deployment)
    night = up.flow_run(run)["expected_start_time"]
    training(up, run, before).kill()
    same = undisturbed(up, recipe, tmp_path)
    last = ended(up, run)
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    assert (last["run_count"], last["expected_start_time"]) == (2, night)
    assert {"Crashed", "AwaitingRetry"} < set(states(up, run))
    assert "Continuing at" in log_of(up, run)
    assert published(up.place.folder / "lake-killed") == same


@dataclass
class Pieces:
    """A server and a worker that a test may kill and start again."""

    up: Any
    cockpit: Cockpit
    environment: dict[str, str]
    server: Any = None
    worker: Any = None

    def start_server(self):
        self.server = start_server(self.cockpit, self.environment)

    def start_worker(self):
        self.worker = start_worker(self.cockpit, "ganmill", self.environment)

    def kill(self, name):
        process = getattr(self, name)
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def pieces(finished, make_up, tmp_path_factory):
    """Server, worker and deployments of their own, each a process of this test."""
    folder = tmp_path_factory.mktemp("pieces")
    shutil.copy(finished.place.folder / "stripes.parquet", folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cockpit = Cockpit(port=port, folder=folder / ".ganmill" / "cockpit")
    said = {
        "GANMILL_WORK_FOLDER": str(folder / ".ganmill"),
        **cockpit.variables(),
        **ENVIRONMENT_DEFAULTS,
    }
    place = type(finished.place)(folder, {"PREFECT_API_URL": cockpit.api})
    with httpx.Client(
        base_url=cockpit.api, timeout=30, transport=patience.PatientTransport()
    ) as client:
        found = Pieces(
            make_up(place, client, (), None), cockpit, os.environ | said | {"OMP_NUM_THREADS": "1"}
        )
        found.start_server()
        yield found
        for process in (found.worker, found.server):
            if process is not None:
                stop(process)


@pytest.fixture
def begun(pieces, small_recipe):
    """Start a run with a worker of its own, and give it when it trains."""
    pieces.start_worker()

    def begin(name, **changes):
        recipe = long_recipe(small_recipe, name, **changes)
        deployment, before = pieces.up.deploy(recipe), local_checkpoints(pieces.up)
        run = pieces.up.ask(deployment)
        return recipe, run, training(pieces.up, run, before)

    yield begin
    stop(pieces.worker)


@pytest.mark.full
def test_a_run_outlives_its_worker(pieces, begun):
    _, run, process = begun("worker", seed=2)
    pieces.kill("worker")
    assert process.is_running()
    assert ended(pieces.up, run)["state_type"] == "COMPLETED"
    assert pieces.up.flow_run(run)["run_count"] == 1


@pytest.mark.full
def test_a_run_whose_machine_is_gone_is_crashed_and_starts_again(pieces, begun, tmp_path):
    recipe, run, process = begun("both", seed=3)
    pieces.kill("worker")
    process.kill()
    pieces.start_worker()
    last = ended(pieces.up, run)
    assert (last["state_type"], last["run_count"]) == ("COMPLETED", 2)
    assert {"Crashed", "AwaitingRetry"} < set(states(pieces.up, run))
    assert published(pieces.up.place.folder / "lake-both") == undisturbed(
        pieces.up, recipe, tmp_path
    )


@pytest.mark.full
def test_a_run_outlives_a_restart_of_the_server(pieces, begun):
    _, run, _ = begun("server", seed=4)
    pieces.kill("server")
    time.sleep(10)
    pieces.start_server()
    assert ended(pieces.up, run)["state_type"] == "COMPLETED"
    assert published(pieces.up.place.folder / "lake-server")


@pytest.fixture
def ask(pieces):
    """Start a run of a recipe with a worker of its own."""
    pieces.start_worker()
    yield lambda recipe: pieces.up.ask(pieces.up.deploy(recipe))
    stop(pieces.worker)


@pytest.mark.full
def test_a_run_killed_while_it_synthesizes_keeps_its_shards(pieces, ask, small_recipe):
    synthesis = {"samples": 300_000, "shard_samples": 1_000}
    recipe = small_recipe | {"name": "shards", "output": {"lake": "lake-shards"}, "seed": 5}
    run = ask(recipe | {"synthesis": synthesis})
    lake = pieces.up.place.folder / "lake-shards"

    def shards():
        return {path: path.stat().st_mtime_ns for path in lake.glob("datasets/*/2*/*.parquet")}

    assert wait(lambda: len(shards()) > 5)
    process_of(pieces.up, run).kill()
    kept = shards()
    assert not list(lake.glob("datasets/*/_versions/*"))
    last = ended(pieces.up, run)
    assert (last["state_type"], last["run_count"]) == ("COMPLETED", 2)
    assert kept.items() <= shards().items()
    assert len(published(lake)) == 300


@pytest.mark.full
def test_a_wrong_recipe_fails_at_once_with_its_sentence(pieces, ask, small_recipe):
    recipe = small_recipe | {"name": "wrong", "output": {"lake": "lake-wrong"}}
    source = recipe["source"] | {"uri": str(pieces.up.place.folder / "nothing.parquet")}
    pieces.up.deploy(recipe)
    deployment = pieces.up.deployment("wrong (all settings)")
    with pytest.raises(httpx.HTTPStatusError):
        pieces.up.ask(deployment, recipe=recipe | {"samples": 600})
    fractions = recipe["synthesis"] | {"balance": "fractions"}
    for bad, words in [
        (recipe | {"synthesis": fractions}, "give class_fractions exactly when"),
        (recipe | {"source": source}, "nothing.parquet"),
    ]:
        last = ended(pieces.up, pieces.up.ask(deployment, recipe=bad))
        assert last["state_type"] == "FAILED"
        message = last["state"]["message"]
        assert words in message
        assert "Traceback" not in message
        assert "\n" not in message


@pytest.mark.full
def test_a_lake_that_comes_back_is_waited_for(pieces, small_recipe):
    lake = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    lake.start()
    port = lake.get_host_and_port()[1]
    moto = f"http://127.0.0.1:{port}"
    httpx.put(f"{moto}/night").raise_for_status()
    lake.stop()
    said = {"ENDPOINT_URL": moto, "KEY": "key", "SECRET": "secret", "REGION": "us-east-1"}
    said["RETRY_DEADLINE_S"] = "5"
    pieces.environment |= {f"GANMILL_STORAGE__LATE__{name}": value for name, value in said.items()}
    output = {"lake": "s3://night/lake", "storage": "late"}
    pieces.start_worker()
    run = pieces.up.ask(pieces.up.deploy(small_recipe | {"name": "late", "output": output}))
    assert wait(lambda: "DeadlineError" in log_of(pieces.up, run))
    again = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    again.start()
    last = ended(pieces.up, run)
    stop(pieces.worker)
    again.stop()
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
