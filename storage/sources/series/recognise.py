"""Whether rows are steps of entities: which column would name the entity, and which the moment.

A column names entities, and another one moments, where the two together are different in every row
although either repeats, and would not be by chance; where moments are so fine that they are
different with any column, the name of the column must say it. Rows of one moment each, a constant
step apart, are one series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.proposal import Proposal
from storage.sources.checks import MIN_RECORDS
from storage.sources.series.panel import as_panel
from storage.sources.series.regular import find_rhythm, in_words
from storage.sources.series.windows import propose_window
from storage.sources.tables.kinds import Finding, infer_kind
from storage.sources.tables.survey import entity_rank, expected_pairs
from storage.sources.tables.text_patterns import words_of_name

_STEPS: Final = 5
"""Entities of fewer steps on average are no series that anyone needs to be told of."""
_TIME_WORDS: Final = frozenset(
    {"year", "quarter", "month", "week", "day", "hour", "minute", "period", "step", "time", "t"}
    | {"timestep", "tick", "cycle", "visit", "seq", "sequence", "date", "round"}
)
"""Words in the names of columns whose whole numbers may be moments."""
_CHANCE: Final = 5.0
"""So many pairs of equal rows would be expected of a column that has nothing to do with time."""
_PAIRED: Final = 8
"""So many columns are tried two by two."""
_UNRANKED: Final = 1_000
"""Behind all columns whose name says that they name entities."""


@dataclass(frozen=True, kw_only=True)
class FoundPanel:
    """Whose steps the rows are, and when."""

    entity: str | None
    """None where they are all of one series."""
    time: str
    why_entity: str = ""
    why_time: str = ""

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """The settings that say it."""
        time = Proposal(setting="source.time", value=self.time, why=self.why_time)
        if self.entity is None:
            return (time,)
        return (Proposal(setting="source.entity", value=self.entity, why=self.why_entity), time)


def kinds_of(table: pa.Table) -> dict[str, Finding]:
    """Return what every column is by its values alone."""
    return {name: infer_kind(name, table.column(name)) for name in table.column_names}


def find_series(table: pa.Table, kinds: Mapping[str, Finding]) -> FoundPanel | None:
    """Return whose steps the rows are and when, where they are enough to learn from."""
    times = [
        name
        for name in table.column_names
        if _may_be_time(name, kinds[name].kind) and not table.column(name).null_count
    ]
    ranked = []
    for time in times:
        for name in table.column_names:
            entity = _as_entity(table, name, time, kinds)
            if entity is not None:
                rank, values, why = entity
                found = FoundPanel(
                    entity=name,
                    time=time,
                    why_entity=why,
                    why_time=f"when each step is: {kinds[time].why}",
                )
                ranked.append((rank, -values, found))
    if ranked:
        return min(ranked, key=lambda one: one[:2])[2]
    pairs = (_as_pair(table, time, kinds) for time in times)
    series = (_as_one(table, time, kinds[time]) for time in times)
    return next((one for one in chain(pairs, series) if one is not None), None)


def _may_be_time(name: str, kind: str) -> bool:
    if kind in ("date", "timestamp"):
        return True
    return kind in ("integer", "key") and bool(_TIME_WORDS & set(words_of_name(name)))


def _as_entity(
    table: pa.Table, name: str, time: str, kinds: Mapping[str, Finding]
) -> tuple[int, int, str] | None:
    """Return rank, number of values and reason of a column that names entities."""
    column = table.column(name)
    if name == time or kinds[name].kind not in ("category", "integer") or column.null_count:
        return None
    counts = pc.value_counts(column).field("counts").to_numpy()
    if len(counts) < 2 or len(table) < _STEPS * len(counts):
        return None
    rank, pair = entity_rank(name), table.select([name, time])
    if len(pair.group_by(pair.column_names).aggregate([])) < len(table):
        return None
    if rank is None and not _by_design(table, [name], time):
        return None
    if len(counts) < MIN_RECORDS and propose_window(counts, None) is None:
        return None
    why = (
        f"{len(counts):,} values in {len(table):,} rows, each once at most with a value of "
        f"{time}: the rows of one are one record"
    )
    return _UNRANKED if rank is None else rank, len(counts), why


def _by_design(table: pa.Table, names: Sequence[str], time: str) -> bool:
    """Whether columns that never have a value twice at one moment would have by chance."""
    return expected_pairs(table, names, time) >= _CHANCE


def _as_pair(table: pa.Table, time: str, kinds: Mapping[str, Finding]) -> FoundPanel | None:
    """Return two columns that name entities together, such as a shop and an item."""
    fit = [
        name
        for name in table.column_names
        if name != time
        and kinds[name].kind in ("category", "integer")
        and not table.column(name).null_count
        and 2 <= pc.count_distinct(table.column(name)).as_py() <= len(table) / _STEPS
    ]
    for pair in combinations(fit[:_PAIRED], 2):
        counts = table.group_by(list(pair)).aggregate([([], "count_all")]).column("count_all")
        few = len(counts) < MIN_RECORDS and propose_window(counts.to_numpy(), None) is None
        distinct = len(table.group_by([*pair, time]).aggregate([])) == len(table)
        if few or not distinct or len(table) < _STEPS * len(counts):
            continue
        if not _by_design(table, pair, time):
            continue
        why = (
            f"together {len(counts):,} entities in {len(table):,} rows, each once at most with a "
            f"value of {time}"
        )
        when = f"when each step is: {kinds[time].why}"
        return FoundPanel(entity=", ".join(pair), time=time, why_entity=why, why_time=when)
    return None


def _as_one(table: pa.Table, time: str, kind: Finding) -> FoundPanel | None:
    """Return that all rows are one series of a constant step."""
    column = table.column(time)
    if kind.kind not in ("date", "timestamp"):
        return None
    if pc.count_distinct(column).as_py() < len(column) or len(column) < MIN_RECORDS:
        return None
    nobody = np.zeros(len(column), np.bool_)
    panel = as_panel(table.select([time]), nobody, entity=None, time=time, uri="")
    step = find_rhythm(panel, time).step
    if step is None or propose_window(panel.lengths_N, step) is None:
        return None
    why = f"every row has another one, {in_words(step)} apart: the rows are one long series"
    return FoundPanel(entity=None, time=time, why_time=why)
