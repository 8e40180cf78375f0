"""The edge of the command line: errors and exit codes."""

import sys
import traceback
from collections.abc import Sequence

import typer
from typer.main import get_command

from flows.cli.app import app
from flows.cli.output import BUG, DONE, INTERRUPTED, exit_code, sentence


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what went wrong is one sentence on stderr."""
    try:
        result = get_command(app)(list(arguments), prog_name="ganmill", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, no traceback
        return _report(error)
    if result == INTERRUPTED:  # typer turns KeyboardInterrupt into this
        return _report(KeyboardInterrupt())
    return result if isinstance(result, int) else DONE


def _report(error: BaseException) -> int:
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's own: wrong arguments
        error.show()
        return int(error.exit_code)
    code = exit_code(error)
    if code is None:
        where = _keep_traceback(error)
        what = f"{type(error).__name__}: {error}"
        _say(f"error: ganmill did not foresee this ({what}); please report it with {where}")
        return BUG
    _say(sentence(error) if code == INTERRUPTED else f"error: {sentence(error)}")
    return code


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _keep_traceback(error: BaseException) -> str:
    """Write the traceback into the work folder and return where."""
    from storage.stores.settings import load_settings

    path = load_settings().work_folder / "last-error.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return str(path)
