"""How a feature net learns: to tell classes, or where there are none to tell transformations.

A short cycle says how hard the images are and whether a mirrored image keeps its class; the second
one is as long as they are hard. Both end at a learning rate of zero, so there is a usable net after
either, and the one that was better on a part of train is kept. Everything is counted in images
shown, never in time.

Shapes: N images, H height, W width, C channels, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gan.device import quick_products
from gan.images.evaluation.feature_nets import SIDE, TrainedNet
from gan.images.orthogonal import OrthogonalSteps
from gan.images.pixels import AT_ONCE, moved, shrunken
from gan.randomness import numpy_stream

Array = np.ndarray[Any, Any]

TRAIN_ROWS = 20_000
"""Most training images that a net learns from."""
TRAIN_BATCH = 64
LEARNING_RATE = 4e-3
FILTER_RATE = 0.06
"""Of the filters, whose steps are orthogonalised (`gan.images.orthogonal`): in half of the steps a
net tells more images rightly than by Adam alone, and hardly a unit falls silent."""
WARM_UP = 0.25
"""Part of a cycle in which the learning rate rises."""
WEIGHT_DECAY = 1e-2
SMOOTHING = 0.1
"""Label smoothing: Szegedy et al. 2016 (arXiv:1512.00567), section 7."""
STOP_FRACTION = 0.1
"""Part of train on which the cycles are compared."""
KEEPS_CLASS = 0.9
"""Mirrored images keep their class where a net that saw none knows so much of what it knows."""
MOST_EPOCHS = 100


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How many nets there are of one kind, and how many images each of them is shown."""

    members: int = 1
    """Nets that differ in their seed alone."""
    first: int
    """In the first cycle."""
    least: int
    """In the second where it makes no mistake after the first."""
    hard: int
    """More in the second where HARD of its answers are wrong, less where fewer are."""
    epochs: float
    """Times that every image is shown in the second at least, up to `most`."""
    most: int

    def second(self, wrong: float, rows: int) -> int:
        """Return the length of the second cycle."""
        easy = min(max(self.least, round(self.epochs * rows)), self.most)
        return min(easy + round(self.hard * min(1.0, wrong / HARD)), MOST_EPOCHS * rows)


HARD = 0.6
"""Share of mistakes from which images are as hard as can be."""
JUDGING = Effort(members=2, first=6_000, least=8_000, hard=60_000, epochs=1.0, most=15_000)
"""Of the nets that judge a candidate."""
ASSESSING = Effort(first=4_000, least=4_000, hard=12_000, epochs=0.5, most=8_000)
"""Of the nets that choose a snapshot."""


SHIFT = 12
"""An image is shifted by up to its side over this, at least a pixel."""


