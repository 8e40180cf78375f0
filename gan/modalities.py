"""The table of modalities: name → package, imported when it is asked for."""

import importlib
from typing import cast

from gan.errors import ConfigError
from gan.protocols import Modality

MODALITIES = {"images": "gan.images", "tables": "gan.tables"}
"""Each package offers what `gan.protocols.Modality` lists."""


def load_modality(name: str) -> Modality:
    """Return the package of a modality.

    Raises:
        ConfigError: there is no such modality.
    """
    if name not in MODALITIES:
        msg = f"unknown modality {name!r}: choose one of {', '.join(sorted(MODALITIES))}"
        raise ConfigError(msg)
    return cast("Modality", importlib.import_module(MODALITIES[name]))
