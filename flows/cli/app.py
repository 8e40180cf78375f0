"""The commands and their arguments; what they do is imported when they run."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import (
    AsJson,
    Changes,
    Lake,
    Pool,
    PrefectApi,
    RecipePath,
    Recipes,
    RecipesLake,
    Storage,
    Track,
)
from flows.cli.lake_commands import datasets, generators

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
    changes: Changes = None,
) -> int:
    """Print a commented recipe made from the data."""
    from flows.cli.init import show_recipe

    return show_recipe(uri, label=label, name=name, changes=changes or ())


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
    from flows.cli.jobs import Tracking, run_job

    tracking = Tracking(wanted=track or bool(prefect_api), api_url=prefect_api or None)
    return run_job(recipe, changes or (), tracking, as_json=as_json)


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
    pool: Pool = None,
    install: Annotated[
        bool, typer.Option("--install", help="As systemd services, which survive a logout.")
    ] = False,
) -> int:
    """The Prefect UI on this machine: server, worker, and every recipe deployed. Ctrl-C ends it."""
    from flows.cli.cockpit import UpOptions, go_up

    wanted = UpOptions(recipes=recipes, lake=lake, pool=pool, host=host, port=port, install=install)
    return go_up(wanted)


@app.command()
def deploy(
    *,
    recipes: Recipes = None,
    lake: RecipesLake = None,
    pool: Pool = None,
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
    from flows.cli.impute import Filling, fill_nulls

    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    filling = Filling(input=input_, output=output, columns=names)
    return fill_nulls(recipe, filling, changes or (), as_json=as_json)


@app.command()
def presets(*, as_json: AsJson = False) -> int:
    """List the networks a recipe may choose."""
    from flows.cli.listings import show_presets

    return show_presets(as_json=as_json)


@app.command()
def gc(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, it is only said.")] = (
        False
    ),
    lake: Lake = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Drop what a lake no longer needs: old versions, what was never finished, checkpoints."""
    from flows.cli.maintain import collect
    from flows.cli.places import LakeRef

    return collect(LakeRef(lake=lake, storage=storage), apply=apply, as_json=as_json)


@app.command()
def status(*, lake: Lake = None, storage: Storage = None, as_json: AsJson = False) -> int:
    """Show of every name champion, latest version, verdict, last success and last attempt."""
    from flows.cli.places import LakeRef
    from flows.cli.status import show_status

    return show_status(LakeRef(lake=lake, storage=storage), as_json=as_json)
