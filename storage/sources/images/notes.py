"""What is said of images that were read, and what of it decides how they are read again."""

from typing import Any, Final

from storage.sources.builder import PrepareJob, Source
from storage.sources.checks import first_few
from storage.sources.config import SourceConfig
from storage.sources.images.decode import Reading
from storage.sources.images.folder import ImageFolderSource
from storage.sources.images.pixels import OPAQUE
from storage.sources.images.staged import StagedImages

DARK: Final = 128
"""Below this brightest value 16-bit colour used fewer bits."""
ABSENT: Final = ("(no image)", "(no label)")
"""How the names of records end that are not broken."""


def unusual(config: SourceConfig, staged: StagedImages, reading: Reading) -> dict[str, Any]:
    """Return what the images decided of how they are read, for the keys."""
    found = staged.found
    decided: dict[str, Any] = {}
    if found.largest and config.bits is None and reading.bits < 16:
        decided["bits"] = reading.bits
    if reading.compose:
        decided["alpha"] = "composed"
    elif OPAQUE in found.done and 4 not in staged.counts_by_channels():
        decided["alpha"] = "left out"
    if found.turned:
        decided["turned"] = True
    return decided


def notes_on(job: PrepareJob, staged: StagedImages, reading: Reading) -> list[str]:
    """Return sentences on what was found and done, most without the name of a file."""
    rows, done = staged.rows, sorted(staged.found.done.items())
    return [
        *(f"{what}: {count} of {rows} images." for what, count in done),
        *_on_values(job, staged, reading),
        *_on_frames(staged),
        *_on_modes(staged),
        *_on_skipped(staged),
        *(note for source in job.sources for note in _on_label_file(source)),
    ]


def _on_values(job: PrepareJob, staged: StagedImages, reading: Reading) -> list[str]:
    found, notes = staged.found, []
    if found.largest and job.config.bits is None and reading.bits < 16:
        notes.append(
            f"The values of the 16-bit images use {reading.bits} bits, so they are read as such; "
            "source.bits says another number."
        )
    if found.wide_colour and found.brightest < DARK:
        notes.append(
            f"{found.wide_colour} images of 16 bits a channel are nearly black when cut to 8 "
            "bits, as their values use fewer bits; scale them to the full range first."
        )
    if found.turned:
        notes.append(f"Turned as XMP or a raw profile says: {found.turned} images.")
    return notes


def _on_frames(staged: StagedImages) -> list[str]:
    found = staged.found
    if found.dropped_frames:
        return [
            f"Of {found.files_with_frames} files with several frames or pages the first is read "
            f"and {found.dropped_frames:,} are left out; source.frames: all makes each a record."
        ]
    if found.files_with_frames:
        return [
            f"Each frame or page of {found.files_with_frames} files that have several is a record; "
            "those of one file are in one split."
        ]
    return []


def _on_modes(staged: StagedImages) -> list[str]:
    counts = staged.counts_by_channels()
    if len(counts) > 1:
        names = {1: "grey", 3: "RGB", 4: "RGBA"}
        described = ", ".join(f"{count} {names[c]}" for c, count in counts.items())
        return [
            f"The images have mixed colour modes ({described}); all were widened to "
            f"{names[max(counts)]}."
        ]
    return []


def _on_skipped(staged: StagedImages) -> list[str]:
    total, notes = staged.rows + len(staged.skipped), []
    for word, count in sorted(staged.absent.items()):
        notes.append(f"Left out for want of {_article(word)}: {count:,} of {total:,} records.")
    broken = [one for one in staged.skipped if not one.endswith(ABSENT)]
    if broken:
        shown = first_few(broken, "; ")
        notes.append(f"Skipped as unreadable: {len(broken)} of {total} images, {shown}.")
    return notes


def _article(word: str) -> str:
    return f"an {word}" if word == "image" else f"a {word}"


def _on_label_file(source: Source) -> list[str]:
    if isinstance(source, ImageFolderSource) and source.label_file is not None:
        file, notes = source.label_file, []
        if file.unknown:
            notes.append(f"The label file has {file.unknown:,} entries that name no image.")
        if file.absent:
            notes.append(f"The label file does not name {file.absent:,} of the images.")
        return notes
    return []
