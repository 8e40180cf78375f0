"""A run as a Prefect flow, on Prefect's own temporary server."""

import base64
import json
import sqlite3

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture
def tracked(copy, home):
    copy.environment.update(
        PREFECT_HOME=str(home),
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true",
        GANMILL_STORAGE__TEST__SECRET="open-sesame",  # noqa: S106 - looked for below
    )
    return copy


def query(home, sql: str) -> list[tuple]:
    with sqlite3.connect(home / "prefect.db") as connection:
        return connection.execute(sql).fetchall()


def test_nothing_to_do_starts_no_server(tracked, home):
    done = tracked.run("run", "stripes.yaml", "--track", "--json")
    assert done.code == 0, done.err
    assert done.json["status"] == "present"
    assert "prefect" not in done.modules
    assert not (home / "prefect.db").exists()


def test_a_tracked_run_shows_stages_verdict_and_samples(tracked, home):
    done = tracked.run("run", "stripes.yaml", "--track", "--json", "--set", "synthesis.seed=2")
    assert done.code == 0, done.err
    assert done.json["status"] == "published"
    assert "Prefect Cloud" not in done.err
    assert " | INFO" not in done.err

    ((name, state),) = query(home, "select name, state_type from flow_run")
    assert name.startswith("stripes, seed 0, 20")
    assert state == "COMPLETED"
    tasks = query(home, "select name, state_type from task_run")
    stages = {task.rpartition("-")[0] for task, _ in tasks}
    assert stages == {"prepare", "train", "evaluate", "gate", "promote", "synthesize", "publish"}
    assert {state for _, state in tasks} == {"COMPLETED"}

    artifacts = dict(query(home, "select key, data from artifact"))
    assert set(artifacts) == {"stripes-verdict", "stripes-samples", "stripes-outcome"}
    assert done.json["verdict"].upper() in artifacts["stripes-verdict"]
    assert done.json["published"]["path"] in artifacts["stripes-outcome"]
    uri = json.loads(artifacts["stripes-samples"])
    assert uri.startswith("data:image/png;base64,")
    assert base64.b64decode(uri.partition(",")[2]).startswith(b"\x89PNG")
    assert len(uri) < 400_000

    told = query(home, "select event, payload from events where event like 'ganmill%'")
    versions = [json.loads(p)["version"] for e, p in told if e == "ganmill.dataset.published"]
    assert len(versions) == 2, "the run before this one had nobody to tell"
    assert done.json["published"]["version"] in versions
    assert b"open-sesame" not in (home / "prefect.db").read_bytes()


@pytest.mark.full
def test_a_blocked_run_shows_as_failed_with_the_reason(tracked, tmp_path):
    tracked.environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    strict = ["--set", "gate.fd_block=0.0001", "--set", "gate.fd_pass=0.0001"]
    done = tracked.run("run", "stripes.yaml", "--track", *strict)
    assert done.code == 3, done.err
    assert "nothing was published" in done.out
    assert "Traceback" not in done.err
    ((state, message),) = query(
        tmp_path / "prefect",
        "select s.type, s.message from flow_run r join flow_run_state s on s.id = r.state_id",
    )
    assert state == "FAILED"
    assert "is block" in message
    artifacts = query(tmp_path / "prefect", "select key from artifact")
    assert ("stripes-outcome",) in artifacts
