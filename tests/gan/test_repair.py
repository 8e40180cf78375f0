"""Injected failures of a training: each is repaired, or refused with what was seen and tried."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from flows.errors import TRAINING, exit_code
from gan.device import find_device
from gan.errors import CollapseError, NotFiniteError
from gan.images.codec import ImageCodec, write_images
from gan.images.networks.dense import MlpGenerator
from gan.protocols import Assessment, Hooks
from gan.snapshot import snapshot_digest
from gan.training import rules
from gan.training.batches import Batches
from gan.training.loop import train
from gan.training.objectives import OBJECTIVES, Adversarial
from gan.training.state import TrainState

ONCE, ALWAYS = 1, math.inf


def inject(monkeypatch, fault, at, times=ONCE):
    """Let a fault be done to the state after the step that begins at so many samples."""

    class Injected(Adversarial):
        done = 0

        def step(self, state, batch, share):
            losses = super().step(state, batch, share)
            if state.progress.samples_seen >= at and Injected.done < times:
                Injected.done += 1
                with torch.no_grad():
                    fault(state)
            return losses

    monkeypatch.setitem(OBJECTIVES, "adversarial", Injected)


def poison(state):
    next(state.discriminator.parameters()).fill_(math.nan)


def kill(state):
    """One image, whatever the latent."""
    for network in (state.generator, state.generator_ema):
        for weights in network.body.parameters():
            weights.zero_()


def explode(state):
    for network in (state.generator, state.generator_ema):
        network.head.weight.mul_(1e3)


def kinds(result):
    return [event.kind for event in result.events if event.kind not in {"stop", "choice"}]


@pytest.fixture
def sooner(monkeypatch, tiny):
    """Rules that judge early, of networks that have learned a little."""
    monkeypatch.setattr(rules, "LEAST_STEPS", 20)
    monkeypatch.setattr(rules, "LIVELY", 0.02)
    monkeypatch.setattr(rules, "COLLAPSED", 0.01)
    return tiny


# --- a step that is not finite changes nothing ---


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_step_that_is_not_finite_changes_no_weight(name, tiny, codec, digits):
    config = tiny.model_copy(update={"optimizer": name, "weight_decay": 0.0})
    place = find_device("cpu")
    state, objective = TrainState(config, codec, place), Adversarial(config, place)
    batches = Batches(codec.encode(digits), codec, place, seed=0)
    batch = batches.take(0, 16, config.latent)

    def step(reals):
        losses = objective.step(state, batch._replace(reals=reals), 0.0)
        state.after_step(losses, 0.0)
        networks = (state.generator, state.discriminator)
        return [one.detach().clone() for network in networks for one in network.parameters()]

    before = step(batch.reals)
    after = step(batch.reals * math.nan)
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert all(same)
    assert state.gauges.counts[state.gauges.SKIPPED] == 1
    assert torch.isfinite(state.sums[0]).all()
    assert state.sums[0][-1] == 1
    later = step(batch.reals)
    assert not all(torch.equal(one, other) for one, other in zip(before, later, strict=True))
    assert all(one.isfinite().all() for one in later)


def test_a_few_are_left_out_and_told(tiny, codec, digits, tmp_path, monkeypatch):
    class Shaky(Adversarial):
        def step(self, state, batch, share):
            if state.progress.samples_seen in {176, 208}:
                batch = batch._replace(reals=batch.reals * math.nan)
            return super().step(state, batch, share)

    monkeypatch.setitem(OBJECTIVES, "adversarial", Shaky)
    told, ticks = [], []
    hooks = Hooks(on_event=told.append, on_tick=ticks.append)
    result = train(tiny, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert kinds(result) == ["skip"]
    assert "2 steps left out" in told[0].text
    assert [tick.metrics.get("skipped_steps") for tick in ticks] == [None, 2.0, None, None]
    assert all(math.isfinite(tick.metrics["generator_loss"]) for tick in ticks)


# --- weights that are not finite ---


def test_weights_of_the_discriminator_that_are_no_numbers(
    tiny, codec, digits, tmp_path, monkeypatch
):
    inject(monkeypatch, poison, at=240)
    config = tiny.model_copy(update={"precision": "bfloat16"})
    result = train(config, codec, digits, tmp_path, device="cpu")
    assert result.samples_seen == 640
    (repair,) = [event for event in result.events if event.kind == "repair"]
    assert "went back to 160 with half the learning rate, in float32" in repair.text


def test_weights_that_stay_no_numbers_are_refused(tiny, codec, digits, tmp_path, monkeypatch):
    inject(monkeypatch, poison, at=240, times=ALWAYS)
    with pytest.raises(NotFiniteError, match="at 320 samples: weights are no finite") as caught:
        train(tiny, codec, digits, tmp_path, device="cpu")
    assert "after 2 repairs that did not help (weights are no finite numbers" in str(caught.value)
    assert "lower generator.learning_rate (0.001)" in str(caught.value)
    assert exit_code(caught.value) == TRAINING


# --- collapse, death, explosion ---


@pytest.mark.parametrize("fault", [kill, explode])
def test_a_generator_that_is_lost_comes_back(fault, sooner, codec, digits, tmp_path, monkeypatch):
    inject(monkeypatch, fault, at=464)
    result = train(sooner, codec, digits, tmp_path, device="cpu")
    (repair,) = [event for event in result.events if event.kind == "repair"]
    changes = {kill: "gamma 2 and other randoms", explode: "a tenth of the learning rate"}
    assert f"at 480 samples: went back to 160 with {changes[fault]}" in repair.text
    assert result.samples_seen == 640
    diversity = next(curve for curve in result.curves if curve.name == "diversity")
    assert all(0.02 < value < 5 for value in diversity.values)


def test_without_a_gamma_the_discriminator_learns_more_slowly(
    sooner, codec, digits, tmp_path, monkeypatch
):
    inject(monkeypatch, kill, at=464)
    config = sooner.model_copy(update={"penalty": "none", "gamma": 0.0, "gamma_end": 0.0})
    result = train(config, codec, digits, tmp_path, device="cpu")
    (repair,) = [event for event in result.events if event.kind == "repair"]
    assert "half the discriminator's learning rate and other randoms" in repair.text


def test_what_never_lived_starts_anew_and_is_refused_at_last(
    sooner, codec, digits, tmp_path, monkeypatch
):
    inject(monkeypatch, kill, at=0, times=ALWAYS)
    told = []
    with pytest.raises(CollapseError) as caught:
        train(sooner, codec, digits, tmp_path, hooks=Hooks(on_event=told.append), device="cpu")
    assert [event.samples_seen for event in told] == [0, 0]
    message = str(caught.value)
    assert message.startswith("training failed at 320 samples: the generator makes one and the sam")
    assert "after 2 repairs that did not help" in message
    assert "gamma 2 and other randoms" in message
    assert "gamma 4 and other randoms" in message
    assert "choose another generator.preset (mlp)" in message
    assert exit_code(caught.value) == TRAINING


@pytest.mark.parametrize(("at", "steps"), [(464, 40), pytest.param(0, 33, marks=pytest.mark.full)])
def test_a_kill_after_a_restart_changes_no_bit(
    at, steps, sooner, codec, digits, tmp_path, monkeypatch
):
    def rare(state):
        if state.progress.draw == 0:
            kill(state)

    def killed(steps):
        asked = iter(range(steps))

        def ask():
            if next(asked, None) is None:
                raise KeyboardInterrupt
            return False

        return Hooks(should_stop=ask)

    inject(monkeypatch, rare, at=at, times=ALWAYS)
    one = train(sooner, codec, digits, tmp_path / "one", device="cpu")
    assert "repair" in kinds(one)
    with pytest.raises(KeyboardInterrupt):
        train(sooner, codec, digits, tmp_path / "two", hooks=killed(steps), device="cpu")
    two = train(sooner, codec, digits, tmp_path / "two", device="cpu")
    assert snapshot_digest(one.snapshot) == snapshot_digest(two.snapshot)


def test_coverage_that_falls_is_a_collapse(tiny, codec, digits, tmp_path):
    covered = iter([0.6, 0.7, 0.1, 0.7, 0.7, 0.7])

    def assess(sample, samples_seen):
        del sample, samples_seen
        return Assessment(
            metrics={"coverage_ratio": next(covered)}, rank=1.0, copies=0.05, full_coverage=False
        )

    result = train(tiny, codec, digits, tmp_path, hooks=Hooks(assess=assess), device="cpu")
    (repair,) = [event for event in result.events if event.kind == "repair"]
    assert (
        "coverage fell from 0.70 to 0.10 of real, at 480 samples: went back to 160" in repair.text
    )


# --- an overfitting discriminator ---


def test_a_discriminator_that_learns_by_heart_sees_more_augmentation(codec, tiny, tmp_path):
    """Noise has nothing but what is learned by heart: 40 records against 40 others."""
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (80, 8, 8, 1)).astype(np.uint8)
    table = pa.table({"image": write_images(images), "digit": pa.array(np.arange(80) % 10)})
    config = tiny.model_copy(
        update={"budget_samples": 3_200, "tick_samples": 640, "learning_rate": 3e-3, "gamma": 0.1}
    )
    told = []
    hooks = Hooks(validation=table.slice(40), on_event=told.append)
    result = train(config, codec, table.slice(0, 40), tmp_path, hooks=hooks, device="cpu")
    raised = [event for event in told if event.kind == "augmentation"]
    assert "the discriminator learns by heart" in raised[0].text
    assert "augmentation changes 40% of the samples from now on" in raised[0].text
    gap = next(curve for curve in result.curves if curve.name == "validation_gap")
    assert max(gap.values) > rules.OVERFIT
    share = next(curve for curve in result.curves if curve.name == "augment_share")
    assert max(share.values) <= rules.AUGMENT_MOST


def test_a_discriminator_that_learns_by_heart_unaugmented_is_told_once(codec, tiny, tmp_path):
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (80, 8, 8, 1)).astype(np.uint8)
    table = pa.table({"image": write_images(images), "digit": pa.array(np.arange(80) % 10)})
    update = {"budget_samples": 3_200, "tick_samples": 640, "learning_rate": 3e-3, "gamma": 0.1}
    config = tiny.model_copy(update={**update, "augment": ()})
    hooks = Hooks(validation=table.slice(40))
    result = train(config, codec, table.slice(0, 40), tmp_path, hooks=hooks, device="cpu")
    (told,) = [event.text for event in result.events if event.kind == "augmentation"]
    assert "learns by heart" in told
    assert "nothing is augmented here, and generator.augment: translate delays it" in told


# --- the field's own mistakes ---


@pytest.mark.full
def test_a_rate_of_a_tenth_is_taken_down_until_it_trains(
    codec, tiny, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(rules, "LEAST_STEPS", 20)
    network = {**tiny.network, "width": 256, "discriminator_width": 384}
    config = tiny.model_copy(
        update={
            "network": network,
            "learning_rate": 0.1,
            "learning_rate_end": 0.01,
            "budget_samples": 1_920,
            "tick_samples": 640,
        }
    )
    result = train(config, codec, digits, tmp_path, device="cpu")
    repairs = [event.text for event in result.events if event.kind == "repair"]
    assert repairs
    assert "times as much as real ones, at 640 samples: went back to 0 with a tenth" in repairs[0]
    diversity = next(curve for curve in result.curves if curve.name == "diversity")
    assert result.samples_seen == 1_920
    assert diversity.values[-1] < rules.ASTRAY


def test_a_tanh_head_that_saturates_on_sparse_images_is_refused(tiny, tmp_path, monkeypatch):
    """Weights drawn anew do not help a head that has no gradient where images are black."""
    monkeypatch.setattr(rules, "LEAST_STEPS", 20)
    plain = MlpGenerator.forward
    monkeypatch.setattr(
        MlpGenerator, "forward", lambda self, *inputs: torch.tanh(30 * (plain(self, *inputs) - 1))
    )
    images = np.zeros((100, 8, 8, 1), np.uint8)
    images[np.arange(100), np.arange(100) % 8, np.arange(100) % 7] = 255
    table = pa.table({"image": write_images(images), "digit": pa.array(np.arange(100) % 10)})
    codec = ImageCodec.fit(table, "digit")
    with pytest.raises(CollapseError, match="one and the same sample: they differ") as caught:
        train(tiny, codec, table, tmp_path, device="cpu")
    assert "gamma 2" in str(caught.value)
    assert "gamma 4" in str(caught.value)
