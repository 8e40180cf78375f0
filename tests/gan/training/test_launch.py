"""Trainings in several processes as a whole: told, stopped, killed, continued."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from gan import errors
from gan.errors import Interrupted, MemoryLimitError, RankLostError, SmallerPartsError
from gan.protocols import Curve, Frame, Hooks
from gan.report import Event
from gan.snapshot import snapshot_digest
from gan.training import launch, orders
from gan.training.launch import Launch
from gan.training.loop import train
from gan.training.orders import Order
from gan.training.result import TrainResult
from gan.training.strip import Filmstrip

LIMIT_S = 120


@pytest.fixture(scope="session")
def two(tiny):
    """The tiny training, for two processes."""
    return tiny.model_copy(update={"ranks": 2, "threads": 1})


def ranks_of(folder):
    """The processes that train in a folder."""
    place = str(folder / launch.RANKS)
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if place in words and not any("torch.distributed.run" in word for word in words):
            found.append(process)
    return found


@pytest.fixture(scope="module")
def whole(two, codec, digits, tmp_path_factory):
    """An uninterrupted training in two processes, and what it told."""
    folder, told = tmp_path_factory.mktemp("whole"), []
    hooks = Hooks(
        validation=digits.slice(0, 40),
        on_tick=told.append,
        on_frame=told.append,
        on_event=told.append,
        on_checkpoint=lambda path: told.append((path.name, (path / "state.json").exists())),
    )
    result = Launch(None).train(two, codec, digits, folder, hooks=hooks, device="cpu")
    return result, told


@pytest.mark.full
def test_it_tells_and_ends_as_one_process_does(whole, two, codec, digits, tmp_path):
    result, told = whole
    hooks = Hooks(validation=digits.slice(0, 40))
    alone = train(two, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert (result.ranks, alone.ranks) == (2, 1)
    assert (result.samples_seen, result.best_samples_seen) == (640, 640)
    assert [event.text for event in result.events] == [event.text for event in alone.events]
    for one, other in zip(result.curves, alone.curves, strict=True):
        assert (one.name, one.samples_seen) == (other.name, other.samples_seen)
        np.testing.assert_allclose(one.values, other.values, rtol=5e-3, atol=1e-4)
    ticks = [one.samples_seen for one in told if hasattr(one, "samples_per_s")]
    assert ticks == [160, 320, 480, 640]
    saved = [one for one in told if isinstance(one, tuple) and isinstance(one[0], str)]
    assert saved == [(f"{seen:012d}", True) for seen in (160, 320, 480, 640)]
    frames = [one.samples_seen for one in told if isinstance(one, Frame)]
    assert frames == [0, 160, 320, 480, 640]
    assert [frame.samples_seen for frame in result.strip.frames] == frames
    assert {one.kind for one in told if isinstance(one, Event)} == {"stop", "choice"}
    left = {path.name for path in (result.snapshot.parent / launch.RANKS).iterdir()}
    assert not left & {orders.RECORDS, orders.VALIDATION}, "no real record stays"


@pytest.mark.full
def test_a_stop_and_another_run_change_no_bit(whole, two, codec, digits, tmp_path):
    asked, mirrored = [], []

    def mirror(path):
        if len(asked) >= 2:
            time.sleep(3)  # rank 1 has nothing more to do, and waits for this all the same
        mirrored.append((int(path.name), (path / "state.json").exists()))

    hooks = Hooks(
        validation=digits.slice(0, 40),
        on_tick=asked.append,
        on_checkpoint=mirror,
        should_stop=lambda: len(asked) >= 2,
    )
    with pytest.raises(Interrupted, match="run it again"):
        Launch(None).train(two, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert not ranks_of(tmp_path)
    assert mirrored[-1][0] >= 320
    assert all(was_there for _, was_there in mirrored)
    hooks = Hooks(validation=digits.slice(0, 40))
    again = Launch(None).train(two, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert snapshot_digest(again.snapshot) == snapshot_digest(whole[0].snapshot)


@pytest.mark.full
def test_a_rank_that_dies_ends_it_and_the_next_run_changes_no_bit(
    whole, two, codec, digits, tmp_path
):
    def kill(path):
        if int(path.name) == 320:  # rank 0 waits until this has returned
            ranks_of(tmp_path)[-1].send_signal(signal.SIGKILL)

    hooks = Hooks(validation=digits.slice(0, 40), on_checkpoint=kill)
    began_s = time.monotonic()
    with pytest.raises(RankLostError, match="run again to continue"):
        Launch(None).train(two, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert time.monotonic() - began_s < LIMIT_S
    assert not ranks_of(tmp_path)
    kept = [int(path.name) for path in (tmp_path / "checkpoints").iterdir()]
    assert max(kept) == 320
    hooks = Hooks(validation=digits.slice(0, 40))
    again = Launch(None).train(two, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert snapshot_digest(again.snapshot) == snapshot_digest(whole[0].snapshot)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from rank_cases import made
from gan.protocols import Hooks
from gan.training.launch import Launch
config, codec, records = made("r1-r2", devices=2)
hooks = Hooks(on_tick=lambda tick: Path(sys.argv[1], "ticked").touch())
config = config.model_copy(update={"budget_samples": 10**6, "tick_samples": 320})
Launch(None).train(config, codec, records, Path(sys.argv[1]), hooks=hooks, device="cpu")
"""


