"""Run benchmarks: `python -m benchmarks [--tiny] [name …]`, without a name those of `make bench`.

Their numbers are stored beside the code. With `--tiny` each runs once, on next to nothing, and
stores nothing: every module here that has a `main` has a `tiny(folder)`, which does the whole
benchmark on so little that a test runs it, and returns its numbers. `NEEDS` of a module names
packages that the project does not install.
"""

import importlib
import importlib.util
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.timing import RESULTS, machine

BENCHMARKS = ("training_step", "synthesis", "demo_quality")
"""Those of `make bench`."""
STORED = (*BENCHMARKS, "judging")
"""Those that take no arguments; the others are commands of their own."""


def every_benchmark() -> list[str]:
    """Return the modules of this folder that can be run."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    named = [path for path in files if not path.stem.startswith("__")]
    return [path.stem for path in named if "\ndef main(" in path.read_text(encoding="utf-8")]


def run_tiny(name: str) -> object:
    """Run a benchmark on next to nothing and return its numbers."""
    module = importlib.import_module(f"benchmarks.{name}")
    with tempfile.TemporaryDirectory() as folder:
        return module.tiny(Path(folder))


def missing(name: str) -> list[str]:
    """Return the packages that a benchmark needs and that are not installed."""
    needs = getattr(importlib.import_module(f"benchmarks.{name}"), "NEEDS", ())
    return [package for package in needs if importlib.util.find_spec(package) is None]


def main() -> int:
    """Run the named benchmarks; return the exit code."""
    words = [word for word in sys.argv[1:] if word != "--tiny"]
    is_tiny = len(words) < len(sys.argv) - 1
    known = every_benchmark() if is_tiny else STORED
    unknown = [name for name in words if name not in known]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}: choose from {', '.join(known)}")
        return 2
    for name in words or (known if is_tiny else BENCHMARKS):
        if absent := missing(name):
            print(f"{name} is left out: it needs {', '.join(absent)}")
        elif is_tiny:
            print(json.dumps({name: run_tiny(name)}), flush=True)
        else:
            _store(name, importlib.import_module(f"benchmarks.{name}").main())
    return 0


def _store(name: str, results: object) -> None:
    RESULTS.mkdir(exist_ok=True)
    page = {
        "benchmark": name,
        "machine": machine(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": results,
    }
    text = json.dumps(page, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
