"""How rules between columns are stated, and how they are switched off."""

import json
from typing import Final

from storage.sources.tables.structure.find import Structure
from storage.sources.tables.structure.rule import FoundRule

_MOST_SHOWN: Final = 12
"""Of the rules that are not kept."""

SWITCH: Final = (
    "`source.structure: named` states what holds between columns without keeping it, `off` does "
    "not look for it."
)


def structure_notes(structure: Structure, *, kept: bool) -> tuple[str, ...]:
    """Return a sentence on each rule, and one on how to switch them off.

    Args:
        structure: what was found.
        kept: whether synthetic rows keep it; else a sentence says how they would.
    """
    rules = [_kept(rule) if kept else _named(rule) for rule in structure.kept]
    others = [
        f"{rule.why}; it is not kept: {rule.left_out}." for rule in structure.named[:_MOST_SHOWN]
    ]
    more = len(structure.named) - len(others)
    return (
        *rules,
        *([SWITCH] if rules and kept else []),
        *others,
        *([f"{more} more rules hold and are not kept."] if more else []),
        *(f"{sentence}." for sentence in structure.unsearched),
    )


def _kept(rule: FoundRule) -> str:
    return f"{rule.why} ({rule.support:,} rows tell): it is kept in every synthetic row."


def _named(rule: FoundRule) -> str:
    entry = rule.constraint.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(entry, ensure_ascii=False)
    return (
        f"{rule.why} ({rule.support:,} rows tell); to keep it, add to source.constraints: - {text}"
    )
