"""The command line: the commands on a recipe, and the way from an error to an exit code.

What a command needs is imported when it runs. The commands on a lake are in `flows.cli.lake`.
"""

import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from flows.cli.lake import AsJson, Lake, LakeRef, Storage, datasets, gc, generators
from flows.cli.output import Output
from flows.errors import (
    BUG,
    DONE,
    INTERRUPTED,
    MEANINGS,
    EngineError,
    bounded,
    exit_code,
    one_line,
    sentence,
)
from storage.masking import masked

LONGEST_TRACEBACK = 1 << 20
"""Letters of `last-error.txt`."""

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="YAML file.", show_default=False)
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key; may be repeated."),
]
Track = Annotated[
    bool,
    typer.Option("--track", help="Make it a Prefect flow run, without an API on a local server."),
]
PrefectApi = Annotated[
    str | None,
    typer.Option(envvar="PREFECT_API_URL", metavar="URL", help="Prefect API; implies --track."),
]
Recipes = Annotated[
    str | None,
    typer.Option(
        "--recipes",
        metavar="LOCATION",
        help="Recipe, folder, s3://… or git+https://…; else deployments/recipes, else here.",
    ),
]
RecipesLake = Annotated[
    str | None, typer.Option("--lake", metavar="URI", help="Instead of every recipe's own lake.")
]
Pool = Annotated[str, typer.Option("--pool", metavar="NAME", help="Work pool of the runs.")]

app = typer.Typer(
    name="ganmill",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A real data set in, a gated and versioned synthetic data set on object storage out.",
)
app.add_typer(datasets, name="datasets")
app.add_typer(generators, name="generators")


def _version(value: bool) -> None:  # noqa: FBT001 - the callback's signature
    if value:
        from importlib.metadata import version

        typer.echo(f"ganmill {version('ganmill')}")
        raise typer.Exit


