"""A setting of the recipe that a source needs: what a refusal or a survey proposes, as data."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One setting, and why this source needs it."""

    setting: str
    """Its path in the recipe, such as `source.resize`."""
    value: Any
    """As YAML holds it. Of a list whose entries have names, such as `source.columns`: one entry,
    which is merged with the entry of the same name."""
    why: str
    """A short phrase, for the comment beside the setting."""


def left_out(name: str, why: str) -> Proposal:
    """Return the proposal to leave a column of a table out."""
    value = {"name": name, "kind": "text", "text": "drop"}
    return Proposal(setting="source.columns", value=value, why=f"left out: {why}")
