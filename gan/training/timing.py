"""How fast a training will be here, by a few of its own steps: before an hour is spent on it."""

import math
from collections.abc import Callable
from time import perf_counter, process_time
from typing import NamedTuple

import pyarrow as pa

from gan.config import ResolvedConfig
from gan.device import DeviceContext, find_device
from gan.protocols import Codec
from gan.training.batches import Batches
from gan.training.objectives import Objective, phases
from gan.training.state import TrainState

LIMIT_S = 1.5
"""Timing ends about here; of very slow networks after the two smallest steps there are."""
SMALLEST, GROWTH = 4, 4
"""Samples of the first steps, and how many times more those of the next have."""
REPEATS = 3
"""Whole steps that are timed, of which the quickest counts."""
ROWS = 4_096
"""Most records that batches are drawn from."""


TOGETHER = 0.8
"""Of what a thread does alone it does so much beside others of the same training."""


class Pace(NamedTuple):
    """What a device does of a training; a processor, when nothing else keeps it busy."""

    device: str
    samples_per_s: float
    samples_per_cpu_s: float
    """Per second of processor time, over all threads."""


class _Kind(NamedTuple):
    """Steps that do the same, of all steps of a cycle."""

    first: int
    """Number of the first of them."""
    share: float


class _Took(NamedTuple):
    wall_s: float
    cpu_s: float


def time_steps(
    config: ResolvedConfig, codec: Codec, records: pa.Table, *, device: str = "auto"
) -> Pace:
    """Return how many samples a training of this configuration sees in a second here.

    Small batches first, larger ones while there is time; nothing is kept of what they learn. A
    processor's time is that of one thread, which does not depend on what else the machine does now;
    several slow each other down many times over where cores are not free.

    Raises:
        ConfigError: the device is missing.
        DataError: the records do not fit the codec.
    """
    context = find_device(device, precision=config.precision)
    with context.configured():
        encoded = codec.encode(records.slice(0, ROWS))
        batches = Batches(encoded, codec, context, seed=config.seed)
        trial = _Trial(TrainState(config, codec, context), phases(config, context)[0], batches)
        pack = int(config.network.get("pack", 1))
        size, began_s = min(pack * math.ceil(SMALLEST / pack), config.batch_size), perf_counter()
        trial.cycle(size)  # loads what the first steps of a process load
        took = trial.cycle(size)
        while size < config.batch_size:
            larger = min(size * GROWTH, config.batch_size)
            left_s = LIMIT_S - (perf_counter() - began_s)
            if 2 * took.wall_s * trial.kinds * larger / size > left_s:
                break
            size = larger
            trial.cycle(size)
            took = trial.cycle(size)
        for _ in range(REPEATS):
            if took.wall_s * trial.kinds > LIMIT_S - (perf_counter() - began_s):
                break
            again = trial.cycle(size)
            took = _Took(min(took.wall_s, again.wall_s), min(took.cpu_s, again.cpu_s))
    kind, by_cpu_s = context.device.type, size / max(took.cpu_s, 1e-9)
    if kind != "cpu":
        return Pace(kind, size / max(took.wall_s, 1e-9), by_cpu_s)
    by_cpu_s *= TOGETHER if config.threads > 1 else 1.0
    return Pace(kind, by_cpu_s * config.threads, by_cpu_s)


class _Trial:
    """Steps of one training, of any size."""

    def __init__(self, state: TrainState, objective: Objective, batches: Batches) -> None:
        self._state, self._objective, self._batches = state, objective, batches
        self._kinds = _kinds(state.config)
        self.kinds = len(self._kinds)

    def cycle(self, size: int) -> _Took:
        """Return what a step of so many samples takes on average, by one step of every kind."""
        taken = [(kind.share, self._step(kind.first, size)) for kind in self._kinds]
        return _Took(
            sum(share * one.wall_s for share, one in taken),
            sum(share * one.cpu_s for share, one in taken),
        )

    def _step(self, index: int, size: int) -> _Took:
        state, config = self._state, self._state.config
        state.progress.samples_seen = index * config.batch_size
        began = _clocks(state.context)
        batch = self._batches.take(index * size, size, config.latent)
        state.after_step(self._objective.step(state, batch, 0.0), 0.0)
        ended = _clocks(state.context)
        return _Took(ended.wall_s - began.wall_s, ended.cpu_s - began.cpu_s)


def _clocks(
    context: DeviceContext,
    wall: Callable[[], float] = perf_counter,
    cpu: Callable[[], float] = process_time,
) -> _Took:
    context.wait()
    return _Took(wall(), cpu())


def _kinds(config: ResolvedConfig) -> list[_Kind]:
    """Return the kinds of steps: with the penalty or without, with the generator's or without."""
    cycle = config.penalty_interval * config.discriminator_steps
    first, counts = dict[tuple[bool, bool], int](), dict[tuple[bool, bool], int]()
    for index in range(cycle):
        penalised = index % config.penalty_interval == 0
        kind = (penalised, (index + 1) % config.discriminator_steps == 0)
        first.setdefault(kind, index)
        counts[kind] = counts.get(kind, 0) + 1
    return [_Kind(index, counts[kind] / cycle) for kind, index in first.items()]
