"""`ganmill up`: Prefect's UI, a worker and the deployments, on a port of this machine."""

import signal
import socket
import stat
import time

import httpx
import pytest
import yaml

from flows.cockpit.up import Cockpit

STARTUP_S = 150
RUN_S = 150


def wait(check, limit_s):
    """Return the first true answer."""
    last_s = time.monotonic() + limit_s
    while time.monotonic() < last_s:
        found = check()
        if found:
            return found
        time.sleep(0.5)
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory, finished):
    """A copy of the finished job, its recipe with a schedule."""
    import shutil

    place = tmp_path_factory.mktemp("cockpit") / "job"
    shutil.copytree(finished.place.folder, place)
    recipe = yaml.safe_load((place / "stripes.yaml").read_text())
    recipe["schedule"] = {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}
    (place / "recipes").mkdir()
    (place / "recipes" / "stripes.yaml").write_text(yaml.safe_dump(recipe))
    return place


@pytest.fixture(scope="module")
def up(folder, make_place):
    """Bring it up; at the end press Ctrl-C and see that nothing is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = make_place(folder, {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"})
    words = ("up", "--recipes", "recipes", "--port", str(port))
    process = place.start(*words)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=30)

    def workers():
        if process.poll() is not None:
            pytest.fail(process.stderr.read())
        try:
            found = client.post("/work_pools/ganmill/workers/filter", json={})
        except httpx.TransportError:
            return None
        return found.json() if found.is_success else None

    assert wait(workers, STARTUP_S), "no worker came"
    yield place, client, words
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert f"http://127.0.0.1:{port}/deployments" in out
    with pytest.raises(httpx.TransportError):
        client.get("/health")


def deployment(client):
    return client.get("/deployments/name/nightly/stripes").raise_for_status().json()


def test_a_recipe_is_a_deployment_with_its_schedule_and_literal_parameters(up, folder):
    _, client, _ = up
    known = deployment(client)
    recipe = known["parameters"]["recipe"]
    assert recipe["output"]["lake"] == str(folder / "lake")
    assert recipe["source"]["uri"] == str(folder / "stripes.parquet")
    assert known["global_concurrency_limit"]["limit"] == 1
    assert known["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    ((schedule,),) = ([s["schedule"] for s in known["schedules"]],)
    assert (schedule["cron"], schedule["timezone"]) == ("0 3 * * *", "Europe/Berlin")


def test_brought_up_twice_it_finds_what_is_there(up):
    place, _, words = up
    again = place.run(*words)
    assert again.code == 0, again.err
    assert "Found     Prefect" in again.out
    assert "Found     worker" in again.out


def test_a_run_asked_for_by_the_form_is_done_by_the_worker(up):
    _, client, _ = up
    known = deployment(client)
    asked = {"parameters": known["parameters"], "state": {"type": "SCHEDULED"}}
    made = client.post(f"/deployments/{known['id']}/create_flow_run", json=asked)
    run = made.raise_for_status().json()["id"]
    ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

    def state():
        found = client.get(f"/flow_runs/{run}").json()
        return found if found["state_type"] in ended else None

    last = wait(state, RUN_S)
    assert last, "the run did not end"
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    assert last["name"].startswith("stripes, seed 0, 20")
    artifacts = client.post("/artifacts/filter", json={}).json()
    assert {"stripes-outcome", "stripes-verdict"} <= {one["key"] for one in artifacts}


def test_registering_again_does_not_resume_what_a_person_paused(up):
    place, client, _ = up
    api = {"PREFECT_API_URL": str(client.base_url).rstrip("/")}
    deployer = type(place)(place.folder, {**place.environment, **api})
    same = deployer.run("deploy", "--recipes", "recipes", "--check")
    assert same.code == 0, same.out + same.err

    known = deployment(client)
    client.post(f"/deployments/{known['id']}/pause_deployment").raise_for_status()
    (schedule,) = known["schedules"]
    place_of = f"/deployments/{known['id']}/schedules/{schedule['id']}"
    client.patch(place_of, json={"active": False}).raise_for_status()
    assert deployer.run("deploy", "--recipes", "recipes").code == 0
    later = deployment(client)
    assert later["paused"]
    assert [one["active"] for one in later["schedules"]] == [False]

    drifted = deployer.run("deploy", "--recipes", "recipes", "--check")
    assert drifted.code == 1
    assert "paused in Prefect" in drifted.out
    path = place.folder / "recipes" / "stripes.yaml"
    path.write_text(path.read_text().replace("samples: 600", "samples: 700"))
    assert "`synthesis`" in deployer.run("deploy", "--recipes", "recipes", "--check").out


def test_an_open_address_gets_a_login_that_only_the_owner_reads(tmp_path):
    cockpit = Cockpit(host="0.0.0.0", folder=tmp_path / "cockpit")  # noqa: S104
    login = cockpit.variables()["PREFECT_SERVER_API_AUTH_STRING"]
    path = cockpit.login_file()
    assert login == path.read_text()
    assert login.startswith("ganmill:")
    assert len(login) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PREFECT_SERVER_API_AUTH_STRING" not in Cockpit(folder=tmp_path).variables()
