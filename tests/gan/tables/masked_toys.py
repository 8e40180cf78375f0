"""Networks on codes without a codec, with weights that say something."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch

from gan.tables.columns.values import CodePlaces
from gan.tables.networks.masked import build


@dataclass
class ToyColumn:
    """A column of so many codes, each of so many cells."""

    codes: int
    kind: str = "category"
    cells: int = 1

    @property
    def is_smooth(self):
        return self.kind == "numeric"

    @property
    def places(self):
        return CodePlaces(tuple(range(self.codes)), (-1,) * self.codes)

    @property
    def first_cells(self):
        return np.arange(self.codes + 1) * self.cells


@dataclass
class ToyCodec:
    """What the network asks of a codec."""

    columns: tuple[ToyColumn, ...]
    label_column: int | None = None
    closest: tuple[tuple[int, ...], ...] = ()
    code_counts: tuple[int, ...] = field(init=False)

    def __post_init__(self):
        self.code_counts = tuple(column.codes for column in self.columns)


MIXED = ToyCodec(
    (
        ToyColumn(2),
        ToyColumn(30, "numeric", 8),
        ToyColumn(5),
        ToyColumn(7, "numeric"),
        ToyColumn(3),
    ),
    label_column=2,
    closest=((3, 4), (3, 0), (1,), (0, 4), (2,)),
)


def make(codec, *, seed=0, width=64, label_width=24, depth=2, dropout=0.0, vivid=True):
    """Return a network; a vivid one has outputs that differ from row to row."""
    network = {
        "width": width,
        "trunk": 16,
        "label_width": label_width,
        "depth": depth,
        "dropout": dropout,
        "label_dropout": dropout,
    }
    made = build(SimpleNamespace(network=network), codec, torch.Generator().manual_seed(seed))
    if vivid:
        numbers = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            made.outputs_BH.normal_(std=0.3, generator=numbers)
            made.bias_K.normal_(std=0.1, generator=numbers)
            made.pair_outputs_BR.normal_(std=0.3, generator=numbers)
    return made


def random_codes(codec, rows, seed=0):
    """Return codes in the codec's order."""
    numbers = torch.Generator().manual_seed(seed)
    columns = [torch.randint(0, count, (rows,), generator=numbers) for count in codec.code_counts]
    return torch.stack(columns, dim=1)


def first_codes(codec):
    """Return where each column's codes start among all, in the codec's order."""
    return np.concatenate([[0], np.cumsum(codec.code_counts)])
