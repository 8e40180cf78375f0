"""`ganmill up` and `ganmill deploy`: recipes in the Prefect UI."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.cli.output import Output
from flows.cockpit import local
from flows.cockpit.local import Cockpit
from flows.cockpit.recipes import FoundRecipes, find_recipes, sift_recipes
from flows.errors import DONE, TRAINING, USAGE, EngineError
from flows.prefect_defaults import ENVIRONMENT_DEFAULTS, apply_defaults, process_environment
from flows.progress import StopSignal
from flows.report_links import ADDRESS, SERVED, who_serves, write_address
from storage.stores.settings import load_settings

DRIFTED = 1
UNWATCHED = (
    "Watch     nobody has looked after the runs here for 5 minutes: start `ganmill worker`, or a "
    "run whose machine is gone stays Running"
)
RECIPES = Path("deployments/recipes")
"""Where recipes are looked for unless a location is named."""


def go_up(
    recipes: str | None, *, lake: str | None, pool: str, host: str, port: int, install: bool
) -> int:
    """Start what is missing of server and worker, deploy every recipe, and wait for Ctrl-C."""
    output, found = Output(), sift_recipes(_location(recipes), _changes(lake))
    work = load_settings().work_folder.absolute()
    cockpit = Cockpit(host=host, port=port, folder=work / "cockpit")
    variables = {**cockpit.variables(), "GANMILL_WORK_FOLDER": str(work)}
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with StopSignal().listening(), _reports(cockpit, install=install) as reports:
            variables["GANMILL_REPORTS_URL"] = load_settings().reports_url or reports
            apply_defaults(cockpit.api, variables)
            if install and not _install(cockpit, pool, variables, output):
                return DONE
            _start(cockpit, found, pool, started, output)
            (cockpit.folder / local.API).write_text(cockpit.api, encoding="utf-8")
            output.line(f"UI        {cockpit.ui}/deployments", "bold")
            output.line(f"Reports   of local lakes open below {variables['GANMILL_REPORTS_URL']}")
            if cockpit.is_open:
                output.line(f"Login     the content of {cockpit.login_file()}")
            next_ = f"open it, choose one of {len(found.recipes)} recipes, and press Run"
            output.line(f"Next      {next_}")
            if not started:
                return DONE
            local.watch(started, output.line)
            return TRAINING
    except KeyboardInterrupt:
        output.line("Stopping ...")
        return DONE
    finally:
        for process in reversed(started.values()):
            local.stop(process)


@contextmanager
def _reports(cockpit: Cockpit, *, install: bool) -> Iterator[str]:
    """Serve the reports of local lakes meanwhile, unless they are or a service will.

    Gives the address that is put before a lake's name.
    """
    from flows.cockpit.reports import HOST, open_server

    usual = f"http://{HOST}:{cockpit.reports_port}"
    file = cockpit.folder / ADDRESS
    known = file.read_text(encoding="utf-8").strip() if file.exists() else usual
    if install:
        write_address(file, usual)
        yield usual
    elif who_serves(known) == f"{SERVED} {cockpit.api}":
        write_address(file, known)
        yield known
    else:
        with open_server(cockpit.reports_port, cockpit.api) as server:
            write_address(file, server.url)
            yield server.url


def deploy(location: str | None, *, lake: str | None, check: bool, pool: str) -> int:
    """Register every recipe with the Prefect API in use, or say how it differs from them."""
    output, found = Output(), sift_recipes(_location(location), _changes(lake))
    apply_defaults(None)
    from flows.cockpit.deployments import check_api, drift
    from flows.cockpit.specs import sift_schedules, wanted
    from flows.cockpit.watchdog import is_watched

    check_api()
    found = sift_schedules(found)
    if not check:
        faults = _register(found, pool, output)
        if not is_watched():
            output.line(UNWATCHED)
        return USAGE if faults else DONE
    names = [fault.name for fault in found.faults if fault.name]
    sentences = drift(wanted(found.recipes, pool), pool, names)
    for sentence in (*(fault.sentence for fault in found.faults), *sentences):
        output.line(sentence)
    if not sentences and not found.faults:
        output.line(f"{len(found.recipes)} recipes are deployed as they are written")
    return DRIFTED if sentences or found.faults else DONE


def work(
    pool: str, *, name: str | None, limit: int | None, kind: str | None, with_healthcheck: bool
) -> int:
    """Do the runs of a work pool of the API in use, and look after all runs there."""
    work_folder = load_settings().work_folder.absolute()  # a run has a folder of its own
    apply_defaults(None, {"GANMILL_WORK_FOLDER": str(work_folder)})
    from flows.cockpit.deployments import api_url
    from flows.cockpit.worker import WorkerOptions, serve

    api_url()
    return serve(
        WorkerOptions(
            pool=pool, name=name, limit=limit, kind=kind, with_healthcheck=with_healthcheck
        )
    )


def write(location: str | None, path: Path, *, lake: str | None, pool: str) -> int:
    """Write the file with which Prefect's own `prefect deploy --all` registers every recipe."""
    apply_defaults(None)
    from flows.cockpit.specs import HERE, prefect_yaml

    recipes = find_recipes(_location(location), _changes(lake), folder=HERE)
    path.write_text(prefect_yaml(recipes, pool), encoding="utf-8")
    output = Output()
    output.line(f"Wrote     {path}, from {len(recipes)} recipes")
    output.line(f"Next      prefect deploy --all --prefect-file {path}")
    return DONE


