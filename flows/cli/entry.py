"""The edge of the command line: signals, errors and exit codes."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
from typer.main import get_command

from flows.cli.app import app
from flows.cli.exits import BUG, DONE, INTERRUPTED, exit_code, sentence


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what went wrong is one sentence on stderr."""
    try:
        result = get_command(app)(list(arguments), prog_name="ganmill", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        return _report(KeyboardInterrupt() if isinstance(error, click.Abort) else error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, no traceback
        return _report(error)
    return result if isinstance(result, int) else DONE


def _report(error: BaseException) -> int:
    code = exit_code(error)
    if code is None:
        _say(f"ganmill met an error it did not foresee ({type(error).__name__}: {error}); ")
        _say(f"please report it with {_keep_traceback(error)}")
        return BUG
    mark = "" if code == INTERRUPTED else "error: "
    _say(f"{mark}{sentence(error)}")
    return code


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _keep_traceback(error: BaseException) -> str:
    """Write the traceback into the work folder and return where."""
    from storage.settings import load_settings

    path = load_settings().work_folder / "last-error.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return str(Path(path))
