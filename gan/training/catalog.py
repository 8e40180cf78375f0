"""Every part of an adversarial training that a recipe may name, as data."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from gan.training.losses import ADVERSARIAL
from gan.training.optimizers import OPTIMIZERS, RMSPROP_SMOOTHING, SGD_MOMENTUM
from gan.training.parts import GAMMAS
from gan.training.regularizers import CLIP, PENALTIES
from gan.training.techniques import TECHNIQUES


class _Described(Protocol):
    @property
    def summary(self) -> str: ...

    @property
    def source(self) -> str: ...


class CatalogEntry(NamedTuple):
    """One name that a recipe may choose."""

    part: str
    """Field of the recipe's `generator`."""
    name: str
    summary: str
    source: str
    """Paper and equation."""
    defaults: Mapping[str, object]


def catalog() -> tuple[CatalogEntry, ...]:
    """Return losses, penalties, techniques and optimisers."""
    tables: dict[str, Mapping[str, _Described]] = {
        "loss": ADVERSARIAL,
        "penalty": PENALTIES,
        "terms": TECHNIQUES,
        "optimizer": OPTIMIZERS,
    }
    return tuple(
        CatalogEntry(part, name, each.summary, each.source, _defaults(part, name))
        for part, table in tables.items()
        for name, each in table.items()
    )


_NUMBERS: Mapping[tuple[str, str], Mapping[str, object]] = {
    ("penalty", "weight-clipping"): {"clip": CLIP},
    ("optimizer", "rmsprop"): {"smoothing": RMSPROP_SMOOTHING},
    ("optimizer", "sgd"): {"momentum": SGD_MOMENTUM},
}
"""Numbers that no recipe changes."""


def _defaults(part: str, name: str) -> Mapping[str, object]:
    """Return the numbers of a part that are not the preset's."""
    if part == "penalty" and name in GAMMAS:
        return {"gamma": GAMMAS[name]}
    if part == "optimizer" and OPTIMIZERS[name].decay:
        return {"weight_decay": OPTIMIZERS[name].decay}
    return _NUMBERS.get((part, name), {})
