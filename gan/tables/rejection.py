"""What holds in every row: rejection sampling, and repair of the few rows that are left.

Drawing a row again until it is valid gives exactly the generator's distribution under the rules. It
is done a bounded number of times. Then values move to the nearest that are allowed
(`gan.tables.chains`), a row that still breaks a rule becomes a copy of one that does not, and a
repeated combination becomes a free one (`gan.tables.unique`). No value leaves the codec's
vocabularies.

Ranges, combinations and formulas hold by the codec's construction; but a range or an inequality on
a column that is computed from values drawn one by one is a rule here, and so is that such a column
stays within what it would show were it learnt. A condition overwrites its
column, and is a rule where it is exact: a row that drew the value though the condition does not
hold is drawn again, and at last takes another value.

Shapes: N rows, M rows that are drawn again, D modelled columns.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.codecs import Repaired, Resample, ShardRequest
from gan.errors import ConfigError
from gan.tables.chains import AllowedValues, Chains
from gan.tables.columns.derived import DerivedColumn, RuleColumn, Sum
from gan.tables.columns.discrete_rules import Conditional
from gan.tables.columns.rules import describe
from gan.tables.columns.texts import equals
from gan.tables.constraints import violations
from gan.tables.unique import PartialCodes, Unique, allowed_cells, partial_codes
from storage.records.constraint import Constraint
from storage.records.schema import Condition
from storage.records.table_metadata import TableMetadata

if TYPE_CHECKING:
    from gan.tables.vocabularies import Vocabularies


Array = np.ndarray[Any, Any]

Mask = np.ndarray[Any, np.dtype[np.bool_]]

TURNS = 40
"""Rounds of drawing again, at most."""
WORK = 12
"""Rows drawn again, at most, as a multiple of all rows."""
LEAST_DRAWN = 1024
"""When fewer rows are left, each is drawn several times at once: a forward pass is that large."""
MOST_COPIES = 16
ATTEMPTS = 30
"""Free combinations that a row tries before unique and the other rules count as contradictory."""


def repair(
    codec: "Vocabularies", values: Array, request: ShardRequest, resample: Resample
) -> Repaired | None:
    """Make cells meet conditions and constraints; None when there are none.

    Args:
        codec: of the records.
        values: `cells_ND` int32 as drawn.
        request: what was asked for.
        resample: draws rows again, under the same conditions.

    Raises:
        ConfigError: no valid row was found, or there are fewer combinations than rows.
    """
    rules = RowRules(codec, request)
    if rules.nothing:
        return None
    cells_ND = values.copy()
    broken_N, redrawn = _resample(rules, cells_ND, resample)
    if not broken_N.any():
        return Repaired(cells_ND, redrawn, 0)
    before_ND = cells_ND.copy()
    _repair(rules, cells_ND)
    changed_N = np.any(cells_ND != before_ND, axis=1)
    return Repaired(cells_ND, redrawn, int(changed_N.sum()))


class RowRules:
    """Everything that the rows of one shard must satisfy beyond what the codec's cells ensure."""

    def __init__(self, codec: "Vocabularies", request: ShardRequest) -> None:
        """Collect conditions and constraints.

        Raises:
            ConfigError: a condition that the codec refuses.
        """
        metadata = codec.metadata
        self.codec, self.request = codec, request
        partial = () if request.exact else partial_codes(codec, request)
        self.partial: tuple[PartialCodes, ...] = partial
        self.rows: tuple[Constraint, ...] = row_rules(codec)
        self.uniques: tuple[Unique, ...] = unique_rules(codec, metadata, request)
        self._given = {condition.column for condition in request.given}
        self.refusing: tuple[DerivedColumn, ...] = tuple(
            maker
            for maker in codec.derived
            if maker.refuses or (isinstance(maker, Conditional) and maker.name in self._given)
        )
        named = {name for each in self.rows for name in each.columns}
        self._needed = _with_inputs(named | {maker.name for maker in self.refusing}, codec)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to satisfy."""
        return not (self.partial or self.rows or self.uniques or self.refusing)

    @property
    def named(self) -> str:
        """The rules on single rows, in words."""
        made = [describe(maker.rule) for maker in self.refusing if isinstance(maker, RuleColumn)]
        sums = [f"the range of {maker.name!r}" for maker in self.refusing if isinstance(maker, Sum)]
        return "; ".join([*map(describe, self.rows), *made, *sums])

    def choose_cells(self, cells_MD: Array) -> Mask:
        """Choose among equally likely cells, in place; return rows to be drawn again."""
        refused_M = np.zeros(len(cells_MD), dtype=bool)
        for partial in self.partial:
            refused_M |= partial.choose_cells(cells_MD)
        for unique in self.uniques:
            unique.move_to_shard(cells_MD)
        return refused_M | self.out_of_rule(cells_MD)

    def out_of_rule(self, cells_MD: Array) -> Mask:
        """Return the rows that break a rule that concerns them alone."""
        broken_M = np.zeros(len(cells_MD), dtype=bool)
        if not (self.rows or self.refusing) or not len(cells_MD):
            return broken_M
        found = self._drawn(cells_MD)
        for maker, _ in self._made(found, len(cells_MD)):
            if maker in self.refusing:
                broken_M |= maker.strays(found, all_kinds=maker.name in self._given)
        for mask_M in violations(pa.table(found), self.rows):
            broken_M |= mask_M
        return broken_M

    def settle(self, cells_ND: Array) -> None:
        """Give rows that a condition overwrites the cells of what they become, in place."""
        if not self.refusing:
            return
        masks = allowed_cells(self.codec, ShardRequest(given=self.request.given))
        found = self._drawn(cells_ND)
        for maker, values in self._made(found, len(cells_ND)):
            if maker not in self.refusing or not isinstance(maker, Conditional):
                continue
            for index, column in enumerate(self.codec.columns):
                if maker.name in column.fields:
                    cells = np.flatnonzero(masks[index] & ~column.relative)
                    known = column.vocabulary(maker.name).take(pa.array(cells))
                    places = pc.index_in(values, value_set=known, skip_nulls=False)
                    stray_N = maker.strays(found, all_kinds=maker.name in self._given)
                    stray_N &= places.is_valid().to_numpy(zero_copy_only=False)
                    cells_N = cells[places.fill_null(0).to_numpy()]
                    cells_ND[stray_N, index] = cells_N[stray_N]

    def repeated(self, cells_ND: Array, trusted_N: Mask) -> Mask:
        """Return the rows whose combination is another's; of two, the one that is not trusted."""
        broken_N = np.zeros(len(cells_ND), dtype=bool)
        for unique in self.uniques:
            broken_N |= unique.broken(cells_ND, trusted_N)
        return broken_N

    def _drawn(self, cells_MD: Array) -> dict[str, Any]:
        """Return the columns that the rules are about, as they were drawn."""
        return self.codec.modelled_values(cells_MD, self._needed)

    def _made(self, found: dict[str, Any], rows: int) -> Iterator[tuple[DerivedColumn, Any]]:
        """Yield what makes each column that the rules are about, with its values; then add them."""
        for maker in self.codec.derived:
            if maker.name in self._needed:
                values = maker.make(rows, 0, found)
                yield maker, values
                found[maker.name] = values


