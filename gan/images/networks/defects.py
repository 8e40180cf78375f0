"""Defects: small things on most images of a small class, which a large class does not have.

Scratches, spots and dents are sparse: a Gaussian of some twenty images with one scratch each draws
faint traces of all of them. So they are taken out of the images before a mixture is fitted, and put
on what is made: as a marked point process, each at a place of its own, with a length, a width, a
direction and a strength of its own, all from distributions (Baddeley et al., "Spatial point
patterns", 2015, section 15.1). What a defect looks like inside these is the mean over all of them,
turned and stretched alike, so that none is copied.

Shapes: R images, H height, W width, C channels, G groups, E defects, M numbers of one, S side of
the appearance, B directions of a half turn, K defects of an image at most.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.images.mixture import Array, principal_components

FEWEST, TIMES = 8, 3
"""Images of a class that has defects, at least; and how many times as many a large class has."""
MOST_SMALL = 500
"""Images of such a class, at most: more of them show what a Gaussian makes of them."""
MOST_ROWS, COMPONENTS = 400, 30
"""Images of the large class that say what is usual, and components in which they do."""
USUAL, BEYOND = 0.95, 2.0
"""A defect's largest deviation is so many times beyond what this share of usual images has."""
LEAST_SHARE = 0.5
"""Of the images of a class that must have one."""
EDGE = 0.35
"""Of the largest deviation: what deviates so much and is joined to it is of the defect, and no
other defect of the image is fainter."""
MOST = 3
"""K."""
SIDE, REACH = 24, 3.0
"""S, and how many standard deviations from the middle the appearance reaches."""
DIRECTIONS, SMOOTHED = 64, 4
"""B, and over how many of them on either side a direction is spread."""
LARGEST_PART = 0.25
"""Of an image: what is larger is no small thing on it."""
LEAST_WIDTH = 0.6
"""Standard deviation of a defect across, in pixels."""
SHRINKAGE = 0.3
"""By which correlations are drawn towards none."""
NUMBERS = 7
"""Normal numbers of a defect: place (2), length, width, strength, direction, brighter or darker."""
DEFECT_NUMBERS = 1 + MOST * NUMBERS
"""Of an image: how many there are, and each."""
FLOOR = 1e-4


class FoundDefects(NamedTuple):
    """Defects of a group."""

    marks_EM: Array
    """Place down and right, log of length and width, log of the strength."""
    direction_E: Array
    """In [0, pi)."""
    colour_EC: Array
    """Deviation in each channel, its strength taken out."""
    profile_ESS: Array
    """What it looks like, turned and stretched alike, of strength one."""
    counts_R: Array
    """Defects of each image."""


