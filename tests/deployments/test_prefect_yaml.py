"""Every YAML below deployments/ is what its reader takes: recipes ours, prefect.yaml Prefect's."""

from pathlib import Path

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel, RawScheduleConfig
from prefect.client.schemas.actions import DeploymentCreate, DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows.cli import cockpit
from flows.cli.app import execute
from flows.cockpit.recipes import find_recipes
from flows.cockpit.specs import HERE, prefect_yaml, wanted
from flows.errors import DONE, RecipeError
from flows.recipe import load_recipe, parse_recipe
from gan.images.classic_presets import CLASSIC

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"
FILE = DEPLOYMENTS / "prefect.yaml"
RECIPES = sorted(path for path in DEPLOYMENTS.rglob("*.y*ml") if "recipes" in path.parts)
TESTED = {
    "automations": "test_automations.py",
    "compose": "test_compose.py",
    "docker": "test_docker.py",
    "kubernetes": "test_kubernetes.py",
}
"""Folder below deployments → the test beside this one that reads its files."""

CONTENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
each_entry = pytest.mark.parametrize(
    "entry",
    CONTENT["deployments"],
    ids=lambda one: f"{one['entrypoint'].split('.')[-1]}/{one['name']}",
)


def test_every_yaml_below_deployments_has_a_test_that_reads_it():
    for path in DEPLOYMENTS.rglob("*.y*ml"):
        folder = path.relative_to(DEPLOYMENTS).parts[0]
        if path != FILE and path not in RECIPES:
            assert (Path(__file__).parent / TESTED[folder]).is_file(), path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parents[1].name}/{path.stem}")
def test_every_recipe_is_one(path):
    assert load_recipe(path).name


def test_every_classic_system_has_its_recipe():
    folder = DEPLOYMENTS / "recipes" / "classic"
    recipes = {path.stem: load_recipe(path) for path in folder.iterdir()}
    assert {name: recipe.generator.preset for name, recipe in recipes.items()} == {
        "mlp-gan-vectors": "mlp-gan",
        **{name: name for name in (*CLASSIC, "modern")},
    }


def test_the_committed_file_is_what_the_recipes_make():
    recipes = find_recipes(DEPLOYMENTS / "recipes", folder=HERE)
    said = "write it anew: ganmill deploy --write deployments/prefect.yaml"
    assert FILE.read_text(encoding="utf-8") == prefect_yaml(recipes), said


def test_the_command_writes_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cockpit, "apply_defaults", lambda _: None)
    made = tmp_path / "prefect.yaml"
    words = ["deploy", "--recipes", str(DEPLOYMENTS / "recipes"), "--write", str(made)]
    assert execute(words) == DONE
    assert made.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")
    assert execute([*words, "--pool", "vision"]) == DONE
    entries = yaml.safe_load(made.read_text(encoding="utf-8"))["deployments"]
    assert {entry["work_pool"]["name"] for entry in entries} == {"vision"}
    assert "on-demand-vision" in {entry["name"] for entry in entries}


def test_prefect_reads_the_file_and_knows_every_key():
    model = PrefectYamlModel.model_validate(CONTENT)
    assert model.pull == []
    assert len(model.deployments) == len(CONTENT["deployments"])
    known = set(type(model.deployments[0]).model_fields)
    assert all(set(entry) <= known for entry in CONTENT["deployments"])
    assert set(CONTENT) <= set(PrefectYamlModel.model_fields)


@each_entry
def test_prefect_can_load_the_flow_and_the_schedule(entry):
    flow = load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)
    for schedule in entry["schedules"]:
        raw = RawScheduleConfig.model_validate(schedule)
        cron = CronSchedule(cron=raw.cron, timezone=raw.timezone)
        DeploymentScheduleCreate(schedule=cron, slug=raw.slug)
    if "concurrency_limit" in entry:
        assert entry["concurrency_limit"]["limit"] == 1
        assert ConcurrencyLimitStrategy(entry["concurrency_limit"]["collision_strategy"])
    created = DeploymentCreate(
        name=entry["name"],
        flow_id="00000000-0000-0000-0000-000000000000",
        parameters=entry["parameters"],
        tags=entry["tags"],
        description=entry["description"],
        parameter_openapi_schema=parameter_schema(flow).model_dump(),
    )
    assert created.description


def test_every_deployment_is_in_the_file_once():
    recipes = find_recipes(DEPLOYMENTS / "recipes", folder=HERE)
    names = [f"{one['entrypoint']}/{one['name']}" for one in CONTENT["deployments"]]
    assert len(names) == len(set(names))
    assert set(names) == {f"{one.entrypoint}/{one.name}" for one in wanted(recipes)}


def test_one_shipped_recipe_runs_by_itself_and_makes_a_new_version_each_night():
    recipes = {recipe.name: recipe for recipe in find_recipes(DEPLOYMENTS / "recipes")}
    assert recipes["digits-nightly"].schedule.cron == "0 3 * * *"
    assert recipes["digits-nightly"].synthesis.seed == "night"
    assert recipes["digits"].synthesis.seed == 0


def test_a_recipe_that_prefect_would_fill_in_is_refused():
    raw = {"name": "a", "source": {"uri": "s3://bucket/{{ day }}.csv"}, "output": {"lake": "/lake"}}
    with pytest.raises(RecipeError, match=r"`source\.uri` is .*\{\{"):
        prefect_yaml([parse_recipe(raw)])
