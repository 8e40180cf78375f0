"""The images modality: what `gan.protocols.Modality` lists."""

from gan.images.codec import ImageCodec
from gan.images.networks import build
from gan.images.presets import PRESETS, resolve
from gan.images.preview import preview

CODEC = ImageCodec

__all__ = ["CODEC", "PRESETS", "build", "preview", "resolve"]
