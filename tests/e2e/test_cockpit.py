"""`ganmill up`: Prefect's UI, a worker and the deployments, on a port of this machine."""

import re
import stat

import httpx
import pytest
import yaml

from flows.cockpit.local import Cockpit


def test_a_recipe_is_a_deployment_with_its_schedule_and_literal_parameters(up):
    known = up.deployment("stripes")
    recipe = known["parameters"]["recipe"]
    assert recipe["output"]["lake"] == str(up.place.lake)
    assert recipe["source"]["uri"] == str(up.place.folder / "stripes.parquet")
    assert known["global_concurrency_limit"]["limit"] == 1
    assert known["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    ((schedule,),) = ([s["schedule"] for s in known["schedules"]],)
    assert (schedule["cron"], schedule["timezone"]) == ("0 3 * * *", "Europe/Berlin")


FORMER = {
    "name": "ganmill: a run without heartbeats is crashed",
    "trigger": {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1},
    "actions": [{"type": "do-nothing"}],
}
"""An automation of earlier releases."""


@pytest.fixture(scope="module")
def again(up):
    """`ganmill up` a second time, after an automation of an earlier release and a person's own."""
    for one in (FORMER, FORMER | {"name": "ganmill: a night, by Ana"}):
        up.client.post("/automations/", json=one).raise_for_status()
    return up.place.call(*up.words)


def test_brought_up_twice_it_finds_what_is_there(up, again):
    assert again.code == 0, again.err
    assert f"{up.ui}/deployments" in again.out
    assert "Found     Prefect" in again.out
    assert "Found     worker" in again.out
    assert "Watch     nobody" not in again.out
    assert "GPU limit" not in again.out


def test_it_brings_a_gpu_limit_and_retires_the_automations_of_earlier_releases(up, again):
    limit = up.client.get("/v2/concurrency_limits/ganmill-gpu").raise_for_status().json()
    assert (limit["limit"], limit["active"]) == (1, True)
    assert f"removed the automation '{FORMER['name']}'" in again.out
    kept = up.client.post("/automations/filter", json={}).raise_for_status().json()
    names = {one["name"] for one in kept}
    assert FORMER["name"] not in names
    assert "ganmill: a night, by Ana" in names


def test_a_run_asked_for_by_the_form_is_done_by_the_worker(up):
    last = up.ended(up.ask(up.deployment("stripes")))
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    assert re.fullmatch(
        r"stripes, seed 0, 20\d\d-\d\d-\d\d: [A-Z]+, nothing new, 600 images", last["name"]
    )
    assert {"nightly", "nothing new"} < set(last["tags"])
    said = last["state"]["message"]
    assert said.startswith("nothing new, published before: stripes 20")
    assert ": 600 images, verdict " in said
    artifacts = up.client.post("/artifacts/filter", json={}).json()
    shown = {one["key"]: one["data"] for one in artifacts if one["flow_run_id"] == last["id"]}
    assert {"stripes-outcome", "stripes-verdict"} <= set(shown)
    link = said.rpartition("; report ")[2]
    assert f"[open it]({link})" in shown["stripes-outcome"]
    page = httpx.get(link)
    assert page.text.startswith("<!doctype html>")
    assert "stripes" in page.text
    told = up.place.call("status")
    assert f"stripes: report {link}" in told.out, told.err


def test_registering_again_does_not_resume_what_a_person_paused(up, small_recipe):
    recipe = small_recipe | {"name": "paused", "schedule": {"cron": "0 3 * * *"}}
    known = up.deploy(recipe)
    up.client.post(f"/deployments/{known['id']}/pause_deployment").raise_for_status()
    (schedule,) = known["schedules"]
    place_of = f"/deployments/{known['id']}/schedules/{schedule['id']}"
    up.client.patch(place_of, json={"active": False}).raise_for_status()
    later = up.deploy(recipe)
    assert later["paused"]
    assert [one["active"] for one in later["schedules"]] == [False]


@pytest.mark.full
def test_a_check_says_what_a_person_paused_and_what_a_recipe_changed(up, small_recipe):
    known = up.deploy(small_recipe | {"name": "checked", "schedule": {"cron": "0 3 * * *"}})
    words = ("deploy", "--recipes", "checked.yaml", "--check")
    assert "checked: " not in up.place.call(*words).out
    up.client.post(f"/deployments/{known['id']}/pause_deployment").raise_for_status()
    drifted = up.place.call(*words)
    assert drifted.code == 1
    assert "checked: is paused in Prefect" in drifted.out
    path = up.place.folder / "checked.yaml"
    path.write_text(path.read_text().replace("samples: 600", "samples: 700"))
    assert "checked: `recipe.synthesis.samples`" in up.place.call(*words).out


@pytest.mark.full
def test_one_wrong_recipe_is_left_out_and_keeps_what_it_had(up, small_recipe):
    mixed = up.place.folder / "mixed"
    mixed.mkdir()
    for name in ("first", "last"):
        recipe = small_recipe | {"name": name, "schedule": {"cron": "0 4 * * *"}}
        (mixed / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    words = ("deploy", "--recipes", "mixed")
    assert up.place.call(*words).code == 0
    before = up.deployment("first")

    wrong = (mixed / "first.yaml").read_text().replace("synthesis:", "sinthesis:")
    (mixed / "first.yaml").write_text(wrong)
    changed = (mixed / "last.yaml").read_text().replace("samples: 600", "samples: 700")
    (mixed / "last.yaml").write_text(changed)
    sentence = "mixed/first.yaml: the key `sinthesis` is unknown; did you mean `synthesis`?"
    done = up.place.call(*words)
    assert done.code == 2, done.err
    (said,) = (line for line in done.out.splitlines() if line.startswith("Left out"))
    assert sentence in said
    assert "what was deployed of it before stays" in said
    assert "Traceback" not in done.out + done.err
    after = up.deployment("first")
    assert after["parameters"] == before["parameters"]
    assert [one["active"] for one in after["schedules"]] == [True]
    assert up.deployment("last")["parameters"]["recipe"]["synthesis"]["samples"] == 700

    checked = up.place.call(*words, "--check")
    assert checked.code == 1
    assert sentence in checked.out
    assert "first: is deployed and has no recipe here" not in checked.out
    again = up.place.call("up", "--recipes", "mixed", *up.words[3:])
    assert again.code == 0, again.err
    assert sentence in again.out
    assert up.place.call("deploy", "--recipes", "mixed/first.yaml").code == 2
    assert up.place.call(*words, "--write", "one.yaml").code == 2
    assert not (up.place.folder / "one.yaml").exists()


def test_an_open_address_gets_a_login_that_only_the_owner_reads(tmp_path):
    cockpit = Cockpit(host="0.0.0.0", folder=tmp_path / "cockpit")  # noqa: S104
    login = cockpit.variables()["PREFECT_SERVER_API_AUTH_STRING"]
    path = cockpit.login_file()
    assert login == path.read_text()
    assert login.startswith("ganmill:")
    assert len(login) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PREFECT_SERVER_API_AUTH_STRING" not in Cockpit(folder=tmp_path).variables()
