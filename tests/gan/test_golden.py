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

VERSION = 4
GOLDEN: dict[str, dict[str, list[float]]] = {
    "mlp": {
        "discriminator_loss": [0.70987, 0.66489, 0.63999, 0.62076],
        "generator_loss": [0.70114, 0.73582, 0.7609, 0.77845],
        "gradient_penalty": [0.083564, 0.061399, 0.06867, 0.079931],
        "pixels": [120.18, 123.87, 129.09, 130.61, 124.21, 118.53, 121.55, 121.49],
        "spread": [25.768, 32.08, 18.385, 24.052, 24.254, 18.034, 24.967, 22.774],
    },
    "resnet": {
        "discriminator_loss": [0.59644, 0.54101, 0.54781, 0.48948],
        "generator_loss": [0.94667, 1.019, 1.0175, 1.075],
        "gradient_penalty": [0.99576, 0.87863, 0.80731, 0.79654],
        "pixels": [121.61, 78.937, 51.825, 17.714, 11.893, 9.1596, 11.385, 29.62],
        "spread": [43.082, 49.014, 51.24, 51.212, 48.999, 46.7, 43.109, 50.215],
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
