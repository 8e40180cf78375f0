"""The classes of images: names that mean the same, and classes that are too small."""

import unicodedata
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.records.proposal import Proposal
from storage.records.schema import Label
from storage.sources.checks import listed
from storage.sources.config import SourceConfig
from storage.sources.images.folder import HOLDING_FOLDER
from storage.sources.paths import path_selector

GLOB_MARKS: Final = frozenset("*?[]")
"""What cannot stand for itself in a glob."""


def merged(labels: pa.Array) -> tuple[pa.Array, list[str]]:
    """Make one class of names that differ in Unicode's normal form or in blanks around them.

    Returns:
        The labels, and sentences on what was merged and on names that differ in case alone.
    """
    if not (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        return labels, []
    names: list[str] = pc.unique(labels).to_pylist()
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(unicodedata.normalize("NFC", name).strip(), []).append(name)
    notes = []
    twice = {name: group for name, group in groups.items() if len(group) > 1}
    if twice:
        notes.append(
            f"The classes {listed(sorted(twice))} are written in more than one way (Unicode normal "
            "form, blanks at an end); each was made one."
        )
        changed = {name: one for one, group in twice.items() for name in group}
        dictionary = pc.dictionary_encode(labels)
        values = [changed.get(name, name) for name in dictionary.dictionary.to_pylist()]
        labels = pa.array(values, labels.type).take(dictionary.indices)
    folded: dict[str, list[str]] = {}
    for name in groups:
        folded.setdefault(name.casefold(), []).append(name)
    alike = [name for group in folded.values() if len(group) > 1 for name in sorted(group)]
    if alike:
        notes.append(
            f"The classes {listed(alike)} differ in capital letters alone and stay apart; "
            "if they are one, rename them."
        )
    return labels, notes


def remedies_for_small(
    config: SourceConfig, totals: Mapping[Label, int], least: int
) -> tuple[Proposal, ...]:
    """Return settings for classes that are too small: left out by their folders, or no label."""
    small = sorted(str(label) for label, count in totals.items() if count < least)
    left = len(totals) - len(small)
    globs = [_glob_of(config, name) for name in small]
    counts = ", ".join(f"{label} ({totals[label]})" for label in totals if str(label) in small)
    if small and left >= 2 and config.labels is None and all(globs):
        why = f"fewer than {least} images: {counts}; label: null keeps them"
        value = [*config.exclude, *(glob for glob in globs if glob)]
        return (Proposal(setting="source.exclude", value=value, why=why),)
    if not small and config.split.column is not None:
        why = "it leaves a class without images to train on"
        return (Proposal(setting="source.split.column", value=None, why=why),)
    why = f"classes are too small to learn ({counts})" if small else "a class is never trained on"
    return (Proposal(setting="source.label", value=None, why=why),)


def _glob_of(config: SourceConfig, name: str) -> str | None:
    """Return the glob of a class's folder; None where a folder alone does not make the class."""
    selector = path_selector(config.label_from or HOLDING_FOLDER)
    if GLOB_MARKS & {*name} or "=" in name:
        return None
    return {1: f"{name}/", -1: f"**/{name}/*"}.get(selector) if isinstance(selector, int) else None
