"""Everything that flows raises on purpose, and the exit code and sentence of every error.

FlowsError
├── RecipeError        the recipe or an argument is wrong (exit 2)
├── ExtraMissingError  the job needs packages that an extra of ganmill brings (exit 2)
├── AnswerError        a person's decision lacks a name or a reason, or cannot be done (exit 2)
├── BlockedError       the gate blocked, nothing was published (exit 3)
├── UnsentError        an event could not be sent; it stays pending, the next run sends it (exit 5)
├── EngineError        the workers that synthesize keep dying, or cannot be reached (exit 6)
├── LeaseLostError     the GPU lease was lost while training; run again, it continues (exit 6)
└── StoppedError       Ctrl-C or SIGTERM; what was done stays, the next run continues (exit 130)

A message says what is wrong, the value received, and the remedy, in one sentence.
"""

import errno
import re

from gan import errors as gan_errors
from storage import errors as storage_errors
from storage.masking import masked


class FlowsError(Exception):
    """Root of the tree."""


class RecipeError(FlowsError):
    """The recipe or an argument is wrong."""


class ExtraMissingError(FlowsError):
    """The job needs packages that an extra of ganmill brings, such as `ganmill[ray]`."""


class AnswerError(FlowsError):
    """A person's decision lacks a name or a reason, or cannot be done."""


class BlockedError(FlowsError):
    """The gate blocked, nothing was published."""


class UnsentError(FlowsError):
    """An event could not be sent; it stays pending, the next run sends it."""


class EngineError(FlowsError):
    """The workers that synthesize keep dying, or cannot be reached."""


class LeaseLostError(FlowsError):
    """The GPU lease was lost while training; run again, it continues."""


class StoppedError(FlowsError):
    """The job was asked to stop; what was done stays, the next run continues."""


DONE, USAGE, BLOCKED, SOURCE, LAKE, TRAINING, INTERRUPTED = 0, 2, 3, 4, 5, 6, 130
BUG = 1
"""Of an error that ganmill did not foresee."""

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

EXIT_CODES: dict[type[BaseException], int] = {
    RecipeError: USAGE,
    ExtraMissingError: USAGE,
    AnswerError: USAGE,
    storage_errors.SettingsError: USAGE,
    storage_errors.PlanError: USAGE,
    storage_errors.RetentionError: USAGE,
    gan_errors.ConfigError: USAGE,
    BlockedError: BLOCKED,
    storage_errors.RetractedError: BLOCKED,
    storage_errors.OverspentError: BLOCKED,
    storage_errors.SourceError: SOURCE,
    gan_errors.DataError: SOURCE,
    storage_errors.LakeError: LAKE,
    storage_errors.AbandonedError: LAKE,
    storage_errors.PromotionConflictError: LAKE,
    gan_errors.SnapshotError: LAKE,
    UnsentError: LAKE,
    OSError: LAKE,
    gan_errors.TrainingError: TRAINING,
    EngineError: TRAINING,
    LeaseLostError: TRAINING,
    MemoryError: TRAINING,
    gan_errors.Interrupted: INTERRUPTED,
    StoppedError: INTERRUPTED,
    KeyboardInterrupt: INTERRUPTED,
}

JOBS_PACKAGES = frozenset(
    {"torch", "prefect", "safetensors", "sklearn", "scipy", "optuna", "ruamel"}
)
"""What `ganmill[jobs]` brings, by import name."""


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of an error, by its nearest class in the table; None: unforeseen."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return USAGE if missing_extra(error) else None


def missing_extra(error: BaseException) -> bool:
    """Say whether an import failed because only the light install is there."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return False
    return error.name.partition(".")[0] in JOBS_PACKAGES


def sentence(error: BaseException) -> str:
    """Return what the user reads."""
    if missing_extra(error):
        return (
            f"this command needs {getattr(error, 'name', None)}, which the light install leaves "
            'out: run pip install "ganmill[jobs]"'
        )
    if isinstance(error, OSError):
        return one_line(_os_sentence(error))
    if EXIT_CODES.get(type(error)) == INTERRUPTED:
        return "stopped; what is done is kept, run the same command again to continue"
    return one_line(error)


LONGEST_SENTENCE = 2000
"""Letters of a message that are shown, whatever it quotes."""


def one_line(error: object) -> str:
    """Return a message on one line, without logins, cut where it is endless."""
    return bounded(presentable(" ".join(str(error).split())), LONGEST_SENTENCE)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def presentable(text: str) -> str:
    """Return text for a terminal: without logins, and without codes that would steer it."""
    return _CONTROL.sub("\ufffd", masked(text))


def bounded(text: str, longest: int) -> str:
    """Return the text, its middle left out where it is longer."""
    if len(text) <= longest:
        return text
    head = longest * 2 // 3
    return f"{text[:head]} … {text[len(text) - (longest - head) :]}"


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"the disk is full ({error.filename or 'work folder'}): free some space and run again"
        )
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"
