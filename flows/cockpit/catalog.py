"""The recipes that are to be deployed: found in a folder, in git or on S3."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.cockpit.remote import fetch, is_remote, shown
from flows.errors import RecipeError
from flows.recipe import Recipe
from flows.recipe_file import load_recipe

SUFFIXES = (".yaml", ".yml")


def find_recipes(
    place: str | Path, changes: Sequence[str] = (), *, folder: Path | None = None
) -> tuple[Recipe, ...]:
    """Return the recipes of a file or a folder, by name.

    Local paths in a recipe are meant as seen from the folder that the command runs in. A recipe
    from git or S3 has no such folder: it must name its source and its lake in full.

    Args:
        place: a recipe, or a folder of them (folders below it are not read), of this machine, as
            `s3://bucket/prefix`, or as `git+https://host/repo[@ref][#folder]`.
        changes: `key=value`, applied to every recipe.
        folder: instead of the one that the command runs in.

    Raises:
        RecipeError: there is none, one is wrong, two have the same name, or git cannot read it.
        SettingsError, LakeError: S3 cannot be reached.
    """
    text = str(place)
    if not is_remote(text):
        return _by_name(place, _load(Path(place), changes), folder or Path.cwd())
    with _scratch(shown(text)) as scratch:
        return _by_name(shown(text), _load(fetch(text, scratch), changes), None)


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with its local paths made absolute, as seen from a folder.

    A worker runs in a folder of its own, where `./lake` would be another lake.
    """
    source, split = recipe.source, recipe.source.split
    holdout = None if split.holdout_uri is None else _absolute(split.holdout_uri, folder)
    moved = source.model_copy(
        update={
            "uri": _absolute(source.uri, folder),
            "split": split.model_copy(update={"holdout_uri": holdout}),
        }
    )
    output = recipe.output.model_copy(update={"lake": _absolute(recipe.output.lake, folder)})
    return recipe.model_copy(update={"source": moved, "output": output})


def is_relative(uri: str) -> bool:
    """Say whether a URI of a recipe depends on the folder it is read from."""
    if "://" in uri or uri.startswith("example:"):
        return False
    return not Path(uri).is_absolute()


def _load(place: Path, changes: Sequence[str]) -> Iterator[tuple[Path, Recipe]]:
    for path in [place] if place.is_file() else sorted(_files(place)):
        yield path, load_recipe(path, changes)


def _by_name(
    place: str | Path, recipes: Iterator[tuple[Path, Recipe]], folder: Path | None
) -> tuple[Recipe, ...]:
    """Return the recipes by name, anchored in a folder, or independent of any."""
    found: dict[str, Path] = {}
    kept = []
    for path, recipe in recipes:
        if recipe.name in found:
            msg = (
                f"{found[recipe.name]} and {path} both have the name {recipe.name!r}, which names "
                "generator, data set and deployment: rename one of them"
            )
            raise RecipeError(msg)
        found[recipe.name] = path
        if folder is None:
            _check_independent(path, recipe)
        kept.append(recipe if folder is None else anchored(recipe, folder))
    if not kept:
        msg = f"there is no recipe in {place}: name a folder of *.yaml recipes, or one recipe"
        raise RecipeError(msg)
    return tuple(sorted(kept, key=lambda recipe: recipe.name))


def _check_independent(path: Path, recipe: Recipe) -> None:
    said = {
        "source.uri": recipe.source.uri,
        "source.split.holdout_uri": recipe.source.split.holdout_uri,
        "output.lake": recipe.output.lake,
    }
    for key, uri in said.items():
        if uri is not None and is_relative(uri):
            remedy = "s3://bucket/prefix or an absolute path"
            if key == "output.lake":
                remedy += ", or name the lake with --lake"
            msg = (
                f"{path}: `{key}` is {uri!r}, but no folder is there to start from: write {remedy}"
            )
            raise RecipeError(msg)


@contextmanager
def _scratch(place: str) -> Iterator[Path]:
    """Give a folder to bring recipes into; a mistake names the place that they came from."""
    with tempfile.TemporaryDirectory(prefix="ganmill-recipes-") as folder:
        try:
            yield Path(folder)
        except RecipeError as error:
            raise RecipeError(str(error).replace(folder, place)) from None


def _files(folder: Path) -> list[Path]:
    return [path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}")]


def _absolute(uri: str, folder: Path) -> str:
    """Return a local path as an absolute one; URIs such as `s3://…` and `example:…` stay."""
    return str(folder / Path(uri).expanduser()) if is_relative(uri) else uri
