"""`ganmill up` and `ganmill deploy`: recipes in the Prefect UI."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from flows.cli.exits import DONE, TRAINING
from flows.cli.output import Output
from flows.cockpit import up as processes
from flows.cockpit.catalog import find_recipes
from flows.cockpit.up import Cockpit
from flows.interrupt import StopSignal
from flows.prefect_manners import apply_manners, process_environment
from flows.recipe import Recipe
from storage.settings import load_settings

DRIFTED = 1
USUAL = Path("deployments/recipes")


def go_up(
    place: str | None, *, host: str, port: int, lake: str | None, pool: str | None = None
) -> int:
    """Start what is missing of server and worker, deploy every recipe, and wait for Ctrl-C."""
    output = Output()
    recipes = _recipes(place, lake)
    work = load_settings().work_folder.absolute()
    cockpit = Cockpit(host=host, port=port, folder=work / "cockpit")
    variables = {**cockpit.variables(), "GANMILL_WORK_FOLDER": str(work)}
    apply_manners(cockpit.api, variables)
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with StopSignal().listening():
            _start(cockpit, recipes, pool, started, output)
            _tell(cockpit, recipes, output)
            if not started:
                return DONE
            processes.watch(started, output.line)
            return TRAINING
    except KeyboardInterrupt:
        output.line("Stopping ...")
        return DONE
    finally:
        for process in reversed(started.values()):
            processes.stop(process)


def deploy(place: str | None, *, lake: str | None, check: bool, pool: str | None = None) -> int:
    """Register every recipe with the Prefect API in use, or say how it differs from them."""
    output, recipes = Output(), _recipes(place, lake)
    apply_manners(None)
    from flows.cockpit.deployments import POOL, ensure_pool, register_all
    from flows.cockpit.drift import drift

    pool = pool or POOL
    if check:
        sentences = drift(recipes, pool)
        for sentence in sentences:
            output.line(sentence)
        if not sentences:
            output.line(f"{len(recipes)} recipes are deployed as they are written")
        return DRIFTED if sentences else DONE
    ensure_pool(pool)
    for sentence in register_all(recipes, pool):
        output.line(f"Deployed  {sentence}")
    return DONE


def _recipes(place: str | None, lake: str | None) -> tuple[Recipe, ...]:
    changes: Sequence[str] = () if lake is None else (f"output.lake={lake}",)
    usual = USUAL if USUAL.is_dir() else Path()
    return find_recipes(place or usual, changes)


def _start(
    cockpit: Cockpit,
    recipes: Sequence[Recipe],
    pool: str | None,
    started: dict[str, subprocess.Popen[bytes]],
    output: Output,
) -> None:
    """Start server and worker unless they are there, and deploy the recipes between."""
    environment = process_environment()
    if processes.answers(cockpit):
        output.line(f"Found     Prefect at {cockpit.ui}")
    else:
        output.line(f"Starting  Prefect at {cockpit.ui} ...")
        started["server"] = processes.start_server(cockpit, environment)
    from flows.cockpit.deployments import POOL, ensure_pool, has_worker, register_all

    pool = pool or POOL
    ensure_pool(pool)
    for sentence in register_all(recipes, pool):
        output.line(f"Deployed  {sentence}")
    if has_worker(processes.worker_name(), pool):
        output.line(f"Found     worker {processes.worker_name()}")
    else:
        started["worker"] = processes.start_worker(cockpit, pool, environment)
        output.line(f"Started   worker {processes.worker_name()}")


def _tell(cockpit: Cockpit, recipes: Sequence[Recipe], output: Output) -> None:
    output.line(f"UI        {cockpit.ui}/deployments", "bold")
    if cockpit.is_open:
        output.line(f"Login     the content of {cockpit.login_file()}")
    output.line(f"Next      open it, choose one of {len(recipes)} deployments, and press Run")
