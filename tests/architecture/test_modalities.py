"""What differs between kinds of data hangs on one row; CONTRIBUTING says how, and is held to it."""

import ast
import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest

from storage.records.modalities import MODALITIES, Modality, load_code

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "storage/records/modalities.py"
TOY = ROOT / "tests/vectors"
OF_ONE = {"flows/cli/impute.py"}
"""Commands that exist for one modality and import its code."""
BUILT_ON = {"series": "tables"}
"""A modality → the one whose code its own may import: series are tables of steps."""
CHARTS = {
    "series": {
        "flows/report/line_charts.py",
        "flows/report/curves.py",
        "flows/report/nights.py",
        "flows/report/tuning.py",
        "gan/evaluation/reporting.py",
        "gan/inside/scores.py",
        "gan/report.py",
    }
}
"""Modality → files in which its name means the lines of a chart, as the report calls them."""


def own_places(modality: str) -> tuple[str, ...]:
    """Return how the paths of a modality's own files begin."""
    return (f"gan/{modality}/", f"storage/sources/{modality}/", f"storage/shards/{modality}")


def shared_files(modality: str) -> list[Path]:
    """Return the files of the packages that are not the modality's own, nor the table."""
    files = [path for name in ("flows", "gan", "storage") for path in (ROOT / name).rglob("*.py")]
    own = own_places(modality)
    above = [
        place for name, base in BUILT_ON.items() if base == modality for place in own_places(name)
    ]
    own = (*own, *above)
    return [f for f in files if f != TABLE and not str(f.relative_to(ROOT)).startswith(own)]


@cache
def nodes_of(path: Path) -> list[ast.Constant | ast.ImportFrom]:
    """Return the constants of a file and what it imports from modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.ImportFrom)]


def places_of(modality: str) -> list[str]:
    """Return where in these files a string is a modality's name: compared, a key, a default."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in shared_files(modality)
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and node.value == modality
        if str(path.relative_to(ROOT)) not in CHARTS.get(modality, set())
    ]


def fields() -> list[str]:
    return [field.name for field in dataclasses.fields(Modality)]


def code_names(row: Modality) -> list[str]:
    """Return every dotted name of a row."""
    named = [getattr(row, name) for name in fields() if isinstance(getattr(row, name), str)]
    return [*named, *(entry.code for entry in row.formats.values())]


@pytest.mark.parametrize("modality", MODALITIES)
def test_nothing_else_names_a_modality(modality):
    assert not places_of(modality), "say it in the modality's row and ask for that"


@pytest.mark.parametrize("modality", MODALITIES)
def test_nothing_else_imports_its_code(modality):
    own = tuple(place.replace("/", ".") for place in own_places(modality))
    found = {
        str(path.relative_to(ROOT))
        for path in shared_files(modality)
        for node in nodes_of(path)
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(own)
    }
    assert found <= OF_ONE


@pytest.mark.parametrize("modality", MODALITIES)
def test_everything_that_a_row_names_is_there(modality):
    row = MODALITIES[modality]
    assert all(load_code(name) is not None for name in code_names(row))
    for name in ("PRESETS", "resolve"):
        assert hasattr(load_code(row.presets), name)


def section() -> str:
    """Return what CONTRIBUTING says of a new modality."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("## A new modality\n")[2].partition("\n## ")[0]


def test_contributing_shows_the_row_of_the_toy():
    from vectors import ROW

    (block,) = re.findall(r"```python\n(.*?)```", section(), flags=re.DOTALL)
    shown: dict = {}
    exec(block, shown)  # noqa: S102 - what the page says
    assert shown["ROW"] == ROW


def test_contributing_lists_every_field_of_a_row_and_every_file_of_the_toy():
    lines = re.findall(r"^\| `(\w+)` \|.*?\|(.*?)\|(.*?)\|$", section(), flags=re.MULTILINE)
    assert [name for name, _, _ in lines] == sorted(fields(), key=[n for n, *_ in lines].index)
    listed = {file for _, files, _ in lines for file in re.findall(r"`(.+?)`", files)}
    assert {path.name for path in TOY.glob("*.py")} == listed | {"__init__.py"}
    elsewhere = [path for _, _, paths in lines for path in re.findall(r"`(.+?)`", paths)]
    assert all((ROOT / path).exists() for path in elsewhere)


def code_lines(path: Path) -> int:
    """Count the lines of a file that are neither blank, import, comment nor docstring."""
    text = path.read_text(encoding="utf-8")
    kept: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom):
            kept |= set() if words else set(range(node.lineno, node.end_lineno + 1))
    return sum(bool(text.splitlines()[number - 1].strip()) for number in kept)


def test_the_toy_is_small_and_nothing_else_knows_it():
    assert sum(code_lines(path) for path in TOY.glob("*.py")) < 150
    assert not places_of("vectors")
