"""A data set that somebody brings as the candidate: how many of its records are judged, and which.

A generator makes as many records as the judge wants, of every class; a data set has those that it
has. Where there are more, they are drawn at random; where there are fewer than the holdout, fewer
of the holdout are compared.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.lift.task import Made
from gan.modalities import MIN_ROWS, Options, Reference, Splits, comparable_rows
from gan.randomness import numpy_stream
from storage.records.schema import ClassCounts

Array = np.ndarray[Any, Any]


LACKING = 0.05
"""Share of the records by which classes may miss the holdout's shares before it is said, and before
fewer records are taken so that the shares are right."""


class Drawn(NamedTuple):
    """Records of a data set that are judged."""

    records: pa.Table
    notes: tuple[str, ...]
    """How they were drawn, where not all are taken as they are."""


def options_for(rows: int, splits: Splits, options: Options, words: str) -> Options:
    """Return the options with which so many records can be compared.

    Args:
        rows: of the data set.
        splits: the real records.
        options: those of a generator's evaluation.
        words: what a person calls the records.

    Raises:
        DataError: there are too few to compare anything.
    """
    if rows < MIN_ROWS:
        msg = f"the data set has {rows} {words} and {MIN_ROWS} are needed: bring more"
        raise DataError(msg)
    n = comparable_rows(splits, options.cap)
    return options if rows >= n else replace(options, cap=rows)


def draw(records: pa.Table, reference: Reference, label: str | None, words: str) -> Drawn:
    """Return the records to judge: as many as the reference wants, in the order of the data set.

    Where it wants so many of every class, classes get the holdout's shares, in as many multiples of
    the holdout as the data set has records for; what a class lacks, others fill.
    """
    wanted, rows, seed = reference.wanted, records.num_rows, reference.options.seed
    rng, notes = numpy_stream(seed, "given-records"), list[str]()
    if isinstance(wanted, int) or label is None:
        total = wanted if isinstance(wanted, int) else sum(count for _, count in wanted)
        chosen_M = rng.permutation(rows)[:total]
    else:
        classes = [value for value, _ in wanted]
        known = pa.array(classes, records[label].type)
        classes_N = pc.index_in(records[label], value_set=known).to_numpy()
        shares_C = np.array([count for _, count in wanted], np.float64)
        chosen_M, short = _by_class(classes_N, shares_C, reference.n, rng)
        if short:
            names = ", ".join(str(classes[index]) for index in short)
            notes.append(
                f"the data set has fewer {words} of {names} than the holdout's class shares ask "
                "for; others stand in their place"
            )
    if len(chosen_M) < rows:
        how = ", with the class shares of the holdout" if not isinstance(wanted, int) else ""
        notes.insert(0, f"{len(chosen_M):,} of its {rows:,} {words} were drawn{how}")
    return Drawn(records.take(pa.array(np.sort(chosen_M))), tuple(notes))


def _by_class(
    classes_N: Array, shares_C: Array, n: int, rng: np.random.Generator
) -> tuple[Array, Sequence[int]]:
    """Return the rows that are chosen, and the classes that have too few of them.

    Args:
        classes_N: of the records.
        shares_C: of the classes, in any unit; sets are multiples of n records.
        n: records on each side of a comparison.
        rng: what they are drawn with.
    """
    held_C = np.bincount(classes_N, minlength=len(shares_C))
    most = max(1, min(round(shares_C.sum() / n), len(classes_N) // n))
    one_C = shares_C * n / shares_C.sum()
    asked = [np.maximum(np.round(sets * one_C), 1).astype(np.int64) for sets in range(1, most + 1)]
    lacking = [np.maximum(ask_C - held_C, 0).sum() / ask_C.sum() for ask_C in asked]
    best = max(index for index in range(most) if lacking[index] <= min(lacking) + LACKING)
    ask_C, shuffled = asked[best], rng.permutation(len(classes_N))
    chosen = [
        shuffled[classes_N[shuffled] == index][:count] for index, count in enumerate(ask_C.tolist())
    ]
    taken_M = np.concatenate(chosen)
    size = max(n, min(int(ask_C.sum()), len(classes_N)))
    rest = shuffled[~np.isin(shuffled, taken_M)][: max(size - len(taken_M), 0)]
    short = np.flatnonzero(held_C < ask_C).tolist() if lacking[best] > LACKING else []
    return np.concatenate([taken_M, rest]), short


class GivenMake:
    """Records of a data set where a generator would make some, as `gan.lift.task.Make`.

    Every call draws afresh, without replacement within the call; what there is too little of, all
    of it is taken.
    """

    def __init__(self, records: pa.Table, label: str | None, seed: int) -> None:
        """Take the records, all that the data set has.

        Args:
            records: with the real schema.
            label: name of the label column.
            seed: of what is drawn.
        """
        self._records, self._label, self._seed, self._calls = records, label, seed, 0

    def __call__(self, rows: ClassCounts | int) -> Made:
        """Return so many records, or so many of each class."""
        shuffled = numpy_stream(self._seed, "given-lift", self._calls).permutation(
            self._records.num_rows
        )
        self._calls += 1
        if isinstance(rows, int):
            return Made(self._records.take(pa.array(shuffled[:rows])))
        label = str(self._label)
        known = pa.array([value for value, _ in rows], self._records[label].type)
        found = pc.fill_null(pc.index_in(self._records[label], value_set=known), -1)
        classes_N = found.to_numpy()[shuffled]
        chosen = [shuffled[classes_N == index][:count] for index, (_, count) in enumerate(rows)]
        return Made(self._records.take(pa.array(np.concatenate(chosen))))
