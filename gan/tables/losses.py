"""What a table loses before anything is learned: the training rows as the codec shows them.

A rare level becomes a common one, extremes become a fitted tail, values become points of a curve
through means of small groups (`columns.levels`, `columns.groups`, `columns.curve`). Here real
columns are held against what is shown of them, or against synthetic ones: levels, sums, quantiles,
extremes, distinct values. What is said may be published, so no sentence names a value:

- Changes are rounded to two digits. Where one row makes more than half of a change (the dominance
  rule of statistical disclosure control: Hundepool et al. 2012, Statistical Disclosure Control,
  section 4.2.2), a range is said in its place.
- Extremes are said as `less than a third`, from a fixed list, never as a ratio.
- A quantile is said only where `min_group` rows lie beyond it, and fewer rows are not counted.

Shapes: N real values, M shown ones.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.report import Figure
from gan.tables.columns.derived import Key
from gan.tables.columns.fit import in_range
from gan.tables.columns.groups import read_rules
from gan.tables.columns.levels import MOST_LEVELS, POOL, Levels, Presence
from gan.tables.columns.numeric import FEW_VALUES
from gan.tables.columns.values import is_number, plain, to_units
from gan.tables.vocabularies import Vocabularies

Array = np.ndarray[Any, Any]

LEAST_CHANGE = 0.01
"""A sum that changes by less is as good as kept."""
LEAST_QUANTILE_CHANGE = 0.05
LEAST_REACH = 2 / 3
"""A tail that reaches so far is as good as kept: the largest of a few thousand normal values do not
reach further when ten are cut."""
QUANTILES = (0.99, 0.95, 0.90)
FRACTIONS = (
    (1 / 100, "a hundredth"),
    (1 / 20, "a twentieth"),
    (1 / 10, "a tenth"),
    (1 / 5, "a fifth"),
    (1 / 4, "a quarter"),
    (1 / 3, "a third"),
    (1 / 2, "half"),
    (2 / 3, "two thirds"),
    (9 / 10, "nine tenths"),
)
STEPS = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
"""Ends of the ranges that stand for a change which one row dominates."""
DOMINATED = 0.5
MOST_NAMED = 12
"""As many columns as one sentence names."""
MOST_ROWS = 200
"""Of the figure."""


class Loss(NamedTuple):
    """What privacy takes from a column."""

    column: str
    """Empty for what is the same in several columns."""
    text: str
    """One sentence that names the column and no value of it."""


class Change(NamedTuple):
    """How one measure of a column differs from the real one."""

    measure: str
    text: str
    """For a table: `-23 %`."""
    phrase: str
    """For a sentence: `its sum falls by 23 %`."""
    notable: bool


def table_losses(codec: Vocabularies, records: pa.Table) -> tuple[Loss, ...]:
    """Return what the codec takes from the columns it was fitted on.

    Args:
        codec: fitted on the training records.
        records: these training records.
    """
    metadata, found, others = codec.metadata, list[Loss](), dict[str, float]()
    limits = read_rules(metadata, codec.label).limits
    for name, shown in shown_columns(codec, records).items():
        column, real = metadata.column(name), plain(records[name])
        group = 1 if column.vocabulary == "public" else metadata.min_group
        changes = compare(real, shown, metadata.min_group)
        beyond = 1 - float(np.mean(in_range(real, limits[name]))) if name in limits else 0.0
        phrases = [change.phrase for change in changes if change.notable]
        if beyond:
            phrases.append(f"{_percent(beyond)} of the rows lie beyond its range constraint")
        kept = kept_values(real, shown)
        if phrases:
            if kept < 1 and not any(change.measure == LEVELS for change in changes):
                phrases.append(f"{_percent(kept)} of its distinct values are left")
            found.append(Loss(name, f"{name}: {', '.join(phrases)} ({_knob(group)})"))
        elif kept < 1 and group > 1:
            others[name] = kept
    return (
        *found,
        *_pooled_levels(codec),
        *_nulls_of_keys(codec, records),
        *_other_columns(others, metadata.min_group),
    )


def shown_columns(codec: Vocabularies, records: pa.Table) -> dict[str, Any]:
    """Return the records' columns as the codec shows them; not those that are made afresh."""
    cells_ND = codec.encode(records).values
    shown = codec.modelled_values(cells_ND)
    made = {column.name for column in codec.columns if isinstance(column, Presence)}
    found = {name: values for name, values in shown.items() if name not in made}
    present = {column.name: column for column in codec.columns if isinstance(column, Presence)}
    for maker in codec.derived:
        if isinstance(maker, Key):
            continue
        decoded = dict(found)
        if maker.name in present:
            cells = pa.array(present[maker.name].encode(records))
            decoded[maker.name] = present[maker.name].vocabularies[0].take(cells)
        found[maker.name] = plain(maker.make(records.num_rows, 0, decoded))
    return {name: found[name] for name in codec.schema.names if name in found}


