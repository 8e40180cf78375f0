"""Figures of single columns: what may be drawn of one, its bins, its real and fake distribution.

Bins have round edges, open ends, and none has few real rows. Edges are multiples of a round step,
or round numbers of two digits on a logarithmic axis; they are laid out between the k-th smallest
and k-th largest real value, so neither an extreme nor a rare value decides where one is. The worst
columns come first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.report import Figure, Metric
from gan.tables.evaluation.columns import judged_columns
from storage.records.table_metadata import TableMetadata

Array = np.ndarray[Any, Any]

NULL = "null"
LONGEST = 40
"""Longer texts are cut."""
_DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S = (datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()
_LAST_S = (datetime.max.replace(microsecond=0, tzinfo=UTC) - _EPOCH).total_seconds()
_MICRO = 1e-6


@dataclass(frozen=True, kw_only=True)
class DrawnColumn:
    """One column that figures show; keys, texts and constants are none."""

    name: str
    kind: str
    form: Literal["levels", "number"]
    """Whether its values lie on an axis, as the judge sees it."""
    group: int
    """Fewest real rows behind anything that is shown of this column."""

    @property
    def whole(self) -> bool:
        """Whether the axis has no value between two neighbouring units."""
        return self.kind in ("integer", "date")


def drawn_columns(
    metadata: TableMetadata, train: pa.Table, label: str | None, *, confidential: bool
) -> tuple[DrawnColumn, ...]:
    """Return the columns that figures show, in the order of the table.

    Raises:
        DataError: there is none.
    """
    found = []
    for judged in judged_columns(metadata, train, label):
        column = metadata.column(judged.name)
        hidden = confidential and column.vocabulary != "public"
        group = max(metadata.min_group, 1) if hidden else 1
        found.append(DrawnColumn(name=column.name, kind=column.kind, form=judged.form, group=group))
    return tuple(found)


def as_numbers(column: Any) -> Array:
    """Return float64 values, NaN where null; days for dates, seconds for times and timestamps."""
    column = _plain(column)
    kind, factor = column.type, 1.0
    if pa.types.is_date(kind):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_time(kind):
        column, factor = column.cast(pa.time64("us"), safe=False).cast(pa.int64()), _MICRO
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
        factor = _MICRO
    elif pa.types.is_duration(kind):
        column, factor = column.cast(pa.duration("us"), safe=False).cast(pa.int64()), _MICRO
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    values = np.asarray(values, dtype=np.float64) * factor
    return np.where(np.isfinite(values), values, np.nan)


def as_levels(column: Any) -> tuple[str, ...]:
    """Return values as text, `null` where there is none."""
    plain = _plain(column)
    return tuple(NULL if value is None else as_text(value) for value in plain.to_pylist())


def count_levels(column: Any) -> dict[str, int]:
    """Return how many rows hold each level, nulls under `null`."""
    counted = pc.value_counts(_plain(column)).to_pylist()
    counts: dict[str, int] = {}
    for entry in counted:
        name = NULL if entry["values"] is None else as_text(entry["values"])
        counts[name] = counts.get(name, 0) + entry["counts"]
    return counts


def as_text(value: Any) -> str:
    """Return one value as a person reads it, cut when it is long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = f"{value:.12g}" if value == round(value, 2) else f"{value:.6g}"
    elif isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="auto")
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def place_text(kind: str, value: float) -> str:
    """Return a value on a column's axis as text: a number, a date, a time of day."""
    if kind == "date":
        return str(_moment(round(value) * _DAY_S).date())
    if kind == "timestamp":
        moment = _moment(value)
        return str(moment.date()) if value % _DAY_S == 0 else f"{moment.date()} {moment:%H:%M}"
    if kind == "time":
        return f"{_EPOCH + timedelta(seconds=round(value)):%H:%M}"
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.6g}"


def _moment(seconds: float) -> datetime:
    """Return a moment; an axis may end beyond the years that have names, as after 9999-12-31."""
    return _EPOCH + timedelta(seconds=round(min(max(seconds, _FIRST_S), _LAST_S)))


def kth_extremes(sorted_values: Array, k: int) -> tuple[float, float] | None:
    """Return the k-th smallest and k-th largest value, or None where these cross."""
    if k < 1 or len(sorted_values) < 2 * k:
        return None
    return float(sorted_values[k - 1]), float(sorted_values[len(sorted_values) - k])


def _plain(column: Any) -> Any:
    """Return a column as one array without dictionary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column


BINS = 20
TAIL = 0.005
"""Share of the rows in each open bin, below and above."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_WHOLE_STEPS = (1.0, 2.0, 5.0, 10.0)
_CLOCK_S = (60.0, 300.0, 900.0, 3600.0, 7200.0, 21_600.0, 86_400.0)
_SKEWED = 0.25
"""Logarithmic when nine tenths of the values lie in less than this share of the range."""
_LOG_RATIO = 20.0
"""And when the extremes differ by more than this factor."""


