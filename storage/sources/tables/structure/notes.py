"""How rules between columns are stated, and how they are switched off."""

import json
from collections.abc import Sequence
from typing import Final

from storage.sources.tables.structure.find import Structure
from storage.sources.tables.structure.rule import (
    FoundRule,
    condition_sentence,
    lookup_sentence,
)

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
    rules = _kept(structure.kept) if kept else [_named(rule) for rule in structure.kept]
    shown = structure.named[:_MOST_SHOWN]
    more = len(structure.named) - len(shown)
    return (
        *rules,
        *([SWITCH] if rules and kept else []),
        *(f"{rule.why}; it is not kept: {rule.left_out}." for rule in shown),
        *([f"{more} more rules hold and are not kept."] if more else []),
        *(f"{sentence}." for sentence in structure.unsearched),
    )


def _kept(rules: Sequence[FoundRule]) -> list[str]:
    """Return one sentence for the rules that say the same of several columns."""
    together: dict[str, list[FoundRule]] = {}
    for rule in rules:
        rest = rule.constraint.to_json() | {"columns": rule.constraint.columns[1:]}
        alike = rule.constraint.kind in ("conditional", "lookup")
        together.setdefault(json.dumps(rest) if alike else rule.why, []).append(rule)
    return [f"kept in every synthetic row: {_together(alike)}." for alike in together.values()]


def _together(rules: Sequence[FoundRule]) -> str:
    constraint = rules[0].constraint
    names = [rule.constraint.columns[0] for rule in rules]
    said = rules[0].why
    if constraint.kind == "lookup":
        said = lookup_sentence(names, constraint.columns[1:])
    if constraint.kind == "conditional":
        said = condition_sentence(names, constraint)
    return f"{said} ({min(rule.support for rule in rules):,} rows tell)"


def _named(rule: FoundRule) -> str:
    entry = rule.constraint.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(entry, ensure_ascii=False)
    return (
        f"{rule.why} ({rule.support:,} rows tell); to keep it, add to source.constraints: - {text}"
    )