LEVELS = "levels"


def compare(real: Any, shown: Any, group: int) -> list[Change]:
    """Return how a column that is shown differs from the real one.

    Args:
        real: Arrow, without dictionary.
        shown: of the same type, the same rows or others.
        group: so many rows lie beyond a quantile that is said.
    """
    found = []
    if real.null_count and not shown.null_count:
        found.append(Change("nulls", "none left", "its nulls become values", notable=True))
    x, y = real.drop_null(), shown.drop_null()
    if not len(x) or not len(y):
        return found
    distinct = pc.count_distinct(x).as_py()
    numbers = is_number(x.type)
    if not numbers or distinct <= FEW_VALUES:
        found += _levels(x, y, distinct, "values" if numbers else LEVELS, group)
    if numbers and pc.count_distinct(y).as_py() > 1:
        x_N, y_M = _numbers(x), _numbers(y)
        if not pa.types.is_temporal(x.type):
            found += _amounts(x_N, y_M, group)
        found += _tails(x_N, y_M)
    return found


def kept_values(real: Any, shown: Any) -> float:
    """Return which share of the distinct values is left, among equally many rows."""
    rows = min(len(real), len(shown))
    before, after = (pc.count_distinct(part.slice(0, rows)).as_py() for part in (real, shown))
    return min(1.0, float(after) / max(float(before), 1.0))


def _levels(x: Any, y: Any, distinct: int, what: str, group: int) -> list[Change]:
    """Return the change of levels, if some are lost."""
    lost_N = pc.invert(pc.is_in(x, value_set=y.unique()))
    rows = pc.sum(lost_N).as_py()
    if not rows:
        return []
    lost = pc.count_distinct(x.filter(lost_N)).as_py()
    few = f"held by fewer than {group} rows"
    share = few if rows < group else f"in {_percent(rows / len(x))} of the rows"
    which = f"{lost:,} of {distinct:,} {what}, {share}, become"
    phrase = f"{which}{'s' if lost == 1 else ''} others"
    if pc.count_distinct(y).as_py() == 1:
        phrase = f"it loses all variation: {which}{'s' if lost == 1 else ''} the one that is left"
    text = f"{distinct - lost:,} of {distinct:,} left"
    return [Change(LEVELS, text, phrase, notable=True)]


def _amounts(x_N: Array, y_M: Array, group: int) -> list[Change]:
    """Return the changes of sum or mean, and of a high quantile."""
    found, middle = [], float(np.median(x_N))
    mean, shift = float(x_N.mean()), float(y_M.mean()) - float(x_N.mean())
    farthest = float(np.abs(x_N - middle).max())
    dominated = farthest > DOMINATED * abs(shift) * len(x_N)
    if mean and (x_N.min() >= 0 or x_N.max() <= 0):
        found.append(_change("sum", shift / abs(mean), LEAST_CHANGE, dominated=dominated))
    elif x_N.std() > 0:
        moved = shift / float(x_N.std())
        text = f"{'-' if moved < 0 else '+'}{_amount(abs(moved), dominated=dominated)}"
        phrase = f"its mean moves by {_amount(abs(moved), dominated=dominated)} of its spread"
        found.append(Change("mean, of the spread", text, phrase, abs(moved) >= LEAST_CHANGE))
    level = next((q for q in QUANTILES if len(x_N) * (1 - q) >= group), None)
    if level is not None:
        base = 0.0 if x_N.min() >= 0 else middle
        before, after = (float(np.quantile(part, level)) - base for part in (x_N, y_M))
        if before > 0:
            name = f"{level:.0%} quantile".replace("%", " %")
            change = after / before - 1
            found.append(_change(name, change, LEAST_QUANTILE_CHANGE, dominated=False))
    return found


def _change(measure: str, change: float, least: float, *, dominated: bool) -> Change:
    amount = _amount(abs(change), dominated=dominated)
    way = "falls" if change < 0 else "rises"
    text = f"{'-' if change < 0 else '+'}{amount}"
    return Change(measure, text, f"its {measure} {way} by {amount}", abs(change) >= least)


def _tails(x_N: Array, y_M: Array) -> list[Change]:
    """Return how far the extremes reach; of values from zero on the largest one itself."""
    found, middle = [], float(np.median(x_N))
    if x_N.min() >= 0 and x_N.max() > 0:
        found.append(_reach("largest value", float(y_M.max()) / float(x_N.max())))
    elif x_N.max() > middle:
        found.append(_reach("upper tail", (float(y_M.max()) - middle) / (x_N.max() - middle)))
    if x_N.min() < middle:
        found.append(_reach("lower tail", (middle - float(y_M.min())) / (middle - x_N.min())))
    return [change for change in found if change is not None]


