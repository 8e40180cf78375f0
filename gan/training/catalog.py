"""Every part of an adversarial training that a recipe may name, as data."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from gan.training.augment import AUGMENTATIONS
from gan.training.losses import ADVERSARIAL
from gan.training.optimizers import OPTIMIZERS, RMSPROP_SMOOTHING, SGD_MOMENTUM
from gan.training.parts import GAMMAS
from gan.training.regularizers import CLIP, PENALTIES
from gan.training.rules import AUGMENT_MOST, AUGMENT_STEP, FITTING, OVERFIT
from gan.training.techniques import TECHNIQUES


class _Described(Protocol):
    @property
    def summary(self) -> str: ...

    @property
    def source(self) -> str: ...


class CatalogEntry(NamedTuple):
    """One name that a recipe may choose."""

    part: str
    """Field of the recipe's `generator`; `always` is no field: it is done in every training."""
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
        "augment": AUGMENTATIONS,
    }
    named = (
        CatalogEntry(part, name, each.summary, each.source, _defaults(part, name))
        for part, table in tables.items()
        for name, each in table.items()
    )
    return (*named, *UNNAMED)


UNNAMED = (
    CatalogEntry(
        "always",
        "adaptive augmentation",
        "The share that augmentations change follows the gap of training and validation.",
        "Karras et al., StyleGAN2-ADA (2020), eq. 1 and section 3",
        {"overfitting": OVERFIT, "fitting": FITTING, "step": AUGMENT_STEP, "most": AUGMENT_MOST},
    ),
    CatalogEntry(
        "discriminator_steps",
        "several steps",
        "Steps of the discriminator, each on its own batch, for one of the generator.",
        "Goodfellow et al. (2014), algorithm 1",
        {"discriminator_steps": 1},
    ),
    CatalogEntry(
        "discriminator_rate",
        "two time scales",
        "The discriminator's learning rate, in those of the generator.",
        "Heusel et al., TTUR (2017), section 2",
        {"discriminator_rate": 1.0},
    ),
    CatalogEntry(
        "always",
        "running average",
        "Samples are drawn from the running average of the generator's weights.",
        "Karras et al., Progressive growing of GANs (2018), appendix A.1",
        {},
    ),
)
"""Techniques that are numbers, or are in every training."""


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
    if part == "terms":
        return {"strength": TECHNIQUES[name].usual}
    if part == "optimizer" and OPTIMIZERS[name].decay:
        return {"weight_decay": OPTIMIZERS[name].decay}
    return _NUMBERS.get((part, name), {})
