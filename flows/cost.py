"""What a run used: seconds of processor, GPU and clock, and bytes it wrote to the lake.

A run counts what it did itself. One that goes on where another stopped, or that finds everything
done, reports its own share only; the shares of all runs are in their own outcomes.
"""

import dataclasses
import resource
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from storage.stores.counting import CountingStore
from storage.stores.interface import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The share of one run."""

    wall_s: float
    """From the opening of the lake to now, waiting included."""
    cpu_s: float
    """Of this process and of its worker processes that have ended."""
    gpu_s: float
    """Wall time in which training, evaluation or synthesis held a CUDA device, busy or not."""
    written_bytes: int
    """Objects created or replaced in the lake: checkpoints, generator, reports, shards, papers."""

    def to_json(self) -> dict[str, float]:
        """Return the numbers for the manifest and `--json`."""
        return dataclasses.asdict(self)


def _cpu_s() -> float:
    """Return the processor seconds of this process and of its children that were waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(kw_only=True)
class Spending:
    """The running account of one run; its clocks start when it is made."""

    gpu_s: float = 0.0
    written_bytes: int = 0
    started_s: float = field(default_factory=monotonic)
    cpu_before_s: float = field(default_factory=_cpu_s)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wrote(self, size_bytes: int) -> None:
        """Add an object that was put in the lake; from any thread."""
        with self._lock:
            self.written_bytes += size_bytes

    @contextmanager
    def using(self, device: str) -> Iterator[None]:
        """Count the time of the block as GPU time when the device is one."""
        began_s = monotonic()
        try:
            yield
        finally:
            if device.startswith("cuda"):
                self.gpu_s += monotonic() - began_s

    def so_far(self) -> Cost:
        """Return what was used until now."""
        return Cost(
            wall_s=round(monotonic() - self.started_s, 3),
            cpu_s=round(_cpu_s() - self.cpu_before_s, 3),
            gpu_s=round(self.gpu_s, 3),
            written_bytes=self.written_bytes,
        )


def uncounted(lake: ObjectStore) -> ObjectStore:
    """Return the lake without its counter, for objects that are counted when they are done."""
    return lake.inner if isinstance(lake, CountingStore) else lake


def cost_text(cost: Mapping[str, Any]) -> str:
    """Return the cost that a manifest or an outcome holds as a line for people."""
    gpu = f"{cost['gpu_s']:,.0f} GPU-s, " if cost["gpu_s"] else ""
    written = f"{cost['written_bytes'] / 2**20:,.1f} MiB written"
    return f"{gpu}{cost['cpu_s']:,.0f} CPU-s in {cost['wall_s']:,.0f} s, {written}"
