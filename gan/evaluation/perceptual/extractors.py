"""Feature nets, whatever the modality: what a modality's `features` module brings."""

import importlib
from typing import Any, Protocol, cast

import numpy as np

from gan.errors import ConfigError
from gan.modalities import MODALITIES

Array = np.ndarray[Any, Any]


class FeatureNet(Protocol):
    """Samples as stored (`gan.protocols.Encoded.values`) in, standardised features out."""

    @property
    def name(self) -> str:
        """Scope of its metrics."""

    def __call__(self, values: Array) -> Array:
        """Return `features_NF` in float64; independent of batch and order."""

    def predict(self, values: Array) -> Array | None:
        """Return class indexes, or None where the net knows no classes."""


class FeatureModule(Protocol):
    """The module `features` of a modality."""

    def fit_extractors(
        self, values: Array, classes_N: Array | None, seed: int
    ) -> tuple[FeatureNet, ...]:
        """Return the feature nets, trained on training samples only."""


def fit_extractors(
    modality: str, values: Array, classes_N: Array | None, seed: int
) -> tuple[FeatureNet, ...]:
    """Train the feature nets of a modality.

    Raises:
        ConfigError: there is no such modality.
        DataError: all samples give the same features.
    """
    if modality not in MODALITIES:
        msg = f"unknown modality {modality!r}: choose one of {', '.join(sorted(MODALITIES))}"
        raise ConfigError(msg)
    module = cast("FeatureModule", importlib.import_module(f"{MODALITIES[modality]}.features"))
    return module.fit_extractors(values, classes_N, seed)
