"""The algorithm's version: when these numbers move, other weights come from the same input.

They come from a short run in float32 and are equal on every processor up to rounding. If a change
moves them on purpose, raise `gan.config.ALGORITHM_VERSION` and write down the new ones; a failing
comparison shows them.
"""

import numpy as np
import pytest

from gan.config import ALGORITHM_VERSION, GeneratorConfig, TrainingConfig
from gan.images.codec import read_images
from gan.images.presets import resolve
from gan.loop import train
from gan.sample import Sampler

VERSION = 1
GOLDEN: dict[str, dict[str, list[float]]] = {
    "mlp": {
        "discriminator_loss": [0.70863, 0.66942, 0.63983, 0.6237],
        "generator_loss": [0.70171, 0.73088, 0.75987, 0.77418],
        "gradient_penalty": [0.085578, 0.060527, 0.064215, 0.081883],
        "pixels": [120.58, 123.7, 129.36, 129.75, 124.54, 118.94, 120.8, 122.08],
        "spread": [25.737, 31.808, 17.739, 23.478, 24.104, 17.695, 24.5, 22.607],
    },
    "resnet": {
        "discriminator_loss": [0.58401, 0.5358, 0.5539, 0.47702],
        "generator_loss": [0.95562, 1.0303, 1.0029, 1.1034],
        "gradient_penalty": [1.0008, 0.90605, 0.80484, 0.80244],
        "pixels": [118.03, 70.56, 43.076, 13.076, 8.9838, 8.6404, 11.102, 29.511],
        "spread": [43.657, 46.907, 48.793, 47.767, 47.165, 46.807, 42.225, 48.872],
    },
}


@pytest.mark.parametrize("preset", ["mlp", "resnet"])
def test_equal_input_gives_equal_numbers(preset, codec, digits, tmp_path):
    training = TrainingConfig(budget_samples=16 * 24, batch_size=16, device="cpu")
    generator = GeneratorConfig(preset=preset, width=16)
    config = resolve(generator, training, codec, train_rows=300, seed=1)
    config = config.model_copy(
        update={"precision": "float32", "threads": 1, "tick_samples": 96, "patience_samples": 10**6}
    )
    result = train(config, codec, digits, tmp_path, device="cpu")
    found = {curve.name: list(curve.values) for curve in result.curves}
    rows = tuple((digit, 30) for digit in range(10))
    images = read_images(Sampler.load(result.snapshot).records(rows, seed=2, index=3))
    found["pixels"] = images.mean((0, 2, 3)).tolist()
    found["spread"] = images.std((0, 1, 3)).tolist()
    rounded = {name: [float(f"{value:.4g}") for value in found[name]] for name in found}
    assert ALGORITHM_VERSION == VERSION
    for name, values in GOLDEN[preset].items():
        np.testing.assert_allclose(found[name], values, rtol=1e-2, err_msg=repr(rounded))
    assert set(found) == set(GOLDEN[preset])
