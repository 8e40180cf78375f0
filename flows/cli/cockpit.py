"""`ganmill up` and `ganmill deploy`: recipes in the Prefect UI."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.cli.output import Output
from flows.cockpit import local
from flows.cockpit import local as processes
from flows.cockpit.local import Cockpit
from flows.cockpit.recipes import find_recipes
from flows.errors import DONE, TRAINING, EngineError
from flows.prefect_defaults import ENVIRONMENT_DEFAULTS, apply_defaults, process_environment
from flows.progress import StopSignal
from flows.recipe import Recipe
from storage.stores.settings import load_settings

DRIFTED = 1
USUAL = Path("deployments/recipes")


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """What `ganmill up` was asked for."""

    recipes: str | None = None
    lake: str | None = None
    pool: str | None = None
    host: str = "127.0.0.1"
    port: int = 4200
    install: bool = False
    """As services of this machine, which go on after the command has ended."""


def go_up(wanted: UpOptions) -> int:
    """Start what is missing of server and worker, deploy every recipe, and wait for Ctrl-C."""
    output = Output()
    recipes = _recipes(wanted.recipes, wanted.lake)
    work = load_settings().work_folder.absolute()
    cockpit = Cockpit(host=wanted.host, port=wanted.port, folder=work / "cockpit")
    variables = {**cockpit.variables(), "GANMILL_WORK_FOLDER": str(work)}
    apply_defaults(cockpit.api, variables)
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with StopSignal().listening():
            if wanted.install and not _install(cockpit, wanted, variables, output):
                return DONE
            _start(cockpit, recipes, wanted.pool, started, output)
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


def _install(
    cockpit: Cockpit, wanted: UpOptions, variables: Mapping[str, str], output: Output
) -> bool:
    """Write the services and start them; False where systemd does not run."""
    from flows.cockpit.specs import POOL

    where = local.services()
    *units, environment = local.write_units(
        cockpit, wanted.pool or POOL, {**ENVIRONMENT_DEFAULTS, **variables}, where
    )
    for path in units:
        output.line(f"Wrote     {path}")
    output.line(f"Wrote     {environment}, which only you can read")
    forgotten = local.forgotten(environment, process_environment())
    if forgotten:
        output.line(
            f"Add to it {', '.join(forgotten)}: services do not have this shell's variables"
        )
    if local.start_units(where):
        output.line("Started   both services; waiting for the server ...")
        if not processes.wait_for_server(cockpit):
            msg = f"the service {local.SERVER} does not answer; `journalctl -u` it says why"
            raise EngineError(msg)
        return True
    output.line("Next      systemd does not run here; where it does, run")
    for command in where.commands():
        output.line(f"          {' '.join(command)}")
    output.line("          and `ganmill up` once more, which deploys the recipes")
    return False


def deploy(place: str | None, *, lake: str | None, check: bool, pool: str | None = None) -> int:
    """Register every recipe with the Prefect API in use, or say how it differs from them."""
    output, recipes = Output(), _recipes(place, lake)
    apply_defaults(None)
    from flows.cockpit.deployments import check_api, drift
    from flows.cockpit.specs import POOL

    check_api()
    pool = pool or POOL
    if check:
        sentences = drift(recipes, pool)
        for sentence in sentences:
            output.line(sentence)
        if not sentences:
            output.line(f"{len(recipes)} recipes are deployed as they are written")
        return DRIFTED if sentences else DONE
    _register(recipes, pool, output)
    return DONE


def write(place: str | None, path: Path, *, lake: str | None, pool: str | None = None) -> int:
    """Write the file with which Prefect's own `prefect deploy --all` registers every recipe."""
    apply_defaults(None)
    from flows.cockpit.specs import HERE, POOL, prefect_yaml

    recipes = _recipes(place, lake, HERE)
    path.write_text(prefect_yaml(recipes, pool or POOL), encoding="utf-8")
    output = Output()
    output.line(f"Wrote     {path}, from {len(recipes)} recipes")
    output.line(f"Next      prefect deploy --all --prefect-file {path}")
    return DONE


def _recipes(place: str | None, lake: str | None, folder: Path | None = None) -> tuple[Recipe, ...]:
    changes: Sequence[str] = () if lake is None else (f"output.lake={lake}",)
    usual = USUAL if USUAL.is_dir() else Path()
    return find_recipes(place or usual, changes, folder=folder)


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
    from flows.cockpit.deployments import has_worker
    from flows.cockpit.specs import POOL

    pool = pool or POOL
    _register(recipes, pool, output)
    if has_worker(processes.worker_name(), pool):
        output.line(f"Found     worker {processes.worker_name()}")
    else:
        started["worker"] = processes.start_worker(cockpit, pool, environment)
        output.line(f"Started   worker {processes.worker_name()}")


def _register(recipes: Sequence[Recipe], pool: str, output: Output) -> None:
    """Tell the Prefect API in use of pool, GPU slot, automations and deployments."""
    from flows.cockpit.automations import ensure_automations
    from flows.cockpit.deployments import ensure_gpu_slot, ensure_pool, register_all

    ensure_pool(pool)
    if ensure_gpu_slot():
        settings = load_settings()
        output.line(f"GPU slot  {settings.gpu_slot}, {settings.gpu_slots} at once")
    for sentence in ensure_automations():
        output.line(f"Watch     {sentence}")
    for sentence in register_all(recipes, pool):
        output.line(f"Deployed  {sentence}")


def _tell(cockpit: Cockpit, recipes: Sequence[Recipe], output: Output) -> None:
    output.line(f"UI        {cockpit.ui}/deployments", "bold")
    if cockpit.is_open:
        output.line(f"Login     the content of {cockpit.login_file()}")
    output.line(f"Next      open it, choose one of {len(recipes)} deployments, and press Run")
