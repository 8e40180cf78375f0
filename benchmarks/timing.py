"""Two sides timed in turn, so that a machine whose speed drifts treats both alike."""

import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Seconds of both sides, round by round."""

    ours_s: tuple[float, ...]
    theirs_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over the rounds of their seconds ÷ ours: how many times as fast we are."""
        rounds = zip(self.theirs_s, self.ours_s, strict=True)
        return statistics.median(theirs / ours for theirs, ours in rounds)

    @property
    def ours_median_s(self) -> float:
        """Median of our seconds."""
        return statistics.median(self.ours_s)

    @property
    def theirs_median_s(self) -> float:
        """Median of their seconds."""
        return statistics.median(self.theirs_s)


Clock = Callable[[], float]


def in_turn(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int,
    clock: Clock = perf_counter,
) -> Comparison:
    """Run both once unmeasured, then ours, theirs, ours, theirs and so on.

    Args:
        ours: one round of ours.
        theirs: one round of theirs.
        rounds: of each.
        clock: wall time; `process_time` where other work runs beside both.
    """
    ours()
    theirs()
    pairs = [(seconds(ours, clock), seconds(theirs, clock)) for _ in range(rounds)]
    return Comparison(
        ours_s=tuple(pair[0] for pair in pairs), theirs_s=tuple(pair[1] for pair in pairs)
    )


def seconds(call: Callable[[], object], clock: Clock = perf_counter) -> float:
    """Return the seconds of one call, of wall time or by another clock."""
    started_s = clock()
    call()
    return clock() - started_s


def machine() -> str:
    """Return processor and cores in a few words."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    version = platform.python_version()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {version}"


def peak_mib() -> int:
    """Return the most memory that this process has had; `getrusage` counts its parent's too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) >> 10
