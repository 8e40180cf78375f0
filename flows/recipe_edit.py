"""A recipe's text with some settings changed; everything else stays, comments too."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from flows.errors import RecipeError
from flows.recipe import Recipe, apply_change, parse_recipe
from flows.recipe_yaml import parse_yaml

INDENT = {"mapping": 2, "sequence": 4, "offset": 2}
WIDEST = 1 << 16
"""Letters of a line: none is broken."""


def edited(
    text: str, settings: Mapping[str, Any], changes: Sequence[str] = (), head: str = ""
) -> str:
    """Return the YAML of a recipe with `key=value` changes and settings.

    Where a text cannot be edited as it stands, its keys and values are written anew, without
    comments.

    Args:
        text: of a recipe that was read.
        settings: dotted names and values.
        changes: as `--set` takes them, applied first.
        head: a comment of one line to stand on top.

    Raises:
        RecipeError: what results is no recipe.
    """
    wanted = parse_yaml(text)
    _apply(wanted, settings, changes)
    recipe = parse_recipe(wanted)
    lead = f"# {head}\n" if head else ""
    found = _round_trip(text, settings, changes)
    if found is None or _recipe_of(found) != recipe:
        found = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=WIDEST)
    return lead + found


def _recipe_of(text: str) -> Recipe | None:
    """Return what a text means, None where it is no recipe."""
    try:
        return parse_recipe(parse_yaml(text))
    except RecipeError:
        return None


def _round_trip(text: str, settings: Mapping[str, Any], changes: Sequence[str]) -> str | None:
    """Return the edited text, None where the editor does not read it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = WIDEST
    editor.indent(**INDENT)
    written = io.StringIO()
    try:
        raw = editor.load(text)
        _apply(raw, settings, changes)
        editor.dump(raw, written)
    except (YAMLError, RecipeError, ValueError, TypeError, AttributeError):
        return None
    return written.getvalue()


def _apply(raw: dict[str, Any], settings: Mapping[str, Any], changes: Sequence[str]) -> None:
    for change in changes:
        apply_change(raw, change)
    for setting, value in settings.items():
        *keys, last = setting.split(".")
        place = raw
        for key in keys:
            if place.get(key) is None:
                place[key] = {}
            place = place[key]
        place[last] = value
