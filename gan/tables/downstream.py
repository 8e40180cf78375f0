"""What users train on tables; see `gan.lift.task.DownstreamTask`."""

from gan.lift.task import DownstreamTask
from gan.modalities import Splits


def build_task(splits: Splits, *, seed: int) -> DownstreamTask | None:  # noqa: ARG001 - comes next
    """Return the learning task of a table; None where no column is predicted."""
    return None
