"""Hard facts about a candidate's entities.

A hard fact holds or does not. What real entities do themselves cannot be held against a generator:
where unseen ones have levels or numbers that train has not, or repeat one another, a candidate may
as often, up to chance.

Shapes: N entities, T steps of all of them.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.evaluation.exact_copies import Chance, exact_copies, find_chance
from gan.metrics.copies import repeated
from gan.metrics.equality import count_equals
from gan.metrics.intervals import more_often
from gan.modalities import Splits
from gan.report import Fact
from gan.series.evaluation.calendar import DAY_US, StepMoments, moments_of, months_of
from gan.series.evaluation.context import SeriesContext
from gan.series.evaluation.identity import EntityIdentity
from gan.tables.evaluation.columns import EvaluationContext, JudgedColumn
from gan.tables.evaluation.facts import Validity, named_classes
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, lengths_of, steps_of
from storage.records.table_metadata import TableMetadata

Array = np.ndarray[Any, Any]

MOST_WRONG = 3
"""As many kinds of wrong values are named."""


def check_lists(records: pa.Table, metadata: SeriesMetadata) -> None:
    """Refuse entities whose lists do not fit together, which nothing can be measured of.

    Raises:
        DataError: one has no step, or a list of another length than its time.
    """
    for name in (metadata.time.name, *(one.name for one in metadata.variables)):
        lengths = pc.list_value_length(records[name]).to_numpy(zero_copy_only=False)
        known = np.nan_to_num(np.asarray(lengths, dtype=np.float64))
        if name == metadata.time.name:
            expected = known
        wrong = np.flatnonzero((known < 1) | (known != expected))
        if len(wrong):
            row = int(wrong[0])
            msg = (
                f"entity {row} of the candidate has {int(known[row])} values of {name!r} and "
                f"{int(expected[row])} moments: lists of an entity are equally long and not empty"
            )
            raise DataError(msg)


def misplaced(moments: StepMoments, lengths_N: Array, metadata: SeriesMetadata) -> dict[str, Array]:
    """Return what is wrong with moments, and in which entities; bool (N,) each.

    A step is regular where the time between two moments is right on the wall clock, or by itself,
    as clocks that change have it.
    """
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    inner = entity_T[1:] == entity_T[:-1]
    name = metadata.time.name
    wrong = {f"{name} does not rise": np.diff(moments.exact_T) <= 0}
    step = metadata.step
    if step is not None:
        apart = [np.diff(one) for one in (moments.wall_T, moments.exact_T)]
        size = step.count * (DAY_US if step.unit == "days" else 1)
        regular = (apart[0] == size) | (apart[1] == size)
        if step.unit == "months":
            months_T = months_of(moments.wall_T // DAY_US)
            regular = np.diff(months_T) == step.count
        wrong[f"{name} is not {step.count} {step.unit} after the step before"] = ~regular
    found = {}
    for text, mask in wrong.items():
        hit_N = np.zeros(len(lengths_N), dtype=bool)
        hit_N[entity_T[1:][mask & inner]] = True
        found[text] = hit_N
    return found


class SeriesFacts:
    """Facts that decide on the point, about a candidate and the splits it is measured on."""

    def __init__(self, context: SeriesContext, identity: EntityIdentity) -> None:
        """Look up what real entities do themselves."""
        self.context, self.identity, splits = context, identity, context.splits
        train, validation, holdout = (
            identity.digests(part) for part in (splits.train, splits.validation, splits.holdout)
        )
        seen, choosing = frozenset(train), frozenset(validation)
        self.train_digests, self.unseen_digests = seen, choosing | frozenset(holdout)
        self.repeats = repeated(train)
        """Entities of train that another one equals."""
        kept = [
            [one for one, varies in zip(digests, identity.varied(part), strict=True) if varies]
            for digests, part in ((validation, splits.validation), (holdout, splits.holdout))
        ]
        self.overlaps = sum(one in seen for one in kept[0])
        self.overlaps += sum(one in seen or one in choosing for one in kept[1])
        """Entities of validation and holdout whose steps are in another split, too; those in which
        nothing ever changes are alike by themselves."""
        metadata = context.metadata
        self.entity_validity = _validity(
            context,
            (metadata.entity, *metadata.statics),
            context.judged.statics,
            [_entities_of(part, metadata) for part in _parts(splits)],
        )
        self.classes = named_classes(self.entity_validity, context, metadata.min_group)
        self.step_validity = _validity(
            context,
            (metadata.time, *metadata.variables),
            context.judged.variables,
            [steps_of(part, metadata) for part in _parts(splits)],
        )
        self.holdout_invalid = int(_any_of(self._unseen(splits.holdout), len(holdout)).sum())

    def find(self, candidate: pa.Table) -> tuple[Fact, ...]:
        """Return every hard fact about a candidate and the splits it is measured on."""
        return (
            self._valid(candidate),
            *self.classes.judge(candidate, "entity"),
            self._exact_copies(candidate),
            self._overlap(),
        )

    def _unseen(self, records: pa.Table) -> dict[str, Array]:
        """Return, for what train has not, in which entities."""
        metadata = self.context.metadata
        steps = self.step_validity.unseen(steps_of(records, metadata))
        return {
            **self.entity_validity.unseen(_entities_of(records, metadata)),
            **_by_entity(steps, lengths_of(records, metadata)),
        }

    def _broken(self, records: pa.Table) -> dict[str, Array]:
        """Return, for what no real entity can be, in which entities."""
        metadata, lengths_N = self.context.metadata, lengths_of(records, self.context.metadata)
        steps = steps_of(records, metadata)
        return {
            **self.entity_validity.broken(_entities_of(records, metadata)),
            **_by_entity(self.step_validity.broken(steps), lengths_N),
            **misplaced(moments_of(steps, metadata), lengths_N, metadata),
        }

    def _valid(self, candidate: pa.Table) -> Fact:
        rows, holdout = candidate.num_rows, self.context.splits.holdout.num_rows
        broken, unseen = self._broken(candidate), self._unseen(candidate)
        broken_N, unseen_N = _any_of(broken, rows), _any_of(unseen, rows)
        holds = not broken_N.any() and not more_often(
            int(unseen_N.sum()), rows, self.holdout_invalid, holdout
        )
        share = float((broken_N | unseen_N).mean())
        text = "every value is of its column's type, form, levels and range, every moment in order"
        if share:
            found = broken if broken_N.any() else unseen
            text = (
                f"{share:.2%} of {rows:,} entities hold what train's columns do not allow (of the "
                f"holdout {self.holdout_invalid / holdout:.2%}): {_most_frequent(found)}"
            )
        return Fact(name="validity", holds=holds, value=share, text=text)

    def _exact_copies(self, candidate: pa.Table) -> Fact:
        identity, splits = self.identity, self.context.splits
        equals = count_equals(identity.digests(candidate), self.train_digests, self.unseen_digests)

        def chance() -> Chance:
            fakes, train, validation, holdout = (
                identity.parts(rows)
                for rows in (candidate, splits.train, splits.validation, splits.holdout)
            )
            unseen = np.concatenate([validation, holdout])
            return find_chance(fakes, train, unseen, self.repeats)

        return exact_copies(equals, chance, "entities equal a training entity in every step")

    def _overlap(self) -> Fact:
        splits, name = self.context.splits, self.context.metadata.entity.name
        keys = [set(part[name].to_pylist()) for part in _parts(splits)]
        shared = len(keys[1] & keys[0]) + len(keys[2] & (keys[0] | keys[1]))
        rows = splits.validation.num_rows + splits.holdout.num_rows
        natural = self.context.options.overlap_expected or (
            self.repeats > 0
            and not more_often(self.overlaps, rows, self.repeats, splits.train.num_rows)
        )
        text = f"{self.overlaps:,} of {rows:,} entities of validation and holdout are, step by step"
        text += ", in another split, too"
        if self.overlaps and natural:
            text += ", as it must be where entities of the source repeat"
        if shared:
            text = f"{shared:,} of {rows:,} entities of validation and holdout are in another split"
        if not shared and not self.overlaps:
            text = "no entity is in two splits"
        return Fact(
            name="overlap",
            holds=not shared and (self.overlaps == 0 or natural),
            value=float(max(shared, self.overlaps)),
            text=text,
        )


def _parts(splits: Splits) -> tuple[pa.Table, pa.Table, pa.Table]:
    return splits.train, splits.validation, splits.holdout


def _entities_of(records: pa.Table, metadata: SeriesMetadata) -> pa.Table:
    """Return keys and static columns."""
    return records.select([metadata.entity.name, *(one.name for one in metadata.statics)])


def _validity(
    context: SeriesContext,
    columns: tuple[Column, ...],
    judged: tuple[JudgedColumn, ...],
    parts: list[pa.Table],
) -> Validity:
    """Return what tables know of valid values, for some of the columns as tables."""
    return Validity(
        EvaluationContext(
            splits=Splits(
                train=parts[0], validation=parts[1], holdout=parts[2], label=context.splits.label
            ),
            metadata=TableMetadata(columns=columns, min_group=context.metadata.min_group),
            columns=judged,
            options=context.options,
            n=context.n,
            holdout=parts[2],
            validation=parts[1],
        )
    )


def _by_entity(found: dict[str, Array], lengths_N: Array) -> dict[str, Array]:
    """Return in which entities there is such a step."""
    first_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]]).astype(np.int64)
    return {text: np.logical_or.reduceat(mask, first_N) for text, mask in found.items()}


def _any_of(found: dict[str, Array], rows: int) -> Array:
    """Return the entities in which anything was found; bool (N,)."""
    rows_N: Array = np.logical_or.reduce([*found.values(), np.zeros(rows, dtype=bool)])
    return rows_N


def _most_frequent(found: dict[str, Array]) -> str:
    """Return what is wrong most often, in words."""
    counts = {text: int(mask.sum()) for text, mask in found.items() if mask.any()}
    worst = sorted(counts, key=lambda text: (-counts[text], text))
    more = f" and {len(worst) - MOST_WRONG} more" if len(worst) > MOST_WRONG else ""
    return ", ".join(f"{text} ({counts[text]:,})" for text in worst[:MOST_WRONG]) + more