@dataclass(frozen=True, kw_only=True)
class BinLayout:
    """Edges between bins; the first bin has everything below, the last everything above."""

    edges: Array
    log: bool = False

    def counts(self, values: Array) -> Array:
        """Return how many values each bin has, NaN left out."""
        known = values[~np.isnan(values)]
        bins = np.searchsorted(self.edges, known, side="right")
        return np.bincount(bins, minlength=len(self.edges) + 1)


def lay_out(column: DrawnColumn, values: Array) -> BinLayout | None:
    """Return bins for a column's real values, or None when too few are known."""
    known = np.sort(values[~np.isnan(values)])
    k = max(column.group, int(TAIL * len(known)))
    ends = kth_extremes(known, k)
    if ends is None:
        return None
    low, high = ends
    positive = known[known > 0]
    if low >= 0 and not column.kind.startswith(("date", "time")) and _skewed(known, low, high):
        first = kth_extremes(positive, k)
        if first is not None and first[1] > _LOG_RATIO * first[0]:
            return BinLayout(edges=_log_edges(*first), log=True)
    return BinLayout(edges=_even_edges(column, low, high))


def pool(counts: Array, group: int) -> list[tuple[int, int]]:
    """Return ranges of bins [start, stop), each with no real row or with at least `group`.

    A range with fewer is joined with the neighbour that has fewer rows, empty ones last.
    """
    ranges = [(index, index + 1) for index in range(len(counts))]
    sums = [int(count) for count in counts]
    while len(ranges) > 1:
        rare = [index for index, count in enumerate(sums) if 0 < count < group]
        if not rare:
            break
        index = min(rare, key=lambda one: sums[one])
        beside = [one for one in (index - 1, index + 1) if 0 <= one < len(sums)]
        other = min(beside, key=lambda one: (sums[one] == 0, sums[one]))
        first, second = min(index, other), max(index, other)
        ranges[first : second + 1] = [(ranges[first][0], ranges[second][1])]
        sums[first : second + 1] = [sums[first] + sums[second]]
    return ranges


def _skewed(known: Array, low: float, high: float) -> bool:
    body = float(np.quantile(known, 0.9)) - low
    return high > low and body < _SKEWED * (high - low)


def _even_edges(column: DrawnColumn, low: float, high: float) -> Array:
    """Return multiples of a round step around [low, high], which float64 tells apart."""
    if high <= low:
        span = max(abs(high) * 0.1, 1e-9) if not column.whole else 1.0
        low, high = low - span, high + span
    finest = float(np.spacing(max(abs(low), abs(high)))) * BINS
    if high - low < finest:
        low, high = low - finest, high + finest
    step = _step(column, (high - low) / BINS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    edges = step * np.arange(first, last + 1 + int(column.whole), dtype=np.float64)
    if step < 1:
        decimals = 12 - math.floor(math.log10(step))
        edges = np.array([round(float(edge), decimals) for edge in edges])
    return edges - (0.5 if column.whole else 0.0)


def _step(column: DrawnColumn, raw: float) -> float:
    if column.kind in ("time", "timestamp") and raw <= _CLOCK_S[-1]:
        return next(step for step in _CLOCK_S if step >= raw)
    if column.kind == "timestamp":
        return _CLOCK_S[-1] * _round_up(raw / _CLOCK_S[-1], _WHOLE_STEPS)
    if column.whole:
        return max(1.0, _round_up(raw, _WHOLE_STEPS))
    return _round_up(raw, _STEPS)


def _round_up(raw: float, steps: tuple[float, ...]) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in steps if step * power >= raw * (1 - 1e-9))


def _log_edges(low: float, high: float) -> Array:
    """Return numbers of two digits that grow by about the same factor."""
    return np.unique([float(f"{edge:.2g}") for edge in np.geomspace(low, high, BINS)])


MOST_PANELS = 24
MOST_LEVELS = 6
OTHERS = "all others"
_TICKS = 4
_LONG_TICKS = 3
"""Ticks of dates, whose texts are long."""


def overlays(
    columns: Sequence[DrawnColumn], real: pa.Table, fakes: pa.Table, errors: Mapping[str, Metric]
) -> Figure | None:
    """Return one small chart per column, at most 24; None where nothing can be drawn.

    Args:
        columns: what may be drawn.
        real: the training rows.
        fakes: the synthetic rows.
        errors: column → its marginal error.
    """
    ordered = sorted(columns, key=lambda column: -_error(errors.get(column.name)))
    panels = []
    for column in ordered[:MOST_PANELS]:
        body = _panel(column, real[column.name], fakes[column.name])
        if body is not None:
            panels.append({"title": column.name, "note": _note(errors.get(column.name)), **body})
    if not panels:
        return None
    count = f"{len(panels)} of {len(columns)} columns, " if len(columns) > len(panels) else ""
    group = max(column.group for column in columns)
    held = f"Bins and levels with fewer than {group} real rows are joined." if group > 1 else ""
    return Figure(
        id="column-overlays",
        section="columns",
        caption=f"Distribution of each column in train and in the synthetic rows: {count}the one "
        f"with the largest error first. {held} The first and the last bin are open.",
        alt=f"{len(panels)} small charts, each compares the real and the synthetic distribution "
        f"of a column, from {panels[0]['title']} to {panels[-1]['title']}",
        kind="panels",
        data={"names": ["real (train)", "synthetic"], "panels": panels},
    )


