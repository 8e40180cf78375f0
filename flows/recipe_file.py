"""Reading a recipe from YAML with `--set` changes, and turning every mistake into one sentence."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flows.errors import RecipeError
from flows.recipe import Recipe


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a YAML file, with `a.b=c` changes applied in order.

    Raises:
        RecipeError: the file cannot be read, a key is unknown, or a value is out of its range.
    """
    raw = _read_yaml(path)
    for change in changes:
        apply_change(raw, change)
    return parse_recipe(raw, where=str(path))


def parse_recipe(raw: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe of nested plain values.

    Raises:
        RecipeError: one sentence that names the first wrong key by its path.
    """
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        msg = f"{where}: {explain(error)}"
        raise RecipeError(msg) from None


def apply_change(raw: dict[str, Any], change: str) -> None:
    """Set one nested value in place: `training.budget_samples=20000`.

    Raises:
        RecipeError: the text is not `key=value`, or the path leads through a plain value.
    """
    path, equals, text = change.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        msg = f"--set takes key=value such as training.budget_samples=20000, not {change!r}"
        raise RecipeError(msg)
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        value = text
    place = raw
    for key in keys[:-1]:
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            msg = f"--set {change}: `{key}` holds a plain value and has no keys below it"
            raise RecipeError(msg)
    place[keys[-1]] = value


def explain(error: ValidationError) -> str:
    """Return one sentence on the first mistake: path, value received, what is allowed."""
    mistakes = error.errors(include_url=False)
    first = mistakes[0]
    path, owner = _locate(first["loc"])
    same = [one for one in mistakes if _locate(one["loc"])[0] == path]
    others = len({_locate(one["loc"])[0] for one in mistakes} - {path})
    tail = f" (and {others} more mistake{'s' if others > 1 else ''})" if others else ""
    return f"{_sentence(path, owner, same)}{tail}"


def _sentence(path: str, owner: type[BaseModel], same: Sequence[Any]) -> str:
    first = same[0]
    if first["type"] == "extra_forbidden":
        return f"the key `{path}` is unknown; {_suggest(path, owner)}"
    if first["type"] == "missing":
        return f"the key `{path}` is missing; add it to the recipe"
    rules = " or ".join(dict.fromkeys(_rule(one) for one in same))
    return f"`{path}` is {first['input']!r}, but {rules}" if path else f"the recipe: {rules}"


def _rule(mistake: Any) -> str:
    text = str(mistake["msg"])
    for opening in ("Value error, ", "Assertion failed, "):
        text = text.removeprefix(opening)
    if text.startswith(("Input should be ", "String should ", "Tuple should ", "List should ")):
        text = "should " + text.split(" should ", 1)[1]
    return text.replace("should be", "must be").replace("should ", "must ")


def _suggest(path: str, owner: type[BaseModel]) -> str:
    known = list(owner.model_fields)
    near = difflib.get_close_matches(path.rsplit(".", 1)[-1], known, n=1, cutoff=0.5)
    if near:
        parent = path.rpartition(".")[0]
        return f"did you mean `{f'{parent}.' if parent else ''}{near[0]}`?"
    return f"known here: {', '.join(known)}"


def _locate(loc: Sequence[int | str]) -> tuple[str, type[BaseModel]]:
    """Return the path as the user writes it and the model that owns its last key.

    pydantic appends the tried member of a union to the location; it is no key of the recipe.
    """
    owner: type[BaseModel] = Recipe
    below: type[BaseModel] | None = Recipe
    keys: list[str] = []
    for part in loc:
        if isinstance(part, int):
            keys[-1] += f"[{part}]"
        elif below is not None:
            keys.append(part)
            owner = below
            below = _model_below(owner, part)
    return ".".join(keys), owner


def _model_below(owner: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = owner.model_fields.get(key)
    kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
    models = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(models, None)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        msg = f"the recipe {path} cannot be read ({reason}); `ganmill init` writes one"
        raise RecipeError(msg) from None
    except UnicodeDecodeError:
        msg = f"the recipe {path} is not UTF-8 text; is it the right file?"
        raise RecipeError(msg) from None
    except yaml.YAMLError as error:
        msg = f"the recipe {path} is not YAML: {_yaml_reason(error)}"
        raise RecipeError(msg) from None
    if not isinstance(raw, dict):
        msg = f"the recipe {path} holds {type(raw).__name__}, not keys and values"
        raise RecipeError(msg)
    return raw


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return f"{problem} in line {mark.line + 1}" if mark is not None else str(problem)
