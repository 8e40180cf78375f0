"""Every deployment on a live server: run on demand, adjusted, registered again, compared."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flows.cockpit.recipes import find_recipes
from flows.cockpit.specs import wanted
from flows.tracked.on_demand import ALL_SETTINGS
from storage.lake import datasets, promotions, registry
from storage.lake.layout import version_folder
from storage.stores.open import open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demand(up):
    """Run a flow on demand for a recipe and return how it ended."""

    def run(flow, recipe="stripes", **asked):
        deployment = up.deployment("on-demand", flow)
        return up.ended(up.ask(deployment, recipe=recipe, **asked))

    return run


def lake(up):
    return open_store(str(up.place.lake))


def check(up, *words):
    return up.place.run("deploy", "--check", *words).out.splitlines()


def about(lines, name):
    return [line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")]


def test_other_samples_by_the_short_form_make_a_version_and_train_nothing(up):
    short = up.deployment("stripes")
    whole = up.deployment("stripes (all settings)")
    assert short["parameters"] == whole["parameters"] | {
        "samples": 600,
        "balance": "auto",
        "synthesis_seed": 0,
        "budget_samples": 12_000,
        "budget_s": None,
        "seed": 0,
        "on_reject": "keep-champion",
        "approval": "never",
        "lift": "never",
        "name": "stripes",
    }
    assert [one["schedules"] for one in (short, whole)][1] == []
    assert short["global_concurrency_limit"]["limit"] == 1
    assert short["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    trained = registry.candidates(lake(up), "stripes")
    last = up.ended(up.ask(short, samples=330))
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    assert last["name"].startswith("stripes, seed 0, samples 330, 20")
    assert registry.candidates(lake(up), "stripes") == trained
    newest = datasets.latest(lake(up), "stripes")
    assert datasets.read_manifest(lake(up), "stripes", newest.version).rows == 330
    assert up.deployment("stripes")["parameters"]["recipe"]["synthesis"]["samples"] == 600


@pytest.mark.full
def test_a_recipe_that_is_not_deployed_fails_with_one_sentence(demand):
    last = demand("verify", "nobody")
    assert last["state_type"] == "FAILED"
    message = last["state"]["message"]
    assert message.startswith("no recipe 'nobody' is deployed; deployed are: ")
    assert "stripes" in message
    assert "\n" not in message


def test_a_schedule_makes_runs(up):
    """Prefect's scheduler fails without a word on a version of SQLAlchemy that it does not know."""
    known = up.deployment("stripes")
    asked = {
        "deployments": {"id": {"any_": [known["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    last_s = time.monotonic() + 150
    found = []
    while not found and time.monotonic() < last_s:
        found = up.client.post("/flow_runs/filter", json=asked).json()
        time.sleep(1)
    assert found, "no run was scheduled"
    starts = {run["expected_start_time"][11:19] for run in found}
    assert starts <= {"01:00:00", "02:00:00"}, "three o'clock in Berlin, in UTC"


@pytest.mark.full
def test_what_the_short_form_cannot_mean_fails_with_one_sentence(up):
    last = up.ended(up.ask(up.deployment("stripes"), budget_samples=None))
    assert last["state_type"] == "FAILED"
    assert "are all null: set at least one" in last["state"]["message"]


@pytest.mark.full
def test_each_stage_runs_alone_on_a_recipe_that_is_new(up, small_recipe, demand):
    up.deploy(small_recipe | {"name": "alone"})
    early = demand("evaluate", "alone")
    assert early["state_type"] == "FAILED"
    assert "train it first" in early["state"]["message"]
    early = demand("synthesize", "alone")
    assert early["state_type"] == "FAILED"
    assert "was promoted yet" in early["state"]["message"]

    for flow in ("train", "evaluate"):
        last = demand(flow, "alone")
        assert last["state_type"] == "COMPLETED", last["state"]["message"]
    (version,) = registry.candidates(lake(up), "alone")
    assert promotions.champion(lake(up), "alone") is None

    last = demand("promote", "alone", version=version, by="Kim", reason="seen it")
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    champion = promotions.champion(lake(up), "alone")
    assert (champion.version, champion.by, champion.reason) == (version, "Kim", "seen it")
    back = demand("rollback", "alone", by="Kim", reason="no")
    assert back["state_type"] == "FAILED"
    assert "nothing to roll back to" in back["state"]["message"]

    last = demand("synthesize", "alone")
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    newest = datasets.latest(lake(up), "alone")
    assert datasets.read_manifest(lake(up), "alone", newest.version).rows == 600
    assert registry.candidates(lake(up), "alone") == [version]

    last = demand("verify", "alone")
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    shard = next(Path(lake(up).uri, version_folder("alone", newest.version)).glob("*.parquet"))
    shard.chmod(0o600)
    shard.write_bytes(shard.read_bytes()[:-1])
    last = demand("verify", "alone", version=newest.version)
    assert last["state_type"] == "FAILED"
    assert f"{newest.version} of alone is damaged: {shard.parent.name}/{shard.name}" in (
        last["state"]["message"].replace("datasets/alone/", "")
    )


@pytest.mark.full
def test_maintenance_says_first_what_it_would_do_and_then_does_it(up, demand):
    for apply in (False, True):
        last = demand("maintain", apply=apply)
        assert last["state_type"] == "COMPLETED", last["state"]["message"]
        assert last["name"].startswith("stripes, 20")
        asked = {"artifacts": {"flow_run_id": {"any_": [last["id"]]}}}
        (shown,) = up.client.post("/artifacts/filter", json=asked).json()
        assert shown["key"] == "maintenance"
        assert ("# Done" in shown["data"]) is apply
        assert "Prefect: deleted 0 runs" in shown["data"] or not apply


@pytest.mark.full
def test_registering_changes_what_the_recipe_says_and_keeps_what_a_person_did(up, small_recipe):
    recipe = small_recipe | {"name": "kept", "schedule": {"cron": "0 3 * * *"}}
    known = up.deploy(recipe)
    place = f"/deployments/{known['id']}"
    words = ("--recipes", "kept.yaml")
    assert not about(check(up, *words), "run/kept")

    (ours,) = known["schedules"]
    up.client.patch(f"{place}/schedules/{ours['id']}", json={"active": False}).raise_for_status()
    noon = {"schedule": {"cron": "0 12 * * *", "timezone": "UTC"}, "active": True}
    up.client.post(f"{place}/schedules", json=[noon]).raise_for_status()
    edited = known["parameters"]
    edited["recipe"]["synthesis"]["samples"] = 5
    up.client.patch(place, json={"parameters": edited}).raise_for_status()
    found = about(check(up, *words), "run/kept")
    assert found == [
        "`recipe.synthesis.samples` is deployed as 5, the recipe says 600",
        "its schedule `0 3 * * *` (UTC) is paused in Prefect",
        "has a schedule `0 12 * * *` (UTC) that was added in Prefect and is kept",
    ]

    later = up.deploy(recipe | {"schedule": {"cron": "0 4 * * *"}})
    assert later["parameters"]["recipe"]["synthesis"]["samples"] == 600
    schedules = {one["schedule"]["cron"]: one["active"] for one in later["schedules"]}
    assert schedules == {"0 4 * * *": False, "0 12 * * *": True}

    later = up.deploy({key: value for key, value in recipe.items() if key != "schedule"})
    assert [one["schedule"]["cron"] for one in later["schedules"]] == ["0 12 * * *"]


@pytest.mark.full
def test_a_deployment_of_an_earlier_version_hands_its_schedules_on_and_still_runs(up, small_recipe):
    known = up.deploy(small_recipe | {"name": "former", "schedule": {"cron": "0 3 * * *"}})
    recipe = known["parameters"]["recipe"]
    for name in ("former", "former (all settings)"):
        up.client.delete(f"/deployments/{up.deployment(name)['id']}").raise_for_status()
    night, noon = ({"cron": f"0 {hour} * * *", "timezone": "UTC"} for hour in (3, 12))
    flow = up.client.post("/flows/", json={"name": "nightly"}).raise_for_status().json()
    asked = {
        "name": "former",
        "flow_id": flow["id"],
        "entrypoint": "flows.tracked.nightly.nightly_flow",
        "tags": ["ganmill", "former"],
        "work_pool_name": "ganmill",
        "pull_steps": [],
        "parameters": {"recipe": recipe},
        "schedules": [
            {"schedule": night, "active": False, "slug": "recipe"},
            {"schedule": noon, "active": True},
        ],
    }
    former = up.client.post("/deployments/", json=asked).raise_for_status().json()
    later = up.deploy(small_recipe | {"name": "former", "schedule": {"cron": "0 3 * * *"}})
    schedules = {one["schedule"]["cron"]: one["active"] for one in later["schedules"]}
    assert schedules == {"0 3 * * *": False, "0 12 * * *": True}, "what a person did stays"
    assert up.deployment("former", "nightly")["schedules"] == []
    (said,) = about(check(up, "--recipes", "former.yaml"), "nightly/former")
    assert said.startswith("is of an earlier version of ganmill")
    last = up.ended(up.ask(former))
    assert last["state_type"] == "COMPLETED", last["state"]["message"]


@pytest.mark.full
def test_a_deployment_without_a_recipe_is_named_and_left_alone(up, small_recipe):
    up.deploy(small_recipe | {"name": "lonely"})
    (up.place.folder / "lonely.yaml").unlink()
    for name in ("lonely", "lonely (all settings)"):
        (said,) = about(check(up, "--recipes", "recipes"), f"run/{name}")
        assert "has no recipe here" in said
        assert up.deployment(name)


@pytest.mark.full
def test_another_pool_is_made_and_used(up, small_recipe):
    path = up.place.folder / "elsewhere.yaml"
    path.write_text(yaml.safe_dump(small_recipe | {"name": "elsewhere"}))
    words = ("--recipes", path.name, "--pool", "elsewhere")
    assert up.place.run("deploy", *words).code == 0
    assert up.deployment("elsewhere")["work_pool_name"] == "elsewhere"
    assert up.deployment("on-demand-elsewhere", "train")["work_pool_name"] == "elsewhere"
    assert not about(check(up, *words), "run/elsewhere")
    (said,) = about(check(up, *words[:2]), "run/elsewhere")
    assert said == "work pool 'elsewhere', not 'ganmill'"
    assert up.deployment("on-demand", "train")["work_pool_name"] == "ganmill"


@pytest.mark.full
def test_plain_prefect_deploy_all_makes_the_same_deployments(up, tmp_path):
    environment = {
        **os.environ,
        "PREFECT_API_URL": up.place.environment["PREFECT_API_URL"],
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "DO_NOT_TRACK": "1",
        "PWD": str(ROOT),
    }
    words = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    recipes = find_recipes(ROOT / "deployments" / "recipes", folder=ROOT)
    names = {one.full_name for one in wanted(recipes)}
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        shipped = subprocess.run(
            [sys.executable, "-c", "from flows.cli import main; main()", "deploy", "--check"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert shipped.stderr == ""
        lines = shipped.stdout.splitlines()
        ours = [line.partition(": ") for line in lines if line.partition(": ")[0] in names]
        forms = {one.full_name for one in wanted(recipes) if one.one_at_a_time}
        assert {name for name, _, _ in ours} == forms, "Prefect's command makes the forms itself"
        assert {what for _, _, what in ours} == {"its run form is of another version of ganmill"}
    finally:
        for recipe in recipes:
            for kind in ("", ALL_SETTINGS):
                found = up.client.get(f"/deployments/name/run/{recipe.name}{kind}")
                if found.is_success:
                    up.client.delete(f"/deployments/{found.json()['id']}").raise_for_status()
