"""From errors to exit codes: every class of the three trees has one."""

import errno
import inspect

import pytest

from flows import errors as flows_errors
from flows.errors import EXIT_CODES, exit_code, sentence
from gan import errors as gan_errors
from storage import errors as storage_errors

ROOTS = {flows_errors.FlowsError, gan_errors.GanError, storage_errors.StorageError}
ERRORS = [
    found
    for module in (flows_errors, gan_errors, storage_errors)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, Exception) and found not in ROOTS
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_the_code_its_tree_draws(kind):
    module = inspect.getmodule(kind)
    drawn = [line for line in module.__doc__.splitlines() if f" {kind.__name__} " in line]
    code = exit_code(kind("it broke"))
    assert code in {2, 3, 4, 5, 6, 130}
    for line in drawn:
        if "(exit" in line:
            assert f"(exit {code})" in line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (storage_errors.SchemeError("x"), 2),
        (flows_errors.BlockedError("x"), 3),
        (storage_errors.SourceError("x"), 4),
        (storage_errors.LakeFullError("x"), 5),
        (gan_errors.NotFiniteError("x"), 6),
        (KeyboardInterrupt(), 130),
        (ModuleNotFoundError("x", name="torch.nn"), 2),
        (ModuleNotFoundError("x", name="ours"), None),
        (ZeroDivisionError(), None),
    ],
)
def test_the_nearest_class_decides(error, code):
    assert exit_code(error) == code


def test_the_table_names_only_the_codes_of_the_design():
    assert set(EXIT_CODES.values()) == {2, 3, 4, 5, 6, 130}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModuleNotFoundError("x", name="torch"), 'pip install "ganmill[jobs]"'),
        (OSError(errno.ENOSPC, "No space", "/w/x"), "the disk is full (/w/x)"),
        (PermissionError(errno.EACCES, "Permission denied", "/w"), "Permission denied: /w"),
        (OSError("odd"), "odd"),
        (KeyboardInterrupt(), "run the same command again to continue"),
        (gan_errors.Interrupted("at 5"), "run the same command again to continue"),
        (storage_errors.SourceError("two\n  lines"), "two lines"),
    ],
)
def test_the_user_reads_one_sentence(error, text):
    assert text in sentence(error)
    assert "\n" not in sentence(error)
