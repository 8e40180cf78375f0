"""Parts of a training that a recipe changes: taken, or refused in one sentence."""

import pytest

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError
from gan.images.codec import ImageCodec
from gan.images.presets import resolve
from gan.training.loop import train
from gan.training.parts import UNSOUND
from gan.training.regularizers import PENALTIES


def resolved(codec, **parts):
    training = TrainingConfig(device="cpu")
    return resolve(GeneratorConfig(**parts), training, codec, train_rows=300, seed=0)


def test_every_part_can_be_changed_by_itself(codec):
    config = resolved(
        codec,
        preset="dcgan",
        loss="hinge",
        penalty="spectral-norm",
        optimizer="rmsprop",
        terms={"feature-matching": 0.5},
        discriminator_steps=3,
        discriminator_rate=4,
        latent=17,
        augment=["translate", "colour"],
    )
    assert (config.loss, config.penalty, config.optimizer) == ("hinge", "spectral-norm", "rmsprop")
    assert (config.terms, config.discriminator_steps) == ({"feature-matching": 0.5}, 3)
    assert (config.latent, config.gamma) == (17, 0.0)
    assert (config.discriminator_rate, config.augment) == (4.0, ("translate", "colour"))
    assert any("loss hinge" in note for note in config.notes)
    assert any("terms feature-matching 0.5" in note for note in config.notes)


def test_a_term_has_a_strength_of_its_own(codec):
    asked = [{"name": "label-smoothing"}, {"name": "gradient-clipping"}]
    config = resolved(codec, preset="dcgan", terms=asked)
    assert config.terms == {"label-smoothing": 0.1, "gradient-clipping": 1.0}


def test_augmentation_is_of_a_name_or_off(codec):
    assert resolved(codec, preset="dcgan").augment == ()
    assert resolved(codec, preset="dcgan", augment="cutout").augment == ("cutout",)
    assert resolved(codec, preset="resnet", augment=[]).augment == ()


def test_a_penalty_brings_its_own_weight(codec):
    assert resolved(codec, preset="wgan-gp").gamma == 20.0
    assert resolved(codec, preset="mlp", penalty="interpolated").gamma == 20.0
    assert resolved(codec, preset="mlp", penalty="r1", gamma=3).gamma == 3.0
    assert resolved(codec, preset="mlp").gamma == resolved(codec, preset="modern").gamma


@pytest.mark.parametrize(("penalty", "gamma"), [("r1-r2", 12.0), ("interpolated", 20.0)])
def test_a_sum_over_many_values_weighs_more(penalty, gamma):
    large = ImageCodec(height=64, width=64, channels=3)
    assert resolved(large, preset="dcgan", penalty=penalty).gamma == gamma


REFUSED = {
    "loss": ({"loss": "hinges"}, "generator.loss has no 'hinges': choose auto or of"),
    "term": ({"terms": {"noise": 1}}, "generator.terms has no 'noise'"),
    "weightless": (
        {"preset": "sngan", "gamma": 2},
        "generator.gamma is 2, and penalty 'spectral-norm' has no weight",
    ),
    "unsound": ({"preset": "mlp", "penalty": "weight-clipping"}, "does not train"),
    "labels": (
        {"preset": "mlp", "terms": {"label-smoothing": 0.1}},
        "has no labels to smooth",
    ),
    "smoothing": (
        {"preset": "dcgan", "terms": {"label-smoothing": 1}},
        "label-smoothing 1, and at most 0.5 makes sense: choose 0.1",
    ),
    "augmentation": (
        {"preset": "dcgan", "augment": "blur"},
        "generator.augment has no 'blur': choose auto, off or of translate, cutout, colour",
    ),
    "augmented twice": (
        {"preset": "dcgan", "augment": ["cutout", "colour", "colour"]},
        "has 'colour' twice",
    ),
    "augmented bands": (
        {"preset": "mixture-gan", "augment": "translate"},
        "in preset 'mixture-gan' no discriminator sees images",
    ),
    "fitted": ({"preset": "mixture", "loss": "hinge"}, "it is fitted at once"),
    "likelihood": ({"preset": "autoregressive", "loss": "hinge"}, "it has no discriminator"),
    "fitted rate": ({"preset": "mixture", "learning_rate": 0.01}, "it is fitted at once"),
    "latent": ({"preset": "mixture-gan", "latent": 64}, "follows from the images"),
    "widthless": ({"preset": "mixture", "width": 64}, "generator.width is 64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nothing_would_read_is_refused(case, codec):
    parts, sentence = REFUSED[case]
    with pytest.raises(ConfigError) as refusal:
        resolved(codec, **parts)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unsound_pair_names_the_sound_ones(codec):
    for loss, penalty in UNSOUND:
        with pytest.raises(ConfigError) as refusal:
            resolved(codec, preset="mlp", loss=loss, penalty=penalty)
        named = str(refusal.value).rsplit("choose ", 1)[1].split(" or ")
        assert set(named) == {name for name in PENALTIES if (loss, name) not in UNSOUND}


@pytest.mark.full
@pytest.mark.parametrize("preset", ["mlp", "resnet", "mlp-gan", "dcgan", "sngan", "biggan-small"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_trains_every_network(penalty, preset, codec, digits, tmp_path):
    loss = "wasserstein" if penalty == "weight-clipping" else "hinge"
    generator = GeneratorConfig(preset=preset, penalty=penalty, loss=loss, width=16)
    budget = TrainingConfig(device="cpu", budget_samples=160, batch_size=16)
    config = resolve(generator, budget, codec, train_rows=300, seed=0)
    config = config.model_copy(update={"tick_samples": 80, "threads": 1})
    result = train(config, codec, digits, tmp_path, device="cpu")
    assert {event.kind for event in result.events} <= {"stop", "choice"}
