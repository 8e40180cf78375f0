"""Images drawn pixel by pixel, for their grain: shapes are given, every value has a distribution.

The shapes of an image are its first principal components and a few numbers of its texture (see
`shapes`). Given these and what is drawn already, a value follows a mixture of logistic
distributions, discretised to the values that images have (Salimans et al., "PixelCNN++", ICLR 2017,
section 2.1).
Pixels are drawn coarse to fine (see `lattice`); training looks at some pixels of each image.

Shapes: N images, C channels, H height, W width, P pixels, F values of an image, L lattices, S
pixels that a step looks at, K codes of shapes, T numbers of texture, X all that is known of an
image, Z numbers that a draw takes, V values of windows, B bytes, G groups, Q pixels of a lattice.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan.images.codec import ImageCodec
from gan.images.networks import texture
from gan.images.networks.lattice import lattices
from gan.images.networks.layers import Initialisable
from gan.images.networks.logistics import LatticeNetworks
from gan.images.networks.shapes import DrawnShapes, ShapeMixture
from gan.images.networks.texture import COLOURS, Texture
from gan.images.pixels import moved

LOOKED_AT = 8
"""Pixels of an image that a step learns from, of each lattice."""
MOST_NOISE, TRUSTED_NOISE = 0.6, 0.15
"""Noise on codes in training, in their standard deviations, at most; and what codes that were drawn
are said to have, which have none but are not exact either (Ho et al., "Cascaded diffusion models",
JMLR 2022, section 4)."""
SHIFTED, SIDES_PER_PIXEL = 0.5, 14
"""Share of images that a step sees shifted; by up to one pixel for so many of a side."""
FEWEST_CODES, MOST_CODES = 16, 128
VALUES_PER_CODE, ROWS_PER_CODE = 12, 20
"""Values and images, at least, for every component that stands for shapes."""
FITTED_PIXELS = 30_000
"""What the linear prediction of each lattice is fitted on."""
MOST_GAIN = 1.25
"""By which a drawn image is made brighter, at most, so that it reaches what its texture says."""
LEAST_CHANCE = 1e-7
FAR = 1e3
"""Beyond every value."""
BLACK = -1.0


class Shapes(NamedTuple):
    """What an image looks like from afar."""

    flat_NCP: Tensor
    """The image that the codes stand for."""
    known_NX: Tensor
    """Codes, texture, and how much noise the codes have."""


class LookedAt(NamedTuple):
    """Pixels of all lattices, as many of each, in order of their images."""

    pixel_LS: Tensor
    window_LSV: Tensor
    values_LSC: Tensor


class Pixelwise(Initialisable):
    """Draws images of given shapes, and says how probable real ones are."""

    lower_B: Tensor
    upper_B: Tensor
    nearest_B: Tensor

    def __init__(self, codec: ImageCodec, shapes: ShapeMixture, units: int) -> None:
        super().__init__()
        self.codec, self.shapes = codec, shapes
        self.size = (codec.channels, codec.height, codec.width)
        codes, groups = shapes.size.components, shapes.groups
        for name in ("lower_B", "upper_B", "nearest_B"):
            self.register_buffer(name, torch.zeros(256))
        self.reach = max(min(codec.height, codec.width) // SIDES_PER_PIXEL, 1)
        self.texture = Texture()
        with torch.device("cpu"):  # indexes are no weights
            self.lattices = lattices(codec.height, codec.width)
            self.order_P = torch.cat([each.pixel_Q for each in self.lattices])
        self.order = [each.pixel_Q.tolist() for each in self.lattices]
        seen = self.lattices[0].before_QK.shape[1] + self.lattices[0].around_QB.shape[1]
        self.networks = LatticeNetworks(
            len(self.lattices),
            codec.channels * seen + 1,
            codec.channels,
            codes + texture.NUMBERS + 1,
            groups,
            units,
        )
        self.place = nn.Embedding(codec.height * codec.width, units)

    @property
    def numbers(self) -> int:
        """How many normal numbers a draw takes."""
        return math.prod(self.size)

    def describe(self, images_NCHW: Tensor, stream: torch.Generator | None = None) -> Tensor:
        """Return what is known of images from afar, `described_ND`: codes and textures.

        Args:
            images_NCHW: in [-1, 1].
            stream: see `Texture`.
        """
        codes_NK = self.shapes.encode(images_NCHW)
        texture_NT = self.texture(images_NCHW, self.shapes.decode(codes_NK), stream)
        return torch.cat([codes_NK, texture_NT], dim=1)

    def _shapes(self, codes_NK: Tensor, texture_NT: Tensor, level_N1: Tensor) -> Shapes:
        known_NX = torch.cat([codes_NK, texture_NT, level_N1], dim=1)
        return Shapes(self.shapes.decode(codes_NK).flatten(2), known_NX)

    def forward(self, normal_NF: Tensor, drawn: DrawnShapes) -> Tensor:
        """Return images of these shapes, `images_NCHW`: values that images have."""
        codes_NK, drawn_NT, group_N = drawn
        texture_NT = self.texture.settle(drawn_NT)
        level_N1 = codes_NK.new_full((len(codes_NK), 1), TRUSTED_NOISE)
        shapes = self._shapes(codes_NK, texture_NT, level_N1)
        chance_NCP = torch.special.ndtr(normal_NF).unflatten(1, (self.size[0], -1))
        drawn_NCP = _with_edge(torch.full_like(chance_NCP, BLACK))
        brightest_N = drawn_NCP[:, 0, 0].clone()
        for index, (lattice, pixels) in enumerate(zip(self.lattices, self.order, strict=True)):
            image_NU = self.networks.image(shapes.known_NX, group_N, index)
            before_QK = lattice.before_QK.to(drawn_NCP.device)
            around_QB = lattice.around_QB.to(drawn_NCP.device)
            for q, at in enumerate(pixels):
                before_NV = drawn_NCP[:, :, before_QK[q]].flatten(1)
                around_NV = shapes.flat_NCP[:, :, around_QB[q]].flatten(1)
                window_NV = torch.cat([before_NV, around_NV, brightest_N[:, None]], dim=1)
                place_NU = image_NU + self.place.weight[at]
                pixel = self.networks.pixel(window_NV, place_NU, index)
                for channel in range(self.size[0]):
                    logistics = self.networks.value(pixel, channel, drawn_NCP[:, :, at], index)
                    value_N = logistics.at_low_temperature().quantile(chance_NCP[:, channel, at])
                    drawn_NCP[:, channel, at] = self.nearest_B[_bytes(value_N)]
                brightest_N = brightest_N.maximum(drawn_NCP[:, :COLOURS, at].amax(1))
        asked_N = self.texture.numbers(texture_NT)[:, texture.BRIGHTEST]
        images_NCHW: Tensor = drawn_NCP[:, :, :-1].unflatten(2, self.size[1:])
        return self._as_bright(images_NCHW, asked_N, brightest_N)

    def _as_bright(self, images_NCHW: Tensor, asked_N: Tensor, brightest_N: Tensor) -> Tensor:
        """Return images whose largest value is the one asked for, where that is near."""
        gain_N = (asked_N - BLACK) / (brightest_N - BLACK).clamp_min(LEAST_CHANCE)
        gain_N = gain_N.clamp(1 / MOST_GAIN, MOST_GAIN)
        colours = (images_NCHW[:, :COLOURS] - BLACK) * gain_N[:, None, None, None] + BLACK
        return torch.cat([self.nearest_B[_bytes(colours)], images_NCHW[:, COLOURS:]], dim=1)

    def loss(self, images_NCHW: Tensor, labels_N: Tensor, stream: torch.Generator) -> Tensor:
        """Return the mean nats per image, estimated at some of its pixels.

        Half of the images are shifted, so that few of them are learnt by heart later. Their codes
        are those of the shifted image, and so nothing that is drawn is shifted.
        """
        return self.nats(self.shifted(images_NCHW, stream), labels_N, stream, LOOKED_AT).mean()

    def nats(
        self, images_NCHW: Tensor, labels_N: Tensor, stream: torch.Generator, each: int
    ) -> Tensor:
        """Return the nats of images whose shapes are known, `nats_N`.

        Args:
            images_NCHW: in [-1, 1].
            labels_N: their classes.
            stream: what pixels and the noise on codes are drawn with.
            each: pixels of an image that are looked at, of each lattice.
        """
        with torch.no_grad():
            described_ND = self.describe(images_NCHW)
            group_N = self.shapes.group(described_ND, labels_N)
            components = [self.shapes.size.components]
            codes_NK, texture_NT = described_ND.tensor_split(components, dim=1)
            level_N1 = MOST_NOISE * torch.rand(len(codes_NK), 1, generator=stream)
            noise_NK = level_N1 * torch.randn(codes_NK.shape, generator=stream)
            level_N1, noise_NK = level_N1.to(codes_NK), noise_NK.to(codes_NK)
            shapes = self._shapes(codes_NK + noise_NK, texture_NT, level_N1)
            looked = self._look(shapes.flat_NCP, images_NCHW, each, stream)
            byte_LSC = _bytes(looked.values_LSC)
            lower_LSC, upper_LSC = self.lower_B[byte_LSC], self.upper_B[byte_LSC]
        image_LNU = self.networks.image(shapes.known_NX, group_N)
        place_LSU = image_LNU.repeat_interleave(each, dim=1) + self.place(looked.pixel_LS)
        pixel = self.networks.pixel(looked.window_LSV, place_LSU)
        nats_LN = place_LSU.new_zeros(image_LNU.shape[:2], dtype=torch.float32)
        for channel in range(self.size[0]):
            logistics = self.networks.value(pixel, channel, looked.values_LSC)
            chance_LS = logistics.chance(lower_LSC[..., channel], upper_LSC[..., channel])
            certain_LS = chance_LS.clamp_min(LEAST_CHANCE).log()
            nats_LN = nats_LN - certain_LS.unflatten(1, (-1, each)).mean(2)
        pixels_L = torch.tensor([float(len(pixels)) for pixels in self.order])
        nats_N: Tensor = pixels_L.to(nats_LN) @ nats_LN
        return nats_N

    def shifted(self, images_NCHW: Tensor, stream: torch.Generator) -> Tensor:
        """Return images of which half are shifted by a few pixels; borders are repeated.

        A row of each draw belongs to one image, as several devices need them (`ranks`).
        """
        N, most = len(images_NCHW), self.reach
        chosen_N = torch.rand(N, generator=stream) < SHIFTED
        down_N = torch.randint(-most, most + 1, (N,), generator=stream) * chosen_N
        right_N = torch.randint(-most, most + 1, (N,), generator=stream) * chosen_N
        return moved(images_NCHW, down_N, right_N, torch.zeros_like(chosen_N))

    def _look(
        self, shapes_NCP: Tensor, images_NCHW: Tensor, each: int, stream: torch.Generator
    ) -> LookedAt:
        """Return so many random pixels of every image for each lattice."""
        images, device = len(images_NCHW), images_NCHW.device
        flat_NCP = _with_edge(images_NCHW.flatten(2))
        image_S = torch.arange(images, device=device).repeat_interleave(each)
        ordered_NP = images_NCHW[:, :COLOURS].amax(1).flatten(1)[:, self.order_P.to(device)]
        brightest_NP = torch.cat([ordered_NP.new_full((images, 1), BLACK), ordered_NP], dim=1)
        brightest_NP = brightest_NP.cummax(1).values
        parts, turn = [], 0
        for lattice in self.lattices:
            q_S = torch.randint(len(lattice.pixel_Q), (images, each), generator=stream).flatten()
            before_SKC = flat_NCP[image_S[:, None], :, lattice.before_QK[q_S].to(device)]
            around_SBC = shapes_NCP[image_S[:, None], :, lattice.around_QB[q_S].to(device)]
            brightest_S1 = brightest_NP[image_S, (turn + q_S).to(device)][:, None]
            windows = [before_SKC.mT.flatten(1), around_SBC.mT.flatten(1), brightest_S1]
            window_SV = torch.cat(windows, dim=1)
            turn += len(lattice.pixel_Q)
            pixel_S = lattice.pixel_Q[q_S].to(device)
            parts.append((pixel_S, window_SV, flat_NCP[image_S, :, pixel_S]))
        return LookedAt(*(torch.stack(part) for part in zip(*parts, strict=True)))

    def draw(self, stream: torch.Generator) -> None:
        """Know the values that images have, and no textures yet."""
        self.texture.start()
        self.place.weight.normal_(std=0.01, generator=stream)
        byte_B = torch.arange(256)
        levels = torch.tensor(self.codec.levels) if self.codec.levels else byte_B
        middle = (levels[1:] + levels[:-1]) / 2
        end = torch.tensor([FAR * 255])
        nearest_B = (byte_B[:, None] - levels).abs().argmin(1)
        self.lower_B.copy_(torch.cat([-end, middle])[nearest_B] / 127.5 - 1)
        self.upper_B.copy_(torch.cat([middle, end])[nearest_B] / 127.5 - 1)
        self.nearest_B.copy_(levels[nearest_B] / 127.5 - 1)

    @torch.no_grad()
    def fit(self, images_RCHW: Tensor, stream: torch.Generator) -> None:
        """Learn components, textures and the linear predictions of all lattices."""
        self.shapes.fit_components(images_RCHW)
        shapes_RCHW = self.shapes.decode(self.shapes.encode(images_RCHW))
        self.texture.measure(images_RCHW, shapes_RCHW)
        each = math.ceil(FITTED_PIXELS / len(images_RCHW))
        looked = self._look(shapes_RCHW.flatten(2), images_RCHW, each, stream)
        for lattice in range(len(self.lattices)):
            self.networks.fit_linear(
                lattice, looked.window_LSV[lattice], looked.values_LSC[lattice]
            )


def code_count(codec: ImageCodec, rows: int) -> int:
    """Return how many components stand for an image's shapes."""
    values = codec.channels * codec.height * codec.width
    wanted = min(max(values // VALUES_PER_CODE, FEWEST_CODES), MOST_CODES)
    return max(min(wanted, rows // ROWS_PER_CODE), 1)


def _with_edge(flat_NCP: Tensor) -> Tensor:
    """Return pixels with one more, black, that stands for those that are not there."""
    return torch.cat([flat_NCP, torch.full_like(flat_NCP[:, :, :1], BLACK)], dim=2)


def _bytes(values: Tensor) -> Tensor:
    """Return values in [-1, 1] as bytes, the nearest ones."""
    return values.add(1).mul(127.5).round().clamp(0, 255).long()
