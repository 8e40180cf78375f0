"""A run as a Prefect flow, on Prefect's own temporary server."""

import base64
import json
import sqlite3
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from lenient import setting


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


def picture(artifact: str, kind: str) -> bytes:
    """Return the picture that an artifact brings along."""
    return base64.b64decode(artifact.partition(f"(data:{kind};base64,")[2].partition(")")[0])


def order(home) -> set[tuple[str, str]]:
    """Return which task waited for which, by name: what the graph of the run draws."""
    tasks = query(home, "select id, name, task_inputs from task_run")
    names = {str(UUID(id_)): name.rpartition("-")[0] for id_, name, _ in tasks}
    return {
        (names[one["id"]], name.rpartition("-")[0])
        for _, name, inputs in tasks
        for given in json.loads(inputs).values()
        for one in given
        if one["input_type"] == "task_run"
    }


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
    stages = ("prepare", "train", "evaluate", "gate", "promote", "synthesize", "publish")
    assert sorted(task.rpartition("-")[0] for task, _ in tasks) == sorted(stages)
    assert {state for _, state in tasks} == {"COMPLETED"}

    artifacts = dict(query(home, "select key, data from artifact"))
    shown = {"verdict", "curves", "samples", "synthesizing", "outcome"}
    assert set(artifacts) == {f"stripes-{each}" for each in shown}
    assert done.json["verdict"].upper() in artifacts["stripes-verdict"]
    assert done.json["published"]["path"] in artifacts["stripes-outcome"]
    assert "**Cost of this run** " in artifacts["stripes-outcome"]
    assert artifacts["stripes-synthesizing"] == 100
    assert picture(artifacts["stripes-samples"], "image/png").startswith(b"\x89PNG")
    assert picture(artifacts["stripes-curves"], "image/svg+xml").startswith(b"<svg")
    assert max(len(str(data)) for data in artifacts.values()) < 300_000
    assert order(home) == set(pairwise(stages))

    manifest = json.loads(Path(tracked.folder, done.json["published"]["manifest"]).read_text())
    for bill in (manifest["cost"], done.json["cost"]):
        assert bill["cpu_s"] > 0
        assert bill["gpu_s"] == 0
    assert done.json["cost"]["written_bytes"] > manifest["cost"]["written_bytes"]
    assert manifest["cost"]["written_bytes"] >= done.json["published"]["total_bytes"]

    told = query(home, "select event, payload from events where event like 'ganmill%'")
    versions = [json.loads(p)["version"] for e, p in told if e == "ganmill.dataset.published"]
    assert len(versions) == 2, "the run before this one had nobody to tell"
    assert done.json["published"]["version"] in versions
    assert b"open-sesame" not in (home / "prefect.db").read_bytes()


@pytest.mark.full
def test_a_blocked_run_shows_as_failed_with_the_reason(tracked, tmp_path):
    tracked.environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    strict = ["--set", setting(fd=1e-4)]
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
    artifacts = dict(query(tmp_path / "prefect", "select key, data from artifact"))
    assert "**block** " in artifacts["stripes-verdict"]
    assert "# Nothing was published" in artifacts["stripes-outcome"]


@pytest.mark.full
def test_a_run_that_trains_shows_a_moving_bar_and_numbers_alone_where_asked(tracked, tmp_path):
    tracked.environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    # Another version, whoever is champion after the training.
    settings = ("seed=1", "synthesis.seed=1", "report.artifacts=numbers")
    wish = [word for setting in settings for word in ("--set", setting)]
    done = tracked.run("run", "stripes.yaml", "--track", "--json", *wish)
    assert done.code == 0, done.err
    artifacts = dict(query(tmp_path / "prefect", "select key, data from artifact"))
    shown = {"training", "verdict", "curves", "synthesizing", "outcome"}
    assert set(artifacts) == {f"stripes-{each}" for each in shown}
    assert artifacts["stripes-training"] == 100
    assert "image/png" not in str(artifacts)
