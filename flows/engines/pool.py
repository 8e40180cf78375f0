"""A pool of spawned workers that survives the death of its members.

The parent hands out single shard indices, two ahead per worker so that none waits; a worker that
dies gives its unfinished indices back, and a new one is started only when nobody is left.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

from flows.engines import Order
from flows.errors import EngineError
from gan.errors import GanError
from storage.errors import StorageError
from storage.lake.manifest import FileEntry

AHEAD = 2
"""Shards a worker holds: one in the making and the next."""
DEATHS = 3
"""So many deaths beyond the number of workers end the job."""
GRACE_S = 1.0

OnShard = Callable[[int, FileEntry], None]


def _nothing(index: int, entry: FileEntry) -> None:
    """Do nothing."""


@dataclass(eq=False, kw_only=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    held: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class WorkerPool:
    """Worker processes for one order; a context manager that ends them whatever happens."""

    order: Order
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

    @property
    def started(self) -> bool:
        """True once workers were spawned."""
        return bool(self.workers)

    def start(self) -> None:
        """Spawn the workers; they load the generator while the caller goes on."""
        self.workers = [self._spawn() for _ in range(self.size)]

    def ready(self) -> bool:
        """Say whether a worker waits for shards; never blocks."""
        for worker in self.workers:
            while not worker.ready and worker.process.is_alive() and worker.pipe.poll():
                self._hear(worker, _nothing)
        return any(worker.ready for worker in self.workers)

    def run(self, indices: Sequence[int], on_shard: OnShard) -> None:
        """Have these shards made.

        Raises:
            EngineError: the workers keep dying.
            StorageError, GanError: what failed in a worker.
        """
        todo = deque(indices)
        left = set(indices)

        def finish(index: int, entry: FileEntry) -> None:
            left.discard(index)
            on_shard(index, entry)

        while left:
            for worker in self.workers:
                while todo and len(worker.held) < AHEAD:
                    self._hand(worker, todo)
            heard = wait([each.pipe for each in self.workers])
            for worker in [each for each in self.workers if each.pipe in heard]:
                if not self._hear(worker, finish):
                    todo.extendleft(reversed(self._bury(worker)))

    def _hand(self, worker: _Worker, todo: deque[int]) -> None:
        index = todo.popleft()
        worker.held.append(index)
        try:
            worker.pipe.send(index)
        except OSError:
            return  # it died; its pipe says so at the next wait

    def _hear(self, worker: _Worker, finish: OnShard) -> bool:
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

    def _bury(self, worker: _Worker) -> list[int]:
        worker.process.join(GRACE_S)
        worker.pipe.close()
        self.workers.remove(worker)
        self.deaths += 1
        shards = ", ".join(str(index) for index in worker.held) or "none"
        text = f"a worker died (exit {worker.process.exitcode}) holding shards {shards}"
        if self.deaths >= self.size + DEATHS:
            msg = (
                f"{text}, the {self.deaths}th death; give the job more memory or fewer "
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
        process = context.Process(target=_work, args=(self.order, theirs), daemon=True)
        with _deaf():
            process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours)


@contextmanager
def _deaf() -> Iterator[None]:
    """Have what is started within the block never hear Ctrl-C; the parent decides when to end.

    A signal that arrives meanwhile reaches the parent at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(order: Order, pipe: Connection) -> None:
    """Be a worker: say ready, then make shards until the parent closes the pipe."""

    def done(index: int, result: FileEntry | Exception) -> None:
        pipe.send((index, result))

    from flows.engines.maker import ShardMaker

    try:
        maker = ShardMaker.load(order)
        pipe.send((-1, None))
        maker.run(_received(pipe), done)
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
