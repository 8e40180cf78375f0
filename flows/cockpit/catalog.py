"""The recipes that are to be deployed: found in a folder, made independent of it."""

from collections.abc import Sequence
from pathlib import Path

from flows.errors import RecipeError
from flows.recipe import Recipe
from flows.recipe_file import load_recipe

SUFFIXES = (".yaml", ".yml")


def find_recipes(place: str | Path, changes: Sequence[str] = ()) -> tuple[Recipe, ...]:
    """Return the recipes of a file or a folder, by name.

    Args:
        place: a recipe, or a folder of them; folders below it are not read.
        changes: `key=value`, applied to every recipe.

    Raises:
        RecipeError: there is none, one is wrong, or two have the same name.
    """
    place = Path(place)
    paths = [place] if place.is_file() else sorted(_files(place))
    if not paths:
        msg = f"there is no recipe in {place}: name a folder of *.yaml recipes, or one recipe"
        raise RecipeError(msg)
    found: dict[str, Path] = {}
    recipes = []
    for path in paths:
        recipe = anchored(load_recipe(path, changes), Path.cwd())
        if recipe.name in found:
            msg = (
                f"{found[recipe.name]} and {path} both have the name {recipe.name!r}, which names "
                "generator, data set and deployment: rename one of them"
            )
            raise RecipeError(msg)
        found[recipe.name] = path
        recipes.append(recipe)
    return tuple(sorted(recipes, key=lambda recipe: recipe.name))


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


def _files(folder: Path) -> list[Path]:
    return [path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}")]


def _absolute(uri: str, folder: Path) -> str:
    """Return a local path as an absolute one; URIs such as `s3://…` and `example:…` stay."""
    if "://" in uri or uri.startswith("example:"):
        return uri
    return str(folder / Path(uri).expanduser())
