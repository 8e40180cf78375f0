"""Random conditions: they hold, and how they are drawn says no more of the row than they say."""

import torch
from masked_toys import MIXED, make, random_codes

ROWS = 4000


def drawn(codes, seed):
    network = make(MIXED)
    partitions = network.partitions
    sets = partitions.draw(codes[:, network.order_D], torch.Generator().manual_seed(seed))
    return network, partitions, sets


def test_the_true_code_is_always_allowed():
    codes = random_codes(MIXED, ROWS)
    network, partitions, sets = drawn(codes, 1)
    ranks = sets.ranks_K[codes[:, network.order_D] + partitions.first_D]
    assert ((sets.low_ND <= ranks) & (ranks < sets.high_ND)).all()
    ends = partitions.first_D + partitions.counts_D
    assert ((sets.low_ND >= partitions.first_D) & (sets.high_ND <= ends)).all()


def test_what_is_not_given_allows_everything():
    _, partitions, sets = drawn(random_codes(MIXED, ROWS), 2)
    widths = (sets.high_ND - sets.low_ND)[~sets.given_ND]
    whole = partitions.counts_D.expand_as(sets.given_ND)[~sets.given_ND]
    assert torch.equal(widths, whole)
    free = (~sets.given_ND.any(1)).float().mean()
    assert 0.45 < free < 0.55
    assert (sets.given_ND.all(1)).any()


def test_sets_are_cells_of_a_partition_that_does_not_depend_on_the_row():
    """Two rows drawn with the same numbers lie in the same cell, or in cells that do not meet."""
    one, other = random_codes(MIXED, ROWS, 1), random_codes(MIXED, ROWS, 2)
    _, _, first = drawn(one, 3)
    _, _, second = drawn(other, 3)
    assert torch.equal(first.codes_K, second.codes_K)
    assert torch.equal(first.given_ND, second.given_ND)
    same = (first.low_ND == second.low_ND) & (first.high_ND == second.high_ND)
    apart = (first.high_ND <= second.low_ND) | (second.high_ND <= first.low_ND)
    assert (same | apart).all()
    assert 0 < apart.float().mean() < 1


def test_orders_mix_categories_and_keep_numbers_in_order():
    kept = shuffled = 0
    for seed in range(40):
        _, partitions, sets = drawn(random_codes(MIXED, 2), seed)
        assert torch.equal(sets.codes_K[sets.ranks_K], torch.arange(len(sets.ranks_K)))
        assert torch.equal(partitions.column_K[sets.codes_K], partitions.column_K)
        straight = sets.codes_K == torch.arange(len(sets.codes_K))
        numbers = straight[partitions.ordered_K].all()
        kept, shuffled = kept + bool(numbers), shuffled + bool(not straight.all())
    assert 25 <= kept < 40
    assert shuffled == 40
