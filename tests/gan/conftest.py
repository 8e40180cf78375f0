"""A tiny training that takes a fraction of a second, and real digits."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.images.codec import ImageCodec, write_images
from gan.images.presets import resolve


@pytest.fixture(scope="session")
def digits() -> pa.Table:
    """The first 300 of scikit-learn's digits: 8 x 8 grey, label `digit`."""
    data = load_digits()
    images = np.rint(data.images[:300] * (255 / 16)).astype(np.uint8)[..., None]
    labels = pa.array(data.target[:300].astype(np.int64))
    return pa.table({"image": write_images(images), "digit": labels})


@pytest.fixture(scope="session")
def codec(digits: pa.Table) -> ImageCodec:
    """Fitted on the digits, labelled."""
    return ImageCodec.fit(digits, "digit")


@pytest.fixture(scope="session")
def tiny(codec: ImageCodec) -> ResolvedConfig:
    """Forty steps of 16 images in four ticks, in float32."""
    config = resolve(
        GeneratorConfig(preset="mlp", width=32),
        TrainingConfig(budget_samples=640, batch_size=16, device="cpu"),
        codec,
        train_rows=300,
        seed=11,
    )
    return config.model_copy(
        update={"tick_samples": 160, "patience_samples": 10_000, "precision": "float32"}
    )
