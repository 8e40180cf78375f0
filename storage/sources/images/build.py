"""Images made ready: decoded, split, dealt out to raw files, and mapped again.

An entry holds `<split>.u8` (the pixels, raw) and `<split>.arrow` (the labels, Arrow IPC).
Shape legend: N records, H height, W width, C channels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import pyarrow as pa

from storage.classes import count_classes
from storage.errors import SourceError
from storage.sources.builder import Builder, Built, Job
from storage.sources.cache import write_file
from storage.sources.class_checks import MAX_SKIPPED_FRACTION, check_amount, check_classes
from storage.sources.config import SourceConfig
from storage.sources.images.batches import decoded_batches
from storage.sources.images.source import ImageSource
from storage.sources.images.staging import Staging
from storage.sources.sides import Collected, Decision, decide
from storage.split import SPLITS

IMAGE: Final = "image"
"""Name of the image column, whatever the source calls it."""

_SHOWN = 3


class ImagesBuilder(Builder):
    """Decodes every image once; memory does not grow with the source."""

    def libraries(self) -> Mapping[str, str]:
        """Return Pillow's version, which decides the pixels of lossy formats."""
        return {"pillow": PIL.__version__}

    def build(self, job: Job, folder: Path) -> Built:
        """Decode into `folder`, decide the sides, deal the images out."""
        label, words = job.config.label, "images"
        with Staging(folder) as staging:
            skipped, own_rows = _decode(job, staging)
            check_amount(job.config, staging.rows, words)
            labels = None if label is None else staging.column(label)
            check_classes(job.config, {"all": count_classes(labels)}, job.min_group, words)
            decision = decide(job.config.split, _collected(job.config, staging, own_rows))
            by_split = _by_split(labels, decision)
            counts = {name: count_classes(by_split.get(name)) for name in SPLITS}
            check_classes(job.config, counts, job.min_group, words)
            staging.deal(decision.sides, _pixel_paths(folder))
            shape, notes = staging.shape, (*_notes(staging, skipped), *decision.notes)
        files: dict[str, tuple[str, ...]] = {
            name: (path.name,) for name, path in _pixel_paths(folder).items()
        }
        for name, part in by_split.items():
            write_file(folder / f"{name}.arrow", _to_ipc(str(label), part))
            files[name] += (f"{name}.arrow",)
        return Built(
            split_rule=decision.rule,
            files=files,
            rows={name: int((decision.sides == side).sum()) for side, name in enumerate(SPLITS)},
            class_counts=counts,
            skipped=skipped,
            notes=notes,
            details={"shape": list(shape)},
        )

    def load(self, folder: Path, index: Mapping[str, Any]) -> dict[str, pa.Table]:
        """Map pixels and labels; the column `image` has the fixed shape (H, W, C)."""
        shape, label = tuple(index["details"]["shape"]), index["label"]
        rows = {name: index["splits"][name]["rows"] for name in SPLITS}
        return {name: _table(folder, name, (rows[name], *shape), label) for name in SPLITS}


def _decode(job: Job, staging: Staging) -> tuple[tuple[str, ...], int]:
    """Stage every image; returns what was skipped and how many rows are of the first source."""
    total = sum(source.description.rows for source in job.sources)
    skipped: list[str] = []
    own_rows = 0
    for number, source in enumerate(job.sources):
        if not isinstance(source, ImageSource):
            raise TypeError(source.modality)
        for batch in decoded_batches(source, job.config, _columns(job.config, number)):
            staging.append(batch)
            skipped += batch.skipped
            if len(skipped) > MAX_SKIPPED_FRACTION * total:
                raise SourceError(_too_many_skipped(job, skipped, total))
            if job.progress is not None:
                job.progress(staging.rows + len(skipped), total)
        own_rows = own_rows or staging.rows
    return tuple(skipped), own_rows


def _columns(config: SourceConfig, number: int) -> list[str]:
    """Return the columns to read: the deciding one only of the first source."""
    names = [config.label]
    if number == 0:
        names += [config.split.column, config.split.group_by]
    return list(dict.fromkeys(name for name in names if name is not None))


def _collected(config: SourceConfig, staging: Staging, own_rows: int) -> Collected:
    deciding = config.split.column or config.split.group_by
    held_out = np.zeros(staging.rows, np.bool_)
    held_out[own_rows:] = True
    return Collected(
        digests=staging.digests,
        final_digests=staging.final_digests,
        deciding=None if deciding is None else staging.column(deciding)[:own_rows],
        held_out=held_out,
    )


def _by_split(labels: pa.Array | None, decision: Decision) -> dict[str, pa.Array]:
    if labels is None:
        return {}
    return {
        name: labels.filter(pa.array(decision.sides == side)) for side, name in enumerate(SPLITS)
    }


def _too_many_skipped(job: Job, skipped: list[str], total: int) -> str:
    return (
        f"More than {MAX_SKIPPED_FRACTION:.0%} of the {total} images of {job.config.uri!r} cannot "
        f"be read, among them {'; '.join(skipped[:_SHOWN])}; repair or exclude them."
    )


def _notes(staging: Staging, skipped: tuple[str, ...]) -> list[str]:
    rows = staging.rows
    notes = [f"{what}: {count} of {rows} images." for what, count in sorted(staging.done.items())]
    counts = staging.counts_by_channels()
    if len(counts) > 1:
        names = {1: "grey", 3: "RGB", 4: "RGBA"}
        described = ", ".join(f"{count} {names[c]}" for c, count in counts.items())
        notes.append(
            f"The images have mixed colour modes ({described}); all were widened to "
            f"{names[max(counts)]}."
        )
    if skipped:
        more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        shown = "; ".join(skipped[:_SHOWN])
        total = rows + len(skipped)
        notes.append(f"Skipped as unreadable: {len(skipped)} of {total} images, {shown}{more}.")
    return notes


def _pixel_paths(folder: Path) -> dict[str, Path]:
    return {name: folder / f"{name}.u8" for name in SPLITS}


def _table(folder: Path, name: str, shape: tuple[int, int, int, int], label: str | None) -> Any:
    rows, height, width, channels = shape
    type_ = pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))
    pixels = pa.memory_map(str(folder / f"{name}.u8")).read_buffer()
    values = pa.Array.from_buffers(pa.uint8(), len(pixels), [None, pixels])
    size = height * width * channels
    images = pa.ExtensionArray.from_storage(type_, pa.FixedSizeListArray.from_arrays(values, size))
    columns = {IMAGE: images.slice(0, rows)}
    if label is not None:
        with pa.memory_map(str(folder / f"{name}.arrow")) as source:
            labels = pa.ipc.open_file(source).read_all()
        columns[label] = labels.column(0)
    return pa.table(columns)


def _to_ipc(name: str, labels: pa.Array) -> bytes:
    table = pa.table({name: labels})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


BUILDER = ImagesBuilder()
