"""The inside of a generator of images: paths through its latents and classes, and what they move.

Every image here is synthetic. What a generator has nothing to show for is left out, with a reason.

Shapes: R rows, S steps, N images, Z latent, H height, W width, C channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.device import one_thread
from gan.images.codec import ImageCodec
from gan.images.figures.sheets import Pixels, cells_of, evenly, sheet_figure
from gan.inside.directions import (
    MainDirections,
    first_features,
    latents_for,
    main_directions,
)
from gan.inside.paths import between_classes, steps_between
from gan.inside.sensitivity import sensitivity
from gan.protocols import Generator
from gan.randomness import stream
from gan.report import Figure
from gan.sample import Sampler, device_of, fixed_latents
from storage.records.schema import Label, class_title

SECTION = "inside"
STEPS, MOST_PATHS = 9, 10
DIRECTIONS, SIDE_STEPS, REACH, MOST_STARTS = 5, 2, 2.0, 3
"""Traversals: directions; steps to either side, in all so many standard deviations; and images they
start from."""
MAPPED_LATENTS, MOST_MAPS = 480, 10
"""Latents of all maps of sensitivity, at most 128 each, and classes that have one."""
GREY_LEVELS = 127.5
"""Grey levels of a byte per unit of a sample."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A figure that this generator has nothing to show for."""

    title: str
    why: str


