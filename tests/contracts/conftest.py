"""What every contract test of gan needs: a device, and small records of each modality."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.images.codec import write_images

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """The processor, and CUDA where there is a device."""
    return request.param


def example_images(rows: int) -> pa.Table:
    """Two classes of 8 x 8 images: bright above, bright below."""
    numbers = np.random.default_rng(7)
    images = numbers.integers(0, 60, (rows, 8, 8, 1), dtype=np.uint8)
    images[0::2, :4] += 180
    images[1::2, 4:] += 180
    labels = np.where(np.arange(rows) % 2, "below", "above")
    return pa.table({"image": write_images(images), "kind": pa.array(labels)})


EXAMPLES: dict[str, Callable[[int], pa.Table]] = {"images": example_images}
"""Modality → records with a label column `kind`; a new modality adds its own."""


@pytest.fixture
def example() -> Callable[[str, int], pa.Table]:
    """Small records of a modality."""
    return lambda modality, rows: EXAMPLES[modality](rows)