class Shifts:
    """Images that are shown shifted, and mirrored where that is asked for."""

    def __init__(self, pixels_NCHW: Tensor, shown_N: Array) -> None:
        """Keep the images.

        Args:
            pixels_NCHW: the images.
            shown_N: number of each among all images, ascending; `draw` asks for them by it.
        """
        self._pixels_NCHW, self._shown_N = pixels_NCHW, shown_N
        self._reach = max(1, min(pixels_NCHW.shape[2:]) // SHIFT)

    def draw(self, rows_N: Array, rng: np.random.Generator, *, mirror: bool) -> Tensor:
        """Return `pixels_NCHW` of some rows, each shifted at random, each second one mirrored."""
        n = len(rows_N)
        down_N, right_N = rng.integers(0, 2 * self._reach + 1, (2, n, 1))[:, :, 0] - self._reach
        mirrored_N = rng.random((n, 1))[:, 0] < 0.5 if mirror else np.zeros(n, dtype=bool)
        rows = torch.from_numpy(np.searchsorted(self._shown_N, rows_N))
        ways = (torch.from_numpy(way_N) for way_N in (down_N, right_N, mirrored_N))
        return moved(self._pixels_NCHW[rows], *ways)


class Task(Protocol):
    """What a net learns to tell."""

    classes: int
    purpose: str
    """Names the stream of what is drawn."""

    def draw(
        self, shifts: Shifts, rows_N: Array, rng: np.random.Generator, *, mirror: bool
    ) -> tuple[Tensor, Tensor]:
        """Return `pixels_NCHW` of some rows and `targets_N`."""

    def whole(self, pixels_NCHW: Tensor, rows_N: Array) -> tuple[Tensor, Tensor]:
        """Return what a net is scored on: inputs and targets, always the same."""

    mirrors: bool
    """Whether a mirrored image may keep its class."""


class ClassTask:
    """The classes of the images."""

    mirrors = True
    purpose = "Classes"

    def __init__(self, classes_N: Array) -> None:
        """Keep the class of every image."""
        self.classes = int(classes_N.max()) + 1
        self._targets_N = torch.from_numpy(classes_N.astype(np.int64))

    def draw(
        self, shifts: Shifts, rows_N: Array, rng: np.random.Generator, *, mirror: bool
    ) -> tuple[Tensor, Tensor]:
        """Return shifted images and their classes."""
        return shifts.draw(rows_N, rng, mirror=mirror), self._targets_N[rows_N]

    def whole(self, pixels_NCHW: Tensor, rows_N: Array) -> tuple[Tensor, Tensor]:
        """Return the images as they are."""
        return pixels_NCHW, self._targets_N[rows_N]


class TransformationTask:
    """How an image was turned: Gidaris et al. 2018 (arXiv:1803.07728), and which half is where.

    Images that are not square are mirrored in the place of a quarter turn.
    """

    mirrors = False
    classes = 8
    purpose = "Transformations"

    def draw(
        self,
        shifts: Shifts,
        rows_N: Array,
        rng: np.random.Generator,
        *,
        mirror: bool,  # noqa: ARG002 - a mirrored image is one of the answers
    ) -> tuple[Tensor, Tensor]:
        """Return shifted images, each transformed at random."""
        kinds = torch.from_numpy(rng.integers(self.classes, size=len(rows_N)))
        shown_NCHW = shifts.draw(rows_N, rng, mirror=False)
        return _transformed(shown_NCHW, kinds), kinds

    def whole(self, pixels_NCHW: Tensor, rows_N: Array) -> tuple[Tensor, Tensor]:
        """Return the images, each under the transformation that its row says."""
        kinds = torch.from_numpy(rows_N % self.classes)
        return _transformed(pixels_NCHW, kinds), kinds


def _transformed(pixels_NCHW: Tensor, kinds_N: Tensor) -> Tensor:
    height, width = pixels_NCHW.shape[2:]
    turned_NCHW = pixels_NCHW.clone(memory_format=torch.contiguous_format)
    for kind in range(TransformationTask.classes):
        part = pixels_NCHW[kinds_N == kind]
        if height == width:
            part = part.rot90(kind % 4, (2, 3))
        else:
            part = part.flip([axis for axis, bit in ((2, 1), (3, 2)) if kind & bit])
        if kind & 4:
            part = part.roll(width // 2, 3)
        turned_NCHW[kinds_N == kind] = part
    return turned_NCHW


def train(net: TrainedNet, images_NHWC: Array, task: Task, effort: Effort, seed: int) -> None:
    """Train on train without a part, and keep the weights that were better on that part."""
    rng = numpy_stream(seed, f"{task.purpose}-order")
    order = rng.permutation(len(images_NHWC))[:TRAIN_ROWS]
    held = max(1, round(STOP_FRACTION * len(order)))
    part_N, rest_N = np.sort(order[:held]), np.sort(order[held:])
    inputs, targets = task.whole(shrunken(images_NHWC[part_N], SIDE), part_N)
    shown_N = np.sort(order)
    shifts = Shifts(shrunken(images_NHWC[shown_N], SIDE), shown_N)
    training = NetTraining(net=net, task=task, shifts=shifts, rows_N=rest_N, rng=rng)
    training.learn(min(effort.first, MOST_EPOCHS * len(rest_N)), mirror=False)
    first, kept = _score(net, inputs, targets), _state(net)
    mirrored = _score(net, inputs.flip(3), targets)
    mirror = task.mirrors and mirrored.right >= KEEPS_CLASS * first.right
    training.learn(effort.second(1.0 - first.right, len(rest_N)), mirror=mirror)
    if not _score(net, inputs, targets).loss <= first.loss:  # of a net that diverged it is NaN
        net.load_state_dict(kept)
    net.eval()


@dataclass(frozen=True, kw_only=True, eq=False)
class NetTraining:
    """A net, what it learns, and from which images."""

    net: TrainedNet
    task: Task
    shifts: Shifts
    rows_N: Array
    """Rows of the images that it may see."""
    rng: np.random.Generator

    def learn(self, images: int, *, mirror: bool) -> None:
        """Show so many images in one cycle of the learning rate.

        One cycle, from low over high to zero: Smith & Topin 2018 (arXiv:1708.07120).
        """
        steps = max(1, round(images / TRAIN_BATCH))
        filters = self.net.filters()
        orthogonal = OrthogonalSteps(filters)
        rest = [one for one in self.net.parameters() if all(one is not each for each in filters)]
        optimiser = torch.optim.AdamW(rest, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, LEARNING_RATE, steps, pct_start=WARM_UP
        )
        self.net.train()
        for rows_N in self._batches(steps):
            inputs, targets = self.task.draw(self.shifts, rows_N, self.rng, mirror=mirror)
            with quick_products():
                logits = self.net(inputs)
            loss = nn.functional.cross_entropy(logits.float(), targets, label_smoothing=SMOOTHING)
            self.net.zero_grad(set_to_none=True)
            loss.backward()
            orthogonal.step(FILTER_RATE * float(schedule.get_last_lr()[0]) / LEARNING_RATE)
            optimiser.step()
            schedule.step()
        self.net.eval()

    def _batches(self, steps: int) -> Iterator[Array]:
        """Yield rows; all are shown before one is shown again."""
        waiting = np.empty(0, dtype=np.int64)
        for _ in range(steps):
            while len(waiting) < TRAIN_BATCH:
                waiting = np.concatenate([waiting, self.rng.permutation(self.rows_N)])
            yield waiting[:TRAIN_BATCH]
            waiting = waiting[TRAIN_BATCH:]


class Score(NamedTuple):
    """What a net makes of images that it has not learned from."""

    loss: float
    right: float


def _score(net: TrainedNet, pixels_NCHW: Tensor, targets_N: Tensor) -> Score:
    with torch.inference_mode():
        logits = torch.cat([net(part) for part in pixels_NCHW.split(AT_ONCE)])
        loss = float(nn.functional.cross_entropy(logits, targets_N))
        return Score(loss, float((logits.argmax(1) == targets_N).double().mean()))


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}
