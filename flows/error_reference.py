"""`docs/errors.md`: every sentence that a user may meet, by exit code, read from the source code.

A sentence is found where an error of one of the three trees is made: `raise X(msg)`,
`return X(msg)`, or a call with the text itself. What is filled in at run time is shown as `…`.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from flows import errors as flows_errors
from flows.cli.exits import (
    BLOCKED,
    BUG,
    DONE,
    INTERRUPTED,
    LAKE,
    SOURCE,
    TRAINING,
    USAGE,
    exit_code,
)
from gan import errors as gan_errors
from storage import errors as storage_errors

MEANINGS = {
    DONE: "done",
    BUG: "an error that ganmill did not foresee",
    USAGE: "the recipe or an argument is wrong",
    BLOCKED: "the gate blocked, nothing was published",
    SOURCE: "the source cannot be read or is unfit",
    LAKE: "the lake failed",
    TRAINING: "training failed",
    INTERRUPTED: "interrupted; run the same command again to continue",
}
"""Exit code → what it says."""

ERRORS = {
    name: kind
    for module in (storage_errors, gan_errors, flows_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}
"""Every error class by its name."""

_GAP = "…"


def errors_page() -> str:
    """Return `docs/errors.md`."""
    found: dict[int, set[str]] = defaultdict(set)
    for name, sentence in sentences():
        code = exit_code(ERRORS[name]())
        if code is not None:
            found[code].add(sentence)
    lines = [
        "# Error sentences",
        "",
        "_Made from the code by `python -m flows.reference docs`._",
        "",
        "What ganmill says when it cannot go on, by exit code; `…` is filled in when it happens. "
        "Every sentence names what is wrong, the value it met, and the remedy. "
        "[Troubleshooting](troubleshooting.md) tells more about the common ones.",
    ]
    for code in sorted(found):
        lines += ["", f"## Exit code {code}: {MEANINGS[code]}", ""]
        lines += [f"- {text}" for text in sorted(found[code], key=str.lower)]
    return "\n".join([*lines, ""])


def sentences() -> Iterator[tuple[str, str]]:
    """Yield (class name, sentence) of every error that the three packages make."""
    root = Path(__file__).parents[1]
    for package in ("storage", "gan", "flows"):
        for path in sorted((root / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
            for function in functions.values():
                yield from _of_function(function, functions)


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
