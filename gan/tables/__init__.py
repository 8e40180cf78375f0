"""The tables modality: what `gan.protocols.Modality` lists."""

from gan.tables.codec import TableCodec
from gan.tables.networks import build
from gan.tables.presets import PRESETS, resolve
from gan.tables.preview import preview

CODEC = TableCodec

__all__ = ["CODEC", "PRESETS", "build", "preview", "resolve"]