class Insight:
    """A trained generator, as these figures ask it."""

    def __init__(self, sampler: Sampler, seed: int, class_names: tuple[str, ...] = ()) -> None:
        """Take the generator of a sampler.

        Args:
            sampler: with a generator of images.
            seed: of the latents that are shown.
            class_names: of the classes 0, 1, … where the source knows them.
        """
        codec = sampler.codec
        if not isinstance(codec, ImageCodec):
            raise TypeError
        self.generator: Generator = sampler.generator
        self.codec, self.config, self.seed = codec, sampler.snapshot.config, seed
        self.device = device_of(self.generator)
        self.titles = [class_title(class_names, label) for label in codec.classes]
        self.names = [_name(class_names, label) for label in codec.classes]
        self.shape = (codec.height, codec.width, codec.channels)

    def latents(self, count: int, purpose: str) -> Tensor:
        """Return latents as synthesis draws them."""
        numbers = stream(self.seed, f"inside/{purpose}")
        return fixed_latents(self.generator, self.config, count, numbers).to(self.device)

    def alike(self, z_NZ: Tensor) -> Tensor:
        """Return latents that all choose the same, where a part of the latent chooses."""
        held = self.generator.choosing
        chosen_1H = self.latents(1, "choice")[:, :held].expand(len(z_NZ), -1)
        return torch.cat([chosen_1H, z_NZ[:, held:]], dim=1)

    def classes(self, rows: list[int]) -> Tensor:
        """Return class indexes on the generator's device."""
        return torch.tensor(rows, dtype=torch.int64, device=self.device)

    def images(self, z_NZ: Tensor, labels_N: Tensor) -> Pixels:
        """Return images as they would be published, bytes (N, H, W, C)."""
        with torch.no_grad():
            values: Pixels = self.codec.to_values(self.generator(z_NZ, labels_N))
        return values

    def rows(self, most: int) -> list[int]:
        """Return a class index per row: some of many classes, each of few, as often as fits."""
        count = len(self.titles)
        if count == 0:
            return [0] * most
        return [row for row in evenly(count, most) for _ in range(max(most // count, 1))][:most]

    def row_titles(self, rows: list[int]) -> list[str]:
        """Return the classes' names, nothing where there are none."""
        return [self.titles[row] for row in rows] if self.titles else []

    def grid(self, images_NHWC: Pixels, rows: int) -> Pixels:
        """Return images in so many rows."""
        return images_NHWC.reshape(rows, -1, *images_NHWC.shape[1:])


def _name(class_names: Sequence[str], label: Label) -> str:
    """Return a class by its name alone, or by itself where it has none."""
    known = class_title(class_names, label) != str(label)
    return class_names[int(label)] if known else str(label)


@one_thread()
def inside_figures(insight: Insight) -> tuple[Figure, ...]:
    """Return what can be shown of a generator, and last why the rest is left out."""
    found = [
        latent_paths(insight),
        class_paths(insight),
        traversals(insight),
        sensitivity_maps(insight),
    ]
    figures = tuple(one for one in found if isinstance(one, Figure))
    missing = [one for one in found if isinstance(one, LeftOut)]
    return (*figures, left_out(missing)) if missing else figures


def left_out(missing: list[LeftOut]) -> Figure:
    """Return the table of what is left out."""
    return Figure(
        id="inside-left-out",
        section=SECTION,
        caption="What this generator has nothing to show for.",
        alt="; ".join(f"{one.title}: {one.why}" for one in missing),
        kind="table",
        data={"columns": ["figure", "why"], "rows": [[one.title, one.why] for one in missing]},
    )


def latent_paths(insight: Insight) -> Figure:
    """Return one image turning into another of its class, on a great circle of the latents."""
    count = min(MOST_PATHS, max(cells_of(insight.shape) // STEPS, 1))
    classes = insight.rows(count)
    start, end = insight.latents(2 * len(classes), "paths").chunk(2)
    z_NZ = steps_between(start, end, STEPS, held=insight.generator.choosing).flatten(0, 1)
    images = insight.images(z_NZ, insight.classes(classes).repeat_interleave(STEPS))
    return sheet_figure(
        "latent-paths",
        SECTION,
        insight.grid(images, len(classes)),
        (
            "From one latent to another of the same class, on a great circle. Images that change "
            "little by little show a generator that has learnt more than single images; jumps "
            "show gaps between them.",
            f"{len(classes)} rows of synthetic images, each turning into another",
        ),
        rows=insight.row_titles(classes),
    )


def class_paths(insight: Insight) -> Figure | LeftOut:
    """Return one latent turning from class to class."""
    title, count = "From class to class", len(insight.titles)
    if count < 2:
        return LeftOut(title=title, why="there are no two classes to go between")
    paths = min(MOST_PATHS, max(cells_of(insight.shape) // STEPS, 1))
    firsts = evenly(count, paths)
    seconds = [firsts[(place + 1) % len(firsts)] for place in range(len(firsts))]
    z_NZ = insight.latents(len(firsts), "classes").repeat_interleave(STEPS, dim=0)
    share_N = torch.linspace(0, 1, STEPS, device=insight.device).repeat(len(firsts))
    first_N, second_N = (
        insight.classes(rows).repeat_interleave(STEPS) for rows in (firsts, seconds)
    )
    samples = between_classes(insight.generator, z_NZ, (first_N, second_N), share_N)
    at_end = share_N == 1
    if samples is None or not _alike(
        insight.codec.to_values(samples[at_end]), insight.images(z_NZ[at_end], second_N[at_end])
    ):
        why = "learnt vectors, between which others would lie, are not all that its classes are"
        return LeftOut(title=title, why=why)
    names = [
        f"{insight.names[first]} → {insight.names[second]}"
        for first, second in zip(firsts, seconds, strict=True)
    ]
    return sheet_figure(
        "class-paths",
        SECTION,
        insight.grid(insight.codec.to_values(samples), len(firsts)),
        (
            "From one class to another with the latent held: the learnt vectors of both classes "
            "are mixed. What stays the same along a row is what the latent says of every class.",
            f"{len(firsts)} rows of synthetic images, each turning into another class",
        ),
        rows=names,
    )


def _alike(one: Pixels, other: Pixels) -> bool:
    """Return whether images are the same but for rounding."""
    return float(np.abs(one.astype(np.float32) - other).mean()) <= 1.0


def traversals(insight: Insight) -> Figure | LeftOut:
    """Return images moved along the main directions of the latent space (GANSpace)."""
    steps = 2 * SIDE_STEPS + 1
    starts = min(MOST_STARTS, max(cells_of(insight.shape) // (DIRECTIONS * steps), 1))
    classes = insight.rows(starts)
    found = find_directions(insight, classes)
    if not found:
        why = "no layer with weights comes after the latent, or it does not vary with it"
        return LeftOut(title="Main directions", why=why)
    count = min(len(one.shares_K) for one in found)
    z_RZ = insight.alike(insight.latents(len(classes), "traversals"))
    offsets_S = torch.linspace(-REACH, REACH, steps, device=insight.device)
    steps_KRZ = torch.stack([one.steps_KZ[:count] for one in found], dim=1).to(z_RZ)
    moved = z_RZ[None, :, None] + offsets_S[None, None, :, None] * steps_KRZ[:, :, None]
    labels = insight.classes(classes).repeat_interleave(steps).repeat(count)
    images = insight.images(moved.flatten(0, 2), labels)
    return sheet_figure(
        "main-directions",
        SECTION,
        insight.grid(images, count),
        (
            f"The first {count} main directions of the latent space, from {REACH:g} standard "
            f"deviations before to {REACH:g} after {_starts(insight, classes)}, each in the middle "
            f"of its columns: principal components of {_of_what(insight)}, mapped back to the "
            f"latent by least squares (GANSpace), which explain {found[0].fit:.0%} of the latent "
            f"along them. Beside every row the share of the variance{_whose(insight)}.",
            f"{count} rows of synthetic images that change along one direction each",
        ),
        rows=[
            f"{number}: {share:.1%}"
            for number, share in enumerate(found[0].shares_K[:count], start=1)
        ],
        group=steps,
    )


def _of_what(insight: Insight) -> str:
    if insight.generator.choosing:
        return "what every class and its Gaussian leave open, each by itself"
    return "the first layer's features within a class"


def _whose(insight: Insight) -> str:
    return ", of the first image's" if insight.generator.choosing else ""


def _starts(insight: Insight, classes: list[int]) -> str:
    names = [insight.names[row] for row in classes] if insight.names else []
    if not names:
        return f"{len(classes)} images" if len(classes) > 1 else "one image"
    return f"an image of {' and one of '.join(names)}"


def find_directions(insight: Insight, classes: list[int]) -> list[MainDirections]:
    """Return the main directions for every start; empty where there are none.

    They are the same for all classes, unless a part of the latent chooses what the rest means.
    """
    if insight.generator.choosing:
        each = [_directions(insight, [row]) for row in classes]
        return [one for one in each if one is not None] if None not in each else []
    shared = _directions(insight, list(range(max(len(insight.titles), 1))))
    return [] if shared is None else [shared] * len(classes)


def _directions(insight: Insight, classes: list[int]) -> MainDirections | None:
    """Return the main directions by the generator's first layer, these classes equally often."""
    one_1Z, label_1 = insight.latents(1, "directions"), insight.classes(classes[:1])
    first = first_features(insight.generator, one_1Z, label_1)
    if first is None:
        return None
    length = one_1Z.shape[1]
    described = insight.generator.described or length
    count = latents_for(described, first.shape[1])
    z_NZ = insight.alike(insight.latents(count, "directions"))
    labels_N = insight.classes([classes[place % len(classes)] for place in range(count)])
    features = first_features(insight.generator, z_NZ, labels_N)
    if features is None:
        return None
    found = main_directions(features.cpu(), z_NZ[:, :described].cpu(), labels_N.cpu(), DIRECTIONS)
    if found is None or described == length:
        return found
    steps_KZ = functional.pad(found.steps_KZ, (0, length - described))  # the rest is held
    return replace(found, steps_KZ=steps_KZ)


def sensitivity_maps(insight: Insight) -> Figure:
    """Return how much every pixel moves with the latent, within every class."""
    classes = evenly(len(insight.titles), MOST_MAPS) or [0]
    maps = np.nan_to_num(np.stack(list(_maps(insight, classes))))
    largest = float(maps.max())
    scaled = np.zeros_like(maps) if largest <= 0 else maps / largest * 255
    grid = scaled.round().astype(np.uint8)[None, ..., None]
    within = ", within a class:" if insight.titles else ":"
    return sheet_figure(
        "sensitivity",
        SECTION,
        grid,
        (
            f"How much every pixel moves with the latent{within} the root mean square, over "
            f"{_per_map(classes)} latents and the channels, of the length of the pixel's gradient. "
            f"Black is 0, white {largest:.3g} grey levels for a standard normal step in every "
            "dimension of the latent. Black everywhere would be one image, whatever the latent.",
            f"{len(classes)} maps of how much pixels move, {largest:.3g} grey levels at most",
        ),
        columns=[insight.names[row] for row in classes] if insight.names else [],
    )


def _per_map(classes: list[int]) -> int:
    return min(MAPPED_LATENTS // len(classes), 128)


def _maps(insight: Insight, classes: list[int]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield float maps (H, W) in grey levels, one per class."""
    z_NZ = insight.latents(_per_map(classes), "sensitivity")
    for row in classes:
        labels_N = insight.classes([row] * len(z_NZ))
        numbers = stream(insight.seed, "inside/directions-of-sensitivity", row)
        held = insight.generator.choosing
        moved_CHW = sensitivity(insight.generator, _visible, z_NZ, labels_N, numbers, held=held)
        yield moved_CHW.square().mean(0).sqrt().cpu().numpy()


def _visible(samples: Tensor) -> Tensor:
    """Return grey levels, clamped as they are when published; not rounded."""
    return samples.float().clamp(-1, 1) * GREY_LEVELS
