"""The arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="YAML file.", show_default=False)
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Track = Annotated[
    bool,
    typer.Option("--track", help="Make it a Prefect flow run, without an API on a local server."),
]
PrefectApi = Annotated[
    str | None,
    typer.Option(envvar="PREFECT_API_URL", metavar="URL", help="Prefect API; implies --track."),
]
Lake = Annotated[
    str | None, typer.Option("--lake", metavar="URI", help="Folder or s3://…; else GANMILL_LAKE.")
]
Storage = Annotated[
    str | None, typer.Option("--storage", metavar="NAME", help="Storage profile of the lake.")
]
Recipes = Annotated[
    str | None,
    typer.Option(
        "--recipes",
        metavar="PLACE",
        help="Recipe, folder, s3://… or git+https://…; else deployments/recipes, else here.",
    ),
]
RecipesLake = Annotated[
    str | None, typer.Option("--lake", metavar="URI", help="Instead of every recipe's own lake.")
]
Pool = Annotated[
    str | None, typer.Option("--pool", metavar="NAME", help="Work pool of the runs; else ganmill.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Data set.")]
GeneratorName = Annotated[str, typer.Argument(metavar="NAME", help="Generator.")]
Person = Annotated[str, typer.Option("--by", metavar="WHO", help="Your name, for the log.")]
Reason = Annotated[str, typer.Option("--reason", metavar="WHY", help="In writing, for the log.")]
OneVersion = Annotated[str, typer.Argument(metavar="VERSION", help="See `datasets list`.")]
Version = Annotated[
    str | None, typer.Argument(metavar="[VERSION]", help="The latest one unless given.")
]
