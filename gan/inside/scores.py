"""What the discriminator says at the end of a training: of train, of validation, of fakes.

A discriminator that scores the records it was trained on above others has begun to know them by
heart, and tells the generator to copy them. It is in the last checkpoint, not in the snapshot, so
its scores are taken when training ends and kept as numbers: shares of records per bin, never the
score of one record or of a few.

Shapes: N records, B of one pass.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gan.codecs import Codec, Encoded
from gan.config import ResolvedConfig
from gan.device import find_device
from gan.metrics.auc import auc
from gan.protocols import Discriminator, Pairs
from gan.randomness import numpy_stream, stream
from gan.report import Figure
from gan.training.checkpoint import Checkpoints
from gan.training.loop import CHECKPOINTS
from gan.training.state import TrainState

Array = np.ndarray[Any, Any]

MOST = 800
"""Records of each side that are scored."""
BATCH = 250
"""Of one pass at most; packs of ten fill it."""
BINS = 40
FEW = 10
"""Fewest real records of a bin, at least, and of what lies beyond the ends of the axis."""
TRAIN, VALIDATION, FAKES = "train", "validation", "fakes"


@dataclass(frozen=True, kw_only=True)
class ScoredSides:
    """The discriminator's scores of every side."""

    scores: Mapping[str, Array]
    """By side: float64 (N,)."""

    @property
    def gap(self) -> float | None:
        """How much of the way from fakes to train lies beyond validation, by mean scores.

        (D(train) - D(validation)) / (D(train) - D(fakes)): Karras et al., "Training generative
        adversarial networks with limited data" (2020), equation 1, r_v. None where fakes score no
        lower than train.
        """
        train, validation, fakes = (
            float(self.scores[side].mean()) for side in (TRAIN, VALIDATION, FAKES)
        )
        return (train - validation) / (train - fakes) if train > fakes else None


def score_sides(
    folder: Path,
    config: ResolvedConfig,
    codec: Codec,
    records: tuple[pa.Table, pa.Table],
    *,
    device: str = "cpu",
) -> ScoredSides | None:
    """Return the scores by the discriminator of a finished training; None where there is none.

    Fakes are those of the averaged generator as it ended, of the classes of the validation
    records. Records are scored as they are, without augmentation, no more at once than training
    had in memory.

    Args:
        folder: of the training, with its checkpoints.
        config: of the training.
        codec: of the training.
        records: train and validation.
        device: on which it was trained.
    """
    context = find_device(device, precision=config.precision, threads=config.threads)
    with context.configured(), context.measuring():
        state = TrainState(config, codec, context)
        checkpoints = Checkpoints(folder=folder / CHECKPOINTS, config=config)
        if state.discriminator is None or not checkpoints.restore(state):
            return None
        train, validation = (
            _some(codec.encode(part), config.seed, purpose)
            for part, purpose in zip(records, (TRAIN, VALIDATION), strict=True)
        )
        of_train, _ = _scores(state, codec, train)
        of_validation, of_fakes = _scores(state, codec, validation)
    sides = {TRAIN: of_train, VALIDATION: of_validation, FAKES: of_fakes}
    if not all(len(scores) and np.isfinite(scores).all() for scores in sides.values()):
        return None
    return ScoredSides(scores=sides)


def _some(encoded: Encoded, seed: int, purpose: str) -> Encoded:
    """Return at most `MOST` records, drawn at random."""
    rows = len(encoded.values)
    if rows <= MOST:
        return encoded
    order = numpy_stream(seed, f"scores/{purpose}").permutation(rows)[:MOST]
    chosen = np.sort(order)
    return Encoded(encoded.values[chosen], encoded.labels_N[chosen])


@torch.no_grad()
def _scores(state: TrainState, codec: Codec, reals: Encoded) -> tuple[Array, Array]:
    """Return the scores of reals and of as many fakes of their classes."""
    found: list[tuple[Array, Array]] = []
    generator, config, rows = state.generator_ema, state.config, len(reals.values)
    numbers, size = stream(config.seed, "scores"), min(BATCH, state.progress.micro_batch)
    for start in range(0, rows, size):
        part = slice(start, start + size)
        samples = codec.to_samples(torch.from_numpy(np.array(reals.values[part])).to(state.device))
        labels_B = torch.from_numpy(np.array(reals.labels_N[part])).to(state.device)
        z_BZ = torch.randn(len(labels_B), config.latent, generator=numbers).to(state.device)
        pairs = generator.pairs(samples, z_BZ, labels_B, numbers)
        found.append(_logits(state.discriminator, pairs, labels_B))
    real, fake = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return real, fake


