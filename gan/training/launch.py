"""A training in several processes, one for each device: started by torchrun, watched from here.

The process that starts them stays free of CUDA, hears what rank 0 tells and calls the hooks, as if
it trained itself. When a rank dies torchrun ends the others, and the next run goes on from the
newest checkpoint.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.errors import RankLostError, SmallerPartsError
from gan.protocols import Beat, Frame, Hooks, Tick
from gan.report import Event
from gan.training import orders
from gan.training.orders import Order
from gan.training.result import TrainResult
from storage.records.durable import replace_file

RANKS = "ranks"
"""Folder of what the ranks are told, beside the checkpoints."""
LISTEN_S = 0.05
"""Between two looks at what was told."""
END_S = 15.0
"""How long torchrun has to end its ranks before it is killed; they end when they notice."""


@dataclass(frozen=True)
class Launch:
    """Trains in as many processes as a configuration says."""

    judges: Path | None
    """Folder of this machine in which the modality's judge, by which rank 0 assesses, may keep what
    it learned of the records; None: nothing is assessed."""

    def train(
        self,
        config: ResolvedConfig,
        codec: Codec,
        records: pa.Table,
        folder: Path,
        *,
        hooks: Hooks,
        device: str,
    ) -> TrainResult:
        """Train in `config.ranks` processes; otherwise as `gan.training.loop.train`.

        Args:
            config: complete.
            codec: fitted on the training records.
            records: split train.
            folder: as of the loop.
            hooks: records of split validation, and callbacks; without `assess`.
            device: `cpu` or `cuda`.

        Raises:
            RankLostError: a process died; run again, it continues.
            GanError: what the loop raises.
        """
        place, at_once = folder.absolute() / RANKS, None
        while True:
            order = Order(
                training=folder.absolute(),
                device=device,
                judges=None if self.judges is None else self.judges.absolute(),
                at_once=at_once,
            )
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            order.write(place, config, codec, records, hooks)
            try:
                return _attempt(place, config.ranks, hooks)
            except SmallerPartsError as error:
                at_once = error.at_once
            finally:
                for name in (orders.RECORDS, orders.VALIDATION):
                    (place / name).unlink(missing_ok=True)


def _attempt(place: Path, ranks: int, hooks: Hooks) -> TrainResult:
    """Return what the ranks leave behind."""
    ear = _Ear(place, hooks)
    with _running(place, ranks) as process:
        while process.poll() is None:
            ear.listen()
            if hooks.should_stop():
                (place / orders.STOP).touch()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LISTEN_S)
    ear.listen()
    result = orders.read_result(place)
    if result is None:
        msg = (
            f"one of the {ranks} processes that trained together ended without a word (see "
            f"{place / orders.LOG}): the checkpoint is kept, run again to continue"
        )
        raise RankLostError(msg)
    return result


@contextlib.contextmanager
def _running(place: Path, ranks: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run torchrun within the block, and leave none of its processes behind.

    It works in a folder of its own, whose modules nobody can take for ours, and in a session of
    its own, so that Ctrl-C in a terminal asks for a stop and kills nothing.
    """
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0"]
    words += ["--local-addr=127.0.0.1", f"--nproc-per-node={ranks}"]
    words += ["--module", "gan.training.rank", str(place)]
    with (place / orders.LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            words,
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        process.stdin.close()  # every rank ends by this
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Ear:
    """Hears what rank 0 tells, and calls the hooks."""

    def __init__(self, place: Path, hooks: Hooks) -> None:
        self._place, self._hooks = place, hooks
        self._read_bytes, self._heard = 0, 0

    def listen(self) -> None:
        """Deal with every whole line that is new."""
        with (self._place / orders.TOLD).open("rb") as file:
            file.seek(self._read_bytes)
            told = file.read()
        for line in told[: told.rfind(b"\n") + 1].splitlines(keepends=True):
            self._read_bytes += len(line)
            ((kind, data),) = json.loads(line).items()
            self._call(kind, data)
            self._heard += 1
            if kind == "checkpoint":
                replace_file(self._place / orders.HEARD, str(self._heard).encode())

    def _call(self, kind: str, data: Any) -> None:
        hooks = self._hooks
        if kind == "tick":
            hooks.on_tick(Tick(**data))
        elif kind == "event":
            hooks.on_event(Event(**data))
        elif kind == "progress":
            hooks.on_progress(Beat(**data))
        elif kind == "checkpoint":
            hooks.on_checkpoint(Path(data))
        elif kind == "frame":
            seen, name = data
            hooks.on_frame(Frame(seen, np.load(self._place / name, allow_pickle=False)))
            (self._place / name).unlink()