@app.callback()
def about(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A real data set in, a gated and versioned synthetic data set on object storage out."""


@app.command()
def init(
    uri: Annotated[str, typer.Argument(metavar="URI", help="Folder, table file, glob, s3://…")],
    label: Annotated[str | None, typer.Option(help="Label column, or name for the class.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of generator and data set.")] = None,
    *,
    nightly: Annotated[bool, typer.Option("--nightly", help="With a schedule.")] = False,
    changes: Changes = None,
) -> int:
    """Print a commented recipe made from the data."""
    from flows.cli.init import show_recipe

    return show_recipe(uri, label=label, name=name, changes=changes or (), nightly=nightly)


@app.command()
def check(recipe: RecipePath, *, changes: Changes = None, as_json: AsJson = False) -> int:
    """Validate a recipe, count the data, and show the plan; runs nothing."""
    from flows.cli.check import show_check

    return show_check(recipe, changes or (), as_json=as_json)


@app.command()
def run(
    recipe: RecipePath,
    *,
    changes: Changes = None,
    track: Track = False,
    prefect_api: PrefectApi = None,
    as_json: AsJson = False,
) -> int:
    """Do the whole job: train, judge, synthesize, publish. What is done already is not redone."""
    from flows.cli.jobs import run_job

    return run_job(recipe, changes or (), track=track, api_url=prefect_api, as_json=as_json)


@app.command()
def train(recipe: RecipePath, *, changes: Changes = None, as_json: AsJson = False) -> int:
    """Train the generator of a recipe; it becomes a candidate in the lake."""
    from flows.cli.jobs import train_only

    return train_only(recipe, changes or (), as_json=as_json)


@app.command()
def evaluate(recipe: RecipePath, *, changes: Changes = None, as_json: AsJson = False) -> int:
    """Judge the trained candidate on the holdout; decides and publishes nothing."""
    from flows.cli.jobs import evaluate_only

    return evaluate_only(recipe, changes or (), as_json=as_json)


@app.command()
def lift(
    recipe: RecipePath,
    *,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="All arms at full size with all models.")
    ] = False,
    curve: Annotated[
        bool, typer.Option("--curve", help="Also with parts of the real records.")
    ] = False,
    changes: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Measure whether training on the synthetic records helps; says its cost first."""
    from flows.cli.lift import measure_lift_of

    return measure_lift_of(recipe, changes or (), thorough=thorough, curve=curve, as_json=as_json)


@app.command()
def tune(  # noqa: PLR0913 - the options of the command
    recipe: RecipePath,
    *,
    trials: Annotated[int, typer.Option(metavar="N", help="Trainings to compare.")] = 20,
    budget_s: Annotated[
        float,
        typer.Option("--budget-s", metavar="S", help="Of all together.", show_default=False),
    ],
    changes: Changes = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="The best recipe; else RECIPE.tuned.yaml."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="The page; else NAME-tune.html, here."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Try settings that the recipe leaves at auto, and write the best as a recipe; resumable."""
    from flows.cli.tune import tune_recipe
    from flows.tune_study import TuneRequest

    asked = TuneRequest(trials=trials, budget_s=budget_s)
    return tune_recipe(recipe, asked, changes or (), output=output, page=report, as_json=as_json)


@app.command()
def judge(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="What a source can be.", show_default=False)
    ],
    recipe: Annotated[
        Path, typer.Option("--recipe", metavar="RECIPE", help="YAML file.", show_default=False)
    ],
    *,
    changes: Changes = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Storage profile of DATA; else the source's."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="The page; else NAME-judge.html, here."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Judge any data set as a candidate of a recipe, whoever made it; publishes nothing."""
    from flows.cli.judge import judge_given

    return judge_given(data, recipe, changes or (), storage=storage, page=report, as_json=as_json)


@app.command()
def synthesize(recipe: RecipePath, *, changes: Changes = None, as_json: AsJson = False) -> int:
    """Publish a data set version from the champion; trains nothing."""
    from flows.cli.jobs import synthesize_only

    return synthesize_only(recipe, changes or (), as_json=as_json)


@app.command()
def up(
    *,
    recipes: Recipes = None,
    host: Annotated[str, typer.Option(help="Address to listen on; not loopback = password.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the UI.")] = 4200,
    lake: RecipesLake = None,
    pool: Pool = "ganmill",
    install: Annotated[
        bool, typer.Option("--install", help="As systemd services, which outlast a logout.")
    ] = False,
) -> int:
    """The Prefect UI on this machine: server, worker, and every recipe deployed. Ctrl-C ends it."""
    from flows.cli.cockpit import go_up

    return go_up(recipes, lake=lake, pool=pool, host=host, port=port, install=install)


@app.command()
def deploy(
    *,
    recipes: Recipes = None,
    lake: RecipesLake = None,
    pool: Pool = "ganmill",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; say what differs (exit 1).")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--write", metavar="PATH", help="Register nothing; write a prefect.yaml."),
    ] = None,
) -> int:
    """Register recipes as deployments with the Prefect API in use."""
    from flows.cli.cockpit import deploy as deploy_recipes
    from flows.cli.cockpit import write

    if file is not None:
        return write(recipes, file, lake=lake, pool=pool)
    return deploy_recipes(recipes, lake=lake, check=check, pool=pool)


@app.command()
def worker(
    *,
    pool: Pool = "ganmill",
    name: Annotated[
        str | None, typer.Option(help="Name in the UI; one of a name works at a time.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most runs at once.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Instead of the work pool's.")
    ] = None,
    with_healthcheck: Annotated[
        bool, typer.Option("--with-healthcheck", help="Answer at port 8080, /health.")
    ] = False,
) -> int:
    """Do the runs of a work pool and look after all runs: Prefect's worker, with a clean stop."""
    from flows.cli.cockpit import work

    return work(pool, name=name, limit=limit, kind=kind, with_healthcheck=with_healthcheck)


@app.command()
def impute(
    recipe: RecipePath,
    input_: Annotated[
        str, typer.Argument(metavar="INPUT", help="CSV or Parquet, also s3://…", show_default=False)
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="New .parquet or .csv.", show_default=False)
    ],
    *,
    columns: Annotated[
        str, typer.Option(metavar="A,B", help="Columns to fill, else all of them.")
    ] = "",
    changes: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Fill the nulls of a table with the champion; every row's known values decide."""
    from flows.cli.impute import fill_nulls

    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    return fill_nulls(recipe, input_, output, columns=names, changes=changes or (), as_json=as_json)


