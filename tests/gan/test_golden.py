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
        "discriminator_loss": [0.65747, 0.59174, 0.55117, 0.50474],
        "generator_loss": [0.76186, 0.83859, 0.88471, 0.94404],
        "gradient_penalty": [0.068411, 0.079656, 0.082824, 0.092335],
        "pixels": [119.47, 124.75, 130.18, 131.33, 132.96, 121.66, 125.09, 125.58],
        "spread": [26.262, 29.101, 19.969, 22.862, 23.655, 15.803, 19.574, 23.268],
    },
    "resnet": {
        "discriminator_loss": [0.6869, 0.67534, 0.64182, 0.62416],
        "generator_loss": [0.71046, 0.72446, 0.75929, 0.77372],
        "gradient_penalty": [0.0059937, 0.0070333, 0.0085736, 0.009698],
        "pixels": [74.648, 45.403, 44.528, 55.051, 68.68, 85.812, 102.83, 119.8],
        "spread": [22.113, 39.048, 42.116, 50.674, 46.216, 35.487, 36.358, 34.276],
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
