"""From the recipe's split and the content of the records to the split of every record. Pure.

Shape legend: N records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal
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
from storage.sources.split_classes import Classes, Fractions, own_fractions, spread

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
    classes: Classes | None = None
    """Of the N records; None where the label has no classes."""


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
        notes.append(copies_note(distinct, len(inputs.digests)))
    own = dict[int, Fractions]()
    splits_N = _split_numbers(config, inputs, by_occurrence=by_occurrence, notes=notes, own=own)
    if refuse_leaks and (config.column is not None or config.holdout_uri is not None):
        _check_leaks(config, inputs.final_digests, splits_N)
    marked = leaks(inputs.final_digests, splits_N)
    if marked.any() and not by_occurrence:
        notes.append(_leak_note(int(marked.sum()), kept=mostly_copies))
        if not mostly_copies:
            splits_N[marked] = LEFT_OUT
    check_filled(config, splits_N)
    rule = split_rule(config, by_occurrence=by_occurrence)
    if config.column is not None and not _says_holdout(config.column, inputs):
        rule["holdout"] = config.holdout
    if own and inputs.classes is not None:
        rule["classes"] = own_rule(inputs.classes.values, own)
    return SplitAssignment(splits_N=splits_N, rule=rule, notes=tuple(notes))


def _split_numbers(
    config: SplitConfig,
    inputs: SplitInputs,
    *,
    by_occurrence: bool,
    notes: list[str],
    own: dict[int, Fractions],
) -> NDArray[np.uint8]:
    """Return the split of every record; classes with fractions of their own go into `own`."""
    keys = with_occurrence(inputs.digests) if by_occurrence else inputs.digests
    if config.column is not None:
        return _from_column(config, inputs, keys, notes, own)
    separate, mine = config.holdout_uri is not None, ~inputs.held_out
    base = Fractions(config.validation, 0.0 if separate else config.holdout)
    splits_N = np.full(len(mine), _HOLDOUT, np.uint8)
    if config.group_by is None:
        classes = None if inputs.classes is None else inputs.classes.take(mine)
        splits_N[mine] = _by_hash(keys[mine], classes, base, notes, own)
    else:
        values, codes = _values(config.group_by, inputs)
        groups = value_digests(values)[codes]
        splits_N[mine] = assign(groups, validation=base.validation, holdout=base.holdout)
    return splits_N


def copies_note(distinct: int, rows: int) -> str:
    """Return what to say of a source in which most records are copies."""
    return (
        f"Only {distinct} of {rows} records are distinct, so the split is by "
        "occurrence and equal records are in several splits."
    )


def own_note(values: Sequence[Any], own: Mapping[int, Fractions], base: Fractions) -> str:
    """Return what to say of classes with fractions of their own."""
    named = (
        f"{values[code]!r} (validation {each.validation:g}, holdout {each.holdout:g})"
        for code, each in own.items()
    )
    return (
        f"By the fractions {base.validation:g} and {base.holdout:g} the hash would leave too few "
        "records of some classes in a split, so these are divided by fractions of their own: "
        f"{', '.join(named)}."
    )


def own_rule(values: Sequence[Any], own: Mapping[int, Fractions]) -> list[list[Any]]:
    """Return what the rule says of classes with fractions of their own."""
    return [[values[code], *fractions] for code, fractions in own.items()]


def _by_hash(
    keys: NDArray[np.uint8],
    classes: Classes | None,
    base: Fractions,
    notes: list[str],
    own: dict[int, Fractions],
) -> NDArray[np.uint8]:
    """Divide records by their hash; a class that it would starve has fractions of its own."""
    if classes is None:
        return assign(keys, validation=base.validation, holdout=base.holdout)
    own |= own_fractions(keys, classes, base)
    if not own:
        return assign(keys, validation=base.validation, holdout=base.holdout)
    notes.append(own_note(classes.values, own, base))
    each = spread(keys, classes, own, base)
    return assign(keys, validation=each.validation, holdout=each.holdout)


def _from_column(
    config: SplitConfig,
    inputs: SplitInputs,
    keys: NDArray[np.uint8],
    notes: list[str],
    own: dict[int, Fractions],
) -> NDArray[np.uint8]:
    name = config.column or ""
    values, codes = _values(name, inputs, _divided_by_hash(config, "it has gaps"))
    unknown = [value for value in values if value.strip().lower() not in SPLIT_VALUES]
    if unknown:
        shown = ", ".join(repr(value) for value in unknown[:_SHOWN_VALUES])
        msg = (
            f"The split column {name!r} says {shown}, which names no split; "
            "its values may be train, validation and holdout (or val, dev, test)."
        )
        raise SourceError(msg, proposals=_divided_by_hash(config, "it names no splits"))
    by_code = np.array([SPLIT_VALUES[value.strip().lower()] for value in values], np.uint8)
    splits_N = by_code[codes]
    lacking = [one for one in (VALIDATION, HOLDOUT) if SPLITS.index(one) not in splits_N]
    if len(lacking) == 1:
        fractions = {VALIDATION: 0.0, HOLDOUT: 0.0, lacking[0]: getattr(config, lacking[0])}
        train = np.flatnonzero(splits_N == _TRAIN)
        classes = None if inputs.classes is None else inputs.classes.take(train)
        base = Fractions(**fractions)
        splits_N[train] = _by_hash(keys[train], classes, base, notes, own)
        notes.append(
            f"The split column {name!r} never says {lacking[0]}, so {fractions[lacking[0]]:.0%} of "
            "its training records are taken for it by their hash."
        )
    return splits_N


def _says_holdout(name: str, inputs: SplitInputs) -> bool:
    values, _ = _values(name, inputs)
    return any(SPLITS[SPLIT_VALUES[value.strip().lower()]] == HOLDOUT for value in values)


def _values(
    name: str, inputs: SplitInputs, proposals: tuple[Proposal, ...] = ()
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct values as text and the index of each record's value."""
    column = inputs.deciding
    if column is None or column.null_count:
        missing = 0 if column is None else column.null_count
        msg = f"The column {name!r} decides the split but is empty in {missing} records; fill it."
        raise SourceError(msg, proposals=proposals)
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
    raise SourceError(msg, proposals=_divided_by_hash(config, "it leaks the holdout"))


def _divided_by_hash(config: SplitConfig, why: str) -> tuple[Proposal, ...]:
    """Return the setting that divides by content instead of by the user's own column."""
    if config.column is None:
        return ()
    what = f"the split that {config.column!r} says does not serve: {why}"
    return (Proposal(setting="source.split.column", value=None, why=what),)


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


def check_filled(config: SplitConfig, splits_N: NDArray[np.uint8]) -> None:
    """Check that every split has a record.

    Raises:
        SourceError: one has none.
    """
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
            raise SourceError(msg, proposals=_divided_by_hash(config, f"{name} would be empty"))
