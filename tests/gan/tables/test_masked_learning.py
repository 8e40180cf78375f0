"""What is learnt: a joint distribution of which every conditional distribution is known."""

import numpy as np
import pytest
import torch
from masked_toys import ToyCodec, ToyColumn, make
from safetensors.torch import load_file, save_file

COUNTS = (3, 8, 4)
CODEC = ToyCodec((ToyColumn(3), ToyColumn(8, "numeric", 5), ToyColumn(4)), label_column=2)
ROWS = 100_000
STEPS, RATE = 1500, 5e-3
WEIGHTS = "weights.safetensors"

pytestmark = pytest.mark.full  # tests/gan/tables/test_conditions.py has conditions on known truth


def joint():
    """Return p(a, b, c): b rises with a, and c says on which side of a moving middle b lies."""
    a, b, c = np.ogrid[:3, :8, :4]
    weights = np.exp(-0.5 * (b - 1.5 - 2 * a) ** 2) + 0.02
    weights = weights * (1 + 6 * (((b > 2 + a) + 2 * (a == 1)) == c)) * np.array([3, 1, 1, 2])[c]
    return weights / weights.sum()


def train_network(folder):
    """Train on rows of the joint distribution by the network's own loss, and write its weights."""
    made = make(CODEC, width=64, label_width=0, vivid=False)
    places = np.random.default_rng(0).choice(joint().size, 300_000, p=joint().ravel())
    codes = torch.from_numpy(np.stack(np.unravel_index(places, COUNTS), axis=1))
    adam, numbers = torch.optim.Adam(made.parameters(), lr=RATE), torch.Generator().manual_seed(1)
    for step in range(STEPS):
        for group in adam.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        rows = torch.randint(0, len(codes), (1024,), generator=numbers)
        made.loss(codes[rows], None, numbers).backward()
        adam.step()
        adam.zero_grad()
    save_file(made.state_dict(), folder / WEIGHTS)


@pytest.fixture(scope="module")
def network(trained_once):
    made = make(CODEC, width=64, label_width=0, vivid=False)
    made.load_state_dict(load_file(trained_once("joint", train_network) / WEIGHTS))
    return made.requires_grad_(False)


def sampled(network, allowed):
    """Return the shares of rows under a condition, of the joint's shape."""
    draw = network.conditioned(None if allowed is None else allowed[None])
    latents = network.latents(ROWS, torch.Generator().manual_seed(2))
    codes = draw(latents, torch.zeros(ROWS, dtype=torch.int64)).floor().long().numpy()
    places = np.ravel_multi_index(tuple(codes.T), COUNTS)
    return np.bincount(places, minlength=joint().size).reshape(COUNTS) / ROWS


def true(allowed):
    """Return the joint distribution given that all codes are allowed ones."""
    a, b, c = np.split(allowed, np.cumsum(COUNTS)[:-1])
    kept = joint() * a[:, None, None] * b[:, None] * c
    return kept / kept.sum()


CONDITIONS = {
    "the label, which comes last": {2: [1]},
    "the label, the other way": {2: [3]},
    "an early column": {0: [2]},
    "a range": {1: [4, 5, 6, 7]},
    "a narrow range": {1: [2, 3]},
    "a set of levels": {2: [0, 2]},
    "a range and the label": {1: [3, 4, 5], 2: [1]},
    "two columns": {0: [1], 2: [2]},
}


@pytest.mark.parametrize("given", CONDITIONS.values(), ids=CONDITIONS)
def test_given_columns_condition_the_others(network, given):
    allowed = np.ones(sum(COUNTS), dtype=bool)
    first = [0, *np.cumsum(COUNTS)]
    for column, codes in given.items():
        allowed[first[column] : first[column + 1]] = np.isin(np.arange(COUNTS[column]), codes)
    found, expected = sampled(network, allowed), true(allowed)
    assert not found[expected == 0].any()
    assert np.abs(found - expected).sum() / 2 < 0.06
    without = np.abs(joint().sum((1, 2)) - expected.sum((1, 2))).sum() / 2
    assert np.abs((found - expected).sum((1, 2))).sum() / 2 < max(0.02, 0.2 * without)


def test_rows_without_conditions_follow_the_joint_distribution(network):
    assert np.abs(sampled(network, None) - joint()).sum() / 2 < 0.03


def test_the_likelihood_is_that_of_the_joint_distribution(network):
    every = np.stack(np.meshgrid(*map(np.arange, COUNTS), indexing="ij"), -1).reshape(-1, 3)
    found = network.log_likelihood(torch.from_numpy(every)).exp().numpy()
    assert np.abs(found - joint().ravel()).sum() / 2 < 0.03
