"""Every sound pair of loss and penalty finds all eight Gaussians of a ring."""

from types import SimpleNamespace

import pytest

import gan.presets
import gan.training.regularizers
import gan.training.state
from gan.config import GeneratorConfig
from gan.presets import Preset
from gan.training.losses import ADVERSARIAL
from gan.training.parts import UNSOUND
from gan.training.regularizers import PENALTIES
from tests.gan.ring import MODES, found, resolve, train_ring

GAMMAS = {"interpolated": 0.2, "r1": 0.1, "r2": 0.1, "r1-r2": 0.1}
"""For a ring of radius 2, as Gulrajani et al. (2017) take λ = 0.1 on toys."""
CLIPPED = ("wasserstein", "weight-clipping")
"""With weights of up to 0.01 it finds five of eight (as Gulrajani et al., 2017, figure 1, show)."""
SOUND = [
    pytest.param(
        loss,
        penalty,
        marks=[] if (loss, penalty) == ("relativistic", "r1-r2") else [pytest.mark.full],
    )
    for loss in ADVERSARIAL
    for penalty in PENALTIES
    if (loss, penalty) not in UNSOUND and (loss, penalty) != CLIPPED
]


@pytest.fixture
def plane(monkeypatch):
    """Let the product train the ring's networks."""

    def build_with(build):
        modality = SimpleNamespace(build=build)
        monkeypatch.setattr(gan.training.state, "load_modality", lambda _: modality)

    words = SimpleNamespace(records="points")
    monkeypatch.setattr(gan.presets, "words_of", lambda _: words)
    return build_with


@pytest.mark.parametrize(("loss", "penalty"), SOUND)
def test_all_modes_are_found(plane, loss, penalty):
    gamma = GAMMAS.get(penalty)
    preset = Preset(
        latent=4,
        batch_size=128,
        learning_rate=1e-3,
        beta1=0.0 if gamma or penalty == "none" else 0.5,
        gamma=gamma,
        gamma_fall=1.0,
        loss=loss,
        penalty=penalty,
    )
    config = resolve(GeneratorConfig(), preset)
    modes, near = found(train_ring(plane, config).generator_ema)
    assert modes == MODES
    assert near > 0.3


@pytest.mark.full
def test_clipped_weights_find_all_modes_when_they_may_be_larger(plane, monkeypatch):
    monkeypatch.setattr(gan.training.regularizers, "CLIP", 0.1)
    loss, penalty = CLIPPED
    rates = {"learning_rate": 1e-3, "optimizer": "rmsprop", "discriminator_steps": 5}
    preset = Preset(latent=4, batch_size=128, loss=loss, penalty=penalty, **rates)
    config = resolve(GeneratorConfig(), preset, batches=10_000)
    modes, near = found(train_ring(plane, config).generator_ema)
    assert modes == MODES
    assert near > 0.3
