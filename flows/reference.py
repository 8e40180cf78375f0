"""What the docs and `ganmill errors` list, read from the code.

`python -m flows.reference docs` writes `docs/recipe.md`, every key of the recipe, and
`docs/settings.md`, every variable of the environment; a test holds that the committed pages are
what the code makes.

An error sentence is found where an error of one of the three trees is made: `raise X(msg)`,
`return X(msg)`, or a call with the text itself. What is filled in at run time is shown as `…`.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flows import errors as flows_errors
from flows.errors import exit_code
from flows.recipe import Recipe
from gan import errors as gan_errors
from storage import errors as storage_errors
from storage.stores.settings import Settings, StorageProfile

ERRORS = {
    name: kind
    for module in (storage_errors, gan_errors, flows_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}
"""Every error class by its name."""

_GAP = "…"


@dataclass(frozen=True, order=True, kw_only=True)
class ErrorSentence:
    """What ganmill says when it cannot go on: what is wrong, the value it met, and the remedy."""

    exit_code: int
    sentence: str
    error: str
    """Name of the class."""


def error_sentences() -> tuple[ErrorSentence, ...]:
    """Return every sentence that a user may meet, by exit code."""
    found = set()
    for name, sentence in sentences():
        code = exit_code(ERRORS[name]())
        if code is not None:
            found.add(ErrorSentence(exit_code=code, sentence=sentence, error=name))
    return tuple(sorted(found, key=lambda one: (one.exit_code, one.sentence.lower(), one.error)))


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """Return (class name, sentence) of every error that the three packages make."""
    root = Path(__file__).parents[1]
    found: list[tuple[str, str]] = []
    for package in ("storage", "gan", "flows"):
        for path in sorted((root / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
            for function in functions.values():
                found += _of_function(function, functions)
    return tuple(found)


def _of_function(
    function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]
) -> Iterator[tuple[str, str]]:
    texts: dict[str, list[ast.expr]] = defaultdict(list)
    nodes = sorted(
        (node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.Call)),
        key=lambda node: (node.lineno, isinstance(node, ast.Call)),
    )
    for node in nodes:
        if isinstance(node, ast.Assign):
            if isinstance(node.targets[0], ast.Name):
                texts[node.targets[0].id].append(node.value)
        elif isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args:
            for text in _texts(node.args[0], texts, functions):
                yield node.func.id, text


def _texts(
    value: ast.expr, texts: dict[str, list[ast.expr]], functions: dict[str, ast.FunctionDef]
) -> list[str]:
    """Return what an error is made with, as text; nothing where that is only known at run time."""
    if isinstance(value, ast.Name) and texts.get(value.id):
        value = texts[value.id][-1]
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        helper = functions.get(value.func.id)
        returns = [] if helper is None else list(ast.walk(helper))
        found = [n.value for n in returns if isinstance(n, ast.Return) and n.value is not None]
        return [text for item in found for text in _texts(item, {}, {})]
    text = _template(value).strip()
    return [text] if len(text.replace(_GAP, "")) > len("a: b") else []


def _template(value: ast.expr) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(_template(part) for part in value.values)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _template(value.left) + _template(value.right)
    return _GAP


_KINDS = {int: "integer", float: "number", str: "text", bool: "true or false", Path: "path"}
_BOUNDS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
_HEAD = ("| key | value | default | meaning |", "| --- | --- | --- | --- |")


def recipe_page() -> str:
    """Return `docs/recipe.md`."""
    required = {"name": "digits", "source": {"uri": "example:digits"}}
    complete = Recipe.model_validate(required).model_dump(mode="json")
    return "\n".join(
        [
            "# Recipe reference",
            "",
            _made_by(),
            "",
            "A recipe is the whole job, in YAML. Only `name` and `source.uri` must be there:",
            "",
            "```yaml",
            yaml.safe_dump(required, sort_keys=False).rstrip(),
            "```",
            "",
            "Every key can be changed for one run: "
            "`ganmill run recipe.yaml --set training.budget_samples=100000`.",
            "Unknown keys are refused, and the nearest known one is suggested.",
            *_sections(Recipe, "", "Top level"),
            *_metrics(),
            "",
            "## A recipe with every key at its default",
            "",
            "```yaml",
            yaml.safe_dump(complete, sort_keys=False, allow_unicode=True).rstrip(),
            "```",
            "",
        ]
    )


def _metrics() -> Iterator[str]:
    """Yield one table per modality of the metrics that `gate.bounds` can name."""
    from gan.bounds import limit_texts
    from gan.modalities import load_modality
    from storage.records.modalities import MODALITIES

    yield from ("", "## Metrics and their default bounds", "")
    yield "The gate judges these metrics; `gate.bounds` names them as they stand here. `Real data`"
    yield "is the ceiling, what real records reach, and `nominal` the share of unseen real records"
    yield "that count as copies. `Upper end`: the upper end of the interval must be inside, not the"
    yield "value. A generator is blocked where the whole interval is past the block bound and the"
    yield "value is outside the pass bound; see [the gate](concepts.md#the-gate). What is measured"
    yield "and not judged stands there too, with the reason why; `gate.bounds` does not name it."
    for modality in MODALITIES:
        yield from ("", f"### Metrics of {modality}", "")
        yield from ("| metric | passes | blocks | meaning |", "| --- | --- | --- | --- |")
        for entry in load_modality(modality).metrics:
            for name, limit in entry.named_limits.items():
                yield f"| {name} | {' | '.join(limit_texts(entry, limit))} | {entry.meaning} |"
            if not entry.limits:
                yield f"| {entry.key} | not judged: {entry.not_judged} | | {entry.meaning} |"


def settings_page() -> str:
    """Return `docs/settings.md`."""
    profile = "GANMILL_STORAGE__<NAME>__"
    plain = [(variable(*item), item[1]) for item in Settings.model_fields.items()]
    return "\n".join(
        [
            "# Settings",
            "",
            _made_by(),
            "",
            "A recipe says what is made; the environment says where we run. Credentials live here "
            "and never in a recipe.",
            "",
            *_table((name, info) for name, info in plain if name != "GANMILL_STORAGE"),
            "",
            "## Storage profiles",
            "",
            "A profile is a name for one object store. A recipe uses it as `source.storage` or "
            "`output.storage`, so that source and lake can lie with different providers. Replace "
            f"`<NAME>` in `{profile}…`; case does not matter, and `-` in a recipe is `_` here. "
            "Without a profile, S3 is reached as every AWS tool does it: `AWS_*` variables, "
            "`~/.aws`, the role of the instance.",
            "",
            *_table(
                (f"{profile}{name.upper()}", info)
                for name, info in StorageProfile.model_fields.items()
            ),
            "",
        ]
    )


def variable(name: str, info: FieldInfo) -> str:
    """Return the environment variable of a field of the settings."""
    alias = info.validation_alias
    return alias if isinstance(alias, str) else f"GANMILL_{name.upper()}"


def write_pages(folder: Path) -> None:
    """Write all pages into a folder."""
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")


def _made_by() -> str:
    return "_Made from the code by `python -m flows.reference docs`; change it there._"


def _sections(model: type[BaseModel], prefix: str, title: str) -> Iterator[str]:
    """Yield the heading and table of a model, then those of the models below it."""
    meaning = "" if prefix == "" else (model.__doc__ or "").strip()
    yield from ("", f"## {title}", "")
    if meaning:
        yield from (meaning, "")
    fields = model.model_fields.items()
    leaves = [(name, info) for name, info in fields if _model(info) is None]
    below = [(name, info) for name, info in fields if _model(info) is not None]
    yield from _table((f"{prefix}{name}", info) for name, info in leaves)
    for name, info in below:
        inner = _model(info)
        if inner is not None:
            yield from _sections(inner, f"{prefix}{name}.", f"`{prefix}{name}`")


def _table(rows: Iterator[tuple[str, FieldInfo]]) -> Iterator[str]:
    yield from _HEAD
    for key, info in rows:
        cells = (f"`{key}`", _value(info), _default(info), _one_line(info.description or ""))
        yield f"| {' | '.join(cells)} |"


def _model(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _value(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    listed = extra.get("enum") if isinstance(extra, dict) else None
    if isinstance(listed, list):
        return ", ".join(f"`{value}`" for value in listed)
    return _kind(info.annotation) + _limits(info.metadata)


def _limits(metadata: Sequence[Any]) -> str:
    """Return the bounds among a type's metadata, with a comma before each."""
    limits = [
        f"{sign} {_bound(getattr(item, kind.__name__.lower()))}"
        for item in metadata
        for kind, sign in _BOUNDS.items()
        if isinstance(item, kind)
    ]
    limits += [f"at most {item.max_length} letters" for item in _of(metadata, MaxLen)]
    limits += ["not empty" for item in _of(metadata, MinLen) if item.min_length > 0]
    return "".join(f", {limit}" for limit in limits)


