"""Checks that all kinds of sources share: enough records, enough of every class."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from storage.errors import SourceError
from storage.records.modalities import MODALITIES
from storage.records.proposal import Proposal
from storage.records.schema import ClassCounts
from storage.sources.config import SourceConfig
from storage.sources.split import TRAIN
from storage.sources.split_classes import ClassNeeds

MIN_RECORDS: Final = 100
MIN_CLASS_RECORDS: Final = 10
MAX_SKIPPED_FRACTION: Final = 0.01


def check_amount(config: SourceConfig, rows: int, modality: str) -> None:
    """Check that there are enough records to train and to judge.

    Raises:
        SourceError: there are fewer than `MIN_RECORDS`.
    """
    if rows < MIN_RECORDS:
        word = MODALITIES[modality].words.records
        msg = (
            f"The source {config.uri!r} holds {rows} {word}, and at least {MIN_RECORDS} are "
            f"needed to train and to judge; add {word}."
        )
        raise SourceError(msg)


def check_classes(
    config: SourceConfig, class_counts: Mapping[str, ClassCounts], min_group: int, modality: str
) -> None:
    """Check that every class is large enough, and that none is missing from train.

    Args:
        config: names the label.
        class_counts: by split, or of all records under another name than those of the splits.
        min_group: the smallest class that may be published.
        modality: for the words.

    Raises:
        SourceError: a class is too small, or is never trained on.
    """
    word = MODALITIES[modality].words
    least = max(MIN_CLASS_RECORDS, min_group)
    totals: dict[Any, int] = {}
    for counts in class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + count
    _check_sizes(config, tuple(totals.items()), least, word.records)
    if TRAIN in class_counts:
        trained = dict(class_counts[TRAIN])
        absent = [label for label in totals if label not in trained]
        if absent:
            msg = (
                f"The classes {absent[:3]} of {config.label!r} have no {word.record} in "
                "train; divide them among the splits or exclude them."
            )
            raise SourceError(msg)


def class_needs(modality: str, *, train: int = 1) -> ClassNeeds:
    """Return how many records of a class each split should hold, as the judge counts them."""
    judged = MODALITIES[modality].judged_class
    return ClassNeeds(
        train=train,
        validation=judged.validation,
        holdout=judged.holdout,
        in_proportion=not judged.alone,
    )


def check_trained_classes(
    config: SourceConfig, train: ClassCounts, min_group: int, modality: str
) -> None:
    """Check that every class is held by as many records of train as may be shown.

    Raises:
        SourceError: one is not, so that the codec would have to hide it.
    """
    word = MODALITIES[modality].words.records
    _check_sizes(config, train, min_group, f"{word} of train")


def check_kept_classes(
    config: SourceConfig, seen: ClassCounts, kept: ClassCounts, min_group: int, modality: str
) -> None:
    """Check that no class is too small, and that a sample holds enough of every one.

    Args:
        config: names the label.
        seen: all records of each class.
        kept: those of the sample.
        min_group: the smallest class that may be published.
        modality: for the words.

    Raises:
        SourceError: a class is too small, or nearly absent from the sample.
    """
    check_classes(config, {"all": seen}, min_group, modality)
    least, found = max(MIN_CLASS_RECORDS, min_group), dict(kept)
    lacking = [(label, count) for label, count in seen if found.get(label, 0) < least]
    if lacking:
        word = MODALITIES[modality].words.records
        shown = [f"{label!r} ({found.get(label, 0)} of {count:,})" for label, count in lacking]
        msg = (
            f"Each class needs at least {least} {word} in the sample that source.max_rows keeps, "
            f"but {config.label!r} has {first_few(shown)}; raise source.max_rows, merge or exclude "
            "these classes, or set source.label to null."
        )
        raise SourceError(msg)


def _check_sizes(config: SourceConfig, counts: ClassCounts, least: int, word: str) -> None:
    small = sorted((label, count) for label, count in counts if count < least)
    if small:
        shown = first_few([f"{label!r} ({count})" for label, count in small])
        msg = (
            f"Each class needs at least {least} {word}, but {config.label!r} has {shown}; "
            f"add {word.split()[0]}, merge or exclude these classes, or set source.label to null."
        )
        raise SourceError(msg)


def listed(names: Sequence[object]) -> str:
    """Return for a message the first three names, quoted, and how many more there are."""
    return first_few([repr(name) for name in names])


def first_few(texts: Sequence[str], between: str = ", ") -> str:
    """Return for a message the first three texts, and how many more there are."""
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return between.join(texts[:3]) + more


def advice(proposal: Proposal) -> str:
    """Return a sentence on a setting that the recipe could make use of."""
    value = json.dumps(proposal.value, ensure_ascii=False)
    return f"Consider {proposal.setting}: {value}, as {proposal.why}."


def missing_column(
    uri: str, name: str, known: Sequence[str], *, place: str = "source.label"
) -> SourceError:
    """Make the error for a column that does not exist, with the nearest one that does.

    Args:
        uri: of the source.
        name: what the recipe says.
        known: the columns that exist.
        place: where the recipe says it.
    """
    columns = ", ".join(repr(column) for column in known) or "none"
    near = get_close_matches(name, known, 1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    remedy = ", or set it to null for unconditional generation" if place == "source.label" else ""
    return SourceError(
        f"The source {uri!r} has no column {name!r}{guess}; its columns are {columns}: name one of "
        f"them in {place}{remedy}."
    )