class Defects(nn.Module):
    """Draws the defects of every group; nothing for groups without."""

    counts_GK: Tensor
    """Chance of 0, 1, ... K defects."""
    mean_G5: Tensor
    factor_G55: Tensor
    direction_GB: Tensor
    darker_G: Tensor
    colour_G2C: Tensor
    """Of brighter and of darker ones."""
    profile_GSS: Tensor

    def __init__(self, groups: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.size, self.numbers = (height, width), DEFECT_NUMBERS
        self.register_buffer("counts_GK", torch.zeros(groups, MOST + 1))
        self.register_buffer("mean_G5", torch.zeros(groups, 5))
        self.register_buffer("factor_G55", torch.zeros(groups, 5, 5))
        self.register_buffer("direction_GB", torch.zeros(groups, DIRECTIONS))
        self.register_buffer("darker_G", torch.zeros(groups))
        self.register_buffer("colour_G2C", torch.zeros(groups, 2, channels))
        self.register_buffer("profile_GSS", torch.zeros(groups, SIDE, SIDE))

    def start(self) -> None:
        """Draw none, until they are measured."""
        for buffer in self.buffers(recurse=False):
            buffer.zero_()
        self.counts_GK[:, 0] = 1.0

    @property
    def any(self) -> bool:
        """Whether a group has defects."""
        return bool((self.counts_GK[:, 0] < 1).any())

    def forward(self, normal_NL: Tensor, group_N: Tensor) -> Tensor:
        """Return what defects add to images, `added_NCHW`."""
        chance_N = torch.special.ndtr(normal_NL[:, :1].double())
        counts_N = (chance_N > self.counts_GK[group_N].double().cumsum(1)[:, :-1]).sum(1)
        colours = self.colour_G2C.shape[2]
        added = normal_NL.new_zeros(len(normal_NL), colours, *self.size)
        for index in range(MOST):
            rows = (counts_N > index).nonzero()[:, 0]
            if len(rows):
                first = 1 + index * NUMBERS
                added[rows] += self._one(normal_NL[rows, first : first + NUMBERS], group_N[rows])
        return added

    def _one(self, normal_NM: Tensor, group_N: Tensor) -> Tensor:
        """Return one defect in each image, `added_NCHW`."""
        together_N5 = (self.factor_G55[group_N] @ normal_NM[:, :5, None])[:, :, 0]
        spread_N5 = self.factor_G55[group_N].square().sum(2).sqrt()
        even_N5 = (2 * torch.special.ndtr(together_N5 / spread_N5.clamp_min(FLOOR)) - 1) * spread_N5
        mean_N5 = self.mean_G5[group_N]
        place_N2 = mean_N5[:, :2] + math.sqrt(3) * even_N5[:, :2]
        size_N2 = (mean_N5 + together_N5)[:, 2:4].exp()
        strength_N = (mean_N5 + together_N5)[:, 4].exp()
        turn_N = self._turn(torch.special.ndtr(normal_NM[:, 5]), group_N)
        darker_N = (torch.special.ndtr(normal_NM[:, 6]) < self.darker_G[group_N]).long()
        grid = _frame(self.size, place_N2, size_N2, turn_N) / REACH
        profile = self.profile_GSS[group_N][:, None]
        shape = functional.grid_sample(profile, grid, align_corners=True)
        colour_NC = self.colour_G2C[group_N, darker_N] * strength_N[:, None]
        added: Tensor = shape * colour_NC[:, :, None, None]
        return added

    def _turn(self, chance_N: Tensor, group_N: Tensor) -> Tensor:
        """Return the direction that each chance falls on."""
        edges_NB = self.direction_GB[group_N].cumsum(1).contiguous()
        index_N1 = torch.searchsorted(edges_NB, chance_N[:, None].contiguous())
        index_N1 = index_N1.clamp_max(DIRECTIONS - 1)
        share_N = self.direction_GB[group_N].gather(1, index_N1)[:, 0].clamp_min(FLOOR)
        within_N = (edges_NB.gather(1, index_N1)[:, 0] - chance_N) / share_N
        turn: Tensor = (index_N1[:, 0] + 1 - within_N.clamp(0, 1)) * (math.pi / DIRECTIONS)
        return turn

    @torch.no_grad()
    def measure(
        self, read: Callable[[Array], Tensor], rows_R: Array, group_R: Array
    ) -> list[tuple[Array, Tensor]]:
        """Learn the defects of small groups; return rows of these, and their images without any.

        Args:
            read: rows to `images_NCHW` in [-1, 1].
            rows_R: what may be read.
            group_R: the group of each.
        """
        counts = np.bincount(group_R, minlength=len(self.counts_GK))
        large, without = int(counts.argmax()), []
        small = [
            group
            for group, n in enumerate(counts.tolist())
            if FEWEST <= n <= min(counts[large] / TIMES, MOST_SMALL)
        ]
        if not small:
            return []
        usual = Usual(read(rows_R[group_R == large][:MOST_ROWS]))
        for group in small:
            rows = rows_R[group_R == group]
            images_RCHW = read(rows)
            deviation, marked = usual.deviations(images_RCHW)
            found = describe(deviation, marked)
            if (found.counts_R > 0).mean() < LEAST_SHARE:
                continue
            self._keep(group, found)
            anywhere = _grown(marked.any(1))[:, None]
            without.append((rows, torch.where(anywhere, images_RCHW - deviation, images_RCHW)))
        return without

    def _keep(self, group: int, found: FoundDefects) -> None:
        """Take what a group's defects have in common into the buffers."""
        marks, counts = found.marks_EM, np.bincount(found.counts_R, minlength=MOST + 1)
        spread = np.diag(marks.std(0) + FLOOR)
        together = np.corrcoef((marks / (marks.std(0) + FLOOR)).T + 0.0)
        together = (1 - SHRINKAGE) * np.nan_to_num(together) + SHRINKAGE * np.eye(5)
        np.fill_diagonal(together, 1.0)
        self.counts_GK[group] = torch.from_numpy(counts / counts.sum())
        self.mean_G5[group] = torch.from_numpy(marks.mean(0))
        self.factor_G55[group] = torch.from_numpy(spread @ np.linalg.cholesky(together))
        around = np.arange(-SMOOTHED, SMOOTHED + 1)
        at = (found.direction_E * DIRECTIONS / math.pi).astype(int)
        near = (at[:, None] + around) % DIRECTIONS
        weight = np.broadcast_to(SMOOTHED + 1 - abs(around), near.shape)
        shares = np.bincount(near.ravel(), weight.ravel(), minlength=DIRECTIONS) + FLOOR
        self.direction_GB[group] = torch.from_numpy(shares / shares.sum())
        darker = found.colour_EC.mean(1) < 0
        self.darker_G[group] = float(darker.mean())
        for index, mask in enumerate((~darker, darker)):
            if mask.any():
                self.colour_G2C[group, index] = torch.from_numpy(found.colour_EC[mask].mean(0))
        self.profile_GSS[group] = torch.from_numpy(found.profile_ESS.mean(0))


class Usual:
    """What images of a large class are, and how far others deviate from that."""

    def __init__(self, images_RCHW: Tensor) -> None:
        """Learn what is usual of these images."""
        flat_RF = self._small(images_RCHW)
        self.mean_F = flat_RF.mean(0)
        most = min(COMPONENTS, len(flat_RF) // 4)
        _, basis = principal_components((flat_RF - self.mean_F).numpy(), max(most, 1))
        self.basis_DF = torch.from_numpy(np.ascontiguousarray(basis))
        beyond = images_RCHW - self._shown(images_RCHW)
        spread = (beyond.abs().median(0).values / 0.6745).square().mean((1, 2), keepdim=True).sqrt()
        self.spread_C11 = spread + FLOOR
        largest_R = self._size(beyond).flatten(1).max(1).values
        self.limit = BEYOND * float(largest_R.quantile(USUAL))

    def deviations(self, images_RCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return how images deviate, and where each of their defects is, (R, K, H, W)."""
        beyond = images_RCHW - self._shown(images_RCHW)
        left, found = self._size(beyond), []
        least_R11 = (EDGE * left.amax((1, 2), keepdim=True)).clamp_min(self.limit)
        for _ in range(MOST):
            part = _joined(left, least_R11)
            part &= part.float().mean((1, 2), keepdim=True) <= LARGEST_PART
            found.append(part)
            left = left.masked_fill(_grown(part), 0.0)
        return beyond, torch.stack(found, dim=1)

    def _small(self, images_RCHW: Tensor) -> Tensor:
        return functional.avg_pool2d(images_RCHW, 4, ceil_mode=True).flatten(1)

    def _shown(self, images_RCHW: Tensor) -> Tensor:
        """Return what the components show of images, at a quarter of their sides."""
        size = images_RCHW.shape[1:]
        flat_RF = self._small(images_RCHW)
        codes_RD = (flat_RF - self.mean_F) @ self.basis_DF.T
        small = (self.mean_F + codes_RD @ self.basis_DF).unflatten(
            1, (size[0], -(-size[1] // 4), -(-size[2] // 4))
        )
        large = functional.interpolate(small, scale_factor=4, mode="bilinear")
        return large[:, :, : size[1], : size[2]]

    def _size(self, beyond_RCHW: Tensor) -> Tensor:
        """Return how large deviations are around every pixel, (R, H, W)."""
        mean = functional.avg_pool2d(
            beyond_RCHW / self.spread_C11, 3, stride=1, padding=1, count_include_pad=False
        )
        return mean.abs().amax(1)


def _grown(part_RHW: Tensor) -> Tensor:
    """Return parts with the pixels around them."""
    return functional.max_pool2d(part_RHW[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0


def _joined(size_RHW: Tensor, least_R11: Tensor) -> Tensor:
    """Return the part of each image that is joined to its largest deviation, from the least on."""
    largest_R11 = size_RHW.amax((1, 2), keepdim=True)
    mask = size_RHW >= (EDGE * largest_R11).maximum(least_R11 / BEYOND)
    part = (size_RHW == largest_R11) & (largest_R11 > least_R11)
    while True:
        grown = _grown(part) & mask
        if bool((grown == part).all()):
            return part
        part = grown


def _frame(size: tuple[int, int], place_N2: Tensor, size_N2: Tensor, turn_N: Tensor) -> Tensor:
    """Return every pixel in a defect's own frame, (N, H, W, 2): along and across it."""
    down = torch.arange(size[0], dtype=torch.float32, device=place_N2.device)[:, None]
    right = torch.arange(size[1], dtype=torch.float32, device=place_N2.device)
    y = down - place_N2[:, 0, None, None]
    x = right - place_N2[:, 1, None, None]
    sin, cos = turn_N.sin()[:, None, None], turn_N.cos()[:, None, None]
    along, across = x * cos + y * sin, y * cos - x * sin
    return torch.stack(
        [along / size_N2[:, 0, None, None], across / size_N2[:, 1, None, None]], dim=3
    )


def describe(deviation_RCHW: Tensor, marked_RKHW: Tensor) -> FoundDefects:
    """Return place, size, direction, colour and appearance of every marked part."""
    found_RK = marked_RKHW.flatten(2).any(2)
    parts = [
        _describe_one(deviation_RCHW[row], marked_RKHW[row, index])
        for row, index in found_RK.nonzero().tolist()
    ]
    counts_R, defects = found_RK.sum(1).numpy(), len(parts)
    return FoundDefects(
        np.array([part.marks for part in parts]).reshape(defects, 5),
        np.array([part.turn for part in parts]),
        np.array([part.colour_C.numpy() for part in parts]).reshape(
            defects, deviation_RCHW.shape[1]
        ),
        np.array([part.profile_SS.numpy() for part in parts]).reshape(defects, SIDE, SIDE),
        counts_R,
    )


class DescribedDefect(NamedTuple):
    """One defect; see `FoundDefects`."""

    marks: tuple[float, ...]
    turn: float
    colour_C: Tensor
    profile_SS: Tensor


def _describe_one(beyond_CHW: Tensor, part_HW: Tensor) -> DescribedDefect:
    """Return what is at a marked part of an image, by the moments of how far it deviates."""
    weight_HW = (beyond_CHW.abs().mean(0) * part_HW).double()
    total = weight_HW.sum()
    share = weight_HW[part_HW] / total
    at = part_HW.nonzero().double()
    place = (share[:, None] * at).sum(0)
    off = at - place
    spread = (share[:, None, None] * off[:, :, None] * off[:, None, :]).sum(0)
    squares, vectors = torch.linalg.eigh(spread)
    width, length = squares.clamp_min(0).sqrt().clamp_min(LEAST_WIDTH).tolist()
    down, right = vectors[:, 1].tolist()
    turn = math.atan2(down, right) % math.pi
    mean_C = (beyond_CHW * weight_HW.float()).sum((1, 2)) / float(total)
    strength = float(mean_C.abs().mean().clamp_min(FLOOR))
    colour_C = mean_C / strength
    seen_HW = (beyond_CHW * colour_C[:, None, None]).sum(0) / colour_C.square().sum() / strength
    seen_HW = seen_HW * _grown(part_HW[None])[0]
    return DescribedDefect(
        marks=(*place.tolist(), math.log(length), math.log(width), math.log(strength)),
        turn=turn,
        colour_C=colour_C,
        profile_SS=_turned_back(seen_HW, place, (length, width), turn),
    )


def _turned_back(seen_HW: Tensor, place: Tensor, size: tuple[float, float], turn: float) -> Tensor:
    """Return what is seen around a place, along and across a direction, `profile_SS`."""
    steps = torch.linspace(-REACH, REACH, SIDE)
    along, across = steps[None, :] * size[0], steps[:, None] * size[1]
    x = place[1] + along * math.cos(turn) - across * math.sin(turn)
    y = place[0] + along * math.sin(turn) + across * math.cos(turn)
    height, width = seen_HW.shape
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=2)
    looked = functional.grid_sample(seen_HW[None, None], grid.float()[None], align_corners=True)
    return looked[0, 0]
