"""A published version tells others: a message is sent, and a flow of a user's trains on it."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from lenient import STRICT
from patience import wait
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.testing.cli import invoke_and_assert

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "train_on_synthetic.py"
TEMPLATES = ROOT / "deployments" / "automations"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def messages():
    """Listen as a chat's webhook does, and keep what comes."""
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", heard
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def environment(up):
    """The environment of a user's process that knows Prefect and nothing of ganmill."""
    known = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    home = str(up.place.folder / "downstream-home")
    ours = {"PREFECT_HOME": home, "PREFECT_RUNNER_POLL_FREQUENCY": "2", "OMP_NUM_THREADS": "1"}
    return known | up.place.environment | ours


@pytest.fixture(scope="module")
def downstream(up, environment):
    """Serve the example beside real images, and return its deployment and folder of results."""
    folder = up.place.folder / "downstream"
    folder.mkdir()
    images = pq.read_table(up.place.folder / "stripes.parquet")
    pq.write_table(images.slice(0, 300), folder / "train.parquet")
    pq.write_table(images.slice(300), folder / "test.parquet")
    words = [sys.executable, str(EXAMPLE), "--real", str(folder), "--label", "kind"]
    with (folder / "served.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)

    def known():
        assert process.poll() is None, (folder / "served.log").read_text()
        found = up.client.get("/deployments/name/train-on-synthetic/downstream")
        return found.json() if found.is_success else None

    yield wait(known), folder / "results"
    process.terminate()
    process.wait(60)


def create_automation(folder, template, of):
    """Follow the template's own instructions."""
    path = folder / template
    text = (TEMPLATES / template).read_text().replace(NOBODY, of)
    path.write_text(text.replace("ganmill.dataset.digits", "ganmill.dataset.told"))
    invoke_and_assert(["automation", "create", "--from-file", str(path)], expected_code=0)


@pytest.fixture(scope="module")
def recipe(finished):
    """The recipe of the small job."""
    return yaml.safe_load((finished.place.folder / "stripes.yaml").read_text())


@pytest.fixture(scope="module")
def published(up, using, downstream, messages, recipe):
    """Create both automations, publish a version by a nightly run, and return the run."""
    deployment, _ = downstream
    body = {"subject": "{{subject}}", "body": "{{body}}"}
    block = CustomWebhookNotificationBlock(name="duty", url=messages[0], json_data=body)
    with using(up.place.environment["PREFECT_API_URL"]):
        create_automation(up.place.folder, "notify.yaml", str(block.save("duty")))
        create_automation(up.place.folder, "downstream.yaml", deployment["id"])
    training = recipe["training"] | {"budget_samples": 4_000}
    nightly = up.deploy(recipe | {"name": "told", "training": training})
    run = up.ended(up.ask(nightly))
    assert run["state_type"] == "COMPLETED", run["state"]
    return run


def events(up, name, resource):
    asked = {"filter": {"event": {"name": [name]}, "resource": {"id": [resource]}}}
    return up.client.post("/events/filter", json=asked).raise_for_status().json()["events"]


def downstream_runs(up, deployment):
    asked = {"flow_runs": {"deployment_id": {"any_": [deployment["id"]]}}}
    return up.client.post("/flow_runs/filter", json=asked).raise_for_status().json()


def test_a_published_version_starts_a_flow_that_trains_on_it(up, downstream, published):
    deployment, results = downstream
    (run,) = wait(lambda: downstream_runs(up, deployment))
    last = up.ended(run["id"])
    assert last["state_type"] == "COMPLETED", last["state"]
    (version,) = (path.name for path in (up.place.lake / "datasets" / "told").glob("2*"))
    given = last["parameters"]
    assert (given["name"], given["version"]) == ("told", version)
    assert given["path"] == f"{up.place.lake}/datasets/told/{version}/"
    result = json.loads((results / "told" / f"{version}.json").read_text())
    assert result["rows"] == {"real": 300, "synthetic": 600, "test": 150}
    assert result["accuracy"]["real"] > 0.9
    assert result["accuracy"]["real and synthetic"] > 0.5


def test_the_event_names_the_run_it_came_from_and_holds_strings(up, published):
    (event,) = wait(lambda: events(up, "ganmill.dataset.published", "ganmill.dataset.told"))
    assert all(isinstance(value, str) for value in event["payload"].values())
    related = {one["prefect.resource.id"] for one in event["related"]}
    assert f"prefect.flow-run.{published['id']}" in related
    assert f"prefect.deployment.{published['deployment_id']}" in related
    (promoted,) = wait(lambda: events(up, "ganmill.generator.promoted", "ganmill.generator.told"))
    assert promoted["payload"]["kind"] == "promote"
    assert promoted["payload"]["by"] == "gate"


def test_people_are_told(up, published, messages):
    _, heard = messages
    wanted = {"ganmill.generator.promoted: told", "ganmill.dataset.published: told"}

    def told():
        return wanted <= {message["subject"] for message in heard}

    assert wait(told), heard
    (message,) = (one for one in heard if one["subject"] == "ganmill.dataset.published: told")
    assert "verdict: " in message["body"]
    assert "report.html" in message["body"]


@pytest.mark.full
def test_a_version_that_is_announced_twice_is_done_once(up, downstream, published):
    """Take back what was recorded, as a process killed before it could record does."""
    deployment, results = downstream
    (first,) = wait(lambda: downstream_runs(up, deployment))
    up.ended(first["id"])
    (result,) = (results / "told").glob("*.json")
    written = result.stat().st_mtime_ns
    (stamp,) = (up.place.lake / "datasets" / "told" / "_meta").glob("*/announced.json")
    stamp.unlink()
    again = up.ended(up.ask(up.deployment("told")))
    assert again["state_type"] == "COMPLETED", again["state"]
    assert stamp.exists()
    runs = wait(lambda: len(found := downstream_runs(up, deployment)) == 2 and found)
    assert {up.ended(run["id"])["state_type"] for run in runs} == {"COMPLETED"}
    assert {run["parameters"]["version"] for run in runs} == {result.stem}
    assert result.stat().st_mtime_ns == written


@pytest.mark.full
def test_a_blocked_night_is_told(up, recipe):
    strict = recipe | {"name": "strict"}
    strict["gate"] = strict["gate"] | STRICT
    run = up.ended(up.ask(up.deploy(strict)))
    assert run["state_type"] == "FAILED"
    resource = "ganmill.generator.strict"
    blocked = wait(lambda: events(up, "ganmill.gate.blocked", resource))
    assert [event["payload"]["verdict"] for event in blocked] == ["block"]
    assert "block" in blocked[0]["payload"]["reason"]
    assert blocked[0]["payload"]["kind"] == "reject"
