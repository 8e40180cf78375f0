"""How fast a training will be here, by a few of its own steps: before an hour is spent on it."""

import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter, process_time
from typing import NamedTuple

import pyarrow as pa

from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.device import DeviceContext, find_device, memory_trouble
from gan.errors import MemoryLimitError
from gan.training.batches import Batches
from gan.training.objectives import Objective, phases
from gan.training.state import TrainState
from gan.training.watch import memory_limit

LIMIT_S = 1.5
"""Timing ends about here, of which every phase has its part; of very slow networks after the two
smallest steps there are."""
SMALLEST, GROWTH = 4, 4
"""Samples of the first steps, and how many times more those of the next have."""
REPEATS = 3
"""Whole steps that are timed, of which the quickest counts."""
ROWS = 4_096
"""Most records that batches are drawn from."""
SHORTEST_S = 1e-12
"""A sample takes at least this: a step may do nothing."""

TOGETHER = 0.8
"""Of what a thread, or a rank, does alone it does so much beside others of the same training."""


class StepRate(NamedTuple):
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

    def over(self, samples: int) -> "_Took":
        """Return what each of so many samples took."""
        return _Took(self.wall_s / samples, self.cpu_s / samples)


def time_steps(
    config: ResolvedConfig, codec: Codec, records: pa.Table, *, device: str = "auto"
) -> StepRate:
    """Return how many samples a training of this configuration sees in a second here.

    Every phase is timed, and has its fraction of the budget. Small batches first, larger ones while
    there is time and memory; nothing is kept of what they learn. A processor's time is that of one
    thread, which does not depend on what else the machine does now; several slow each other down
    many times over where cores are not free.

    Raises:
        ConfigError: the device is missing.
        DataError: the records do not fit the codec.
        MemoryLimitError: not even the networks and the smallest step fit.
    """
    context = find_device(device, precision=config.precision)
    with context.configured(), memory_limit():
        encoded = codec.encode(records.slice(0, ROWS))
        batches = Batches(encoded, codec, context, seed=config.seed)
        state = TrainState(config, codec, context)
        objectives = phases(config, context)
        took = _of_phases(
            config,
            [
                _Trial(state, objective, batches, phase).per_sample(LIMIT_S / len(objectives))
                for phase, objective in enumerate(objectives)
            ],
        )
    kind, by_cpu_s = context.device.type, 1 / max(took.cpu_s, SHORTEST_S)
    by_cpu_s *= TOGETHER if config.asked_threads > 1 else 1.0
    if kind != "cpu":
        together = config.ranks * (TOGETHER if config.ranks > 1 else 1.0)
        return StepRate(kind, together / max(took.wall_s, SHORTEST_S), by_cpu_s)
    return StepRate(kind, by_cpu_s * config.asked_threads, by_cpu_s)


def _of_phases(config: ResolvedConfig, taken: Sequence[_Took]) -> _Took:
    """Return what a sample takes on average over phases, each with its fraction of the budget.

    Of a budget in samples a phase has that share of the samples; of one of time, that share of the
    time, in which a quick phase sees more samples.
    """
    shares = [phase.fraction for phase in config.phases]

    def average(costs: Sequence[float]) -> float:
        if config.budget_samples is not None:
            return math.fsum(share * cost for share, cost in zip(shares, costs, strict=True))
        return _over_time(config, [max(cost, SHORTEST_S) for cost in costs])

    return _Took(average([one.wall_s for one in taken]), average([one.cpu_s for one in taken]))


def _over_time(config: ResolvedConfig, costs: Sequence[float]) -> float:
    """Return what a sample takes on average of a budget of time, of which phases have parts.

    What a phase leaves, because it has had its most samples, goes to those that follow.
    """
    budgets = [one for one in (config.budget_s, config.budget_cpu_s) if one is not None]
    whole = left = min(budgets, default=1.0)
    fractions, samples = 1.0, 0.0
    for phase, cost in zip(config.phases, costs, strict=True):
        lasts = left * phase.fraction / max(fractions, SHORTEST_S)
        if phase.most_samples is not None and phase is not config.phases[-1]:
            lasts = min(lasts, phase.most_samples * cost)
        samples += lasts / cost
        left, fractions = left - lasts, fractions - phase.fraction
    return whole / max(samples, SHORTEST_S)


class _Trial:
    """Steps of one phase of a training, of any size."""

    def __init__(
        self, state: TrainState, objective: Objective, batches: Batches, phase: int = 0
    ) -> None:
        self._state, self._objective, self._batches = state, objective, batches
        self._kinds = _kinds(state.config)
        self.kinds = len(self._kinds)
        fractions = [one.fraction for one in state.config.phases]
        self._share = sum(fractions[:phase]) + fractions[phase] / 2 if phase else 0.0
        if phase:
            state.generator_ema.begin(state.config.phases[phase].objective)
            state.generator.load_state_dict(state.generator_ema.state_dict())

    def per_sample(self, limit_s: float) -> _Took:
        """Return what a sample takes, timed for about so long; where memory ends, on what fitted.

        Raises:
            MemoryLimitError: not even the smallest step fits.
        """
        best: _Took | None = None
        with memory_trouble() as trouble:
            for took in self._timed(limit_s):
                best = took
        if best is None:
            what = trouble[0] if trouble else "nothing was timed"
            msg = f"out of memory in the smallest step of training ({what}): lower generator.width"
            raise MemoryLimitError(msg)
        return best

    def _timed(self, limit_s: float) -> Iterator[_Took]:
        """Yield what a sample takes, on more and more samples, then again."""
        config = self._state.config
        pack = int(config.network.get("pack", 1))
        size, began_s = min(pack * math.ceil(SMALLEST / pack), config.batch_size), perf_counter()
        self.cycle(size)  # loads what the first steps of a process load
        took = self.cycle(size)
        yield took.over(size)
        whole = config.batch_size // config.ranks
        while size < whole:
            larger = min(size * GROWTH, whole)
            left_s = limit_s - (perf_counter() - began_s)
            if 2 * took.wall_s * self.kinds * larger / size > left_s:
                break
            size = larger
            self.cycle(size)
            took = self.cycle(size)
            yield took.over(size)
        for _ in range(REPEATS):
            if took.wall_s * self.kinds > limit_s - (perf_counter() - began_s):
                break
            again = self.cycle(size)
            took = _Took(min(took.wall_s, again.wall_s), min(took.cpu_s, again.cpu_s))
            yield took.over(size)

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
        state.after_step(self._objective.step(state, batch, self._share), self._share)
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
