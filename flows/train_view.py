"""What is seen of a training: numbers and pictures while it runs, figures when it has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flows.evaluate import class_names_of
from flows.job import Job
from gan.report import Figure
from storage.records.schema import class_title
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.config import ResolvedConfig
    from gan.protocols import Codec, Frame, Tick
    from gan.training.event_file import EventFile
    from gan.training.loop import TrainResult

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
    yield written
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
    """
    from gan.inside.scores import score_figure, score_sides
    from gan.modalities import load_modality

    names = class_names_of(prepared)
    titles = [class_title(names, label) for label in codec.classes]
    strip = load_modality(prepared.modality).strip_figure(result.strip, titles)
    records = (prepared.records["train"], prepared.records["validation"])
    sides = score_sides(result.snapshot.parent, config, codec, records, device=result.device)
    scores = None if sides is None else score_figure(sides, job.recipe.privacy.min_group)
    return tuple(figure for figure in (strip, scores) if figure is not None)
