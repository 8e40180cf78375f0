"""How a run ends: with a last checkpoint, in a sentence, and not because its worker is gone."""

import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from contextvars import ContextVar

import httpx
import pytest

from flows.errors import BlockedError, RecipeError
from flows.progress import StopSignal
from flows.tracked import process
from flows.tracked.process import SESSION, in_a_sentence, run_cancellable
from gan.errors import Interrupted
from storage.errors import SourceError

NIGHT = ContextVar("NIGHT", default="none")


@pytest.fixture(autouse=True)
def ctrl_c():
    """Take Ctrl-C as a terminal's processes do: one that a script starts behind it ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(after_s):
    """Press Ctrl-C a little later."""
    threading.Timer(after_s, os.kill, [os.getpid(), signal.SIGINT]).start()


def test_patient_work_has_the_context_and_gives_its_result():
    NIGHT.set("2026-11-21")
    assert run_cancellable(StopSignal(), NIGHT.get) == "2026-11-21"


def test_what_fails_in_patient_work_fails_in_the_thread_that_waits():
    stop = StopSignal()

    def work():
        msg = "no such folder"
        raise SourceError(msg)

    with pytest.raises(SourceError, match="no such folder"):
        run_cancellable(stop, work)
    assert not stop()


def test_an_interrupted_training_gets_time_for_its_checkpoint():
    stop, written = StopSignal(), []

    def work():
        with stop.asking():
            while not stop():
                time.sleep(0.01)
            time.sleep(0.2)
            written.append("checkpoint")
        raise Interrupted

    interrupt(0.3)
    with pytest.raises(KeyboardInterrupt):
        run_cancellable(stop, work)
    assert written == ["checkpoint"]


def test_work_that_does_not_look_is_not_waited_for():
    stop, over = StopSignal(), threading.Event()
    interrupt(0.3)
    begun_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_cancellable(stop, lambda: over.wait(60))
    over.set()
    assert stop()
    assert time.monotonic() - begun_s < process.GRACE_S


def told(error):
    """Return the state in which a flow ends that raises an error, and what a command learns."""

    @in_a_sentence
    def flow(recipe: str) -> None:
        """Do it."""
        raise error

    assert list(inspect.signature(flow).parameters) == ["recipe"]
    assert flow.__doc__ == "Do it."
    return flow("digits")


@pytest.mark.parametrize(
    "error", [RecipeError("`seed` is -1, but\nmust be"), SourceError("gone"), BlockedError("no")]
)
def test_an_expected_error_is_a_failed_state_with_its_sentence(error):
    state = told(error)
    assert (state.name, state.message) == ("Failed", " ".join(str(error).split()))


def test_a_stop_that_was_asked_for_is_cancelled():
    state = told(Interrupted("at 12"))
    assert state.name == "Cancelled"
    assert "run again to continue" in state.message


def test_without_prefect_s_server_a_run_is_crashed_so_that_it_starts_again():
    assert told(httpx.ConnectError("refused")).name == "Crashed"


def test_a_bug_stays_a_bug():
    with pytest.raises(KeyError):
        told(KeyError("x"))


def test_a_command_finds_the_error_in_its_session():
    class Session:
        error = None

    token = SESSION.set(Session())
    try:
        told(SourceError("gone"))
        assert isinstance(SESSION.get().error, SourceError)
    finally:
        SESSION.reset(token)


ORPHAN = """
import sys, time
from pathlib import Path
from rich.console import Console
from flows.tracked.process import ignore_broken_pipe
ignore_broken_pipe()
print("here", flush=True)
sys.stdin.read()
time.sleep(0.5)
for _ in range(3):
    Console(stderr=True).print("still here")
    print("and here", flush=True)
Path(sys.argv[1]).touch()
"""


def test_a_run_goes_on_when_nobody_reads_its_output(tmp_path):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path / "done")], **pipes)
    assert process.stdout.readline() == b"here\n"
    for pipe in (process.stdout, process.stderr, process.stdin):
        pipe.close()
    assert process.wait(60) == 0
    assert (tmp_path / "done").exists()