@pytest.mark.full
def test_when_the_process_that_started_them_is_killed_they_end(tmp_path):
    words = [sys.executable, "-c", CHILD, str(tmp_path), str(Path(__file__).parent)]
    parent = subprocess.Popen(words)
    last_s = time.monotonic() + LIMIT_S
    while not (tmp_path / "ticked").exists() and time.monotonic() < last_s:
        time.sleep(0.2)
    mine = ranks_of(tmp_path)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert len(mine) == 2
    _, alive = psutil.wait_procs(mine, timeout=LIMIT_S)
    assert not alive


# --- without other processes ---


def test_memory_that_ends_starts_another_attempt(two, codec, digits, tmp_path, monkeypatch):
    tried = []

    def attempt(place, ranks, hooks):
        tried.append((Order.read(place).at_once, ranks))
        if len(tried) == 1:
            raise SmallerPartsError(8)
        raise MemoryLimitError

    monkeypatch.setattr(launch, "_attempt", attempt)
    with pytest.raises(MemoryLimitError):
        Launch(None).train(two, codec, digits, tmp_path, hooks=Hooks(), device="cpu")
    assert tried == [(None, 2), (8, 2)]


def test_what_is_ordered_is_what_is_read(two, codec, digits, tmp_path):
    order = Order(training=tmp_path, device="cpu", judges=tmp_path / "judges", at_once=4)
    order.write(tmp_path, two, codec, digits, Hooks(validation=digits.slice(3, 5)))
    assert Order.read(tmp_path) == order
    config, found = orders.read_config(tmp_path)
    records, validation = orders.read_records(tmp_path)
    assert config == two
    assert found.to_json() == codec.to_json()
    assert records.equals(digits, check_metadata=True)
    assert validation.equals(digits.slice(3, 5))


def test_what_came_of_it_is_what_is_read(tmp_path):
    frames = (Frame(0, np.zeros((2, 3))), Frame(16, np.ones((2, 3))))
    strip = Filmstrip(frames=frames, labels_R=np.array([0, 1]))
    result = TrainResult(
        snapshot=tmp_path / "snapshot",
        samples_seen=16,
        best_samples_seen=16,
        events=(Event(kind="stop", samples_seen=16, text="over"),),
        curves=(Curve(name="nll", samples_seen=(16,), values=(0.5,)),),
        seconds=1.5,
        cpu_s=2.5,
        threads=1,
        device="cpu",
        ranks=2,
        notes=("a note",),
        strip=strip,
    )
    assert orders.read_result(tmp_path) is None
    orders.write_result(tmp_path, result)
    found = orders.read_result(tmp_path)
    assert [frame.samples_seen for frame in found.strip.frames] == [0, 16]
    for one, other in zip(found.strip.frames, frames, strict=True):
        assert np.array_equal(one.values, other.values)
    assert {**vars(found), "strip": None} == {**vars(result), "strip": None}


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigError("no such target"),
        errors.NotFiniteError("it failed"),
        Interrupted("run it again"),
        SmallerPartsError(8),
        OSError(28, "No space left on device", "/somewhere"),
    ],
)
def test_why_nothing_came_of_it_is_what_is_raised(error, tmp_path):
    orders.write_failure(tmp_path, error)
    orders.write_failure(tmp_path, errors.DataError("that came later"))
    with pytest.raises(type(error)) as raised:
        orders.read_result(tmp_path)
    assert str(raised.value) == str(error)
