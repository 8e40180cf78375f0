"""What a tick reads, and the rules as pure functions."""

from pathlib import Path

import pytest
import torch

from gan.device import find_device
from gan.protocols import Assessment
from gan.training.batches import Batches
from gan.training.objectives import Adversarial
from gan.training.probe import Probe
from gan.training.rules import RULES, TickState, find_fault, overfits
from gan.training.signals import Signals
from gan.training.state import Progress, TrainState

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture
def stepped(tiny, codec, digits):
    """A state after ten steps, and its batches."""
    place = find_device("cpu")
    state, objective = TrainState(tiny, codec, place), Adversarial(tiny, place)
    batches = Batches(codec.encode(digits), codec, place, seed=0)
    for _ in range(10):
        batch = batches.next(tiny, state.progress)
        state.after_step(objective.step(state, batch, 0.0), 0.0)
    return state, batches


def test_a_probe_changes_nothing(stepped, codec, digits):
    state, batches = stepped
    unseen = Batches(codec.encode(digits.slice(200)), codec, state.context, seed=0)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    Probe(state.context, batches, unseen)._look(state)
    assert all(torch.equal(before[name], one) for name, one in state.tensors().items())
    assert state.discriminator.training


def test_counters_start_anew_after_they_were_read(stepped):
    state, batches = stepped
    probe = Probe(state.context, batches)
    first = probe.read(state)
    assert set(first.losses) == {"discriminator_loss", "generator_loss", "gradient_penalty"}
    assert first.generator_gradient > 0
    assert first.discriminator_gradient > 0
    assert (first.skipped, first.longest, first.weights_finite) == (0, 0, True)
    assert first.validation_gap is None, "there is no validation"
    second = probe.read(state)
    assert (second.losses, second.generator_gradient) == ({}, None)
    assert second.diversity == first.diversity


def test_diversity_is_one_for_real_records_and_nothing_for_one_image(stepped):
    state, batches = stepped
    state.progress.samples_seen = 8 * 256  # of enough records of each class

    class Copies(torch.nn.Module):
        def __init__(self, of):
            super().__init__()
            self.of = of

        def pairs(self, reals, z_NZ, labels_N, stream):
            del z_NZ, stream
            return reals, self.of(reals, labels_N), None

    class Pairs(tuple):
        reals = property(lambda self: self[0])
        fakes = property(lambda self: self[1])

    def diversity(of):
        copies = Copies(of)
        plain = copies.pairs
        copies.pairs = lambda *inputs: Pairs(plain(*inputs))
        state.generator_ema = copies
        return Probe(state.context, batches)._look(state)[0].item()

    one_per_class = torch.randn(10, 1, 8, 8)
    assert diversity(lambda reals, _: reals.clone()) == pytest.approx(1.0)
    assert diversity(lambda reals, _: 0.5 * reals) == pytest.approx(0.5)
    assert diversity(lambda reals, _: torch.zeros_like(reals)) == 0
    assert diversity(lambda _, labels_N: one_per_class[labels_N]) == pytest.approx(0, abs=1e-3)


def test_the_gap_is_that_of_what_is_learned_by_heart(stepped, codec, digits):
    state, batches = stepped
    unseen = Batches(codec.encode(digits.slice(150)), codec, state.context, seed=0)

    class ByHeart(torch.nn.Module):
        """Two for what it saw, one for other records, nothing for fakes."""

        stream = None
        calls = 0

        def forward(self, samples, labels_N):
            del samples
            ByHeart.calls += 1
            score = 2.0 if ByHeart.calls <= 10 else 1.0
            reals = torch.full((len(labels_N) // 2,), score) + 0.01 * labels_N[::2]
            return torch.cat([reals, torch.zeros(len(labels_N) // 2)])

    state.progress.samples_seen = 10 * 16 * 8
    state.discriminator = ByHeart()
    signals = Probe(state.context, batches, unseen).read(state)
    assert signals.validation_gap == pytest.approx(0.5, abs=0.05)
    assert signals.gap_certain


# --- rules ---


def seen(tiny, history=(), samples=1_000_000, assessment=None, **signals):
    progress = Progress(samples_seen=samples, history=list(history))
    losses = signals.pop("losses", {"discriminator_loss": 0.6})
    return TickState(tiny, progress, Signals(losses=losses, **signals), assessment)


def covered(ratio):
    return Assessment(metrics={"coverage_ratio": ratio}, rank=1.0, copies=0.0, full_coverage=False)


LIVED = ({"diversity": 0.9, "generator_gradient": 0.5, "coverage_ratio": 0.9},)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("not finite", {"weights_finite": False}),
        ("not finite", {"skipped": 3, "longest": 3}),
        ("collapse", {"diversity": 0.09}),
        ("collapse", {"diversity": 0.8, "assessment": covered(0.2)}),
        ("astray", {"diversity": 5.5}),
        ("dead generator", {"diversity": 0.009, "history": (), "samples": 100 * 16}),
        ("dead generator", {"diversity": 0.05, "history": (), "samples": 500 * 16}),
        (
            "dead generator",
            {"generator_gradient": 1e-4, "losses": {"discriminator_loss": 0.001}},
        ),
    ],
)
def test_each_rule_finds_its_own(name, found, tiny):
    fault = find_fault(seen(tiny, **{"history": LIVED, **found}))
    assert fault is not None
    assert fault.rule.name == name


@pytest.mark.parametrize(
    "found",
    [
        {"diversity": 0.9},
        {"skipped": 5, "longest": 2},
        {"diversity": 0.05, "history": (), "samples": 499 * 16},
        {"diversity": 0.12, "history": ()},
        {"diversity": 0.001, "history": (), "samples": 640},
        {"diversity": 40.0, "history": (), "samples": 640},
        {"diversity": 0.5, "assessment": covered(0.3)},
        {"generator_gradient": 1e-4, "losses": {"discriminator_loss": 0.3}},
        {"generator_gradient": 1e-4, "losses": {"discriminator_loss": -40.0}},
        {"losses": {"nll": 0.0}},
        {},
    ],
)
def test_what_is_healthy_or_young_is_left_alone(found, tiny):
    assert find_fault(seen(tiny, **{"history": LIVED, **found})) is None


def test_overfitting_is_found_beyond_chance_only(tiny):
    assert overfits(seen(tiny, validation_gap=0.6, gap_certain=True)) is not None
    assert overfits(seen(tiny, validation_gap=0.6)) is None
    assert overfits(seen(tiny, validation_gap=0.4, gap_certain=True)) is None
    assert overfits(seen(tiny)) is None


def test_the_page_says_every_threshold():
    words = " ".join(PAGE.read_text(encoding="utf-8").split())
    for rule in RULES:
        assert f"| {rule.name} | {rule.when} | {rule.then} |" in words, rule.name
