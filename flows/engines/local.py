"""The engine of this machine: the calling process, and spawned worker processes beside it.

A small job never spawns: the calling process makes shards from the first moment, and only when the
rest would take longer than `patience_s` are workers started, which take over once they have loaded
the generator. Shard i depends on the plan and i alone, so who makes it changes nothing.

`LocalEngine` decides who works; `WorkerPool` hands single shard indices to the workers, two ahead
per worker so that none waits, and hands out again what a worker that died did not finish. What it
gains over the pools of libraries is measured in docs/decisions.md.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import perf_counter
from typing import Literal, Self

from flows.engines.interface import MadeShard, OnShard, SynthesisRequest
from flows.engines.maker import ShardMaker
from flows.errors import EngineError
from gan.errors import GanError
from storage.errors import StorageError
from storage.stores.interface import ObjectStore

PATIENCE_S = 10.0
"""Jobs that one process finishes in this time are not worth the start of workers."""
AHEAD = 2
"""Shards a worker holds: the one it makes and the next."""
DEATHS = 3
"""So many deaths beyond the number of workers end the job."""
GRACE_S = 1.0
"""Longest wait for a worker to end by itself."""


def make_engine(workers: int | Literal["auto"], address: str) -> "LocalEngine":  # noqa: ARG001 - of engines that have one
    """Return the engine for a number of workers; `auto` is one per usable core."""
    if workers == "auto":
        has_affinity = hasattr(os, "sched_getaffinity")
        workers = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return LocalEngine(workers=workers)


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Makes shards on this machine with up to `workers` processes."""

    workers: int
    patience_s: float = PATIENCE_S

    def device(self, wanted: str) -> str:
        """Return the device of this machine."""
        from gan.device import choose_device

        return choose_device(wanted)

    def run(
        self,
        request: SynthesisRequest,
        indices: Sequence[int],
        *,
        lake: ObjectStore,
        on_shard: OnShard,
        say: Callable[[str], None],
        stored: Sequence[int] = (),  # noqa: ARG002 - left to the publisher, in this process
    ) -> None:
        """Synthesize, encode and put these shards (see `flows.engines.interface.Engine.run`)."""
        on_cpu = request.device == "cpu"
        left, errors = list(indices), list[Exception]()

        def on_result(index: int, result: MadeShard | Exception) -> None:
            if isinstance(result, Exception):
                errors.append(result)
            else:
                on_shard(index, result)

        with WorkerPool(request=request, size=self.workers if on_cpu else 1, say=say) as pool:
            if pool.size > 1 and self.patience_s <= 0:
                pool.start()
            elif left:
                maker = ShardMaker.load(request, lake)
                mine = self._until_ready(left, errors, pool)
                maker.run(mine, on_result, encoders=1 if on_cpu else self.workers)
                if errors:
                    raise errors[0]
                del maker
            pool.run(left, on_shard)

    def _until_ready(
        self, left: list[int], errors: Sequence[Exception], pool: "WorkerPool"
    ) -> Iterator[int]:
        """Yield the shards that this process makes, until none is left or workers are ready."""
        started_s, made = perf_counter(), 0
        while left and not errors and not pool.ready():
            yield left.pop(0)
            made += 1
            rest_s = (perf_counter() - started_s) / made * len(left)
            if pool.size > 1 and rest_s > self.patience_s and not pool.workers:
                pool.start()


@dataclass(eq=False, kw_only=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    held: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class WorkerPool:
    """Worker processes for one request; a context manager that ends them whatever happens."""

    request: SynthesisRequest
    size: int
    say: Callable[[str], None]
    workers: list[_Worker] = field(default_factory=list)
    deaths: int = 0

    def __enter__(self) -> Self:
        """Do nothing yet; `start` spawns."""
        return self

    def __exit__(self, *details: object) -> None:
        """End every worker within a second or two; what they put is complete or not there."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def start(self) -> None:
        """Spawn the workers; they load the generator while the caller goes on."""
        self.workers = [self._spawn() for _ in range(self.size)]

    def ready(self) -> bool:
        """Say whether a worker waits for shards; never blocks."""
        for worker in self.workers:
            while not worker.ready and worker.process.is_alive() and worker.pipe.poll():
                self._receive(worker, lambda *_: None)
        return any(worker.ready for worker in self.workers)

    def run(self, indices: Sequence[int], on_shard: OnShard) -> None:
        """Have these shards made; a new worker is started only when nobody is left.

        Raises:
            EngineError: the workers keep dying.
            StorageError, GanError: what failed in a worker.
        """
        todo, left = deque(indices), set(indices)

        def finish(index: int, made: MadeShard) -> None:
            left.discard(index)
            on_shard(index, made)

        while left:
            for worker in self.workers:
                while todo and len(worker.held) < AHEAD:
                    self._hand(worker, todo)
            readable = wait([each.pipe for each in self.workers])
            for worker in [each for each in self.workers if each.pipe in readable]:
                if not self._receive(worker, finish):
                    todo.extendleft(reversed(self._reap(worker)))

    def _hand(self, worker: _Worker, todo: deque[int]) -> None:
        worker.held.append(todo.popleft())
        with suppress(OSError):  # it died; its pipe says so at the next wait
            worker.pipe.send(worker.held[-1])

    def _receive(self, worker: _Worker, finish: OnShard) -> bool:
        """Take one message; False when the worker is gone."""
        try:
            index, result = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        if isinstance(result, Exception):
            raise result
        worker.ready = True
        if result is not None:
            worker.held.remove(index)
            finish(index, result)
        return True

    def _reap(self, worker: _Worker) -> list[int]:
        """Remove a worker that died, and return the shards that it held."""
        worker.process.join(GRACE_S)
        worker.pipe.close()
        self.workers.remove(worker)
        self.deaths += 1
        shards = ", ".join(str(index) for index in worker.held) or "none"
        text = f"a worker died (exit {worker.process.exitcode}) holding shards {shards}"
        if self.deaths >= self.size + DEATHS:
            msg = (
                f"{text}, the {self.deaths}th that did; give the job more memory or fewer "
                "engine.workers and run it again: finished shards are kept"
            )
            raise EngineError(msg)
        if not self.workers:
            self.workers.append(self._spawn())
        self.say(f"{text}; others take them over")
        return worker.held

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.request, theirs), daemon=True)
        with _block_sigint():
            process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours)


@contextmanager
def _block_sigint() -> Iterator[None]:
    """Have processes that are started within the block ignore Ctrl-C; the parent ends them.

    A signal that arrives meanwhile reaches the parent at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(request: SynthesisRequest, pipe: Connection) -> None:
    """Be a worker: report ready, then make shards until the parent closes the pipe.

    A message is (index, shard or error); (-1, None) is ready, (-1, error) failed altogether.
    """

    def on_result(index: int, result: MadeShard | Exception) -> None:
        pipe.send((index, result))

    try:
        maker = ShardMaker.load(request)
        pipe.send((-1, None))
        maker.run(_received(pipe), on_result)
    except (StorageError, GanError) as error:
        pipe.send((-1, error))
    except BrokenPipeError:
        return  # the parent is gone; so is the need for more


def _received(pipe: Connection) -> Iterator[int]:
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return
