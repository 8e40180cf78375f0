"""Every image of a source decoded and staged; once more where what all are changes the reading."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.builder import PrepareJob
from storage.sources.checks import MAX_SKIPPED_FRACTION
from storage.sources.config import SourceConfig
from storage.sources.images.classes import GLOB_MARKS
from storage.sources.images.decode import ImageSizeError, Reading, decoded_batches
from storage.sources.images.folder import ImageFolderSource
from storage.sources.images.notes import ABSENT
from storage.sources.images.pixels import used_bits
from storage.sources.images.sizes import propose_resize
from storage.sources.images.source import ImageSource
from storage.sources.images.staged import StagedImages

MAX_IMAGELESS_FRACTION: Final = 0.5
"""Of the records, that may have no image: they are left out, which is said."""
MOST_SKIPPED: Final = 1000
"""With more images that cannot be read the rest is not looked at, where that is too many."""
MOST_EXCLUDED: Final = 100
"""So many files are proposed to be left out by their names."""
FEW_TRANSPARENT: Final = 0.05
"""Up to this share of transparent images does not make all images transparent."""


@contextmanager
def staged_images(job: PrepareJob, folder: Path) -> Iterator[tuple[StagedImages, Reading]]:
    """Decode every image; once more where what all of them are changes how they are read.

    Raises:
        SourceError: too many cannot be read, or their sizes differ and there is no `resize`.
    """
    reading = Reading.of(job.config)
    while True:
        with StagedImages(folder) as staged:
            try:
                _decode(job, staged, reading)
            except ImageSizeError as error:
                raise _no_size(job, error) from error
            better = _adjusted(reading, job.config, staged)
            if better == reading:
                yield staged, reading
                return
        reading = better


def _adjusted(reading: Reading, config: SourceConfig, staged: StagedImages) -> Reading:
    found = staged.found
    bits = used_bits(found.largest) if found.largest and config.bits is None else reading.bits
    few = 0 < found.transparent <= FEW_TRANSPARENT * staged.rows
    return replace(reading, bits=bits, compose=reading.compose or few)


def _no_size(job: PrepareJob, error: ImageSizeError) -> SourceError:
    proposals = [
        propose_resize(source) for source in job.sources if isinstance(source, ImageSource)
    ]
    found = [proposal for proposal in proposals if proposal is not None]
    example = found[0].value if found else "32"
    msg = f"{error}; set source.resize, for instance to {example}."
    return SourceError(msg, proposals=tuple(found[:1]))


def _decode(job: PrepareJob, staged: StagedImages, reading: Reading) -> None:
    """Stage every image.

    Raises:
        ImageSizeError: they differ in size, or are too large or too small.
        SourceError: too many cannot be read, or most have no image or no label.
    """
    total = sum(source.description.rows for source in job.sources)
    for number, source in enumerate(job.sources):
        if not isinstance(source, ImageSource):
            raise TypeError(source.modality)
        for batch in decoded_batches(source, reading, _columns(job.config, number)):
            staged.append(batch)
            unreadable = len(staged.skipped) - staged.absent.total()
            if unreadable > max(MOST_SKIPPED, MAX_SKIPPED_FRACTION * total):
                raise _unreadable(job, staged, total)
            if job.progress is not None:
                done = min(staged.rows + len(staged.skipped), total)
                job.progress(done, total)
        staged.own_rows = staged.own_rows or staged.rows
    if len(staged.skipped) - staged.absent.total() > MAX_SKIPPED_FRACTION * total:
        raise _unreadable(job, staged, total)
    _check_absent(job.config, staged, total)


def _unreadable(job: PrepareJob, staged: StagedImages, total: int) -> SourceError:
    """Make the error for too many images that cannot be read; it proposes to leave out a few."""
    broken = [one for one in staged.skipped if not one.endswith(ABSENT)]
    msg = (
        f"More than {MAX_SKIPPED_FRACTION:.0%} of the {total} images of {job.config.uri!r} cannot "
        f"be read ({len(broken)}), among them {'; '.join(broken[:3])}; repair or exclude them."
    )
    source = job.sources[0]
    keys = frozenset(source.keys if isinstance(source, ImageFolderSource) else ())
    cuts = [(one, [m.start() for m in re.finditer(r" \(", one)]) for one in broken]
    names = [next((one[:cut] for cut in at if one[:cut] in keys), None) for one, at in cuts]
    globs = [name for name in names if name is not None and not GLOB_MARKS & {*name}]
    if len(globs) < len(broken) or len(broken) > MOST_EXCLUDED:
        return SourceError(msg)
    why = f"these {len(globs)} files cannot be read"
    value = [*job.config.exclude, *globs]
    return SourceError(msg, proposals=(Proposal(setting="source.exclude", value=value, why=why),))


def _check_absent(config: SourceConfig, staged: StagedImages, total: int) -> None:
    """Check that not too many records have no image or no label.

    Raises:
        SourceError: more than half have no image, or more than a few no label that must have one.
    """
    images, labels = staged.absent["image"], staged.absent["label"]
    if images > MAX_IMAGELESS_FRACTION * total:
        msg = (
            f"Of the {total} records of the source {config.uri!r}, {images} have no image, more "
            f"than {MAX_IMAGELESS_FRACTION:.0%}; fill the column of images or remove these records."
        )
        raise SourceError(msg)
    if labels > MAX_SKIPPED_FRACTION * total and config.label_nulls != "drop":
        msg = (
            f"The label {config.label!r} of the source {config.uri!r} is null in {labels} of "
            f"{total} records, more than {MAX_SKIPPED_FRACTION:.0%}; set source.label_nulls to "
            "drop to leave these records out, label them, or set source.label to null."
        )
        why = f"{labels} of {total} records have no label"
        drop = Proposal(setting="source.label_nulls", value="drop", why=why)
        without = Proposal(setting="source.label", value=None, why=why)
        raise SourceError(msg, proposals=(without if 2 * labels > total else drop,))


def _columns(config: SourceConfig, number: int) -> list[str]:
    """Return the columns to read: the deciding one only of the first source."""
    names = [config.label]
    if number == 0:
        names += [config.split.column, config.split.group_by]
    return list(dict.fromkeys(name for name in names if name is not None))
