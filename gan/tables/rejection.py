"""What holds in every row: rejection sampling, and repair of the few rows that are left.

Drawing a row again until it is valid gives exactly the generator's distribution under the rules. It
is done a bounded number of times. Then values move to the nearest that are allowed (`Chains`), a
row that still breaks a rule becomes a copy of one that does not, and a repeated combination becomes
a free one (`gan.tables.unique`). No value leaves the codec's vocabularies.

Ranges, combinations and sums hold by the codec's construction; but a range or an inequality on a
total, which is a sum of values drawn one by one, is a rule here.

Inequalities are repaired from the lowest columns upwards. Each column takes the smallest allowed
value that is at least those below it, but never one so large that a column above it has no value
left: what is that large is taken out first, from the top downwards. So every column finds a value.

Shapes: N rows, M rows that are drawn again, D modelled columns.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.errors import ConfigError
from gan.protocols import Repaired, Resample, ShardRequest
from gan.tables.constraints import Step, by_day, describe, ordered, violations
from gan.tables.ordering import common_ranks, value_days
from gan.tables.unique import PartialCodes, Unique, allowed_cells, partial_codes
from storage.records.schema import Constraint, TableMetadata

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
        self.rows: tuple[Constraint, ...] = row_rules(metadata)
        self.uniques: tuple[Unique, ...] = unique_rules(codec, metadata, request)
        self._makers = {maker.name: maker for maker in codec.derived}
        self._needed = _with_parts(self.rows, metadata)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to satisfy."""
        return not (self.partial or self.rows or self.uniques)

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
        if self.rows and len(cells_MD):
            for mask_M in violations(self._decode(cells_MD), self.rows):
                broken_M |= mask_M
        return broken_M

    def repeated(self, cells_ND: Array, trusted_N: Mask) -> Mask:
        """Return the rows whose combination is another's; of two, the one that is not trusted."""
        broken_N = np.zeros(len(cells_ND), dtype=bool)
        for unique in self.uniques:
            broken_N |= unique.broken(cells_ND, trusted_N)
        return broken_N

    def _decode(self, cells_MD: Array) -> pa.Table:
        """Return the columns that the rules are about."""
        found = self.codec.modelled_values(cells_MD, self._needed)
        for name, maker in self._makers.items():
            if name in self._needed:
                found[name] = maker.make(len(cells_MD), 0, found)
        return pa.table(found)


def row_rules(metadata: TableMetadata) -> tuple[Constraint, ...]:
    """Return the constraints on single rows that are not met by construction."""
    totals = {each.columns[0] for each in metadata.constraints if each.kind == "sum"}
    return tuple(
        each
        for each in metadata.constraints
        if each.kind == "inequality" or (each.kind == "range" and each.columns[0] in totals)
    )


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


def _with_parts(rules: Sequence[Constraint], metadata: TableMetadata) -> set[str]:
    """Return the columns of the rules, and those that their totals are made of."""
    names = {name for each in rules for name in each.columns}
    for each in metadata.constraints:
        if each.kind == "sum" and each.columns[0] in names:
            names |= set(each.columns)
    return names


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


class ColumnRanks(NamedTuple):
    """A column of the table among the modelled ones, with its cells' ranks."""

    modelled: int
    """Index of the modelled column."""
    ranks: Array
    """int64, one per cell: its rank among all values of all these columns; -1 for null."""
    days: Array
    """int64, one per cell: its day where these are dates or timestamps, 0 for all others."""
    kind: Any
    """The Arrow type of the values."""


class AllowedValues(NamedTuple):
    """The values that a column may take, ascending."""

    ranks: Array
    cells: Array


