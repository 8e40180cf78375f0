"""What all networks of series share: rows taken apart, and the network of the whole entity.

Shapes: N entities, L steps, D variables, E columns of the whole entity.
"""

from typing import Final, NamedTuple

import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.series.codec import SeriesCodec
from gan.series.columns.whole import SPAN
from gan.tables.networks.masked import MaskedAutoregressive

LARGEST_SEED: Final = 2**53
"""Seeds below are exact as float64."""


class SeriesBatch(NamedTuple):
    """A batch of rows, taken apart."""

    lengths_N: Tensor
    start_N: Tensor
    codes_NE: Tensor
    units_NLD: Tensor

    @property
    def within_NL(self) -> Tensor:  # noqa: N802 - a tensor is named by its shape
        """Which steps there are."""
        places = torch.arange(self.units_NLD.shape[1], device=self.units_NLD.device)
        return places < self.lengths_N[:, None]


def take_apart(samples: Tensor, codec: SeriesCodec) -> SeriesBatch:
    """Return what rows hold: samples as `SeriesCodec.to_samples` returns them."""
    cells = codec.cells
    units = samples[:, cells.stop :].reshape(len(samples), codec.width, len(codec.variables))
    span = samples[:, :SPAN].long()
    return SeriesBatch(span[:, 0], span[:, 1], samples[:, cells].floor().long(), units)


def build_whole(config: ResolvedConfig, codec: SeriesCodec) -> MaskedAutoregressive:
    """Return the network of the columns of the whole entity, its weights not yet drawn."""
    dropout = float(config.network["whole_dropout"])
    network = {
        "width": int(config.network["whole_width"]),
        "trunk": 32,
        "label_width": 0,
        "depth": 2,
        "dropout": dropout,
        "label_dropout": dropout,
    }
    return MaskedAutoregressive(config.model_copy(update={"network": network}), codec.whole)
