"""The GPU lease: taken only for CUDA, waited for, renewed, lost, and freed when its holder dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cockpit.local import Cockpit, answers, start_server, stop
from flows.tracked.gpu_lease import ensure_gpu_limit
from flows.train import gpu_lease
from storage.stores.settings import Settings, load_settings

HOLDER = """
import sys, time
from pathlib import Path
from flows.errors import LeaseLostError
from flows.progress import StopSignal
from flows.tracked.gpu_lease import gpu_lease
from gan.errors import Interrupted
from storage.stores.settings import Settings

stop, folder = StopSignal(), Path(sys.argv[1])
def say(text):
    (folder / "waits").write_text(text)
try:
    gpus, slots = int(sys.argv[2]), int(sys.argv[3])
    name = "gpus" if slots == 1 else f"gpus-{slots}"
    pool = Settings(gpu_slot=name, gpu_slots=slots, gpu_lease_s=60)
    with gpu_lease(pool, stop, say, gpus) as lease:
        (folder / "lease").write_text(str(lease))
        (folder / "holds").touch()
        while not (folder / "enough").exists():
            if stop():
                raise Interrupted("asked")
            time.sleep(0.1)
except LeaseLostError as error:
    (folder / "lost").write_text(str(error))
"""
WAIT_S = 150


def wait(check, limit_s=WAIT_S):
    """Return the first true answer."""
    last_s = time.monotonic() + limit_s
    while time.monotonic() < last_s:
        if found := check():
            return found
        time.sleep(0.2)
    return None


@pytest.mark.parametrize(("device", "taken"), [("cpu", []), ("cuda", [2])])
def test_only_a_training_on_cuda_takes_a_lease_of_its_gpus(device, taken):
    entered = []

    @contextmanager
    def lease(gpus):
        entered.append(gpus)
        yield

    with gpu_lease(SimpleNamespace(gpu_lease=lease), device, 2):
        assert entered == taken


def test_the_settings_name_the_pool(monkeypatch):
    monkeypatch.setenv("GANMILL_GPU_SLOT", "a100")
    monkeypatch.setenv("GANMILL_GPU_SLOTS", "4")
    monkeypatch.setenv("GANMILL_GPU_LEASE_S", "300")
    pool = load_settings()
    assert (pool.gpu_slot, pool.gpu_slots, pool.gpu_lease_s) == ("a100", 4, 300)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Prefect server of this module, its environment and its limits."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cockpit = Cockpit(port=probe.getsockname()[1], folder=folder)
    environment = {**os.environ, **cockpit.variables()}
    process = start_server(cockpit, environment)
    assert answers(cockpit)
    with httpx.Client(base_url=f"{cockpit.api}/v2/concurrency_limits", timeout=30) as limits:
        yield environment, limits
    stop(process)


@pytest.fixture
def hold(server, tmp_path):
    """Start processes that hold the slot; each has a folder in which it says how it goes."""
    started = []

    def start(name, gpus=1, slots=1):
        folder = tmp_path / name
        folder.mkdir()
        words = [sys.executable, "-c", HOLDER, str(folder), str(gpus), str(slots)]
        started.append(subprocess.Popen(words, env=server[0]))
        return started[-1], folder

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_second_waits_and_gets_the_slot_when_the_first_is_done(hold):
    first, one = hold("one")
    assert wait((one / "holds").exists)
    second, two = hold("two")
    assert wait((two / "waits").exists)
    assert "'gpus'" in (two / "waits").read_text()
    assert not (two / "holds").exists()
    (one / "enough").touch()
    assert first.wait(WAIT_S) == 0
    assert wait((two / "holds").exists)
    (two / "enough").touch()
    assert second.wait(WAIT_S) == 0


@pytest.mark.full
def test_a_training_on_several_gpus_holds_a_slot_for_each(hold, server):
    def held(slots):
        return server[1].get(f"/gpus-{slots}").json()["active_slots"]

    first, one = hold("one", gpus=2, slots=3)
    assert wait((one / "holds").exists)
    assert held(3) == 2
    second, two = hold("two", gpus=2, slots=3)
    assert wait((two / "waits").exists)
    third, three = hold("three", gpus=1, slots=3)
    assert wait((three / "holds").exists), "the one that is left"
    assert not (two / "holds").exists()
    for folder in (one, three):
        (folder / "enough").touch()
    assert wait((two / "holds").exists)
    (two / "enough").touch()
    assert [process.wait(WAIT_S) for process in (first, second, third)] == [0, 0, 0]
    last, all_of_it = hold("all", gpus=8, slots=4)
    assert wait((all_of_it / "holds").exists)
    assert held(4) == 4
    (all_of_it / "enough").touch()
    assert last.wait(WAIT_S) == 0


@pytest.mark.full
def test_a_holder_that_is_killed_loses_the_slot_when_its_lease_ends(hold):
    first, one = hold("one")
    assert wait((one / "holds").exists)
    first.send_signal(signal.SIGKILL)
    second, two = hold("two")
    assert wait((two / "waits").exists)
    assert wait((two / "holds").exists, 2 * WAIT_S)
    (two / "enough").touch()
    assert second.wait(WAIT_S) == 0


def test_a_lease_that_was_taken_back_stops_the_holder_with_a_sentence(hold, server):
    first, one = hold("one")
    assert wait((one / "holds").exists)
    lease = {"lease_id": (one / "lease").read_text()}
    server[1].post("/decrement-with-lease", json=lease).raise_for_status()
    assert first.wait(WAIT_S) == 0
    text = (one / "lost").read_text()
    assert "'gpus' was lost" in text
    assert "run again to continue" in text


def test_the_limit_gets_the_slots_of_the_settings_once(server):
    environment, limits = server

    def ensure(slots):
        pool = Settings(gpu_slot="many", gpu_slots=slots)
        with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
            changed = [ensure_gpu_limit(pool) for _ in range(2)]
        return changed, limits.get("/many").json()["limit"]

    assert ensure(2) == ([True, False], 2)
    assert ensure(3) == ([True, False], 3)
