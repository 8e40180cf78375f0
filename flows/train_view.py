"""What is seen of a training: numbers and pictures while it runs, figures when it has ended."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flows.evaluate import class_names_of
from flows.job import Job
from flows.progress import Meter
from gan.report import ENDS, Figure
from storage.records.schema import class_title
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.codecs import Codec
    from gan.config import ResolvedConfig
    from gan.protocols import Beat, Frame, Tick
    from gan.training.event_file import EventFile
    from gan.training.result import TrainResult

PROGRESS_METRICS: Mapping[str, str] = {
    "coverage_ratio": "coverage {:.2f} of real",
    "validation_nll": "validation {:.2f} nats a row",
    "two_way": "pair error {:.3f}",
}
"""Metric of a tick → its text in the progress bar; the first that is there."""


class Shown:
    """What a meter shows of a training: its progress, and one metric of the last tick."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._note = meter, ""

    def on_tick(self, tick: "Tick") -> None:
        """Keep the metric."""
        found = [
            text.format(tick.metrics[name])
            for name, text in PROGRESS_METRICS.items()
            if name in tick.metrics
        ]
        self._note = found[0] if found else ""

    def on_progress(self, beat: "Beat") -> None:
        """Show how far it is."""
        note = ", ".join(text for text in (self._note, beat.busy) if text)
        self._meter.update(beat.samples_seen, note=note, left_s=beat.left_s)


def say_trained(job: Job, result: "TrainResult") -> None:
    """Say what the training took, why it ended, what is kept, and that the machine was busy."""
    threads = f"{result.threads} thread{'s' * (result.threads > 1)}"
    devices = result.device if result.ranks == 1 else f"{result.ranks} x {result.device}"
    job.reporter.say(
        f"Trained on {devices}: {result.samples_seen:,} samples, {result.cpu_s:,.0f} CPU s "
        f"in {result.seconds:,.0f} s with {threads}"
    )
    ended = [event.text for event in result.events if event.kind in ENDS]
    if ended:
        text = "; ".join(ended)
        job.reporter.say(f"{text[:1].upper()}{text[1:]}")
    for event in result.events:
        if event.kind == "machine":
            job.reporter.say(f"Note: {event.text}")


Told = TypeVar("Told")


def each(*calls: Callable[[Told], None]) -> Callable[[Told], None]:
    """Return what calls all of them, in order."""

    def call(told: Told) -> None:
        for one in calls:
            one(told)

    return call


class Unseen:
    """Where nothing is written for TensorBoard."""

    def on_tick(self, tick: "Tick") -> None:
        """Do nothing."""

    def on_frame(self, frame: "Frame") -> None:
        """Do nothing."""


@contextmanager
def event_file(job: Job, modality: str, folder: Path) -> "Iterator[EventFile | Unseen]":
    """Yield what writes for TensorBoard while a training runs, where the recipe asks for it.

    Raises:
        ConfigError: the library is missing.
    """
    from gan.modalities import load_modality
    from gan.training.event_file import EventFile

    if not job.recipe.training.tensorboard:
        yield Unseen()
        return
    written = EventFile(folder, load_modality(modality).draw_frame)
    job.reporter.say(f"Watch it with: tensorboard --logdir {written.folder}")
    try:
        yield written
    finally:
        written.close()


def final_figures(
    job: Job,
    prepared: Prepared,
    codec: "Codec",
    config: "ResolvedConfig",
    result: "TrainResult",
) -> tuple[Figure, ...]:
    """Return the figures of an ended training: its strip, and what the discriminator says.

    No real record is in any of them; of scores, shares of at least `privacy.min_group` records.
    A training is not lost for a figure: where memory runs out there is none of scores.
    """
    from gan.device import memory_trouble
    from gan.inside.scores import score_figure, score_sides
    from gan.modalities import load_modality

    names = class_names_of(prepared)
    titles = [class_title(names, label) for label in codec.classes]
    strip = load_modality(prepared.modality).strip_figure(result.strip, titles)
    records = (prepared.records["train"], prepared.records["validation"])
    sides = None
    with memory_trouble() as trouble:
        sides = score_sides(result.snapshot.parent, config, codec, records, device=result.device)
    if trouble:
        job.reporter.say(
            f"Note: out of memory while the discriminator scored records ({trouble[0]}): the "
            "report has no figure of its scores"
        )
    scores = None if sides is None else score_figure(sides, job.recipe.privacy.min_group)
    return tuple(figure for figure in (strip, scores) if figure is not None)