def _logits(
    discriminator: Discriminator | None, pairs: Pairs, labels_B: torch.Tensor
) -> tuple[Array, Array]:
    """Return the logits of both sides of pairs, without the randoms of training."""
    if discriminator is None:
        raise AssertionError
    discriminator.stream = None
    discriminator.eval()
    real, fake = (
        discriminator(side.float(), labels_B).double().cpu().numpy()
        for side in (pairs.reals, pairs.fakes)
    )
    return real, fake


def histogram(scores: Array, ends: tuple[float, float], fewest: int) -> tuple[Array, Array]:
    """Return edges and densities over an axis; what lies beyond its ends counts to the end bins.

    Neighbouring bins are joined until each holds `fewest` scores at least, so that no bin shows
    what a few real records score.
    """
    edges = np.linspace(*ends, BINS + 1)
    counts = np.histogram(np.clip(scores, *ends), edges)[0]
    joined, held, start = [0], [], 0
    for stop in range(1, BINS + 1):
        inside = int(counts[start:stop].sum())
        if inside >= fewest:
            joined.append(stop)
            held.append(inside)
            start = stop
    if held and start < BINS:
        joined[-1], held[-1] = BINS, held[-1] + int(counts[start:].sum())
    if not held:
        joined, held = [0, BINS], [int(counts.sum())]
    widths = np.diff(edges[joined])
    return edges[joined], np.array(held) / (len(scores) * widths)


def axis_of(sides: ScoredSides, fewest: int) -> tuple[float, float]:
    """Return an axis beyond whose ends lie `fewest` scores of every side, or none."""
    inner = []
    for scores in sides.scores.values():
        kept = min(fewest, (len(scores) - 1) // 2)
        ordered = np.sort(scores)
        inner.append((ordered[kept], ordered[-1 - kept]))
    low, high = min(one for one, _ in inner), max(one for _, one in inner)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def score_figure(sides: ScoredSides, fewest: int = FEW) -> Figure:
    """Return the histograms as one picture.

    Args:
        sides: the scores.
        fewest: real records that a bin shows at least.
    """
    fewest = max(fewest, FEW)
    ends = axis_of(sides, fewest)
    series = []
    for name, scores in sides.scores.items():
        edges, heights = histogram(scores, ends, 0 if name == FAKES else fewest)
        series.append({"name": name, **_steps(edges, heights)})
    return Figure(
        id="scores",
        section="inside",
        caption=_meaning(sides),
        alt="Histograms of the discriminator's scores. " + _meaning(sides),
        kind="lines",
        data={
            "x_label": "score by the discriminator, higher for real",
            "y_label": "density",
            "log_y": False,
            "series": series,
            "marks": [],
        },
    )


def _steps(edges: Array, heights: Array) -> dict[str, list[float]]:
    """Return the outline of bars, from zero and back to zero."""
    x = [*itertools.chain.from_iterable((edge, edge) for edge in edges.tolist())]
    y = [0.0, *itertools.chain.from_iterable((one, one) for one in heights.tolist()), 0.0]
    return {"x": x, "y": y}


def _meaning(sides: ScoredSides) -> str:
    scores = sides.scores
    told = auc(scores[TRAIN], scores[VALIDATION])
    known = auc(scores[TRAIN], scores[FAKES])
    text = (
        "What the discriminator of the last checkpoint says of training records, of validation "
        f"records that it has not seen, and of fakes: it puts a training record above a validation "
        f"record in {told:.0%} of pairs (half: it knows none by heart) and above a fake in "
        f"{known:.0%}. The outermost bins hold what lies beyond them, too."
    )
    gap = sides.gap
    if gap is None or not math.isfinite(gap):
        return text
    return (
        f"{text} In mean scores validation lies {gap:.0%} of the way from train to fakes (0 %: as "
        "train; 100 %: no better than fakes, training is learnt by heart)."
    )
