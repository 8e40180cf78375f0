"""Whether a worker lives: its lock says so, not the record that Prefect keeps of a dead one."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import httpx
import pytest
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import Settings

from flows.cockpit import worker
from flows.cockpit.worker import StoppingWorker, is_at_work
from flows.errors import EngineError, RecipeError
from flows.prefect_defaults import QUERY_S, apply_defaults
from flows.tracked.process_lock import held, is_held, worker_lock

HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "ab") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(600)
"""
HEARD = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)


@pytest.fixture
def lock(tmp_path):
    return worker_lock(tmp_path, "ganmill-here", "pool")


def at_work(tmp_path):
    return is_at_work("ganmill-here", "pool", tmp_path, lambda _: None)


@pytest.fixture
def record(monkeypatch):
    """What Prefect's record of the worker says each time that it is asked; the last one stays."""
    answers = [HEARD]
    monkeypatch.setattr(worker, "ASK_AGAIN_S", 0)
    monkeypatch.setattr(
        worker, "last_heartbeat", lambda *_: answers.pop(0) if len(answers) > 1 else answers[0]
    )
    return answers


def test_a_worker_that_was_killed_is_dead_at_once_whatever_its_record_says(lock, tmp_path, record):
    with held(lock):
        assert at_work(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert at_work(tmp_path)
    with pytest.raises(EngineError, match="another process is at work"), held(lock):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert record == [HEARD]
    assert not at_work(tmp_path)


PATIENT = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {PATIENT}"


@pytest.mark.parametrize(
    ("code", "ended_by"), [(PATIENT, signal.SIGTERM), (STUBBORN, signal.SIGKILL)]
)
def test_a_worker_that_stops_asks_its_runs_first_and_kills_who_does_not_end(
    code, ended_by, monkeypatch
):
    monkeypatch.setattr(worker, "GRACE_S", 1.0)
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stdout.readline() == "up\n"
    stopping = StoppingWorker(work_pool_name="pool")

    async def supervise(task_status):
        task_status.started(run.pid)
        while run.poll() is None:
            await asyncio.sleep(0.02)

    async def work(self, flow_run, configuration, task_status=None):
        await supervise(task_status)

    async def stop():
        task = asyncio.create_task(stopping.run(None, None))
        await asyncio.sleep(0.05)
        await stopping.end_runs()
        assert task.done()
        assert await stopping.get_and_submit_flow_runs() == []

    monkeypatch.setattr(worker.ProcessWorker, "run", work)
    asyncio.run(stop())
    assert run.wait() == -ended_by
    run.stdout.close()


def test_where_there_was_never_a_lock_the_record_must_be_heard_again(lock, tmp_path, record):
    assert is_held(lock) is None
    record[:] = [HEARD, HEARD, HEARD + timedelta(seconds=30)]
    assert at_work(tmp_path)


def test_a_record_that_is_not_heard_again_is_of_a_dead_worker(tmp_path, record, monkeypatch):
    monkeypatch.setattr(worker, "HEARD_S", 0.01)
    assert not at_work(tmp_path)
    record[:] = [None]
    assert not at_work(tmp_path)


def test_the_name_of_a_lock_stays_in_its_folder(tmp_path):
    assert worker_lock(tmp_path, "a/../b", "p/q").parent == tmp_path / "cockpit"


def test_a_refused_login_ends_the_worker_with_a_sentence(monkeypatch):
    class Client:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

        async def read_work_pool(self, _):
            request = httpx.Request("GET", "http://here/api")
            response = httpx.Response(401, request=request)
            msg = "refused"
            raise PrefectHTTPStatusError(msg, request=request, response=response)

    monkeypatch.setattr(worker, "get_client", Client)
    monkeypatch.setattr("flows.cockpit.deployments.api_url", lambda: "http://here/api")

    async def ask():
        return await asyncio.wait_for(worker._pool_type("pool", asyncio.Event()), 5)

    with pytest.raises(RecipeError, match="refuses the login: set PREFECT_API_AUTH_STRING"):
        asyncio.run(ask())


@pytest.mark.parametrize(("chosen", "every_s"), [(None, QUERY_S), ("7", 7)])
def test_a_worker_asks_for_runs_often_unless_the_user_chose_another_pace(chosen, every_s):
    with patch.dict(os.environ):
        os.environ.pop("PREFECT_WORKER_QUERY_SECONDS", None)
        if chosen:
            os.environ["PREFECT_WORKER_QUERY_SECONDS"] = chosen
        apply_defaults(None)
        assert Settings().worker.query_seconds == every_s