def _location(location: str | None) -> str | Path:
    return location or (RECIPES if RECIPES.is_dir() else Path())


def _changes(lake: str | None) -> Sequence[str]:
    return () if lake is None else (f"output.lake={lake}",)


def _install(cockpit: Cockpit, pool: str, variables: Mapping[str, str], output: Output) -> bool:
    """Write the services and start them; False where systemd does not run."""
    where = local.services()
    *units, environment = local.write_units(
        cockpit, pool, {**ENVIRONMENT_DEFAULTS, **variables}, where
    )
    for path in units:
        output.line(f"Wrote     {path}")
    output.line(f"Wrote     {environment}, which only you can read")
    missing = local.missing_variables(environment, process_environment())
    if missing:
        output.line(f"Add to it {', '.join(missing)}: services do not have this shell's variables")
    if local.start_units(where):
        output.line("Started   both services; waiting for the server ...")
        if not local.wait_for_server(cockpit):
            msg = f"the service {local.SERVER} does not answer; `journalctl -u` it says why"
            raise EngineError(msg)
        return True
    output.line("Next      systemd does not run here; where it does, run")
    for command in where.commands():
        output.line(f"          {' '.join(command)}")
    output.line("          and `ganmill up` once more, which deploys the recipes")
    return False


def _start(
    cockpit: Cockpit,
    found: FoundRecipes,
    pool: str,
    started: dict[str, subprocess.Popen[bytes]],
    output: Output,
) -> None:
    """Start server and worker unless they are there, and deploy the recipes between."""
    environment = process_environment()
    if local.answers(cockpit):
        output.line(f"Found     Prefect at {cockpit.ui}")
    else:
        output.line(f"Starting  Prefect at {cockpit.ui} ...")
        started["server"] = local.start_server(cockpit, environment)
    _register(found, pool, output)
    from flows.cockpit.watchdog import is_watched
    from flows.cockpit.worker import is_at_work

    if is_at_work(local.worker_name(), pool, load_settings().work_folder, output.line):
        output.line(f"Found     worker {local.worker_name()}")
        if not is_watched():
            output.line(UNWATCHED)
    else:
        started["worker"] = local.start_worker(cockpit, pool, environment)
        output.line(f"Started   worker {local.worker_name()}")


def _register(found: FoundRecipes, pool: str, output: Output) -> int:
    """Make or change work pool, GPU limit and deployments at the API in use.

    Returns:
        How many recipes could not be registered: each is said, and keeps the deployment it had.
    """
    from flows.cockpit.deployments import ensure_pool, register_all
    from flows.cockpit.specs import sift_schedules, wanted
    from flows.cockpit.watchdog import remove_automations
    from flows.tracked.gpu_lease import ensure_gpu_limit

    found = sift_schedules(found)
    ensure_pool(pool)
    settings = load_settings()
    if ensure_gpu_limit(settings):
        output.line(f"GPU limit {settings.gpu_slot}, {settings.gpu_slots} at once")
    for sentence in remove_automations():
        output.line(f"Watch     {sentence}: `ganmill worker` looks after the runs now")
    specs = wanted(found.recipes, pool)
    refused = register_all(specs, pool)
    for recipe in found.recipes:
        if recipe.name not in refused:
            when = recipe.schedule
            runs = f"runs at {when.cron} ({when.timezone})" if when.cron else "runs when asked"
            output.line(f"Deployed  {recipe.name} and {recipe.name} (all settings), {runs}")
    on_demand = ", ".join(one.flow.name for one in specs if not one.one_at_a_time)
    output.line(f"Deployed  on demand: {on_demand}")
    faults = [*(fault.sentence for fault in found.faults), *refused.values()]
    for sentence in faults:
        output.line(f"Left out  {sentence}; what was deployed of it before stays", "bold red")
    return len(faults)
