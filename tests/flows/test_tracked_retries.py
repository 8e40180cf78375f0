"""What Prefect tries again: passing faults of a store, nothing else."""

import pytest

from storage.errors import AccessDeniedError, DeadlineError, SourceError, ThrottledError


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (DeadlineError("60 s"), True),
        (ThrottledError("503"), True),
        (AccessDeniedError("403"), False),
        (SourceError("no such folder"), False),
        (KeyError("a bug"), False),
    ],
)
def test_only_a_passing_fault_is_tried_again(error, again):
    from prefect.states import Failed

    from flows.tracked.nightly import is_passing

    assert is_passing(None, None, Failed(data=error)) is again