def _bound(value: float) -> str:
    """Return a bound as text, large powers of two as such."""
    if isinstance(value, int) and value > 2**31 and value & (value - 1) == 0:
        return f"2^{value.bit_length() - 1}"
    return str(value)


def _of(metadata: Sequence[Any], kind: type[Any]) -> list[Any]:
    return [item for item in metadata if isinstance(item, kind)]


def _kind(annotation: Any) -> str:
    """Return a type in words: `int | Literal["auto"]` is "integer or `auto`"."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        constraints = [part for item in inner[1:] for part in getattr(item, "metadata", [item])]
        return _kind(inner[0]) + _limits(constraints)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(_kind(item) for item in inner)
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if annotation is NoneType:
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return "{" + ", ".join(info.alias or name for name, info in fields) + "}"
    return _KINDS.get(annotation, getattr(annotation, "__name__", str(annotation))).replace(
        "SecretStr", "secret text"
    )


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    if info.default is None:
        return "null"
    if isinstance(info.default, bool):
        return f"`{str(info.default).lower()}`"
    if isinstance(info.default, tuple):
        return f"`{list(info.default)}`"
    return f"`{info.default}`"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: Mapping[str, Callable[[], str]] = {
    "recipe.md": recipe_page,
    "settings.md": settings_page,
}
"""File name → what makes it."""


if __name__ == "__main__":
    write_pages(Path(sys.argv[1] if sys.argv[1:] else "docs"))
