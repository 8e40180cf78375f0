"""From the recipe's split and the content of the records to the split of every record. Pure.

Shape legend: N records.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.split import (
    HOLDOUT,
    SPLIT_VALUES,
    SPLITS,
    TRAIN,
    VALIDATION,
    SplitConfig,
    assign,
    copies_of,
    distinct_rows,
    leaks,
    repeated,
    split_rule,
    value_digests,
    with_occurrence,
)

LEFT_OUT: Final = 255
"""The number of a record that is in no split."""

_TRAIN, _VALIDATION, _HOLDOUT = (SPLITS.index(name) for name in (TRAIN, VALIDATION, HOLDOUT))
_SHOWN_VALUES = 5
_LEAK_SHARE = 0.01
_LEAK_RATIO = 2


@dataclass(frozen=True, kw_only=True)
class SplitInputs:
    """What decides the split of N records."""

    digests: NDArray[np.uint8]
    """(N, 16), of the content as stored."""
    final_digests: NDArray[np.uint8]
    """(N, 16), of the content as delivered."""
    deciding: pa.Array | None
    """The column of `split.column` or `split.group_by`, for the records that are not held out."""
    held_out: NDArray[np.bool_]
    """(N,), whether the record came from `split.holdout_uri`."""


@dataclass(frozen=True, kw_only=True)
class SplitAssignment:
    """The split of every record."""

    splits_N: NDArray[np.uint8]
    """0 train, 1 validation, 2 holdout, or LEFT_OUT."""
    rule: dict[str, Any]
    """The rule to store."""
    notes: tuple[str, ...]
    """What was decided on the user's behalf."""


def assign_splits(
    config: SplitConfig, inputs: SplitInputs, *, refuse_leaks: bool = False
) -> SplitAssignment:
    """Return the split of every record.

    With `refuse_leaks` a user's own split is refused when its holdout was copied from the other
    records, instead of leaving their copies out.

    Raises:
        SourceError: a split is empty, the deciding column has empty or unknown values, or the
            user's own split leaks.
    """
    notes: list[str] = []
    distinct = distinct_rows(inputs.digests)
    mostly_copies = 2 * distinct < len(inputs.digests)
    by_occurrence = mostly_copies and config.column is None and config.group_by is None
    if by_occurrence:
        notes.append(
            f"Only {distinct} of {len(inputs.digests)} records are distinct, so the split is by "
            "occurrence and equal records are in several splits."
        )
    splits_N = _split_numbers(config, inputs, by_occurrence=by_occurrence, notes=notes)
    if refuse_leaks and (config.column is not None or config.holdout_uri is not None):
        _check_leaks(config, inputs.final_digests, splits_N)
    marked = leaks(inputs.final_digests, splits_N)
    if marked.any() and not by_occurrence:
        notes.append(_leak_note(int(marked.sum()), kept=mostly_copies))
        if not mostly_copies:
            splits_N[marked] = LEFT_OUT
    _check_filled(config, splits_N)
    rule = split_rule(config, by_occurrence=by_occurrence)
    if config.column is not None and not _says_holdout(config.column, inputs):
        rule["holdout"] = config.holdout
    return SplitAssignment(splits_N=splits_N, rule=rule, notes=tuple(notes))


def _split_numbers(
    config: SplitConfig, inputs: SplitInputs, *, by_occurrence: bool, notes: list[str]
) -> NDArray[np.uint8]:
    keys = with_occurrence(inputs.digests) if by_occurrence else inputs.digests
    if config.column is not None:
        return _from_column(config, inputs, keys, notes)
    separate = config.holdout_uri is not None
    own = ~inputs.held_out
    if config.group_by is None:
        keys = keys[own]
    else:
        values, codes = _values(config.group_by, inputs)
        keys = value_digests(values)[codes]
    splits_N = np.full(len(own), _HOLDOUT, np.uint8)
    splits_N[own] = assign(
        keys, validation=config.validation, holdout=0.0 if separate else config.holdout
    )
    return splits_N


