"""Networks for images. Signature first."""

import torch

from gan.config import ResolvedConfig
from gan.images.codec import ImageCodec
from gan.protocols import Networks


def build(config: ResolvedConfig, codec: ImageCodec, stream: torch.Generator) -> Networks:
    """Return both networks on the processor, initialised from the stream."""
    raise NotImplementedError