class Chains:
    """The inequalities between columns that a generator draws."""

    def __init__(self, codec: "Vocabularies", constraints: Sequence[Constraint]) -> None:
        """Order the columns.

        Steps from or to a derived column, and steps between columns that are drawn together,
        are left out: repair cannot help there.
        """
        derived = {maker.name for maker in codec.derived}
        where = {
            name: index
            for index, each in enumerate(codec.columns)
            for name in each.fields
            if name not in derived
        }
        self.steps = [
            (below, above, each)
            for below, above, each in ordered(constraints)
            if where.get(below) is not None
            and where.get(above) is not None
            and where[below] != where[above]
        ]
        names = dict.fromkeys(name for below, above, _ in self.steps for name in (below, above))
        values = {name: codec.columns[where[name]].vocabulary(name) for name in names}
        self.columns = {
            name: ColumnRanks(where[name], ranks, value_days(values[name]), values[name].type)
            for name, ranks in zip(values, common_ranks(list(values.values())), strict=True)
        }

    def allowed_values(self, masks: Sequence[Mask]) -> dict[str, AllowedValues]:
        """Return the values of each column that leave something to every column above it.

        Args:
            masks: the cells that may be chosen, of every modelled column.

        Raises:
            ConfigError: nothing is left of a column.
        """
        found = {}
        for name, column in self.columns.items():
            cells = np.flatnonzero(masks[column.modelled] & (column.ranks >= 0))
            order = np.argsort(column.ranks[cells], kind="stable")
            found[name] = AllowedValues(column.ranks[cells][order], cells[order])
        for step in reversed(self.steps):
            below, above, each = step
            pool, top = found[below], found[above]
            if len(top.ranks):
                of_pool, of_top = self._places(step, pool.cells, top.cells)
                keep = of_pool <= int(of_top[-1]) - each.strict
                found[below] = AllowedValues(pool.ranks[keep], pool.cells[keep])
        self._check(found, masks)
        return found

    def _places(self, step: Step, below_cells: Array, above_cells: Array) -> tuple[Array, Array]:
        """Return where cells of both columns stand by what the step compares: ranks, or days."""
        below, above = self.columns[step[0]], self.columns[step[1]]
        if self._compares_days(step):
            return below.days[below_cells], above.days[above_cells]
        return below.ranks[below_cells], above.ranks[above_cells]

    def _compares_days(self, step: Step) -> bool:
        kinds = self.columns[step[0]].kind, self.columns[step[1]].kind
        return step[2].whole_days or by_day(*kinds)

    def _check(self, allowed: dict[str, AllowedValues], masks: Sequence[Mask]) -> None:
        """Refuse conditions under which no row without nulls keeps an inequality."""
        for below, above, each in self.steps:
            empty = [name for name in (below, above) if not len(allowed[name].ranks)]
            if empty and not self._may_be_null(empty[0], masks):
                msg = (
                    f"{describe(each)} cannot be met: no value of column {empty[0]!r} that is "
                    "allowed fits the others; correct the constraint, or synthesis.given"
                )
                raise ConfigError(msg)

    def _may_be_null(self, name: str, masks: Sequence[Mask]) -> bool:
        column = self.columns[name]
        return bool(np.any(masks[column.modelled] & (column.ranks < 0)))

    def repair(self, cells_ND: Array, allowed: dict[str, AllowedValues]) -> None:
        """Move values of these rows so that every step holds, in place."""
        before: dict[str, list[Step]] = {name: [] for name in self.columns}
        for step in self.steps:
            before[step[1]].append(step)
        bottom = [name for name in self.columns if not before[name]]
        upwards = dict.fromkeys([*bottom, *(above for _, above, _ in self.steps)])
        for name in upwards:
            lowest_N = np.full(len(cells_ND), -1, dtype=np.int64)
            for step in before[name]:
                found_N = self._lowest(cells_ND, step, allowed[name])
                lowest_N = np.maximum(lowest_N, found_N)
            self._raise(cells_ND, name, lowest_N, allowed[name])

    def _lowest(self, cells_ND: Array, step: Step, pool: AllowedValues) -> Array:
        """Return the rank that the upper column of a step has at least in each row; -1 for any."""
        below, strict = self.columns[step[0]], step[2].strict
        cells_N = cells_ND[:, below.modelled]
        ranks_N = self._ranks(cells_ND, step[0])
        lowest_N = ranks_N + strict
        if self._compares_days(step) and len(pool.ranks):
            days_N, of_pool = self._places(step, cells_N, pool.cells)
            places_N = np.searchsorted(of_pool, days_N + strict)
            lowest_N = pool.ranks[np.minimum(places_N, len(of_pool) - 1)]
        return np.where(ranks_N < 0, -1, lowest_N)

    def _ranks(self, cells_ND: Array, name: str) -> Array:
        column = self.columns[name]
        ranks_N: Array = column.ranks[cells_ND[:, column.modelled]]
        return ranks_N

    def _raise(self, cells_ND: Array, name: str, lowest_N: Array, pool: AllowedValues) -> None:
        """Move one column to at least the given ranks, and into its pool, where it is not null."""
        if not len(pool.ranks):
            return
        ranks_N = self._ranks(cells_ND, name)
        wanted_N = np.clip(ranks_N, lowest_N, pool.ranks[-1])
        move_N = (ranks_N >= 0) & (wanted_N != ranks_N)
        found_N = np.minimum(np.searchsorted(pool.ranks, wanted_N[move_N]), len(pool.ranks) - 1)
        cells_ND[move_N, self.columns[name].modelled] = pool.cells[found_N]


def _repair(rules: RowRules, cells_ND: Array) -> None:
    """Alter the rows that still break a rule, in place.

    Raises:
        ConfigError: that does not help.
    """
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
            names = "; ".join(describe(each) for each in rules.rows)
            msg = (
                f"no row was found that keeps {names}, in {TURNS} draws of {len(rows)} rows: "
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
    others = "; ".join(describe(each) for each in rules.rows)
    msg = f"{describe(unique.constraint)} and {others} cannot be met together: remove one of them"
    raise ConfigError(msg)
