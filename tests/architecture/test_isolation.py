"""What each package may load, shown in a fresh interpreter.

import-linter cannot see lazy imports; a new process can.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def modules_after(code: str, cwd: Path = ROOT) -> set[str]:
    """Return the top-level modules loaded once `code` ran in a new interpreter."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def every_module(package: str) -> str:
    """Return code that imports every module of a package."""
    files = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files]
    imports = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    return "\n".join(f"import {name}" for name in imports)


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("storage", {"torch", "prefect", "gan", "flows"}),
        (
            "gan",
            {"prefect", "s3fs", "fsspec", "boto3", "storage.errors", "storage.stores", "flows"},
        ),
    ],
)
def test_importing_every_module_of_a_package_loads_no_other_world(package, forbidden):
    loaded = modules_after(every_module(package))
    assert f"{package}.errors" in loaded
    assert not loaded & forbidden


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("flows.cli.app", {"torch", "prefect", "sklearn", "scipy"}),
        ("flows.cockpit.worker", {"torch", "sklearn", "scipy"}),  # as `ganmill up` and `deploy`
    ],
)
def test_what_trains_nothing_starts_without_what_trains(module, forbidden):
    loaded = modules_after(f"import {module}")
    assert module in loaded
    assert not loaded & forbidden


@pytest.mark.parametrize("arguments", [["--help"], ["datasets", "list", "--json"]])
def test_the_command_ignores_folders_of_the_same_names(tmp_path, arguments):
    for package in ("flows", "gan", "storage"):
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text("raise RuntimeError('a foreign package was imported')")
    command = Path(sys.executable).with_name("ganmill")
    done = subprocess.run(
        [command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "foreign" not in done.stdout + done.stderr


def test_no_source_file_outgrows_its_reader():
    sizes = {
        path.relative_to(ROOT): len(path.read_text().splitlines())
        for package in ("flows", "gan", "storage")
        for path in (ROOT / package).rglob("*.py")
    }
    assert not {path: lines for path, lines in sizes.items() if lines > 600}
