"""A private training: how many steps, on whom, with what noise; and that it learns."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gan.accounting import CodecBudget, Counting, plan_training
from gan.codecs import Encoded
from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError, TrainingError
from gan.modalities import load_modality
from gan.protocols import Generator
from gan.sample import Sampler
from gan.training import private
from gan.training.loop import train
from gan.training.private import PrivateLikelihood
from tests.gan.tables.small_tables import with_meaning

ROWS = 3_000


class Counted(Generator):
    """Remembers on which records it was asked for gradients, and gives each one of 1."""

    def __init__(self):
        super().__init__()
        self.weights_W = torch.nn.Parameter(torch.zeros(4_000))
        self.seen = []

    def add_clipped(self, samples, *_):
        self.seen.append(samples[:, 0].tolist())
        self.weights_W.grad += len(samples)


def config(**changes):
    plan = {"epsilon": 1.0, "delta": 1e-5, "noise": 3.0, "clip": 2.0, "sample_rate": 0.1}
    plan |= {"steps": 5, "count_noise": 10.0, "questions": 3} | changes
    return SimpleNamespace(private=SimpleNamespace(**plan), batch_size=100)


@pytest.fixture
def state():
    generator, applied = Counted(), []
    encoded = Encoded(np.arange(1_000)[:, None], np.zeros(1_000, dtype=np.int64))

    def apply(name):
        applied.append(generator.weights_W.grad.clone())
        generator.weights_W.grad = None

    return SimpleNamespace(
        generator=generator,
        encoded=encoded,
        codec=SimpleNamespace(to_samples=lambda values: values),
        progress=SimpleNamespace(samples_seen=0, micro_batch=64),
        follow_schedule=lambda share: share,
        apply=apply,
        applied=applied,
    )


def objective(**changes):
    context = SimpleNamespace(device=torch.device("cpu"), send=lambda tensor: tensor)
    return PrivateLikelihood(config(**changes), context)


def test_records_are_drawn_by_chance_each_by_itself(state):
    one, counts = objective(), []
    for step in range(5):
        state.progress.samples_seen = 100 * step
        state.generator.seen.clear()
        one.step(state, None, 0.0)
        drawn = [row for part in state.generator.seen for row in part]
        assert len(set(drawn)) == len(drawn)
        assert all(len(part) <= 64 for part in state.generator.seen)
        counts.append(len(drawn))
    assert len(set(counts)) > 1  # not a batch of fixed size, which would take more
    assert np.mean(counts) == pytest.approx(100, abs=25)


def test_the_noise_is_the_accountant_s(state):
    one = objective()
    one.step(state, None, 0.0)
    drawn = sum(map(len, state.generator.seen))
    gradient = state.applied[0]
    assert float(gradient.mean()) == pytest.approx(drawn / 100, abs=0.01)
    assert float(gradient.std()) == pytest.approx(3.0 * 2.0 / 100, rel=0.05)


def test_noise_cannot_be_repeated(state):
    objective().step(state, None, 0.0)
    objective().step(state, None, 0.0)
    assert not torch.equal(*state.applied)


def test_no_step_more_than_was_paid_for(state):
    state.progress.samples_seen = 500
    with pytest.raises(TrainingError, match="ends after 5 steps"):
        objective().step(state, None, 0.0)


def test_a_generator_without_gradients_of_single_records_is_refused():
    with pytest.raises(ConfigError, match=r"choose another generator\.preset"):
        Generator().add_clipped(torch.zeros(1), torch.zeros(1), torch.Generator(), 1.0)


def records():
    numbers = np.random.default_rng(0)
    kind = numbers.integers(3, size=ROWS)
    return with_meaning(
        {
            "size": numbers.normal(10 + 10 * kind, 2).round(1),
            "works": numbers.random(ROWS) < np.array([0.95, 0.5, 0.05])[kind],
            "kind": np.array(["small", "middle", "large"])[kind].tolist(),
        },
        min_group=10,
    )


@pytest.mark.full
def test_it_learns_how_columns_depend_on_one_another(tmp_path):
    table, module = records(), load_modality("tables")
    counting = Counting(9, CodecBudget(20.0, 1e-7, 1))
    codec = module.fit_privately(table, "kind", counting)
    resolved = module.resolve_private(
        GeneratorConfig(),
        TrainingConfig(budget_samples=60_000, device="cpu"),
        codec,
        train_rows=ROWS,
        seed=0,
    )
    planned = plan_training(8.0, 1e-5, counting, resolved, ROWS)
    result = train(planned, codec, table, tmp_path, device="cpu")
    assert not [curve for curve in result.curves if "nll" in curve.name]
    made = Sampler.load(result.snapshot).records(6_000, seed=0, index=0).to_pandas()
    means, works = made.groupby("kind")["size"].mean(), made.groupby("kind")["works"].mean()
    assert means["large"] - means["small"] > 8
    assert works["small"] - works["large"] > 0.4
    assert private.new_secret() != private.new_secret()
