"""Plain statistics of single images: what gives a picture away before anyone asks what it shows.

Grain, sharpness, power by spatial frequency, stripes, saturation, the histogram, colour: some sixty
numbers an image, no network. A generator that misses one of them in every image is seen through at
once, however near its images lie to real ones in the features of a classifier.

Power by spatial frequency: the periodogram averaged over rings, as Durall et al. 2020
(arXiv:2003.01826, section 3) tell generated images by. Grain: the mean absolute response to the
difference of two Laplacians, Immerkær 1996 (Computer Vision and Image Understanding 64, 300),
equation 1.

Shapes: N images, H height, W width, C channels, S statistics, B bands.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import fft

Array = np.ndarray[Any, Any]
Named = tuple[str, Array]
"""What a person calls it, and its value of every image; (N,)."""

MEANINGS = {
    "grain": "variance among neighbouring pixels",
    "sharpness": "steps from pixel to pixel",
    "pattern of single pixels": "as of a chessboard",
}
"""Some names in other words."""
VAGUE = frozenset({"histogram", "brightness", "contrast", "border", "place of the light"})
"""Names that say less than others do which tell as well."""
CHUNK_VALUES = 2**21
"""About so many values are in work at once: memory, not results."""
RINGS = 8
LEVELS = 16
"""Bars of the histogram."""
NEARLY = 8
"""Values within so many of 0 or of 255 count as nearly black or white."""
SMALL = 1e-3


def plain_statistics(images_NHWC: Array) -> tuple[tuple[str, ...], Array]:
    """Return what each statistic is about, in a person's words, and `statistics_NS`, float32.

    Several statistics share a name. The numbers of an image do not depend on the others.

    Args:
        images_NHWC: uint8, any size from 5 pixels a side, any number of channels.
    """
    rows = max(1, CHUNK_VALUES // max(1, int(np.prod(images_NHWC.shape[1:]))))
    parts = [
        list(_statistics(images_NHWC[start : start + rows]))
        for start in range(0, len(images_NHWC), rows)
    ]
    names = tuple(name for name, _ in parts[0])
    values_NS = np.concatenate(
        [np.stack([values for _, values in part], axis=1) for part in parts]
    ).astype(np.float32)
    return names, values_NS


def _statistics(images_NHWC: Array) -> Iterator[Named]:
    """Yield all statistics of some images."""
    images = images_NHWC.astype(np.float32)
    grey_NHW = images.mean(axis=-1)
    yield from _histogram(images_NHWC, grey_NHW)
    yield from _grain(grey_NHW)
    yield from _sharpness(grey_NHW)
    yield from _spectrum(grey_NHW)
    yield from _stripes(grey_NHW)
    yield from _places(grey_NHW)
    if images.shape[-1] > 1:
        yield from _colour(images)


def _histogram(images_NHWC: Array, grey_NHW: Array) -> Iterator[Named]:
    flat_NP = images_NHWC.reshape(len(images_NHWC), -1)
    for name, hit_NP in (
        ("share of black", flat_NP == 0),
        ("share of black", flat_NP <= NEARLY),
        ("share of white", flat_NP == 255),
        ("share of white", flat_NP >= 255 - NEARLY),
    ):
        yield name, hit_NP.mean(axis=1)
    grey_NP = grey_NHW.reshape(len(grey_NHW), -1)
    mean_N, spread_N = grey_NP.mean(axis=1), grey_NP.std(axis=1)
    yield "brightness", mean_N
    yield "contrast", spread_N
    centred_NP = (grey_NP - mean_N[:, None]) / (spread_N[:, None] + 1.0)
    square_NP = centred_NP * centred_NP
    yield "histogram", (square_NP * centred_NP).mean(axis=1)
    yield "histogram", (square_NP * square_NP).mean(axis=1)
    codes_NP = (grey_NP * (LEVELS / 256)).astype(np.int64)
    codes_NP += np.arange(len(codes_NP))[:, None] * LEVELS
    counts = np.bincount(codes_NP.ravel(), minlength=len(codes_NP) * LEVELS)
    shares_NB = counts.reshape(-1, LEVELS) / codes_NP.shape[1]
    for level in range(LEVELS):
        yield "histogram", shares_NB[:, level]


def _grain(grey_NHW: Array) -> Iterator[Named]:
    """Yield how much a pixel differs from those around it, also where the image is flat."""
    name = "grain"
    across = grey_NHW[:, :, 2:] - 2 * grey_NHW[:, :, 1:-1] + grey_NHW[:, :, :-2]
    both = across[:, 2:] - 2 * across[:, 1:-1] + across[:, :-2]
    response_NP = np.abs(both).reshape(len(both), -1)
    yield name, response_NP.mean(axis=1)
    columns = grey_NHW[:, :, 2:] + grey_NHW[:, :, 1:-1] + grey_NHW[:, :, :-2]
    mean = (columns[:, 2:] + columns[:, 1:-1] + columns[:, :-2]) / 9
    squares = grey_NHW * grey_NHW
    columns = squares[:, :, 2:] + squares[:, :, 1:-1] + squares[:, :, :-2]
    local = (columns[:, 2:] + columns[:, 1:-1] + columns[:, :-2]) / 9 - mean * mean
    local_NP = np.sqrt(np.maximum(local, 0)).reshape(len(local), -1)
    yield name, local_NP.mean(axis=1)
    places = [round(q * (local_NP.shape[1] - 1)) for q in (0.1, 0.25, 0.5, 0.9)]
    ordered_NP = np.partition(local_NP, places, axis=1)
    for place in places:
        yield name, ordered_NP[:, place]
    yield name, (local_NP >= 1).mean(axis=1)


def _sharpness(grey_NHW: Array) -> Iterator[Named]:
    """Yield sizes of steps from pixel to pixel; blur takes the largest, grain adds small ones."""
    name = "sharpness"
    steps = [np.abs(np.diff(grey_NHW, axis=axis)).reshape(len(grey_NHW), -1) for axis in (1, 2)]
    for one_NP in steps:
        yield name, one_NP.mean(axis=1)
    both_NP = np.concatenate(steps, axis=1)
    mean_N = both_NP.mean(axis=1)
    yield name, both_NP.max(axis=1)
    place = round(0.9 * (both_NP.shape[1] - 1))
    yield name, np.partition(both_NP, place, axis=1)[:, place]
    yield "edges that stand out", np.sqrt((both_NP * both_NP).mean(axis=1)) / (mean_N + SMALL)
    yield "edges that stand out", (both_NP == 0).mean(axis=1)
    for axis in (1, 2):
        curved = np.abs(np.diff(grey_NHW, n=2, axis=axis)).reshape(len(grey_NHW), -1)
        yield name, curved.mean(axis=1) / (mean_N + SMALL)


def _spectrum(grey_NHW: Array) -> Iterator[Named]:
    """Yield the logarithm of the power in rings of spatial frequency, and at the grid's own."""
    height, width = grey_NHW.shape[1:]
    centred = grey_NHW - grey_NHW.mean(axis=(1, 2), keepdims=True)
    power_NHW = np.square(np.abs(fft.rfft2(centred, axes=(1, 2)))) / (height * width)
    up = np.abs(fft.fftfreq(height))[:, None] * 2
    along = fft.rfftfreq(width)[None, :] * 2
    radius = np.sqrt((up * up + along * along) / 2)
    ring = np.minimum((radius * RINGS).astype(np.int64), RINGS - 1)
    top = 1 - 2 / min(height, width)
    masks = [
        ("power of fine detail" if i >= RINGS // 2 else "power of coarse shapes", ring == i)
        for i in range(RINGS)
    ]
    masks += [
        ("pattern of single pixels", (up >= top) & (along >= top)),
        ("pattern of single rows", (up >= top) & (along < 0.5)),
        ("pattern of single columns", (along >= top) & (up < 0.5)),
    ]
    flat_NP = power_NHW.reshape(len(power_NHW), -1)
    for name, mask in masks:
        chosen = np.flatnonzero(mask)
        if len(chosen):
            yield name, np.log(flat_NP[:, chosen].mean(axis=1) + SMALL)


def _stripes(grey_NHW: Array) -> Iterator[Named]:
    """Yield how much rows, and columns, differ as a whole from those beside them."""
    for axis, name in ((2, "stripes of rows"), (1, "stripes of columns")):
        profile_NL = grey_NHW.mean(axis=axis)
        bend_NL = profile_NL[:, 1:-1] - (profile_NL[:, 2:] + profile_NL[:, :-2]) / 2
        size_NL = np.abs(bend_NL)
        yield name, size_NL.mean(axis=1)
        yield name, size_NL.max(axis=1)
        power_NB = np.square(np.abs(fft.rfft(bend_NL, axis=1)))[:, 1:]
        yield name, power_NB.max(axis=1) / (power_NB.mean(axis=1) + SMALL)
        middle_N = profile_NL.mean(axis=1)
        yield name, profile_NL.max(axis=1) - middle_N
        yield name, profile_NL.min(axis=1) - middle_N


def _places(grey_NHW: Array) -> Iterator[Named]:
    """Yield the brightness of the border, and where the light lies."""
    sides = (grey_NHW[:, 0], grey_NHW[:, -1], grey_NHW[:, :, 0], grey_NHW[:, :, -1])
    border_NP = np.concatenate(sides, axis=1)
    yield "border", border_NP.mean(axis=1)
    yield "border", border_NP.std(axis=1)
    total_N = grey_NHW.sum(axis=(1, 2)) + SMALL
    for axis, name in ((2, "place of the light"), (1, "place of the light")):
        profile_NL = grey_NHW.sum(axis=axis)
        at = np.linspace(-1, 1, profile_NL.shape[1], dtype=np.float32)
        centre_N = profile_NL @ at / total_N
        yield name, centre_N
        yield name, profile_NL @ (at * at) / total_N - centre_N * centre_N


def _colour(images_NHWC: Array) -> Iterator[Named]:
    """Yield means, spreads, differences and correlations of the channels."""
    channels = images_NHWC.shape[-1]
    flat_NPC = images_NHWC.reshape(len(images_NHWC), -1, channels)
    mean_NC, spread_NC = flat_NPC.mean(axis=1), flat_NPC.std(axis=1)
    for c in range(channels):
        yield "colour", mean_NC[:, c]
        yield "colour", spread_NC[:, c]
    for c in range(channels):
        for d in range(c):
            between_NHW = images_NHWC[..., c] - images_NHWC[..., d]
            between_NP = between_NHW.reshape(len(between_NHW), -1)
            yield "colour", between_NP.mean(axis=1)
            yield "colour", np.abs(between_NP).mean(axis=1)
            product_N = (flat_NPC[..., c] * flat_NPC[..., d]).mean(axis=1)
            covariance_N = product_N - mean_NC[:, c] * mean_NC[:, d]
            yield "colour", covariance_N / (spread_NC[:, c] * spread_NC[:, d] + 1.0)
            yield "grain of colour", np.abs(np.diff(between_NHW, axis=1)).mean(axis=(1, 2))
            yield "grain of colour", np.abs(np.diff(between_NHW, axis=2)).mean(axis=(1, 2))
