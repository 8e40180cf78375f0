"""The deployments that there should be, made from the recipes and the flows.

A recipe becomes `run/<name>`, whose form has the few settings that a person changes for a run and
which has the schedule, and `run/<name> (all settings)`, whose form is the whole recipe. The
parameters of both hold the whole recipe, literally (`flows.cockpit.forms`). The flows on demand are
deployed once and take the name of a recipe. `flows.cockpit.deployments` registers them;
`prefect_yaml` writes the same ones as `deployments/prefect.yaml`, for Prefect's own `prefect deploy
--all`, which makes the forms itself: those of any recipe.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow

from flows.cockpit.deployments import SLUG, WAIT, DeploymentSpec
from flows.cockpit.forms import find_modality, short_form, whole_form
from flows.cockpit.local import POOL
from flows.cockpit.recipes import FoundRecipes, RecipeFault
from flows.errors import RecipeError
from flows.recipe import Recipe
from flows.tracked.nightly import nightly_flow
from flows.tracked.on_demand import ALL_SETTINGS, ON_DEMAND, adjust_flow
from flows.tracked.short_form import knob_values

ON_DEMAND_NAME = "on-demand"

_LISTS = re.compile(r"\n\n(?=(?:Args|Raises):\n)")


def wanted(recipes: Sequence[Recipe], pool: str = POOL) -> tuple[DeploymentSpec, ...]:
    """Return every deployment that there should be for these recipes.

    A pool other than the usual one has flows on demand of its own too, because its workers have
    rights of their own.
    """
    name = ON_DEMAND_NAME if pool == POOL else f"{ON_DEMAND_NAME}-{pool}"
    on_demand = (
        DeploymentSpec(flow=each, name=name, description=purpose(each), labels=(name,))
        for each in ON_DEMAND
    )
    return (*(one for recipe in recipes for one in of_recipe(recipe)), *on_demand)


def sift_schedules(found: FoundRecipes) -> FoundRecipes:
    """Return what was found, with the recipes whose schedule Prefect cannot read as faults."""
    recipes, faults = list[Recipe](), list(found.faults)
    for recipe in found.recipes:
        try:
            _schedule(recipe)
        except RecipeError as error:
            faults.append(RecipeFault(sentence=str(error), name=recipe.name))
        else:
            recipes.append(recipe)
    return FoundRecipes(recipes=tuple(recipes), faults=tuple(faults))


def _schedule(recipe: Recipe) -> CronSchedule | None:
    when = recipe.schedule
    if when.cron is None:
        return None
    try:
        return CronSchedule(cron=when.cron, timezone=when.timezone)
    except ValueError:
        msg = (
            f"recipe {recipe.name}: `schedule.cron` is {when.cron!r}, which Prefect cannot read: "
            "write minute, hour, day, month and day of the week, such as '0 3 * * *'"
        )
        raise RecipeError(msg) from None


NIGHTLY = "nightly"
"""Tag of a deployment that runs by itself, and of its runs."""


def of_recipe(recipe: Recipe) -> tuple[DeploymentSpec, DeploymentSpec]:
    """Return the two deployments of a recipe: the short form, which is scheduled, and the whole.

    Raises:
        RecipeError: Prefect cannot read its schedule.
    """
    schedule = _schedule(recipe)
    modality, whole = find_modality(recipe), recipe.model_dump(mode="json")
    short = DeploymentSpec(
        flow=adjust_flow,
        name=recipe.name,
        description=f"**{recipe.name}, short form.** {purpose(adjust_flow)}\n\n{_about(recipe)}",
        labels=(recipe.name, *((NIGHTLY,) if schedule else ())),
        parameters={**knob_values(recipe), "recipe": whole},
        own_form=short_form(recipe, modality),
        one_at_a_time=True,
        schedule=schedule,
    )
    every = DeploymentSpec(
        flow=nightly_flow,
        name=f"{recipe.name}{ALL_SETTINGS}",
        description=f"**{recipe.name}, all settings.** {purpose(nightly_flow)} The form is the "
        f"whole recipe, for one run; `{recipe.name}` is the short form.\n\n{_about(recipe)}",
        labels=(recipe.name, ALL_SETTINGS.strip(" ()")),
        parameters={"recipe": whole},
        own_form=whole_form(recipe, modality),
        one_at_a_time=True,
    )
    return short, every


def purpose(flow: Flow[Any, Any]) -> str:
    """Return the docstring of a flow without its lists of arguments and errors."""
    return _LISTS.split(flow.description or "")[0].strip()


def _about(recipe: Recipe) -> str:
    """Return what is particular about a recipe's deployment."""
    when = recipe.schedule.cron
    night = f"`{recipe.name}` runs at `{when}` ({recipe.schedule.timezone})" if when else ""
    return (
        f"From `{recipe.source.uri}` into `{recipe.output.lake}` as `{recipe.name}`; "
        f"{night or 'it runs when asked'}. Every field of the form is explained in docs/recipe.md."
    )


