"""The assessment while training: the gate's own measures on validation, cheap enough for a tick."""

from dataclasses import dataclass

import pyarrow as pa

from gan.protocols import Assessment, SampleFn


@dataclass(frozen=True, kw_only=True)
class ValidationAssess:
    """An `Assess`: ranks the generator by the worse of both feature nets.

    Build it with `build_assess`.
    """

    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:
        """Return the assessment of the generator behind `sample`."""
        raise NotImplementedError


def build_assess(
    train: pa.Table, validation: pa.Table, *, label: str | None, seed: int, modality: str = "images"
) -> ValidationAssess:
    """Train the feature nets on train and keep what is needed of both splits.

    Raises:
        DataError: validation is too small to compare anything.
    """
    raise NotImplementedError
