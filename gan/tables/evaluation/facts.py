"""Hard facts about a candidate's rows: what holds or does not.

What real rows do themselves cannot be held against a generator: where unseen real rows have levels
or numbers that train has not, or repeat one another, a candidate may as often, up to chance. Where
no real row equals one of train, a single copy is one too many.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.measured import Fact
from gan.metrics.proportions import more_often
from gan.tables.constraints import describe, violations
from gan.tables.evaluation.ground import Ground
from gan.tables.evaluation.identity import Identity, repeated
from gan.tables.evaluation.validity import Validity, fit_validity
from storage.records.schema import Constraint

Array = np.ndarray[Any, Any]

EXPECTED_OF_A_CLASS = math.log(1000)
"""A class is missing when it has no row although so many were expected: by chance that happens
once in a thousand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FactSide:
    """What the hard facts need of the real rows."""

    ground: Ground
    identity: Identity
    validity: Validity
    train_digests: frozenset[bytes]
    repeats: int
    """Rows of train that another one equals."""
    holdout_copies: int
    """Rows of the holdout that equal one of train."""
    overlaps: int
    """Rows of validation and holdout that are in another split, too."""
    holdout_invalid: int

    def find(self, candidate: pa.Table) -> tuple[Fact, ...]:
        """Return every hard fact about a candidate and the splits it is measured on."""
        found = (
            self._validity(candidate),
            self._constraints(candidate),
            self._classes(candidate),
            self._exact_copies(candidate),
            self._overlap(),
        )
        return tuple(fact for fact in found if fact is not None)

    def _validity(self, candidate: pa.Table) -> Fact:
        rows, holdout_rows = candidate.num_rows, self.ground.splits.holdout.num_rows
        made, drawn = self.validity.broken(candidate), self.validity.unseen(candidate)
        wrong = np.logical_or.reduce([*made.values(), np.zeros(rows, dtype=bool)])
        strange = np.logical_or.reduce([*drawn.values(), np.zeros(rows, dtype=bool)])
        holds = not wrong.any() and not more_often(
            int(strange.sum()), rows, self.holdout_invalid, holdout_rows
        )
        share = float((wrong | strange).mean())
        offenders = _offenders({**made, **drawn} if not wrong.any() else made)
        text = "every value is of its column's type, form, levels and range"
        if share:
            text = f"{share:.2%} of {rows:,} rows hold a value that train's columns do not allow"
            text += f" (of the holdout {self.holdout_invalid / holdout_rows:.2%}): {offenders}"
        return Fact(name="validity", holds=holds, value=share, text=text)

    def _constraints(self, candidate: pa.Table) -> Fact | None:
        constraints = self.ground.metadata.constraints
        if not constraints:
            return None
        splits, rows = self.ground.splits, candidate.num_rows
        broken = violations(candidate, constraints, splits.train)
        failing = [
            (each, int(mask.sum()))
            for each, mask in zip(constraints, broken, strict=True)
            if self._breaks(each, int(mask.sum()), rows)
        ]
        share = float(np.logical_or.reduce(broken).mean())
        text = f"all {len(constraints)} constraints hold in every row"
        if failing:
            each, count = max(failing, key=lambda item: item[1])
            text = f"{describe(each)} does not hold in {count:,} of {rows:,} rows"
        elif share:
            text = (
                f"combinations that train does not have are as rare as in the holdout ({share:.2%})"
            )
        return Fact(name="constraints", holds=not failing, value=share, text=text)

    def _breaks(self, constraint: Constraint, count: int, rows: int) -> bool:
        """Return whether a constraint fails; new combinations may be as frequent as real ones."""
        if constraint.kind != "combinations" or not count:
            return count > 0
        splits = self.ground.splits
        (own,) = violations(splits.holdout, [constraint], splits.train)
        return more_often(count, rows, int(own.sum()), splits.holdout.num_rows)

    def _classes(self, candidate: pa.Table) -> Fact | None:
        """Judge the classes that enough rows of train have to be named."""
        known = self.validity.levels.get(self.ground.splits.label or "")
        if known is None:
            return None
        rows, train_rows = candidate.num_rows, self.ground.splits.train.num_rows
        present = set(candidate[self.ground.splits.label].unique().to_pylist())
        missing = [
            str(value)
            for value, count in zip(known.values.to_pylist(), known.counts, strict=True)
            if value not in present
            and count >= self.ground.metadata.min_group
            and count / train_rows * rows >= EXPECTED_OF_A_CLASS
        ]
        found = f"missing {'class' if len(missing) == 1 else 'classes'} {', '.join(missing)}"
        return Fact(
            name="classes",
            holds=not missing,
            value=float(len(missing)),
            text=f"{found}: no row among {rows:,}" if missing else "no class is missing",
        )

    def _exact_copies(self, candidate: pa.Table) -> Fact:
        """Judge rows that equal one of train, against unseen rows and train's own repeats.

        Equal rows of the source lie in one split, so the holdout alone would say that rows never
        repeat: of a new row, train's repeats say how often it equals one of train.
        """
        digests = self.identity.digests(candidate)
        hits = sum(digest in self.train_digests for digest in digests)
        share, (own, own_rows) = hits / len(digests), self._own_copies()
        return Fact(
            name="exact_copies",
            holds=hits == 0 or (own > 0 and not more_often(hits, len(digests), own, own_rows)),
            value=share,
            text=f"{hits:,} of {len(digests):,} rows equal a training row in all columns "
            f"({share:.2%}; of real rows {own / own_rows:.2%} do)",
        )

    def _own_copies(self) -> tuple[int, int]:
        splits = self.ground.splits
        found = (
            (self.holdout_copies, splits.holdout.num_rows),
            (self.repeats, splits.train.num_rows),
        )
        return max(found, key=lambda item: item[0] / item[1])

    def _overlap(self) -> Fact:
        splits, overlaps = self.ground.splits, self.overlaps
        rows = splits.validation.num_rows + splits.holdout.num_rows
        natural = self.ground.options.overlap_expected or (
            self.repeats > 0 and not more_often(overlaps, rows, self.repeats, splits.train.num_rows)
        )
        text = f"{overlaps:,} of {rows:,} rows of validation and holdout are in another split, too"
        if overlaps and natural:
            text += ", as it must be where rows of the source repeat"
        return Fact(
            name="overlap",
            holds=overlaps == 0 or natural,
            value=float(overlaps),
            text=text if overlaps else "no row is in two splits",
        )