def _from_column(
    config: SplitConfig, inputs: SplitInputs, keys: NDArray[np.uint8], notes: list[str]
) -> NDArray[np.uint8]:
    name = config.column or ""
    values, codes = _values(name, inputs)
    unknown = [value for value in values if value.strip().lower() not in SPLIT_VALUES]
    if unknown:
        shown = ", ".join(repr(value) for value in unknown[:_SHOWN_VALUES])
        msg = (
            f"The split column {name!r} says {shown}, which names no split; "
            "its values may be train, validation and holdout (or val, dev, test)."
        )
        raise SourceError(msg)
    by_code = np.array([SPLIT_VALUES[value.strip().lower()] for value in values], np.uint8)
    splits_N = by_code[codes]
    lacking = [one for one in (VALIDATION, HOLDOUT) if SPLITS.index(one) not in splits_N]
    if len(lacking) == 1:
        fractions = {VALIDATION: 0.0, HOLDOUT: 0.0, lacking[0]: getattr(config, lacking[0])}
        train = np.flatnonzero(splits_N == _TRAIN)
        splits_N[train] = assign(keys[train], **fractions)
        notes.append(
            f"The split column {name!r} never says {lacking[0]}, so {fractions[lacking[0]]:.0%} of "
            "its training records are taken for it by their hash."
        )
    return splits_N


def _says_holdout(name: str, inputs: SplitInputs) -> bool:
    values, _ = _values(name, inputs)
    return any(SPLITS[SPLIT_VALUES[value.strip().lower()]] == HOLDOUT for value in values)


def _values(name: str, inputs: SplitInputs) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct values as text and the index of each record's value."""
    column = inputs.deciding
    if column is None or column.null_count:
        missing = 0 if column is None else column.null_count
        msg = f"The column {name!r} decides the split but is empty in {missing} records; fill it."
        raise SourceError(msg)
    encoded = pc.dictionary_encode(column)
    values = [str(value) for value in encoded.dictionary.to_pylist()]
    return values, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _check_leaks(
    config: SplitConfig, digests: NDArray[np.uint8], splits_N: NDArray[np.uint8]
) -> None:
    """Refuse a holdout that was copied from what is trained on.

    Some tables hold equal rows by nature. A holdout leaks when more than 1 % of it is found among
    the other rows, and more than twice the share of those that have an equal among themselves.
    """
    held = splits_N == _HOLDOUT
    found = copies_of(digests[held], digests[~held])
    among = repeated(digests[~held])
    share, natural = found.mean(), among.mean()
    if not held.any() or share <= _LEAK_SHARE or share <= _LEAK_RATIO * natural:
        return
    place = f"the column {config.column!r}" if config.column else "split.holdout_uri"
    remedy = "split.column" if config.column else "split.holdout_uri"
    msg = (
        f"The split leaks: of the {int(held.sum())} holdout rows that {place} names, "
        f"{int(found.sum())} ({share:.1%}) are also among the other rows, label aside, where "
        f"{natural:.1%} have an equal among themselves; remove these rows from the holdout, or "
        f"leave out {remedy} to divide by content."
    )
    raise SourceError(msg)


def _leak_note(count: int, *, kept: bool) -> str:
    if kept:
        return (
            f"Equal to a record of a later split: {count} records; they stay, since most records "
            "of this source are copies, so the splits overlap."
        )
    return (
        f"Left out, as equal to a record of a later split: {count} records, so that train, "
        "validation and holdout share nothing."
    )


def _check_filled(config: SplitConfig, splits_N: NDArray[np.uint8]) -> None:
    counts = {name: int((splits_N == number).sum()) for number, name in enumerate(SPLITS)}
    for name, count in counts.items():
        if count == 0:
            remedy = f"raise split.{name}"
            if name == TRAIN:
                remedy = "lower split.validation and split.holdout"
            if config.column is not None:
                remedy = f"mark records as {name} in the column {config.column!r}"
            elif config.group_by is not None:
                remedy += f", or group by a column with more values than {config.group_by!r}"
            elif config.holdout_uri is not None and name == HOLDOUT:
                remedy = "check split.holdout_uri"
            msg = f"The {name} split is empty (of {len(splits_N)} records {counts}); {remedy}."
            raise SourceError(msg)
