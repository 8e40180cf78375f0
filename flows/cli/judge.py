"""`ganmill judge`: any data set as a candidate of a recipe; a verdict and a page, no lake."""

from collections.abc import Sequence
from pathlib import Path

from flows.cli.jobs import show_verdict
from flows.cli.output import Output
from flows.errors import BLOCKED, DONE, RecipeError
from flows.job import cost_text, opened
from flows.judge import judge_data
from flows.recipe import Recipe, load_recipe
from storage.records.durable import replace_file
from storage.stores.settings import StorageProfile, load_profile

PAGE = ".html"


def judge_given(
    data: str,
    path: Path,
    changes: Sequence[str],
    *,
    storage: str | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """Judge a data set, write the report as a page, and say the verdict."""
    recipe = load_recipe(path, changes)
    target = page or Path(f"{recipe.name}-judge{PAGE}")
    _check_page(target)
    with opened(recipe) as job:
        judged = judge_data(job, data, _profile(data, recipe, storage))
        replace_file(target, judged.page)
    output, cost = Output(), job.spent.so_far()
    if as_json:
        output.json({**judged.to_json(), "report": str(target), "cost": dict(cost)})
    else:
        show_verdict(judged.report, output, headline=f"{data}: judged as it is by {recipe.name}")
        output.line()
        output.line(f"Report    {target}")
        output.line(f"Cost      {cost_text(cost)}")
    return BLOCKED if judged.judgement.verdict == "block" else DONE


def _check_page(page: Path) -> None:
    """Refuse a page that cannot be written; an earlier one is replaced."""
    if page.suffix != PAGE:
        msg = f"--report is {str(page)!r}: name a file that ends in {PAGE}"
        raise RecipeError(msg)
    if not page.absolute().parent.is_dir():
        msg = f"the folder of --report {str(page)!r} does not exist: create it first"
        raise RecipeError(msg)


def _profile(data: str, recipe: Recipe, storage: str | None) -> StorageProfile | None:
    """Return the credentials of the data: as asked, the lake's for what lies in it, or none."""
    lake = recipe.output.lake.rstrip("/")
    if storage is None and f"{data}/".startswith(f"{lake}/"):
        storage = recipe.output.storage
    return None if storage is None else load_profile(storage)
