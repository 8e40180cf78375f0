"""Every benchmark runs once, on next to nothing; a new one is found by its file."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, every_benchmark

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
EVERY = every_benchmark()


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=900,
    )


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_file_with_a_main_is_a_benchmark_with_a_tiny_mode():
    own = [path for path in FOLDER.glob("*.py") if not path.stem.startswith("__")]
    found = {path.stem: functions(path) for path in own}
    assert {name for name, names in found.items() if "main" in names} == set(EVERY)
    assert set(BENCHMARKS) <= set(EVERY)
    assert [name for name in EVERY if "tiny" not in found[name]] == []


def test_an_unknown_one_lists_the_known_ones():
    done = run("--tiny", "nothing")
    assert done.returncode == 2
    assert "unknown benchmark 'nothing': choose from" in done.stdout


@pytest.mark.full
@pytest.mark.parametrize("name", EVERY)
def test_a_benchmark_runs(name):
    before = {path: path.read_bytes() for path in (FOLDER / "results").iterdir()}
    done = run("--tiny", name)
    assert done.returncode == 0, done.stderr[-4000:]
    last = done.stdout.splitlines()[-1]
    if "is left out: it needs" in last:
        pytest.skip(last)
    assert json.loads(last)[name]
    assert {path: path.read_bytes() for path in (FOLDER / "results").iterdir()} == before
