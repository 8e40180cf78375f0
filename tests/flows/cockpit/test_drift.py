"""Every way in which a deployment may differ from what the recipe says is one sentence."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound

from flows.cockpit import deployments
from flows.cockpit.deployments import SLUG, WAIT, differences, register_all
from flows.cockpit.local import POOL
from flows.cockpit.specs import of_recipe, wanted
from flows.recipe import parse_recipe

RAW = {
    "name": "digits",
    "source": {"uri": "example:digits"},
    "schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin"},
}
SHORT, WHOLE = of_recipe(parse_recipe(RAW))


def schedule(cron="0 3 * * *", *, active=True, slug=SLUG):
    when = CronSchedule(cron=cron, timezone="Europe/Berlin")
    return SimpleNamespace(schedule=when, active=active, slug=slug)


def as_deployed(one=SHORT, **changes):
    """What Prefect answers for a deployment that was registered and then changed."""
    known = {
        "parameters": one.parameters,
        "parameter_openapi_schema": one.form,
        "description": one.description,
        "tags": one.tags,
        "entrypoint": one.entrypoint,
        "work_pool_name": POOL,
        "pull_steps": [],
        "global_concurrency_limit": SimpleNamespace(limit=1),
        "concurrency_options": WAIT,
        "paused": False,
        "schedules": [schedule()],
    }
    return SimpleNamespace(**known | changes)


def test_what_was_registered_does_not_differ():
    assert list(differences(SHORT, as_deployed(), POOL)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paused": True}, "is paused in Prefect"),
        ({"schedules": []}, "has no schedule, the recipe says `0 3 * * *` (Europe/Berlin)"),
        (
            {"schedules": [schedule("0 4 * * *")]},
            "its schedule is `0 4 * * *` (Europe/Berlin), the",
        ),
        (
            {"schedules": [schedule(active=False)]},
            "its schedule `0 3 * * *` (Europe/Berlin) is pau",
        ),
        (
            {"schedules": [schedule(), schedule("5 5 * * *", slug=None)]},
            "has a schedule `5 5 * * *`",
        ),
        ({"work_pool_name": "other"}, "work pool 'other', not 'ganmill'"),
        ({"tags": ["ganmill"]}, "tags ['ganmill'], not ['ganmill', 'digits', 'nightly']"),
        ({"description": None}, "description None, not '**digits, short form.**"),
        ({"entrypoint": "old.py:flow"}, "entrypoint 'old.py:flow', not 'flows.tracked"),
        ({"pull_steps": [{"a": 1}]}, "pull steps [{'a': 1}], not []"),
        ({"global_concurrency_limit": None}, "concurrency limit None, not 1"),
        ({"concurrency_options": None}, "collision strategy None"),
        ({"parameter_openapi_schema": {}}, "its run form is of another version of ganmill"),
    ],
)
def test_each_difference_is_one_sentence(changes, words):
    (said,) = differences(SHORT, as_deployed(**changes), POOL)
    assert said.startswith(words)


def test_an_edited_parameter_is_named_by_its_path():
    recipe = parse_recipe(RAW | {"training": {"device": "cpu"}, "seed": 3})
    changed = {"recipe": recipe.model_dump(mode="json")}
    edited = as_deployed(WHOLE, parameters=changed, schedules=[])
    assert list(differences(WHOLE, edited, POOL)) == [
        "`recipe.seed` is deployed as 3, the recipe says 0",
        "`recipe.training.device` is deployed as 'cpu', the recipe says 'auto'",
    ]


def test_a_schedule_that_the_recipe_no_longer_has_is_named():
    (said,) = differences(replace(SHORT, schedule=None), as_deployed(), POOL)
    assert said == "its schedule is `0 3 * * *` (Europe/Berlin), the recipe says none"


def test_on_demand_a_person_may_add_schedules():
    one = next(each for each in wanted([]) if each.flow.name == "verify")
    added = [schedule("0 5 * * 0", slug=None)]
    known = as_deployed(one, schedules=added, global_concurrency_limit=None)
    assert list(differences(one, known, POOL)) == []


class Registered:
    """A client of Prefect that knows some deployments and notes what is done to them."""

    def __init__(self, **known):
        self.known, self.made, self.deleted = known, {}, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read_deployment_by_name(self, name):
        if name not in self.known:
            raise ObjectNotFound(Exception(name))
        return self.known[name]

    def create_flow_from_name(self, name):
        return name

    def create_deployment(self, *, name, schedules, paused, **_):
        self.made[name] = (paused, [(each.schedule.cron, each.active) for each in schedules])

    def update_deployment(self, *_):
        pass

    def delete_deployment_schedule(self, deployment, schedule):
        self.deleted.append((deployment, schedule))


def former(*schedules, tags=("ganmill", "digits"), paused=False):
    numbered = [SimpleNamespace(id=number, **vars(each)) for number, each in enumerate(schedules)]
    return SimpleNamespace(id="former", tags=list(tags), paused=paused, schedules=numbered)


@pytest.fixture
def register(monkeypatch):
    """Return a function that registers the recipe where Prefect knows some deployments."""

    def run(**known):
        client = Registered(**known)
        monkeypatch.setattr(deployments, "get_client", lambda **_: client)
        register_all((SHORT, WHOLE))
        return client

    return run


def test_a_deployment_of_an_earlier_version_hands_on_its_schedules_as_a_person_left_them(register):
    night, noon = schedule(active=False), schedule("0 12 * * *", slug=None)
    client = register(**{"nightly/digits": former(night, noon, paused=True)})
    assert client.made["digits"] == (True, [("0 3 * * *", False), ("0 12 * * *", True)])
    assert client.made["digits (all settings)"] == (False, [])
    assert client.deleted == [("former", 0), ("former", 1)]


def test_what_was_handed_on_before_the_end_is_dropped_and_what_came_later_stays(register):
    noon, new = schedule("0 12 * * *", slug=None), schedule("0 5 * * *", slug=None)
    known = SimpleNamespace(id="known", schedules=[schedule(), noon])
    there = {"nightly/digits": former(schedule(), noon, new), "run/digits": known}
    assert register(**there).deleted == [("former", 0), ("former", 1)]


def test_a_deployment_of_somebody_else_keeps_its_schedule(register):
    client = register(**{"nightly/digits": former(schedule(), tags=("theirs",))})
    assert client.deleted == []
    assert client.made["digits"] == (False, [("0 3 * * *", True)])