def _reach(measure: str, share: float) -> Change | None:
    """Return how much of an extreme is left, as a fraction of a fixed list; None for most of it."""
    for bound, name in FRACTIONS:
        if share < bound:
            phrase = f"its {measure} falls to less than {name}"
            if measure != "largest value":
                phrase = f"its {measure} reaches less than {name} as far"
            return Change(measure, f"less than {name}", phrase, notable=share < LEAST_REACH)
    return None


def _amount(change: float, *, dominated: bool) -> str:
    """Return a change in percent: two digits, or a range where one row dominates it."""
    if not dominated:
        return _percent(change)
    below = max(step for step in STEPS if step <= change)
    above = next((step for step in STEPS if step > change), None)
    if not below:
        return f"up to {100 * STEPS[1]:.0f} %"
    if above is None:
        return f"more than {below:.0%}".replace("%", " %")
    return f"{100 * below:.0f} to {100 * above:.0f} %"


def _percent(share: float) -> str:
    """Return a share in percent, two digits."""
    return f"{float(f'{100 * share:.2g}'):g} %"


def _numbers(values: Any) -> Array:
    """Return values without nulls as float64; of dates and times the integers behind them."""
    if pa.types.is_integer(values.type):
        whole: Array = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return whole
    units, _ = to_units(values, None if pa.types.is_floating(values.type) else 0)
    return units.astype(np.float64)


def _knob(group: int) -> str:
    """Return what changes it."""
    if group > 1:
        return f"privacy.min_group {group}; vocabulary: public of the column shows what is rare"
    return "the codec's bins"


def _pooled_levels(codec: Vocabularies) -> list[Loss]:
    """Return the columns of so many levels that what else goes with the rarer ones is lost."""
    return [
        Loss(
            column.name,
            f"{column.name}: {column.pooled:,} of its levels, beyond the {MOST_LEVELS:,} "
            f"commonest, share codes, {POOL} each: their shares stay, what goes with them in other "
            "columns does not",
        )
        for column in codec.columns
        if isinstance(column, Levels) and column.pooled
    ]


def _nulls_of_keys(codec: Vocabularies, records: pa.Table) -> list[Loss]:
    """Return the keys and texts whose few nulls are filled."""
    present = {column.name for column in codec.columns if isinstance(column, Presence)}
    return [
        Loss(maker.name, f"{maker.name}: its nulls become values, fewer than {group} rows hold one")
        for maker in codec.derived
        for group in [codec.metadata.min_group]
        if isinstance(maker, Key) and maker.name not in present and records[maker.name].null_count
    ]


def _other_columns(kept: Mapping[str, float], group: int) -> list[Loss]:
    """Return one sentence on the columns that lose extremes and distinct values only."""
    if not kept:
        return []
    named = ", ".join(list(kept)[:MOST_NAMED])
    more = f" and {len(kept) - MOST_NAMED} more" if len(kept) > MOST_NAMED else ""
    shares = sorted({_percent(min(kept.values())), _percent(max(kept.values()))}, key=len)
    text = (
        f"{named}{more}: values come from a curve through means of {group} rows or more, and "
        f"{' to '.join(sorted(shares, key=_leading))} of the distinct values are left, sums and "
        f"quantiles as they are (privacy.min_group {group})"
    )
    return [Loss("", text)]


def _leading(text: str) -> float:
    return float(text.split()[0])


def losses_figure(codec: Vocabularies, train: pa.Table, fakes: pa.Table) -> Figure | None:
    """Return the columns that lose much, as shown and as synthesized, against the real ones.

    Args:
        codec: of the generator.
        train: the real rows it was fitted on.
        fakes: synthetic rows.
    """
    group, rows = codec.metadata.min_group, list[list[str | None]]()
    for name, shown in shown_columns(codec, train).items():
        if name not in fakes.column_names:
            continue
        real, made = plain(train[name]), plain(fakes[name])
        changes = compare(real, shown, group)
        if not any(change.notable for change in changes):
            continue
        left = {each.measure: each.text for each in changes}
        then = {each.measure: each.text for each in compare(real, made, group)}
        rows += [[name, one, left.get(one), then.get(one)] for one in {**left, **then}]
        kept = (_percent(kept_values(real, each)) for each in (shown, made))
        rows.append([name, "distinct values", *kept])
    if not rows:
        return None
    return Figure(
        id="losses",
        section="privacy",
        caption="What privacy takes from columns: the real training rows as the codec shows them, "
        "and synthetic rows, both against the real ones. Columns with little change are left out.",
        alt=f"Table of {min(len(rows), MOST_ROWS)} changes of columns",
        kind="table",
        data={
            "columns": ["column", "measure", "real rows as shown", "synthetic rows"],
            "rows": rows[:MOST_ROWS],
        },
    )
