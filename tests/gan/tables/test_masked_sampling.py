"""The sampler: what it computes once is what the network would compute column by column."""

import itertools

import numpy as np
import pytest
import torch
from masked_toys import MIXED, ToyCodec, ToyColumn, first_codes, make

from gan.errors import ConfigError
from gan.tables.networks.masked_conditional import inform
from gan.tables.networks.masked_sampling import invert

ROWS = 500


def some_conditions():
    """Nothing; a label; a range of the numeric column and one level of another."""
    allowed, first = np.ones((3, sum(MIXED.code_counts)), dtype=bool), first_codes(MIXED)
    allowed[1, first[2] : first[3]] = np.arange(5) == 3
    allowed[2, first[1] : first[2]] = np.arange(30) >= 21
    allowed[2, first[4] : first[5]] = np.arange(3) == 0
    return allowed


def column_by_column(network, latents, allowed, rows):
    """As `MODEL.logits` says it: one pass of the whole network for every column."""
    weights, counts = network.weights(), network.layout.counts
    allowed_NK = torch.from_numpy(allowed)[rows][:, network.codec_index_K]
    said_NH = inform(allowed_NK, counts, weights)
    codes = torch.zeros(len(latents), len(counts), dtype=torch.int64)
    samples = torch.empty(latents.shape, dtype=torch.float64)
    for column, allowed_NJ in enumerate(allowed_NK.split(counts, 1)):
        logits = network.logits(codes, said_NH, weights, lambda units: units)
        logits_NJ = logits.split(counts, 1)[column].masked_fill(~allowed_NJ, -torch.inf)
        codes[:, column], along = invert(logits_NJ, latents[:, column])
        samples[:, network.order_D[column]] = codes[:, column] + along.double()
    return samples


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("conditions", [1, 3])
@torch.no_grad()
def test_it_draws_what_a_pass_per_column_would_draw(depth, conditions):
    network, allowed = make(MIXED, depth=depth), some_conditions()[-conditions:]
    latents = network.latents(ROWS, torch.Generator().manual_seed(1))
    rows = torch.randint(0, conditions, (ROWS,), generator=torch.Generator().manual_seed(2))
    found = network.conditioned(allowed)(latents, rows)
    expected = column_by_column(network, latents, allowed, rows)
    equal = found.floor() == expected.floor()
    assert equal.float().mean() > 0.999
    torch.testing.assert_close(found[equal], expected[equal], rtol=0, atol=2e-3)


def test_without_conditions_is_with_everything_allowed():
    network = make(MIXED)
    latents = network.latents(ROWS, torch.Generator().manual_seed(1))
    labels = torch.zeros(ROWS, dtype=torch.int64)
    everything = np.ones((1, sum(MIXED.code_counts)), dtype=bool)
    with torch.no_grad():
        assert torch.equal(
            network(latents, labels), network.conditioned(everything)(latents, labels)
        )


def test_conditions_hold_in_every_row():
    network, allowed = make(MIXED), some_conditions()
    latents = network.latents(3 * ROWS, torch.Generator().manual_seed(1))
    rows = torch.arange(3).repeat_interleave(ROWS)
    codes = network.conditioned(allowed)(latents, rows).floor().long().numpy()
    places = codes + first_codes(MIXED)[:-1]
    assert allowed[rows.numpy()[:, None], places].all()
    assert len(np.unique(codes[2 * ROWS :, 1])) > 5


def test_a_row_does_not_depend_on_the_rows_beside_it():
    network = make(MIXED)
    latents = network.latents(ROWS, torch.Generator().manual_seed(1))
    others = latents.clone()
    others[ROWS // 2 :] = others[ROWS // 2 :].flip(0)
    draw, labels = network.conditioned(None), torch.zeros(ROWS, dtype=torch.int64)
    same = draw(latents, labels)[: ROWS // 2] == draw(others, labels)[: ROWS // 2]
    assert same.all()


def test_one_column_is_served():
    network = make(ToyCodec((ToyColumn(4),)))
    latents = network.latents(4000, torch.Generator().manual_seed(1))
    codes = network(latents, torch.zeros(4000, dtype=torch.int64)).floor()[:, 0].long()
    shares = np.bincount(codes, minlength=4) / 4000
    expected = network.log_likelihood(torch.arange(4)[:, None]).exp()
    np.testing.assert_allclose(shares, expected, atol=0.001)


def test_a_condition_that_allows_nothing_is_refused():
    allowed, first = some_conditions(), first_codes(MIXED)
    allowed[1, first[4] : first[5]] = False
    with pytest.raises(
        ConfigError, match=r"allow no value at all .*: widen one of synthesis.given"
    ):
        make(MIXED).conditioned(allowed)


def test_the_rest_of_a_uniform_number_is_the_position():
    logits = torch.tensor([0.2, 0.0, 0.5, 0.3, 0.0]).log().expand(6, 5)
    codes, along = invert(logits, torch.tensor([0.0, 0.1, 0.2, 0.45, 0.85, 1 - 2**-24]))
    assert codes.tolist() == [0, 0, 2, 2, 3, 3]
    expected = torch.tensor([0, 0.5, 0, 0.5, 0.5, 1])
    torch.testing.assert_close(along, expected, rtol=0, atol=1e-5)
    assert along.max() < 1


@pytest.mark.parametrize("rows", [1024, 256])
def test_latents_cover_columns_and_pairs_evenly(rows):
    network = make(MIXED)
    latents = network.latents(2048, torch.Generator().manual_seed(4))[:rows].double()
    assert (latents >= 0).all()
    assert (latents < 1).all()
    for column in latents.unbind(1):
        assert len((column * rows).floor().unique()) > 0.98 * rows
    for one, other in itertools.combinations((latents * 4).long().unbind(1), 2):
        counts = torch.bincount(4 * one + other, minlength=16)
        assert (counts - rows / 16).abs().max() <= 4, "independent ones differ by 2 √(rows / 16)"


def test_latents_of_a_row_are_uniform_and_independent():
    network = make(MIXED)
    draws = [network.latents(8, torch.Generator().manual_seed(seed))[5] for seed in range(2000)]
    latents = torch.stack(draws).double()
    np.testing.assert_allclose(latents.mean(0), 0.5, atol=0.03)
    np.testing.assert_allclose(latents.var(0), 1 / 12, atol=0.008)
    assert np.abs(np.corrcoef(latents.T) - np.eye(5)).max() < 0.1