def build_facts(ground: Ground, identity: Identity) -> FactSide:
    """Look up what real rows do themselves."""
    splits = ground.splits
    train, validation, holdout = (
        identity.digests(part) for part in (splits.train, splits.validation, splits.holdout)
    )
    seen, choosing = frozenset(train), frozenset(validation)
    validity = fit_validity(ground)
    strange = [*validity.unseen(splits.holdout).values(), np.zeros(len(holdout), dtype=bool)]
    return FactSide(
        ground=ground,
        identity=identity,
        validity=validity,
        train_digests=seen,
        repeats=repeated(train),
        holdout_copies=sum(digest in seen for digest in holdout),
        overlaps=sum(digest in seen for digest in validation)
        + sum(digest in seen or digest in choosing for digest in holdout),
        holdout_invalid=int(np.logical_or.reduce(strange).sum()),
    )


def _offenders(broken: dict[str, Array], most: int = 3) -> str:
    """Return the columns with most of it, in words."""
    counts = {name: int(mask.sum()) for name, mask in broken.items() if mask.any()}
    worst: Sequence[str] = sorted(counts, key=lambda name: (-counts[name], name))[:most]
    more = f" and {len(counts) - most} more" if len(counts) > most else ""
    return ", ".join(f"{name} ({counts[name]:,})" for name in worst) + more
