"""From an error to an exit code: one table, and one sentence for the user."""

import errno

from flows import errors as flows_errors
from gan import errors as gan_errors
from storage import errors as storage_errors

DONE, USAGE, BLOCKED, SOURCE, LAKE, TRAINING, INTERRUPTED = 0, 2, 3, 4, 5, 6, 130
BUG = 1

EXIT_CODES: dict[type[BaseException], int] = {
    flows_errors.RecipeError: USAGE,
    flows_errors.ExtraMissingError: USAGE,
    flows_errors.AnswerError: USAGE,
    storage_errors.SettingsError: USAGE,
    storage_errors.PlanError: USAGE,
    storage_errors.RetentionError: USAGE,
    gan_errors.ConfigError: USAGE,
    flows_errors.BlockedError: BLOCKED,
    storage_errors.SourceError: SOURCE,
    gan_errors.DataError: SOURCE,
    storage_errors.LakeError: LAKE,
    storage_errors.AbandonedError: LAKE,
    storage_errors.PromotionConflictError: LAKE,
    gan_errors.SnapshotError: LAKE,
    flows_errors.UnsentError: LAKE,
    OSError: LAKE,
    gan_errors.TrainingError: TRAINING,
    flows_errors.EngineError: TRAINING,
    flows_errors.SlotLostError: TRAINING,
    MemoryError: TRAINING,
    gan_errors.Interrupted: INTERRUPTED,
    flows_errors.StoppedError: INTERRUPTED,
    KeyboardInterrupt: INTERRUPTED,
}

JOBS_PACKAGES = frozenset({"torch", "prefect", "safetensors", "sklearn", "scipy"})
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
        return _os_sentence(error)
    if EXIT_CODES.get(type(error)) == INTERRUPTED:
        return "stopped; what is done is kept, run the same command again to continue"
    return " ".join(str(error).split())


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"the disk is full ({error.filename or 'work folder'}): free some space and run again"
        )
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"
