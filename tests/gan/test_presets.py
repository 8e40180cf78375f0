import pytest
from pydantic import ValidationError

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError
from gan.images import presets
from gan.images.codec import ImageCodec


def resolved(size=(8, 8, 1), rows=1000, generator=None, **training):
    height, width, channels = size
    codec = ImageCodec(height=height, width=width, channels=channels)
    return presets.resolve(
        generator or GeneratorConfig(),
        TrainingConfig(**{"device": "cpu", **training}),
        codec,
        train_rows=rows,
        seed=0,
    )


def test_auto_takes_the_network_that_the_size_affords():
    assert resolved((8, 8, 1)).preset == "autoregressive"
    assert resolved((28, 28, 1)).preset == "autoregressive"
    assert resolved((32, 32, 1)).preset == "autoregressive"
    assert resolved((8, 8, 3)).preset == "mixture-gan"
    assert resolved((32, 32, 3)).preset == "mixture-gan"
    assert resolved((128, 128, 4)).preset == "mixture-gan"


def test_auto_takes_networks_alone_on_a_gpu(monkeypatch):
    monkeypatch.setattr(presets, "choose_device", lambda _: "cuda")
    chosen = {size: resolved(size, device="cuda").preset for size in ((16, 16, 1), (28, 28, 1))}
    assert chosen == {(16, 16, 1): "mlp", (28, 28, 1): "resnet"}


def test_modern_goes_by_size_and_device():
    modern = GeneratorConfig(preset="modern")
    assert resolved((28, 28, 1), generator=modern).network["kind"] == "mlp"
    assert resolved((64, 64, 3), generator=modern).network["kind"] == "resnet"


DENSE = GeneratorConfig(preset="mlp")


def test_plenty_of_larger_images_get_a_deeper_generator():
    assert resolved((28, 28, 1), generator=DENSE, rows=20_000).network["depth"] == 3
    assert resolved((28, 28, 1), generator=DENSE, rows=2_000).network["depth"] == 2
    assert resolved((8, 8, 1), generator=DENSE, rows=20_000).network["depth"] == 2


def test_few_images_make_small_batches():
    assert resolved(rows=60).batch_size == resolved(generator=DENSE, rows=60).batch_size == 16
    assert resolved(generator=DENSE, rows=100_000).batch_size == 256
    assert any("60 images" in note for note in resolved(rows=60).notes)


def test_plenty_of_images_are_not_augmented():
    assert resolved(generator=DENSE, rows=1000).augment
    assert not resolved(generator=DENSE, rows=100_000).augment
    assert not resolved(generator=DENSE.model_copy(update={"augment": "off"})).augment


def test_what_was_asked_for_is_taken():
    generator = GeneratorConfig(preset="resnet", width=24, gamma=5.0, learning_rate=1e-4)
    config = resolved(generator=generator, batch_size=48)
    assert config.preset == "resnet"
    assert config.network["width"] == 24
    assert (config.gamma, config.learning_rate, config.batch_size) == (5.0, 1e-4, 48)


@pytest.mark.parametrize("budget", [1, 1000, 400_000, 100_000_000, None])
def test_ticks_are_whole_batches_and_not_too_long(budget):
    config = resolved(budget_samples=budget, budget_s=None if budget else 60.0)
    assert config.tick_samples % config.batch_size == 0
    assert config.tick_samples <= presets.LARGEST_TICK_SAMPLES


def test_cuda_is_asked_for_in_vain(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        resolved(device="cuda")


def test_cuda_affords_convolutions(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    config = resolved((28, 28, 1), device="auto")
    assert (config.preset, config.precision) == ("resnet", "bfloat16")


def test_bfloat16_only_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(presets, "fast_bfloat16", lambda _: False)
    assert resolved((8, 8, 1)).precision == resolved((32, 32, 3)).precision == "float32"


def test_one_budget_is_needed():
    with pytest.raises(ValueError, match="at least one"):
        TrainingConfig(budget_samples=None)


def test_a_budget_that_is_not_set_is_not_written():
    """Digests of configurations that were made before there was one stay."""
    assert "budget_cpu_s" not in resolved(budget_samples=640).model_dump(mode="json")
    config = resolved(budget_samples=640, budget_cpu_s=60.0)
    assert config.model_dump(mode="json")["budget_cpu_s"] == 60.0
    assert config.is_timed
    assert not resolved(budget_samples=640).is_timed


def test_one_budget_is_needed_and_any_will_do():
    with pytest.raises(ValidationError, match="budget_cpu_s are all null"):
        TrainingConfig(budget_samples=None)
    assert TrainingConfig(budget_samples=None, budget_cpu_s=1).budget_cpu_s == 1