def _error(metric: Metric | None) -> float:
    return 0.0 if metric is None else metric.value


def _note(metric: Metric | None) -> str:
    if metric is None:
        return ""
    real = "" if metric.ceiling is None else f", real {metric.ceiling.value:.3f}"
    return f"error {metric.value:.3f}{real}"


def _panel(column: DrawnColumn, real: Any, fakes: Any) -> dict[str, Any] | None:
    if column.form == "levels":
        return _level_panel(column, count_levels(real), count_levels(fakes))
    values = as_numbers(real)
    layout = lay_out(column, values)
    return None if layout is None else _bin_panel(column, layout, values, as_numbers(fakes))


def _bin_panel(
    column: DrawnColumn, layout: BinLayout, real: Array, fakes: Array
) -> dict[str, Any] | None:
    """Return bins as wide as their steps; the open ones as wide as one step."""
    counts = (layout.counts(real), layout.counts(fakes))
    first, last = _used(counts)
    ranges = [
        (start + first, stop + first) for start, stop in pool(counts[0][first:last], column.group)
    ]
    held = [int(counts[0][start:stop].sum()) for start, stop in ranges]
    if any(0 < count < column.group for count in held):
        return None
    totals = [max(int(count.sum()), 1) for count in counts]
    size = last - first
    bins = [
        {
            "label": _range_text(column, layout, start, stop),
            "start": (start - first) / size,
            "end": (stop - first) / size,
            "values": [
                round(float(count[start:stop].sum()) / total, 5)
                for count, total in zip(counts, totals, strict=True)
            ],
        }
        for start, stop in ranges
    ]
    return {"bins": bins, "ticks": _ticks(column, layout, first, last)}


def _used(counts: tuple[Array, Array]) -> tuple[int, int]:
    """Return the range of bins that any row is in."""
    used = np.flatnonzero(counts[0] + counts[1])
    return int(used[0]), int(used[-1]) + 1


def _range_text(column: DrawnColumn, layout: BinLayout, start: int, stop: int) -> str:
    """Return which values a range of bins has; bin i lies below edge i."""
    edges, shift = layout.edges, _shift(column, layout)
    low = None if start == 0 else place_text(column.kind, edges[start - 1] + shift)
    high = None if stop > len(edges) else place_text(column.kind, edges[stop - 1] - shift)
    if low is None or high is None:
        if low is None and high is None:
            return "all values"
        return f"up to {high}" if low is None else f"from {low}"
    return low if low == high else f"{low} to {high}"


def _shift(column: DrawnColumn, layout: BinLayout) -> float:
    """Return how far whole numbers lie from the edges between them."""
    return 0.5 if column.whole and not layout.log else 0.0


def _ticks(column: DrawnColumn, layout: BinLayout, first: int, last: int) -> list[dict[str, Any]]:
    """Return a few edges as texts under the axis; whole numbers stand under their own bin."""
    edges, shift = layout.edges, _shift(column, layout)
    inner = [edge for edge in range(first, last + 1) if 0 < edge <= len(edges)]
    count = _LONG_TICKS if column.kind in ("date", "timestamp") else _TICKS
    spread = np.unique(np.linspace(0, len(inner) - 1, min(count, len(inner))).astype(int))
    inside = shift / (edges[1] - edges[0]) if len(edges) > 1 else 0.0
    ticks = []
    for edge in (inner[index] for index in spread):
        at = (edge - first + inside) / (last - first)
        if at <= 1:
            text = place_text(column.kind, edges[edge - 1] + shift)
            ticks.append({"at": round(float(at), 4), "text": text})
    return ticks


def _level_panel(
    column: DrawnColumn, real: dict[str, int], fakes: dict[str, int]
) -> dict[str, Any] | None:
    """Return the commonest levels, and all others in one."""
    common = common_levels(real, column.group, MOST_LEVELS)
    totals = [max(sum(counts.values()), 1) for counts in (real, fakes)]
    levels: list[dict[str, Any]] = [
        {
            "label": name,
            "values": [real[name] / totals[0], fakes.get(name, 0) / totals[1]],
        }
        for name in common
    ]
    rest = [sum(n for name, n in counts.items() if name not in common) for counts in (real, fakes)]
    if any(rest):
        shares = [count / total for count, total in zip(rest, totals, strict=True)]
        levels.append({"label": OTHERS, "values": shares})
    for level in levels:
        level["values"] = [round(value, 5) for value in level["values"]]
    return {"levels": levels} if common else None


def common_levels(counts: Mapping[str, int], group: int, most: int) -> list[str]:
    """Return the commonest levels, `null` last, so that each has at least `group` rows.

    What is left over has no row or at least `group` as well, so its share says nothing of few rows.
    """
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    common = [name for name in ordered if counts[name] >= group][:most]
    rest = sum(counts.values()) - sum(counts[name] for name in common)
    while common and 0 < rest < group:
        rest += counts[common.pop()]
    return sorted(common, key=lambda name: name == NULL)