def row_rules(codec: "Vocabularies") -> tuple[Constraint, ...]:
    """Return the constraints on single rows that are not met by construction."""
    computed = {maker.name for maker in codec.derived if maker.inputs}
    return tuple(
        each
        for each in codec.metadata.constraints
        if each.kind == "inequality" or (each.kind == "range" and each.columns[0] in computed)
    )


def check_given(codec: "Vocabularies", masks: Sequence[Mask], given: Sequence[Condition]) -> None:
    """Check that what is asked of a column is not overwritten in every row.

    Args:
        codec: of the records.
        masks: the cells that may be chosen, of every modelled column.
        given: what is asked for.

    Raises:
        ConfigError: it is.
    """
    columns = {name: (c, m) for c, m in zip(codec.columns, masks, strict=True) for name in c.fields}
    for maker in codec.derived:
        asked = maker.name in {condition.column for condition in given}
        if not (asked and isinstance(maker, Conditional) and maker.inputs[0] in columns):
            continue
        left = []
        said = {maker.name: (str(maker.rule.value),), maker.inputs[0]: maker.rule.when}
        for name, texts in said.items():
            column, mask = columns[name]
            values = column.vocabulary(name).filter(pa.array(mask))
            left.append(np.any([equals(values, text) for text in texts], axis=0))
        has, when = left
        never = when.all() and not has.any()
        if never or (maker.rule.exactly and not when.any() and has.all()):
            msg = (
                f"synthesis.given asks for values of {maker.name!r} that {describe(maker.rule)} "
                "forbids: correct one of them"
            )
            raise ConfigError(msg)


def unique_rules(
    codec: "Vocabularies", metadata: TableMetadata, request: ShardRequest
) -> tuple[Unique, ...]:
    """Return the constraints on combinations that no key column ensures.

    Raises:
        ConfigError: none of the columns varies.
    """
    left = [each for each in metadata.constraints if each.kind == "unique"]
    left = [e for e in left if not any(metadata.column(name).kind == "key" for name in e.columns)]
    if not left:
        return ()
    masks = allowed_cells(codec, ShardRequest(given=request.given))
    found = tuple(Unique(codec, each, masks, request) for each in left)
    for each in found:
        if not each.digits:
            msg = f"{describe(each.constraint)} names columns of one value only: remove it"
            raise ConfigError(msg)
    return found


def _with_inputs(names: AbstractSet[str], codec: "Vocabularies") -> set[str]:
    """Return columns and all that they are computed from."""
    found = set(names)
    for maker in reversed(codec.derived):
        if maker.name in found:
            found.update(maker.inputs)
    return found


