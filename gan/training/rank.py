"""One of several processes that train together: `torchrun … --module gan.training.rank FOLDER`.

Rank 0 assesses, and tells the process that started it what happens; see `gan.training.orders`.
"""

import dataclasses
import json
import os
import sys
import threading
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.errors import GanError, Interrupted
from gan.modalities import load_modality
from gan.protocols import Assess, Assessment, Frame, Hooks, SampleFn
from gan.training import orders, ranks
from gan.training.loop import train
from gan.training.orders import Order
from gan.training.result import TrainResult

LOOK_S = 0.02
"""Between two looks at whether what was told is dealt with."""


class Teller:
    """Tells what happens in the training, line by line."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lines = folder, 0

    def tell(self, kind: str, data: Any) -> None:
        """Add a line."""
        with (self._folder / orders.TOLD).open("a") as file:
            file.write(json.dumps({kind: data}) + "\n")
        self._lines += 1

    def checkpoint(self, path: Path) -> None:
        """Tell of a checkpoint, and wait until it was dealt with: later it may be gone."""
        self.tell("checkpoint", str(path))
        heard = self._folder / orders.HEARD
        while not heard.exists() or int(heard.read_text()) < self._lines:
            sleep(LOOK_S)

    def frame(self, frame: Frame) -> None:
        """Tell of a frame, whose values lie beside the lines."""
        path = self._folder / f"frame-{self._lines}.npy"
        np.save(path, frame.values)
        self.tell("frame", [frame.samples_seen, path.name])

    def hooks(self) -> Hooks:
        """Return the hooks that tell everything."""
        stop = self._folder / orders.STOP
        return Hooks(
            on_tick=lambda tick: self.tell("tick", dataclasses.asdict(tick)),
            on_frame=self.frame,
            on_event=lambda event: self.tell("event", dataclasses.asdict(event)),
            on_progress=lambda beat: self.tell("progress", beat._asdict()),
            on_checkpoint=self.checkpoint,
            should_stop=stop.exists,
        )


def end_with_parent() -> None:
    """End this process when the one that started the training is gone."""

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _not_here(sample: SampleFn, samples_seen: int) -> Assessment:
    """Stand for the assessment, which rank 0 makes."""
    raise NotImplementedError


def _assess(order: Order, folder: Path, config: ResolvedConfig, codec: Codec) -> Assess | None:
    """Return the assessment of this training, None where it has none."""
    records, validation = orders.read_records(folder)
    if order.judges is None or validation is None:
        return None
    if ranks.number():
        return _not_here
    return load_modality(config.modality).build_assess(
        records, validation, label=codec.label, seed=config.seed, cache=order.judges
    )


def work(folder: Path) -> TrainResult:
    """Do this rank's part of the training that a folder asks for."""
    order, (config, codec) = Order.read(folder), orders.read_config(folder)
    records, validation = orders.read_records(folder)
    with ranks.joined(order.device, config.ranks):
        told = Teller(folder).hooks() if ranks.number() == 0 else Hooks()
        hooks = dataclasses.replace(
            told,
            assess=_assess(order, folder, config, codec),
            validation=validation,
            at_once=order.at_once,
        )
        result = train(config, codec, records, order.training, hooks=hooks, device=order.device)
        ranks.by_first(orders.write_result)(folder, result)
    return result


def main() -> None:
    """Work, and say why where it ends early; torchrun then ends the other ranks.

    An interruption is no failure: all ranks end by it, rank 0 when its checkpoint was dealt with.
    """
    folder = Path(sys.argv[1])
    end_with_parent()
    try:
        work(folder)
    except Interrupted as error:
        ranks.by_first(orders.write_failure)(folder, error)
        os._exit(0)  # without waiting for ranks that do not wait for this one
    except (GanError, OSError) as error:
        orders.write_failure(folder, error)
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
