"""A run that asks a person: it suspends, holds nothing, and goes on where it was."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from lenient import STRICT

ASKING_S = 180
BUSY = 503
FINISHED = {"COMPLETED", "FAILED", "CANCELLED"}
"""A crashed run is none of them: it starts again by itself."""
"""Bounds that nothing passes."""


def suspended(up, run: str, *, after: str = "") -> dict:
    """Wait until a run asks, another time when a state id is given, and return it."""
    last_s = time.monotonic() + ASKING_S
    while time.monotonic() < last_s:
        found = up.flow_run(run)
        if found["state_name"] == "Suspended" and found["state"]["id"] != after:
            keys = found["state"]["state_details"]["run_input_keyset"]
            if up.client.get(f"/flow_runs/{run}/input/{keys['description']}").is_success:
                return found
        if found["state_type"] in FINISHED:
            break
        time.sleep(0.5)
    pytest.fail(f"the run does not ask: {up.flow_run(run)['state']}")


def shown(up, run: dict, what: str):
    """Return what the UI reads of the form: its `schema` or its `description`."""
    key = run["state"]["state_details"]["run_input_keyset"][what]
    return json.loads(up.client.get(f"/flow_runs/{run['id']}/input/{key}").text)


def resume(up, run: str, **answer: str) -> dict:
    """Send the form as the UI does; a server under load says 503, and a person presses again."""
    last_s = time.monotonic() + ASKING_S
    while True:
        sent = up.client.post(f"/flow_runs/{run}/resume", json={"run_input": answer})
        if sent.status_code != BUSY or time.monotonic() > last_s:
            return sent.raise_for_status().json()
        time.sleep(1)


def is_idle(up) -> bool:
    """Say whether the worker has no process of a run left."""
    try:
        below = psutil.Process(up.process.pid).children(recursive=True)
        workers = [one for one in below if "worker" in one.cmdline()]
        return bool(workers) and not any(one.children() for one in workers)
    except psutil.NoSuchProcess:
        return False  # one went while it was looked at


def lasting_idle(up) -> bool:
    """Wait until the worker is idle: a process that has reported its end needs a moment to go."""
    last_s = time.monotonic() + ASKING_S
    while time.monotonic() < last_s:
        if is_idle(up):
            return True
        time.sleep(0.3)
    return False


def tasks(up, run: str) -> list[str]:
    """Return the stages that were run, by name."""
    asked = {"flow_runs": {"id": {"any_": [run]}}}
    found = up.client.post("/task_runs/filter", json=asked).raise_for_status().json()
    return sorted(one["name"].rpartition("-")[0] for one in found)


def told(up, name: str) -> dict[str, bytes]:
    """Return the story of every generator of a name: another training would tell another one."""
    stories = (up.place.lake / "generators" / name).glob("*/internal/training.json")
    return {path.parents[1].name: path.read_bytes() for path in stories}


def log(up, name: str) -> list[dict]:
    folder = up.place.lake / "generators" / name / "_promotions"
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def asking(up, recipe: dict, name: str, **gate) -> dict:
    """Deploy a job that asks, on a source of its own, and return its deployment."""
    source = up.place.folder / f"{name}.parquet"
    source.write_bytes((up.place.folder / "stripes.parquet").read_bytes())
    return up.deploy(
        recipe
        | {
            "name": name,
            "source": recipe["source"] | {"uri": source.name},
            "training": recipe["training"] | {"budget_samples": 4_000},
            "gate": recipe["gate"] | {"on_reject": "ask"} | gate,
        }
    )


def versions(up, name: str) -> list[Path]:
    return sorted((up.place.lake / "datasets" / name / "_meta").glob("*/manifest.json"))


def test_a_refused_generator_waits_for_a_person_and_publishes_on_her_word(up, small_recipe):
    run = up.ask(asking(up, small_recipe, "asks", **STRICT))
    waiting = suspended(up, run)
    assert lasting_idle(up), "a process waits for the answer"
    check_nothing_is_held(up, waiting)
    trained = told(up, "asks")
    (version,) = trained
    check_form(up, waiting, version)

    unsigned = resume(up, run, answer="publish", reason="known")
    assert unsigned["status"] == "REJECT"
    source = up.place.folder / "asks.parquet"
    pq.write_table(pq.read_table(source).slice(0, 430), source)
    assert resume(up, run, answer="publish", by="Ana")["status"] == "ACCEPT"
    again = suspended(up, run, after=waiting["state"]["id"])
    assert "Asked again: the reason has 0 characters" in shown(up, again, "description")

    resume(up, run, answer="publish", by="Ana", reason="the shift is known")
    last = up.ended(run)
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    assert tasks(up, run).count("train") == 1
    assert tasks(up, run).count("publish") == 1
    assert told(up, "asks") == trained
    check_override(up)
    check_told(up)


def check_nothing_is_held(up, waiting: dict) -> None:
    """The slot of the deployment is free, there is time to answer, and nothing is published."""
    deployment = up.client.get(f"/deployments/{waiting['deployment_id']}").json()
    assert deployment["global_concurrency_limit"]["active_slots"] == 0
    deadline = datetime.fromisoformat(waiting["state"]["state_details"]["pause_timeout"])
    assert deadline - datetime.now(UTC) > timedelta(days=6)
    artifacts = up.client.post("/artifacts/filter", json={}).json()
    mine = {one["key"] for one in artifacts if one["flow_run_id"] == waiting["id"]}
    assert "asks-verdict" in mine
    assert versions(up, "asks") == []


def check_form(up, waiting: dict, version: str) -> None:
    """The form asks for a choice and a name, and says what is decided on."""
    schema = shown(up, waiting, "schema")
    assert schema["properties"]["answer"]["enum"] == ["publish", "keep champion", "stop"]
    assert schema["required"] == ["answer", "by"]
    titles = [field["title"] for field in schema["properties"].values()]
    assert titles == ["Decision", "Your name", "Reason"]
    description = shown(up, waiting, "description")
    assert f"BLOCK: generator `{version}` was refused" in description
    assert "cannot be chosen: there is no champion yet" in description


def check_override(up) -> None:
    """Manifest, log and listing say that a person published what the gate refused."""
    (manifest,) = versions(up, "asks")
    gate = json.loads(manifest.read_bytes())["gate"]
    assert gate["verdict"] == "block"
    assert (gate["override"]["by"], gate["override"]["reason"]) == ("Ana", "the shift is known")
    last = log(up, "asks")[-1]
    assert (last["kind"], last["by"], last["created"]) == (
        "override",
        "Ana",
        gate["override"]["at"],
    )
    listed = up.place.call("datasets", "list", "--lake", str(up.place.lake))
    assert "block (overridden)" in listed.out


def check_told(up) -> None:
    """Prefect has heard that the gate blocked, and then who overrode it."""
    resource = {"id": ["ganmill.generator.asks"]}
    last_s, heard = time.monotonic() + ASKING_S, []
    while time.monotonic() < last_s and len(heard) < 2:
        asked = {"filter": {"resource": resource}}
        found = up.client.post("/events/filter", json=asked).json().get("events", [])
        heard = [(one["event"], one["payload"]["by"]) for one in found if one["payload"]]
        time.sleep(0.5)
    assert set(heard) == {("ganmill.gate.blocked", "gate"), ("ganmill.generator.promoted", "Ana")}


@pytest.fixture(scope="module")
def approved(up):
    """A job whose first generator passed the gate and was approved by a person."""
    recipe = make_approving(up, seed=0)
    run = up.ask(recipe)
    waiting = suspended(up, run)
    assert "passed and needs a yes" in shown(up, waiting, "description")
    resume(up, run, answer="publish", by="Ana", reason="seen and agreed")
    return up.ended(run)


def make_approving(up, seed: int) -> dict:
    recipe = up.deployment("stripes")["parameters"]["recipe"]
    changed = recipe | {"seed": seed, "synthesis": recipe["synthesis"] | {"seed": seed}}
    changed.pop("schedule")
    return asking(up, changed, "approves", approval="always")


@pytest.mark.full
def test_a_yes_to_a_pass_is_in_log_and_manifest(up, approved):
    assert approved["state_type"] == "COMPLETED", approved["state"]["message"]
    gate = json.loads(versions(up, "approves")[0].read_bytes())["gate"]
    assert gate["verdict"] in ("pass", "warn")
    assert gate["override"] is None
    assert (gate["approval"]["by"], gate["approval"]["reason"]) == ("Ana", "seen and agreed")
    assert [(one["kind"], one["by"]) for one in log(up, "approves")[:1]] == [("promote", "Ana")]
    again = up.ended(up.ask(make_approving(up, seed=0)))
    assert again["state_type"] == "COMPLETED", "the approved generator was asked about again"


@pytest.mark.full
def test_a_person_keeps_the_champion(up, approved):
    champion = log(up, "approves")[0]["version"]
    run = up.ask(make_approving(up, seed=1))
    waiting = suspended(up, run)
    assert f"the champion `{champion}` publishes" in shown(up, waiting, "description")
    resume(up, run, answer="keep champion", by="Eva")
    last = up.ended(run)
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    assert tasks(up, run).count("train") == 1
    manifest = json.loads(versions(up, "approves")[-1].read_bytes())
    assert manifest["generator"] == f"approves/{champion}"
    assert (manifest["gate"]["choice"], manifest["gate"]["approval"]["by"]) == ("kept", "Ana")
    assert (log(up, "approves")[-1]["by"], log(up, "approves")[-1]["then"]) == (
        "Eva",
        "keep champion",
    )


@pytest.mark.full
def test_a_person_stops_and_the_answer_holds(up, approved):
    before = versions(up, "approves")
    run = up.ask(make_approving(up, seed=2))
    suspended(up, run)
    resume(up, run, answer="stop", by="Eva", reason="not this week")
    for each in (run, up.ask(make_approving(up, seed=2))):
        last = up.ended(each)
        assert last["state_type"] == "FAILED"
        assert "Eva" in last["state"]["message"]
        assert "not this week" in last["state"]["message"]
    assert versions(up, "approves") == before
    assert log(up, "approves")[-1]["then"] == "stop"


@pytest.mark.full
def test_a_run_without_a_deployment_says_what_to_do(up, small_recipe):
    asking(up, small_recipe, "plainly", **STRICT)
    place = type(up.place)(up.place.folder, dict(up.place.environment))
    ended = place.run("run", "plainly.yaml", "--track")
    assert ended.code == 3, ended.err
    (version,) = told(up, "plainly")
    command = f"ganmill generators promote plainly {version} --by YOU --reason WHY"
    assert command in ended.out
    assert versions(up, "plainly") == []

    words = ("--by", "Ana", "--reason", "the shift is known", "--lake", "lake")
    assert place.run("generators", "promote", "plainly", version, *words).code == 0
    done = place.run("run", "plainly.yaml", "--json")
    assert done.code == 0, done.err
    assert len(told(up, "plainly")) == 1
    gate = json.loads(versions(up, "plainly")[0].read_bytes())["gate"]
    assert (gate["verdict"], gate["override"]["by"]) == ("block", "Ana")