def _resample(rules: RowRules, cells_ND: Array, resample: Resample) -> tuple[Mask, int]:
    """Draw rows again until they are valid, in place; return those left, and how many it were."""
    refused_N = rules.choose_cells(cells_ND)
    broken_N = refused_N | rules.repeated(cells_ND, ~refused_N)
    redrawn_N = broken_N.copy()
    work, limit = 0, max(WORK * len(cells_ND), TURNS * LEAST_DRAWN)
    for turn in range(TURNS):
        rows_M = np.flatnonzero(broken_N)
        if not len(rows_M) or work >= limit:
            break
        fresh_MD, bad_M = _best_of(rules, resample, rows_M, turn)
        work += max(len(rows_M), LEAST_DRAWN)
        cells_ND[rows_M], refused_N[rows_M] = fresh_MD, bad_M
        broken_N = refused_N | rules.repeated(cells_ND, ~broken_N)
        redrawn_N |= broken_N
    return broken_N, int(redrawn_N.sum())


def _best_of(rules: RowRules, resample: Resample, rows_M: Array, turn: int) -> tuple[Array, Mask]:
    """Return one draw per row, the first that is not refused, and which are refused."""
    copies = min(max(LEAST_DRAWN // len(rows_M), 1), MOST_COPIES)
    drawn = resample(np.repeat(rows_M, copies), turn)
    refused = rules.choose_cells(drawn).reshape(len(rows_M), copies)
    first_M = np.argmin(refused, axis=1)
    every_M = np.arange(len(rows_M))
    return drawn.reshape(len(rows_M), copies, -1)[every_M, first_M], refused[every_M, first_M]


def _repair(rules: RowRules, cells_ND: Array) -> None:
    """Alter the rows that still break a rule, in place.

    Raises:
        ConfigError: that does not help.
    """
    rules.settle(cells_ND)
    chains = Chains(rules.codec, rules.rows)
    broken_N = rules.out_of_rule(cells_ND)
    for rows_M, allowed in _groups(rules, chains, np.flatnonzero(broken_N)):
        cells_MD = cells_ND[rows_M]
        chains.repair(cells_MD, allowed)
        cells_ND[rows_M] = cells_MD
    _replace(rules, cells_ND)
    for _ in rules.uniques:
        for unique in rules.uniques:
            _make_unique(rules, unique, cells_ND)
    left_N = rules.repeated(cells_ND, np.ones(len(cells_ND), dtype=bool))
    if left_N.any():
        names = " and ".join(describe(each.constraint) for each in rules.uniques)
        msg = f"{names} cannot be met together in {len(cells_ND)} rows: synthesize fewer"
        raise ConfigError(msg)


def _groups(
    rules: RowRules, chains: Chains, rows_M: Array
) -> Iterator[tuple[Array, dict[str, AllowedValues]]]:
    """Yield rows and the values that they may take: one group, or one per class of the label."""
    if not len(rows_M):
        return
    labels_N, label = rules.request.labels_N, rules.codec.label_column
    if labels_N is None or all(each.modelled != label for each in chains.columns.values()):
        masks = allowed_cells(rules.codec, ShardRequest(given=rules.request.given))
        yield rows_M, chains.allowed_values(masks)
        return
    for one in np.unique(labels_N[rows_M]):
        masks = allowed_cells(rules.codec, rules.request, int(one))
        yield rows_M[labels_N[rows_M] == one], chains.allowed_values(masks)


def _replace(rules: RowRules, cells_ND: Array) -> None:
    """Replace rows that break a rule by rows of their class that do not, in place.

    Raises:
        ConfigError: every row of a class breaks one.
    """
    broken_N = rules.out_of_rule(cells_ND)
    labels_N = rules.request.labels_N
    classes_N = np.zeros(len(cells_ND), dtype=np.int64) if labels_N is None else labels_N
    for one in np.unique(classes_N[broken_N]):
        rows = np.flatnonzero(broken_N & (classes_N == one))
        donors = np.flatnonzero(~broken_N & (classes_N == one))
        if not len(donors):
            msg = (
                f"no row was found that keeps {rules.named}, in {TURNS} draws of {len(rows)} rows: "
                "correct the constraints, or synthesis.given"
            )
            raise ConfigError(msg)
        cells_ND[rows] = cells_ND[np.resize(donors, len(rows))]


def _make_unique(rules: RowRules, unique: Unique, cells_ND: Array) -> None:
    """Give rows with a repeated combination a free one under which they keep the other rules.

    Raises:
        ConfigError: there are fewer combinations than rows.
    """
    broken_N = unique.broken(cells_ND, np.ones(len(cells_ND), dtype=bool))
    if not broken_N.any():
        return
    free = unique.free_combinations(cells_ND, ~broken_N)
    rows = np.flatnonzero(broken_N)
    for _ in range(ATTEMPTS):
        for row in rows:
            if not free.take(cells_ND[row]):
                room = max(unique.room // unique.shards, 1)
                msg = (
                    f"{describe(unique.constraint)} allows about {room} combinations in each of "
                    f"{unique.shards} shards, fewer than rows are asked for: synthesize fewer, or "
                    "declare one of its columns as key"
                )
                raise ConfigError(msg)
        rows = rows[rules.out_of_rule(cells_ND[rows])]
        if not len(rows):
            return
    msg = (
        f"{describe(unique.constraint)} and {rules.named} cannot be met together: remove one of "
        "them"
    )
    raise ConfigError(msg)
