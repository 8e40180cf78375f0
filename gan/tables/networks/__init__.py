"""Networks for tables: kind → what builds them."""

from collections.abc import Callable

import torch

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Networks
from gan.tables.codec import TableCodec
from gan.tables.networks.adversarial import build_oneshot
from gan.tables.networks.ctgan import build_ctgan
from gan.tables.networks.masked import build as build_masked
from gan.tables.networks.mirror import build_mirror
from gan.tables.networks.private import build as build_private

Build = Callable[[ResolvedConfig, TableCodec, torch.Generator], Networks]

BUILDERS: dict[str, Build] = {
    "autoregressive": lambda *args: Networks(build_masked(*args), None),
    "ctgan": build_ctgan,
    "mirror": build_mirror,
    "oneshot": build_oneshot,
    "private-autoregressive": lambda *args: Networks(build_private(*args), None),
}
"""`network["kind"]` → both networks, or the generator alone."""


def build(config: ResolvedConfig, codec: TableCodec, stream: torch.Generator) -> Networks:
    """Return the networks on the processor, initialised from the stream alone.

    Raises:
        ConfigError: there is no such kind of network.
    """
    kind = str(config.network.get("kind"))
    if kind not in BUILDERS:
        msg = f"unknown network {kind!r}: choose one of {', '.join(sorted(BUILDERS))}"
        raise ConfigError(msg)
    return BUILDERS[kind](config, codec, stream)
