"""Presets for images. Signature first."""

from collections.abc import Mapping

from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.images.codec import ImageCodec

PRESETS: Mapping[str, str] = {"mlp": "", "resnet": ""}


def resolve(
    generator: GeneratorConfig,
    training: TrainingConfig,
    codec: ImageCodec,
    *,
    train_rows: int,
    seed: int,
) -> ResolvedConfig:
    """Return a complete configuration; its notes say what `auto` picked and why."""
    raise NotImplementedError
