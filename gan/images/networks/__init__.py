"""Networks for images, by kind: each file one family, each family one entry of `NETWORKS`."""

from collections.abc import Callable

import torch

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.images.codec import ImageCodec
from gan.images.networks.autoregressive import autoregressive_networks
from gan.images.networks.blocks import block_networks
from gan.images.networks.convolutional import dcgan_networks, mirror_networks
from gan.images.networks.dense import dense_networks
from gan.images.networks.layers import initialise
from gan.images.networks.mixture import mixture_networks
from gan.images.networks.refined import mixture_gan_networks
from gan.images.networks.residual import residual_networks
from gan.protocols import Networks
from gan.training.regularizers import normalize_spectrum

Build = Callable[[ResolvedConfig, ImageCodec], Networks]

NETWORKS: dict[str, Build] = {
    "mlp": dense_networks,
    "resnet": residual_networks,
    "mirror": mirror_networks,
    "dcgan": dcgan_networks,
    "blocks": block_networks,
    "biggan": block_networks,
    "mixture": mixture_networks,
    "mixture-gan": mixture_gan_networks,
    "autoregressive": autoregressive_networks,
}
"""`network["kind"]` → both networks."""


def build(config: ResolvedConfig, codec: ImageCodec, stream: torch.Generator) -> Networks:
    """Return both networks on the processor, initialised from the stream alone.

    Raises:
        ConfigError: there is no such kind of network.
    """
    kind = str(config.network.get("kind"))
    if kind not in NETWORKS:
        msg = f"unknown network {kind!r}: choose one of {', '.join(sorted(NETWORKS))}"
        raise ConfigError(msg)
    with torch.device("meta"):
        networks = NETWORKS[kind](config, codec)
    for network in networks:
        if network is not None:
            network.to_empty(device="cpu")
            initialise(network, stream)
    if config.network.get("generator_norm") == "spectral":
        normalize_spectrum(networks.generator, stream)
    return networks
