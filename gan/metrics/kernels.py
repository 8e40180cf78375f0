"""Features of sequences: how often random convolutions of them are positive.

MiniRocket, Dempster et al. 2021 (arXiv:2012.08791), section 3.1: all 84 kernels of nine weights of
which three are 2 and six -1, so that their sum is 0; exponential dilations; biases that are
quantiles of what the kernel gives on training sequences; the feature is the proportion of positive
values. A kernel that sums to 0 does not see the level of a sequence: so the shares of values above
the quantiles of train stand beside it, as a kernel of one weight would give them. Of several
channels a kernel sees one or two, with random signs.

A sequence ends after its own length; what a kernel sees beside it is 0.

Shapes: N sequences, C channels, L steps of the longest, K kernels, D dilations, B biases, F
features.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

WEIGHTS = 9
TRIPLES = tuple(combinations(range(WEIGHTS), 3))
"""Where each of the 84 kernels has its 2s."""
MOST_DILATIONS = 5
LEVELS = 9
"""Quantiles of every channel whose exceedance is a feature."""


class Sequences(NamedTuple):
    """Padded sequences; what is behind the end of one is 0."""

    values_NCL: Array
    """float32."""
    lengths_N: Array

    @property
    def mask(self) -> Array:
        """Which steps a sequence has."""
        mask: Array = np.arange(self.values_NCL.shape[2]) < self.lengths_N[:, None]
        return mask


class Mix(NamedTuple):
    """The channels that a kernel sees, and their signs."""

    channels: tuple[int, ...]
    signs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelSet:
    """Kernels with their dilations, channels and biases, fixed on training sequences."""

    dilations: tuple[int, ...]
    mixes: tuple[tuple[Mix, ...], ...]
    """Of every dilation, for each of the 84 kernels."""
    biases_DKB: Array
    levels_CB: Array
    """Quantiles of every channel."""

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.biases_DKB.size + self.levels_CB.size)

    def of(self, sequences: Sequences) -> Array:
        """Return `features_NF`, float32, each a share of the steps of its sequence."""
        found = np.empty((len(sequences.lengths_N), self.width), dtype=np.float32)
        share_N = 1.0 / np.maximum(sequences.lengths_N, 1).astype(np.float32)
        outside_NL, column = ~sequences.mask, 0
        for d, dilation in enumerate(self.dilations):
            for k, out_NL in enumerate(_convolutions(sequences, dilation, self.mixes[d])):
                out_NL[outside_NL] = -np.inf
                for bias in self.biases_DKB[d, k]:
                    found[:, column] = np.count_nonzero(out_NL > bias, axis=1) * share_N
                    column += 1
        for c, levels in enumerate(self.levels_CB):
            values_NL = np.where(outside_NL, -np.inf, sequences.values_NCL[:, c])
            for level in levels:
                found[:, column] = np.count_nonzero(values_NL > level, axis=1) * share_N
                column += 1
        return found


def dilations_of(length: int) -> tuple[int, ...]:
    """Return at most `MOST_DILATIONS` powers of 2 whose kernels fit into sequences so long."""
    most = max(1, (length - 1) // (WEIGHTS - 1))
    count = min(MOST_DILATIONS, int(np.log2(most)) + 1)
    exponents = np.linspace(0, np.log2(most), count)
    return tuple(sorted({int(2**one) for one in exponents}))


def fit_kernels(train: Sequences, biases: int, rng: np.random.Generator) -> KernelSet:
    """Return kernels whose biases are random quantiles of what they give on these sequences.

    Args:
        train: some training sequences.
        biases: of every kernel and dilation.
        rng: of channels, signs and quantiles.
    """
    channels = train.values_NCL.shape[1]
    dilations = dilations_of(int(np.median(train.lengths_N)))
    mixes = tuple(tuple(_mix(channels, rng) for _ in TRIPLES) for _ in dilations)
    mask_NL = train.mask
    found = np.empty((len(dilations), len(TRIPLES), biases))
    for d, dilation in enumerate(dilations):
        for k, out_NL in enumerate(_convolutions(train, dilation, mixes[d])):
            known = out_NL[mask_NL]
            found[d, k] = np.quantile(known, np.sort(rng.random(biases)))
    shares = (np.arange(LEVELS) + 0.5) / LEVELS
    levels = [np.quantile(train.values_NCL[:, c][mask_NL], shares) for c in range(channels)]
    return KernelSet(dilations=dilations, mixes=mixes, biases_DKB=found, levels_CB=np.stack(levels))


def _mix(channels: int, rng: np.random.Generator) -> Mix:
    count = 1 if channels == 1 or rng.random() < 0.5 else 2
    chosen = rng.permutation(channels)[:count]
    return Mix(tuple(chosen.tolist()), tuple(rng.choice([-1.0, 1.0], count).tolist()))


def _convolutions(sequences: Sequences, dilation: int, mixes: tuple[Mix, ...]) -> Any:
    """Yield what every kernel gives, float32 (N, L); the array is overwritten by the caller alone.

    With weights -1 and 2, a convolution is three times the sum at the 2s less the sum at all nine.
    """
    values = sequences.values_NCL
    shifted = [_shift(values, (place - WEIGHTS // 2) * dilation) for place in range(WEIGHTS)]
    all_NCL: Array = np.add.reduce(shifted, dtype=np.float32)
    for triple, mix in zip(TRIPLES, mixes, strict=True):
        out_NL = np.zeros(values[:, 0].shape, dtype=np.float32)
        for channel, sign in zip(*mix, strict=True):
            part = shifted[triple[0]][:, channel] + shifted[triple[1]][:, channel]
            part += shifted[triple[2]][:, channel]
            part *= np.float32(3.0)
            part -= all_NCL[:, channel]
            part *= np.float32(sign)
            out_NL += part
        yield out_NL


def _shift(values_NCL: Array, by: int) -> Array:
    """Return what stands `by` steps later, 0 beyond the ends."""
    found = np.zeros_like(values_NCL)
    steps = values_NCL.shape[2]
    if abs(by) >= steps:
        return found
    if by >= 0:
        found[:, :, : steps - by] = values_NCL[:, :, by:]
    else:
        found[:, :, -by:] = values_NCL[:, :, :by]
    return found
