"""A training as TensorBoard shows it: an event file beside its checkpoints.

Its numbers are the lines of `stats.jsonl`, by samples seen, and its pictures the frames of the
strip. Every run of a training writes the file anew from what the checkpoint remembers, so that a
training that was killed and continued shows no line twice and none of a future that was lost.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.errors import ConfigError
from gan.protocols import Frame, Tick
from gan.training.watch import CLOCKED, STATS

FOLDER = "tensorboard"
WRITER = "tensorboardX"
STEP = "samples_seen"
PICTURE = "strip"


def check_writer() -> None:
    """Check that event files can be written.

    Raises:
        ConfigError: the library is missing.
    """
    if find_spec(WRITER) is None:
        msg = (
            f"training.tensorboard is true and takes {WRITER}, which is not installed: run "
            "pip install 'ganmill[tensorboard]', or set it to false"
        )
        raise ConfigError(msg)


class EventFile:
    """Writes what the hooks of a training tell; see `gan.protocols.Hooks`."""

    def __init__(self, training: Path, draw: Callable[[Frame], bytes]) -> None:
        """Begin the file, in place of what earlier runs of the training wrote.

        Args:
            training: the training's folder.
            draw: draws a frame as a PNG.

        Raises:
            ConfigError: the library is missing.
        """
        check_writer()
        from tensorboardX.event_file_writer import EventsWriter

        self.folder = training / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._stats, self._draw, self._lines = training / STATS, draw, 0
        self._writer = EventsWriter(str(self.folder / "events"))

    def on_tick(self, tick: Tick) -> None:  # noqa: ARG002 - the tick's line is in the file
        """Write the lines of `stats.jsonl` that are not written yet."""
        self.catch_up()

    def on_frame(self, frame: Frame) -> None:
        """Write a frame as a picture."""
        from tensorboardX.proto.summary_pb2 import Summary

        image = Summary.Image(encoded_image_string=self._draw(frame))
        self._write(frame.samples_seen, [Summary.Value(tag=PICTURE, image=image)])

    def catch_up(self) -> None:
        """Write every line of `stats.jsonl` that is not written yet."""
        from tensorboardX.proto.summary_pb2 import Summary

        if not self._stats.exists():
            return  # it has not begun
        told = [json.loads(line) for line in self._stats.read_text().splitlines()]
        lines = [line for line in told if "seconds" in line]  # the others tell events
        for line in lines[self._lines :]:
            values = [
                Summary.Value(tag=tag_of(name), simple_value=value)
                for name, value in line.items()
                if name != STEP
            ]
            self._write(int(line[STEP]), values, ago_s=lines[-1]["seconds"] - line["seconds"])
        self._lines = len(lines)

    def close(self) -> None:
        """Write what is missing, and close the file."""
        self.catch_up()
        self._writer.close()

    def _write(self, step: int, values: list[Any], ago_s: float = 0.0) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        at_s = datetime.now(UTC).timestamp() - ago_s
        self._writer.write_event(Event(wall_time=at_s, step=step, summary=Summary(value=values)))
        self._writer.flush()


def tag_of(name: str) -> str:
    """Return under which group of charts a number stands."""
    if name in CLOCKED:
        return f"speed/{name}"
    trained = ("loss", "nll", "penalty", "gradient")
    return f"{'training' if any(word in name for word in trained) else 'assessment'}/{name}"
