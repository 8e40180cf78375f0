"""`ganmill tune`: which settings of a recipe make a better generator; the best as a recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.cli.output import Output
from flows.errors import DONE, RecipeError
from flows.job import cost_text, opened
from flows.nightly import prepare
from flows.recipe import load_recipe
from flows.recipe_edit import edited
from flows.report.page import GENERATED
from flows.report.tuning import (
    CHOSEN,
    TRIAL_COLUMNS,
    counted,
    headline,
    reasons,
    settings_text,
    trial_rows,
)
from flows.tune import Tuned, tune, tuning_page
from flows.tune_study import TuneRequest
from gan.tuning.result import TuningResult
from storage.records.durable import hold_lock, replace_file

HEAD = "Tuned by ganmill tune:"
"""How the first comment of a recipe begins that may be replaced by a later tuning."""
PAGE = ".html"
HEAD_BYTES = 4096
"""Of a page, in which it says what wrote it."""
WRITING = "tuning/files.lock"
"""Below the work folder: held while the files of a result are written."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The files that are written here."""

    recipe: Path
    """Of the best trial."""
    page: Path

    def check(self, source: Path) -> None:
        """Refuse, before anything is trained, what cannot be written or is somebody's.

        Raises:
            RecipeError: naming the file.
        """
        for option, file in (("--output", self.recipe), ("--report", self.page)):
            if not file.absolute().parent.is_dir():
                msg = f"the folder of {option} {str(file)!r} does not exist: create it first"
                raise RecipeError(msg)
        if self.page.suffix != PAGE:
            msg = f"--report is {str(self.page)!r}: name a file that ends in {PAGE}"
            raise RecipeError(msg)
        if self.page.is_dir():
            msg = f"--report {str(self.page)!r} is a folder: name a file"
            raise RecipeError(msg)
        if self.page.resolve() == self.recipe.resolve():
            msg = f"--report and --output are both {str(self.page)!r}: name two files"
            raise RecipeError(msg)
        if self.page.exists() and not _is_page(self.page):
            msg = (
                f"--report {str(self.page)!r} exists and was not written by ganmill: name another "
                "file, or remove it"
            )
            raise RecipeError(msg)
        if self.recipe.exists() and (self.recipe.samefile(source) or not _is_tuned(self.recipe)):
            msg = (
                f"--output {str(self.recipe)!r} exists and was not written by ganmill tune: name "
                "another file, or remove it"
            )
            raise RecipeError(msg)


def _is_tuned(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as opened_file:
            return opened_file.readline().startswith(f"# {HEAD}")
    except (OSError, UnicodeDecodeError):
        return False


def _is_page(file: Path) -> bool:
    try:
        with file.open("rb") as opened_file:
            return GENERATED.encode() in opened_file.read(HEAD_BYTES)
    except OSError:
        return False


def tune_recipe(
    path: Path,
    request: TuneRequest,
    changes: Sequence[str],
    *,
    output: Path | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """Make the trials, write the best recipe and the report, and show every trial."""
    recipe = load_recipe(path, changes)
    places = Places(
        recipe=output or path.with_name(f"{path.stem}.tuned{path.suffix or '.yaml'}"),
        page=page or Path(f"{recipe.name}-tune{PAGE}"),
    )
    places.check(path)
    text = path.read_text(encoding="utf-8")
    with opened(recipe) as job:
        tuned = tune(job, prepare(job), request)
        with hold_lock(job.work / WRITING):  # two processes may end at once
            replace_file(places.page, tuned.page)
            wrote = _write_recipe(places.recipe, text, tuned.result, changes)
    shown, cost = Output(), job.spent.so_far()
    kept = tuning_page(job, tuned)
    if as_json:
        shown.json(_json(tuned, places, wrote, {"cost": dict(cost), "report_in_lake": kept}))
        return DONE
    show_tuning(tuned.result, tuned.made, shown)
    shown.line()
    shown.line(f"Recipe    {wrote or 'none: nothing is better than the recipe as it is'}")
    shown.line(f"Report    {places.page}, and {kept}")
    shown.line(f"Cost      {cost_text(cost)}")
    if wrote:
        shown.line(f"Next      ganmill run {places.recipe}")
    return DONE


def show_tuning(result: TuningResult, made: int, output: Output) -> None:
    """Write the trials, what decides, and the best."""
    output.table(TRIAL_COLUMNS, trial_rows(result))
    output.line()
    output.line(f"{counted(result)}; {made} made now, {len(result.trials) - made} from the lake")
    for text in reasons(result):
        output.line(f"    {text}")
    if result.importance:
        shares = ", ".join(f"{one} {share:.0%}" for one, share in result.importance.items())
        output.line(f"What decides: {shares}")
    output.line()
    output.line(headline(result), "bold")
    if result.best is not None and result.best.settings:
        output.line(f"    {settings_text(result.best.settings)}")
    output.line(f"    {CHOSEN}")


def _write_recipe(place: Path, text: str, result: TuningResult, changes: Sequence[str]) -> str:
    """Write the best recipe and say what was done; empty where the recipe itself is the best."""
    best, first = result.best, result.baseline
    if best is None or not best.settings:
        return ""
    before = "" if first is None or first.rank is None else f", as the recipe was {first.rank:.3f}"
    head = (
        f"{HEAD} trial {best.number} of {len(result.trials)}, {result.budget} each; rank "
        f"{best.rank:.3f} on validation{before}"
    )
    lines = text.splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith(f"# {HEAD}"))
    existed = place.exists()
    replace_file(place, edited(kept, best.settings, changes, head).encode())
    return f"{place}, replaced" if existed else str(place)


def _json(tuned: Tuned, places: Places, wrote: str, more: dict[str, Any]) -> dict[str, Any]:
    result = tuned.result
    best, first = result.best, result.baseline
    return {
        **result.to_json(),
        "made": tuned.made,
        "counts": result.counts(),
        "best": None if best is None else best.to_json(),
        "as_it_is": None if first is None else first.to_json(),
        "recipe": str(places.recipe) if wrote else None,
        "report": str(places.page),
        **more,
    }
