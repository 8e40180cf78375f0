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
from gan.sample import Sampler
from gan.training.loop import train

VERSION = 12
GOLDEN: dict[str, dict[str, list[float]]] = {
    "mlp": {
        "discriminator_loss": [0.70987, 0.66489, 0.63999, 0.62076],
        "generator_loss": [0.70114, 0.73582, 0.7609, 0.77845],
        "gradient_penalty": [0.083564, 0.061399, 0.06867, 0.079931],
        "pixels": [119.7, 123.4, 128.7, 130.4, 123.8, 118.2, 121.2, 121.1],
        "spread": [26.39, 32.39, 18.97, 24.59, 24.59, 18.7, 25.38, 23.33],
    },
    "resnet": {
        "discriminator_loss": [0.59644, 0.54101, 0.54781, 0.48948],
        "generator_loss": [0.94667, 1.019, 1.0175, 1.075],
        "gradient_penalty": [0.99576, 0.87863, 0.80731, 0.79654],
        "pixels": [121.2, 78.39, 51.3, 17.43, 11.7, 9.071, 11.16, 29.18],
        "spread": [43.22, 49.12, 51.04, 51.29, 48.92, 46.55, 43.12, 50.4],
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
    signals = {"generator_gradient", "discriminator_gradient", "diversity"}
    assert set(found) == set(GOLDEN[preset]) | signals
    assert {event.kind for event in result.events} == {"stop", "choice"}, "nothing was repaired"
