"""Networks for series: kind → what builds them."""

from collections.abc import Callable

import torch

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Networks
from gan.series.codec import SeriesCodec
from gan.series.networks.adversarial import build as build_adversarial
from gan.series.networks.autoregressive import build as build_autoregressive

Build = Callable[[ResolvedConfig, SeriesCodec, torch.Generator], Networks]

BUILDERS: dict[str, Build] = {
    "autoregressive": lambda *args: Networks(build_autoregressive(*args), None),
    "oneshot": build_adversarial,
}
"""`network["kind"]` → both networks, or the generator alone."""


def build(config: ResolvedConfig, codec: SeriesCodec, stream: torch.Generator) -> Networks:
    """Return the networks on the processor, initialised from the stream alone.

    Raises:
        ConfigError: there is no such kind of network.
    """
    kind = str(config.network.get("kind"))
    if kind not in BUILDERS:
        msg = f"unknown network {kind!r}: choose one of {', '.join(sorted(BUILDERS))}"
        raise ConfigError(msg)
    return BUILDERS[kind](config, codec, stream)
