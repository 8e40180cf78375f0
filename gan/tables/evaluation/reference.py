"""The real side of an evaluation of tables, measured once for every candidate."""

from dataclasses import dataclass

from gan.evaluation.judges import Options, Splits
from gan.tables.evaluation.attacks import AttackSide, build_attacks
from gan.tables.evaluation.closeness import (
    COPY_ROWS,
    ClosenessSide,
    build_closeness,
)
from gan.tables.evaluation.errors import ErrorSide, build_errors, error_notes
from gan.tables.evaluation.facts import FactSide, build_facts
from gan.tables.evaluation.features import fit_features
from gan.tables.evaluation.ground import Ground, build_ground
from gan.tables.evaluation.identity import fit_identity
from gan.tables.evaluation.nulls import NullSide, build_nulls
from gan.tables.evaluation.usefulness import UsefulnessSide, build_usefulness, rows_to_learn


@dataclass(frozen=True, kw_only=True, eq=False)
class TableReference:
    """Everything about the real rows that evaluating a candidate needs."""

    ground: Ground
    errors: ErrorSide
    closeness: ClosenessSide
    attacks: AttackSide
    usefulness: UsefulnessSide
    facts: FactSide
    nulls: NullSide

    @property
    def options(self) -> Options:
        """How the evaluation is carried out."""
        return self.ground.options

    @property
    def splits(self) -> Splits:
        """The real rows."""
        return self.ground.splits

    @property
    def n(self) -> int:
        """Rows on each side of a comparison."""
        return self.ground.n

    @property
    def holdout_rows(self) -> int:
        """All rows of the holdout."""
        rows: int = self.ground.splits.holdout.num_rows
        return rows

    @property
    def wanted(self) -> int:
        """What to synthesize for a candidate: rows as they come, so classes are measured, too."""
        return max(self.options.sets * self.n, rows_to_learn(self.ground))

    @property
    def notes(self) -> tuple[str, ...]:
        """Plain sentences on how it is measured, for the report."""
        return (*_row_notes(self.ground), *error_notes(self.ground), *self.usefulness.notes)


def build_reference(splits: Splits, options: Options) -> TableReference:
    """Measure what real rows reach.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    ground = build_ground(splits, options)
    identity = fit_identity((splits.train, splits.validation, splits.holdout), ground.columns)
    features = fit_features(splits.train, ground.columns)
    return TableReference(
        ground=ground,
        errors=build_errors(ground),
        closeness=build_closeness(ground, identity),
        attacks=build_attacks(ground, features),
        usefulness=build_usefulness(ground, features),
        facts=build_facts(ground, identity),
        nulls=build_nulls(ground),
    )


def _row_notes(ground: Ground) -> tuple[str, ...]:
    splits, found = ground.splits, []
    if max(splits.holdout.num_rows, splits.validation.num_rows) > ground.n:
        found.append(
            f"compared {ground.n:,} rows on each side; holdout has {splits.holdout.num_rows:,}, "
            f"validation {splits.validation.num_rows:,}"
        )
    if splits.train.num_rows > COPY_ROWS:
        found.append(
            f"near copies were looked for among {COPY_ROWS:,} of {splits.train.num_rows:,} "
            "training rows at most, exact copies among all"
        )
    return tuple(found)
