"""Whether a source has enough records, and enough of every class."""

from collections.abc import Mapping
from typing import Any, Final

from storage.classes import ClassCounts
from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.split import TRAIN

MIN_RECORDS: Final = 100
MIN_CLASS_RECORDS: Final = 10
MAX_SKIPPED_FRACTION: Final = 0.01

RECORDS: Final[Mapping[str, str]] = {"images": "images", "tables": "rows"}
"""What the records of a modality are called."""

_SHOWN = 3


def check_amount(config: SourceConfig, rows: int, modality: str) -> None:
    """Check that there are enough records to train and to judge.

    Raises:
        SourceError: there are fewer than `MIN_RECORDS`.
    """
    if rows < MIN_RECORDS:
        word = RECORDS[modality]
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
    word = RECORDS[modality]
    least = max(MIN_CLASS_RECORDS, min_group)
    totals: dict[Any, int] = {}
    for counts in class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + count
    _check_sizes(config, tuple(totals.items()), least, word)
    if TRAIN in class_counts:
        trained = dict(class_counts[TRAIN])
        absent = [label for label in totals if label not in trained]
        if absent:
            msg = (
                f"The classes {absent[:_SHOWN]} of {config.label!r} have no {word[:-1]} in train; "
                "divide them among the splits or exclude them."
            )
            raise SourceError(msg)


def check_trained_classes(config: SourceConfig, train: ClassCounts, min_group: int) -> None:
    """Check that every class is held by as many rows of train as may be shown.

    Raises:
        SourceError: one is not, so that the codec of a table would have to hide it.
    """
    _check_sizes(config, train, min_group, "rows of train")


def _check_sizes(config: SourceConfig, counts: ClassCounts, least: int, word: str) -> None:
    small = sorted((label, count) for label, count in counts if count < least)
    if small:
        shown = ", ".join(f"{label!r} ({count})" for label, count in small[:_SHOWN])
        more = f" and {len(small) - _SHOWN} more" if len(small) > _SHOWN else ""
        msg = (
            f"Each class needs at least {least} {word}, but {config.label!r} has {shown}{more}; "
            f"add {word.split()[0]}, merge or exclude these classes, or set source.label to null."
        )
        raise SourceError(msg)