HERE = Path("{{ $PWD }}")
"""Where `prefect deploy` runs, filled in by it: a worker runs in a folder of its own, where
`./lake` would be another lake."""
PLACEHOLDER = "{{"

HEAD = """\
# Every deployment of the recipes in deployments/recipes, for Prefect's own command:
#
#     prefect work-pool create ganmill --type process
#     prefect deploy --all --prefect-file deployments/prefect.yaml
#     ganmill worker --pool ganmill
#
# `ganmill deploy` registers the same ones, and `ganmill deploy --check` says what differs.
# Made from the recipes by `ganmill deploy --write deployments/prefect.yaml`; change them there.
#
# Nothing is built, pushed or pulled: the entrypoints are modules, so a worker needs ganmill
# installed and no clone. {{ $PWD }} is filled in by Prefect with the folder of the command. A
# schedule that was paused in the UI stays paused; a deployment that was paused as a whole goes on,
# as always with Prefect's command (not with ganmill's).
"""


def prefect_yaml(recipes: Sequence[Recipe], pool: str = POOL) -> str:
    """Return the file that registers these recipes, whose local paths are as seen from `HERE`.

    Raises:
        RecipeError: a recipe holds `{{`, which Prefect would fill in.
    """
    for recipe in recipes:
        _check_literal(recipe)
    content = {
        "name": "ganmill",
        "build": None,
        "push": None,
        "pull": [],
        "deployments": [_entry(one, pool) for one in wanted(recipes, pool)],
    }
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return f"{HEAD}\n{text}"


def _entry(one: DeploymentSpec, pool: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": one.name,
        "entrypoint": one.entrypoint,
        "description": one.description,
        "tags": one.tags,
        "parameters": one.parameters,
        "enforce_parameter_schema": True,
        "work_pool": {"name": pool},
        "schedules": [],
    }
    if one.schedule is not None:
        when = one.schedule
        found["schedules"] = [{"cron": when.cron, "timezone": when.timezone, "slug": SLUG}]
    if one.limit is not None:
        strategy = WAIT.collision_strategy.value
        found["concurrency_limit"] = {"limit": one.limit, "collision_strategy": strategy}
    return found


def _check_literal(recipe: Recipe) -> None:
    for path, text in _texts(recipe.model_dump(mode="json")):
        if PLACEHOLDER in text.removeprefix(str(HERE)):
            msg = (
                f"recipe {recipe.name}: `{path}` is {text!r}, and Prefect would fill in what is "
                "behind {{: register it with `ganmill deploy`"
            )
            raise RecipeError(msg)


def _texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text below a value, by its path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _texts(value, f"{path}[{position}]")
    elif isinstance(node, str):
        yield path, node


class _Dumper(yaml.SafeDumper):
    """Writes values out where they are used, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of PyYAML
        """Say that nothing is written as a reference to something else."""
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)
