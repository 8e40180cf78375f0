"""When steps are: moments ↔ whole numbers, and what the calendar says of a moment.

Moments are counted in ticks: microseconds of the wall clock since 1970, days where the type holds
days, the number itself where time is a number. Regular series have a grid: its moment k is `phase`
plus k steps, and an entity is known by the index of its first step and their number. Irregular
series have the tick of their first step and the gaps between steps.

Shapes: N entities, T steps.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gan.errors import DataError
from gan.tables.columns.values import parse_type
from storage.records.series import SeriesMetadata, Step

Array = np.ndarray[Any, Any]

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
SIZES: Final = {"weekday": 7, "hour": 24, "month": 12}
"""What the calendar says → of how many kinds a moment can be."""
ALIGNED: Final = {"days": (7,), "microseconds": (168, 24)}
"""Unit of steps → numbers of days or hours; where all entities begin at one place of such a cycle,
synthetic ones do too."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The moments of series."""

    kind_name: str
    """Arrow type of the moments."""
    step: Step | None
    zone: str | None
    phase: int = 0
    """Regular series: tick of the grid's moment 0; of months, the ticks since their first day."""
    from_end: bool = False
    """Whether the ticks of `phase` are those before the month's end."""
    month: int = 0
    """Steps of several months: the month of the grid's moment 0, counted from January 1970."""
    cycle: int = 1
    """Entities begin at one place of a cycle of so many steps."""
    first: int = 0
    """The place."""

    @classmethod
    def fit(cls, moments_T: Any, first_N: Array, metadata: SeriesMetadata) -> Self:
        """Learn the grid.

        Args:
            moments_T: Arrow, of all steps, entity after entity.
            first_N: number of each entity's first step.
            metadata: of the series.

        Raises:
            DataError: the moments do not lie on the grid of the step.
        """
        clock = cls(kind_name=str(moments_T.type), step=metadata.step, zone=metadata.zone)
        step = metadata.step
        if step is None:
            return clock
        ticks_T = clock.ticks_of(moments_T)
        if step.unit == "months":
            clock = clock._with_months(ticks_T, step.count)
        else:
            clock = cls(**{**vars(clock), "phase": int(ticks_T[0] % clock.step_ticks)})
            if ((ticks_T - clock.phase) % clock.step_ticks).any():
                msg = (
                    f"the moments of column {metadata.time.name!r} are not all {step.count} "
                    f"{step.unit} apart: prepare the records again"
                )
                raise DataError(msg)
        start_N = clock.index_of(ticks_T[first_N])
        for cycle in clock._cycles():
            places = np.unique(start_N % cycle)
            if len(places) == 1:
                return cls(**{**vars(clock), "cycle": cycle, "first": int(places[0])})
        return clock

    def _with_months(self, ticks_T: Array, count: int) -> Self:
        months_T, inside_T = _months(ticks_T * self.tick_us)
        month = int(months_T[0] % count)
        if ((months_T - month) % count).any():
            msg = f"the moments are not all {count} months apart: prepare the records again"
            raise DataError(msg)
        ends_T = inside_T - _month_length(months_T)
        for inside, from_end in ((inside_T, False), (ends_T, True)):
            if (inside == inside[0]).all():
                changed = {"phase": int(inside[0]), "from_end": from_end, "month": month}
                return type(self)(**{**vars(self), **changed})
        msg = (
            "steps of months need one day of the month, or its last: prepare the records with "
            "another step"
        )
        raise DataError(msg)

    def _cycles(self) -> tuple[int, ...]:
        """Return the cycles of days or hours, in steps."""
        if self.step is None or self.is_number or self.step.unit not in ALIGNED:
            return ()
        unit_us = DAY_US if self.step.unit == "days" else HOUR_US
        step_us = self.step_ticks * self.tick_us
        lengths = (count * unit_us for count in ALIGNED[self.step.unit])
        return tuple(us // step_us for us in lengths if us % step_us == 0 and us > step_us)

    @property
    def kind(self) -> Any:
        """Arrow type of the moments."""
        return parse_type(self.kind_name)

    @property
    def is_number(self) -> bool:
        """Whether time is a mere number."""
        return not pa.types.is_temporal(self.kind)

    @property
    def tick_us(self) -> int:
        """Microseconds of a tick; 1 where time is a number."""
        return DAY_US if pa.types.is_date(self.kind) else 1

    @property
    def step_ticks(self) -> int:
        """Ticks of a step that is not of months."""
        if self.step is None:
            return 1
        us = {"days": DAY_US, "microseconds": 1, "ones": 1}[self.step.unit]
        return max(self.step.count * us // self.tick_us, 1)

    @property
    def calendar(self) -> tuple[str, ...]:
        """What the calendar says of a step, names of `SIZES`."""
        if self.is_number or pa.types.is_time(self.kind):
            return ()
        if self.step is not None and self.step.unit == "months":
            return ("month",)
        step_us = 1 if self.step is None else self.step_ticks * self.tick_us
        fine = self.tick_us < DAY_US and step_us < DAY_US
        weekday = step_us % (7 * DAY_US) != 0
        return (*(("weekday",) if weekday else ()), *(("hour",) if fine else ()), "month")

    @property
    def seasons(self) -> tuple[int, ...]:
        """Steps after which the calendar repeats, the shortest first."""
        if self.step is None or self.is_number:
            return ()
        if self.step.unit == "months":
            return (12 // self.step.count,) if 12 % self.step.count == 0 else ()
        step_us = self.step_ticks * self.tick_us
        wanted = (DAY_US, 7 * DAY_US) if step_us < 7 * DAY_US else (364 * DAY_US,)
        return tuple(us // step_us for us in wanted if us % step_us == 0 and us > step_us)

    def ticks_of(self, moments: Any) -> Array:
        """Return the ticks of moments, int64; those of a zone by its wall clock."""
        kind = moments.type
        if pa.types.is_timestamp(kind):
            if kind.tz is not None and self.zone is not None:
                zoned = moments.cast(pa.timestamp(kind.unit, self.zone))
                moments = pc.local_timestamp(zoned)
            moments = moments.cast(pa.timestamp("us", moments.type.tz), safe=False)
        elif pa.types.is_date(kind):
            moments = moments.cast(pa.date32())
        elif pa.types.is_time(kind):
            moments = moments.cast(pa.time64("us"), safe=False)
        return np.asarray(to_plain_numpy(moments), dtype=np.int64)

    def moments_of(self, ticks: Array) -> Any:
        """Return the moments of ticks, in their type."""
        kind = self.kind
        if self.is_number:
            return pa.array(ticks).cast(kind)
        if pa.types.is_date(kind):
            return pa.array(ticks.astype(np.int32)).view(pa.date32()).cast(kind)
        if pa.types.is_time(kind):
            return pa.array(ticks % DAY_US).view(pa.time64("us")).cast(kind, safe=False)
        moments = pa.array(ticks).view(pa.timestamp("us"))
        if kind.tz is not None:
            zone = self.zone or "UTC"
            moments = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="latest")
        return moments.cast(kind, safe=False)

    def index_of(self, ticks: Array) -> Array:
        """Return places on the grid; the ticks themselves of irregular series."""
        if self.step is None:
            return ticks
        if self.step.unit == "months":
            months, _ = _months(ticks * self.tick_us)
            return np.asarray((months - self.month) // self.step.count)
        return np.asarray((ticks - self.phase) // self.step_ticks)

    def ticks_at(self, index: Array) -> Array:
        """Return the ticks of places on the grid: the inverse of `index_of`."""
        if self.step is None:
            return index
        if self.step.unit == "months":
            months = index * self.step.count + self.month
            since = _month_start(months + 1 if self.from_end else months)
            return np.asarray((since + self.phase) // self.tick_us)
        return np.asarray(self.phase + index * self.step_ticks)

    def aligned(self, start_N: Array) -> Array:
        """Return starts moved to the nearest place of the cycle at which entities begin."""
        over_N = (start_N - self.first + self.cycle // 2) % self.cycle - self.cycle // 2
        return np.asarray(start_N - over_N)

    def calendar_of(self, index: Tensor) -> list[Tensor]:
        """Return for each of `calendar` the kind of places on the grid, or of ticks; int64."""
        if self.step is not None and self.step.unit == "months":
            return [(index * self.step.count + self.month) % 12]
        ticks = index if self.step is None else self.phase + index * self.step_ticks
        us = ticks * self.tick_us
        days = torch.div(us, DAY_US, rounding_mode="floor")
        found = {
            "weekday": lambda: (days + 3) % 7,
            "hour": lambda: torch.div(us - days * DAY_US, HOUR_US, rounding_mode="floor"),
            "month": lambda: _month_of_day(days),
        }
        return [found[name]() for name in self.calendar]

    def to_json(self) -> dict[str, Any]:
        """Return the clock as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the clock."""
        step = None if data["step"] is None else Step(**data["step"])
        return cls(**{**data, "step": step})


def to_plain_numpy(moments: Any) -> Array:
    """Return the integers behind moments."""
    if not pa.types.is_temporal(moments.type):
        return np.asarray(moments.to_numpy(zero_copy_only=False))
    width = pa.int32() if moments.type.bit_width == 32 else pa.int64()
    return np.asarray(moments.view(width).to_numpy(zero_copy_only=False))


def _months(us: Array) -> tuple[Array, Array]:
    """Return the months since 1970 of microseconds, and the microseconds since their first day."""
    months = us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months, us - _month_start(months)


def _month_start(months: Array) -> Array:
    """Return the microseconds at which months begin."""
    return np.asarray(months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64))


def _month_length(months: Array) -> Array:
    return np.asarray(_month_start(months + 1) - _month_start(months))


def _month_of_day(days: Tensor) -> Tensor:
    """Return the month, 0 to 11, of days since 1970.

    Hinnant, "chrono-compatible low-level date algorithms" (2013), `civil_from_days`.
    """
    shifted = days + 719_468
    era = torch.div(shifted, 146_097, rounding_mode="floor")
    of_era = shifted - era * 146_097
    years = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    return ((5 * of_year + 2) // 153 + 2) % 12
