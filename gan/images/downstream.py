"""What users train on images; see `gan.lift.task.DownstreamTask`."""

from gan.lift.task import DownstreamTask
from gan.modalities import Splits


def build_task(splits: Splits, *, seed: int) -> DownstreamTask | None:  # noqa: ARG001 - comes next
    """Return the learning task of images with classes; None without."""
    return None