@app.command()
def presets(*, as_json: AsJson = False) -> int:
    """List what a recipe's `generator` may name: presets, and parts of an adversarial training."""
    from flows.cli.presets import list_presets

    return list_presets(as_json=as_json)


@app.command()
def errors(*, as_json: AsJson = False) -> int:
    """List every error sentence with its exit code; `…` is filled in when it happens."""
    from flows.reference import error_sentences

    found, output = error_sentences(), Output()
    if as_json:
        output.json([asdict(one) for one in found])
        return DONE
    for code, group in groupby(found, key=lambda one: one.exit_code):
        output.line(f"Exit code {code}: {MEANINGS[code]}", "bold")
        for text in dict.fromkeys(one.sentence for one in group):
            output.line(f"  {text}")
    return DONE


Target = Annotated[
    str,
    typer.Argument(
        metavar="NAME[/VERSION]",
        help="Data set or generator, the path or URI of its folder, or a report.json.",
    ),
]
WritePage = Annotated[
    Path | None, typer.Option("--write", metavar="FILE", help="Write the page to this HTML file.")
]


@app.command()
def report(
    target: Target,
    *,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    write: WritePage = None,
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Show what a report answers and where its page is; of a name, its latest version's."""
    from flows.cli.report import show_report

    ref = LakeRef(lake=lake, storage=storage)
    return show_report(target, ref, write=write, open_it=open_it, as_json=as_json)


@app.command()
def compare(
    first: Target,
    second: Target,
    *,
    write: WritePage = None,
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Hold two reports side by side: verdicts, every metric of both, and what differs."""
    from flows.cli.report import show_comparison

    ref = LakeRef(lake=lake, storage=storage)
    return show_comparison(first, second, ref, write=write, as_json=as_json)


app.command()(gc)


@app.command()
def status(
    *,
    lake: Lake = None,
    storage: Storage = None,
    prefect_api: Annotated[
        str | None,
        typer.Option(envvar="PREFECT_API_URL", metavar="URL", help="Whose runs may wait for you."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show what waits for an answer, and of every name champion, version, verdict, attempts."""
    from flows.cli.status import find_waiting, read_status, status_json, write_status
    from flows.job import now

    ref, output, at = LakeRef(lake=lake, storage=storage), Output(), now()
    found = read_status(ref.open())
    try:
        waiting = find_waiting(ref, prefect_api)
    except EngineError as error:
        waiting = None
        sys.stderr.write(f"{sentence(error)}\n")
    if as_json:
        output.json(status_json(ref, found, at, waiting))
    else:
        write_status(ref, found, at, output, waiting or ())
    return DONE


def execute(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what went wrong is one sentence on stderr."""
    try:
        result = get_command(app)(list(arguments), prog_name="ganmill", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, no traceback
        return _report(error)
    if result == INTERRUPTED:  # typer turns KeyboardInterrupt into this
        return _report(KeyboardInterrupt())
    return result if isinstance(result, int) else DONE


def _report(error: BaseException) -> int:
    """Write what went wrong to standard error, and return its exit code."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's own: wrong arguments
        if hasattr(error, "message"):
            error.message = one_line(error.message)
        error.show()
        return int(error.exit_code)
    code = exit_code(error)
    if code is None:
        from storage.stores.settings import load_settings

        where = load_settings().work_folder / "last-error.txt"
        where.parent.mkdir(parents=True, exist_ok=True)
        told = masked("".join(traceback.format_exception(error)))
        where.write_text(bounded(told, LONGEST_TRACEBACK), encoding="utf-8")
        what = f"{type(error).__name__}: {one_line(error)}"
        text = f"error: ganmill did not foresee this ({what}); please report it with {where}"
    else:
        text = sentence(error) if code == INTERRUPTED else f"error: {sentence(error)}"
    sys.stderr.write(f"{text}\n")
    return BUG if code is None else code
