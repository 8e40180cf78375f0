"""Images made ready: decoded, assigned to splits, written as raw files, and mapped again.

An entry holds `<split>.u8` (the pixels, raw) and `<split>.arrow` (the labels, Arrow IPC). The split
of an image is known only when all are decoded, so decoded images are staged first, in order, in one
raw file per number of channels; a second sequential pass widens them to a common form and writes
each into its split. In memory stay 33 bytes per record, its label, and its value of the column that
decides the split.

Shape legend: N records, H height, W width, C channels.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import pyarrow as pa

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.records.schema import ClassCounts, count_classes, with_class_names
from storage.sources.builder import Builder, Built, PrepareJob, Source, map_arrow, write_splits
from storage.sources.checks import (
    MAX_SKIPPED_FRACTION,
    MIN_CLASS_RECORDS,
    check_amount,
    check_classes,
    class_needs,
)
from storage.sources.config import SourceConfig, parse_resize
from storage.sources.files import ARRAY_FILES, IMAGE_FILES, PARQUET_FILES, SourceFiles
from storage.sources.images.arrays import ArrayImages
from storage.sources.images.classes import GLOB_MARKS, merged, remedies_for_small
from storage.sources.images.decode import (
    ImageSizeError,
    Reading,
    decoded_batches,
)
from storage.sources.images.examples import IMAGE_EXAMPLES
from storage.sources.images.folder import ImageFolderSource
from storage.sources.images.notes import ABSENT, notes_on, unusual
from storage.sources.images.parquet import ParquetImages, find_image_columns
from storage.sources.images.pixels import used_bits
from storage.sources.images.sizes import propose_resize
from storage.sources.images.source import ImageSource
from storage.sources.images.staged import StagedImages
from storage.sources.images.survey import survey_images
from storage.sources.split import SPLITS, SplitConfig
from storage.sources.split_assignment import SplitInputs, assign_splits
from storage.sources.split_classes import code_classes
from storage.sources.survey import Survey

IMAGE: Final = "image"
"""Name of the image column, whatever the source calls it."""

MAX_IMAGELESS_FRACTION: Final = 0.5
"""Of the records, that may have no image: they are left out, which is said."""
MOST_SKIPPED: Final = 1000
"""With more images that cannot be read the rest is not looked at, where that is too many."""
MOST_EXCLUDED: Final = 100
"""So many files are proposed to be left out by their names."""
FEW_TRANSPARENT: Final = 0.05
"""Up to this share of transparent images does not make all images transparent."""


class ImagesBuilder(Builder):
    """Decodes every image once; memory does not grow with the source."""

    files = (IMAGE_FILES, PARQUET_FILES, ARRAY_FILES)
    examples = IMAGE_EXAMPLES

    def open(self, config: SourceConfig, found: SourceFiles) -> Source | None:
        """Take image files, and Parquet with a column of encoded images."""
        if found.kind is IMAGE_FILES:
            return ImageFolderSource(config, found)
        if found.kind is ARRAY_FILES:
            return ArrayImages(config, found)
        if config.modality == "auto" and not find_image_columns(found.parquet):
            return None
        return ParquetImages(config, found.parquet)

    def settings(self, config: SourceConfig, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Return label, where it comes from, and size; `min_group` changes no image.

        What is at its default and came later is left out, so that keys stay what they were.
        """
        settings = {
            "modality": "images",
            "label": config.label,
            "label_from": config.label_from if config.label is not None else None,
            "resize": None if config.resize is None else list(parse_resize(config.resize)),
        }
        later = ("label_nulls", "labels", "image", "frames", "bits")
        fields = type(config).model_fields
        values = {name: getattr(config, name) for name in later}
        split = config.split.column or config.split.group_by
        if not split and (config.label is None or config.label_from is not None):
            values["labels"] = None  # nothing reads it
        return settings | {k: v for k, v in values.items() if v != fields[k].default}

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:  # noqa: ARG002
        """Return what the folders, the columns and a label file tell."""
        return survey_images(source, config)

    def describe(self, schema: pa.Schema) -> str:
        """Return the shape of the images."""
        height, width, channels = schema.field(IMAGE).type.shape
        return f"images of {height} x {width} x {channels} (height x width x channels)"

    def libraries(self) -> Mapping[str, str]:
        """Return the versions of what decides the pixels of lossy formats."""
        versions = {"pillow": PIL.__version__}
        if find_spec("pillow_heif") is not None:
            versions["pillow-heif"] = version("pillow-heif")
        return versions

    def build(self, job: PrepareJob, folder: Path) -> Built:
        """Decode into `folder`, decide the splits, and write the images of each."""
        label, words = job.config.label, "images"
        with _staged(job, folder) as (staged, reading):
            check_amount(job.config, staged.rows, words)
            stored = None if label is None else staged.column(label)
            labels, merges = (None, []) if stored is None else merged(stored)
            _check_classes(job, {"all": count_classes(labels)})
            split, inputs = _collected(job.config, staged)
            if labels is not None:
                inputs = replace(inputs, classes=code_classes(labels, class_needs(words)))
            assignment = assign_splits(split, inputs)
            splits_N = assignment.splits_N
            counts: dict[str, ClassCounts] = dict.fromkeys(SPLITS, ())
            if labels is not None:
                parts = write_splits(folder, pa.table({label: labels}), splits_N)
                counts = {name: count_classes(part.column(0)) for name, part in parts.items()}
            _check_classes(job, counts)
            staged.write_splits(splits_N, {name: folder / f"{name}.u8" for name in SPLITS})
            notes = (*notes_on(job, staged, reading), *merges, *assignment.notes)
        suffixes = (".u8",) if labels is None else (".u8", ".arrow")
        return Built(
            split_rule=assignment.rule,
            files={name: tuple(name + suffix for suffix in suffixes) for name in SPLITS},
            rows={name: int((splits_N == number).sum()) for number, name in enumerate(SPLITS)},
            class_counts=counts,
            skipped=tuple(staged.skipped),
            notes=notes,
            details={
                "shape": list(staged.shape),
                "class_names": _class_names(job),
                "reading": unusual(job.config, staged, reading)
                | ({} if labels is stored else {"classes": "merged"})
                | ({"partitions": [label]} if label in job.sources[0].partitions else {}),
            },
        )

    def load(self, folder: Path, index: Mapping[str, Any]) -> dict[str, pa.Table]:
        """Map pixels and labels; the column `image` has the fixed shape (H, W, C)."""
        shape, label = tuple(index["details"]["shape"]), index["label"]
        names = index["details"]["class_names"]
        rows = {name: index["splits"][name]["rows"] for name in SPLITS}
        tables = {name: _table(folder, name, (rows[name], *shape), label) for name in SPLITS}
        if label is None or not names:
            return tables
        return {
            name: table.replace_schema_metadata(
                with_class_names(table.schema, label, names).metadata
            )
            for name, table in tables.items()
        }


BUILDER = ImagesBuilder()


@contextmanager
def _staged(job: PrepareJob, folder: Path) -> Iterator[tuple["StagedImages", Reading]]:
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


def _adjusted(reading: Reading, config: SourceConfig, staged: "StagedImages") -> Reading:
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


def _decode(job: PrepareJob, staged: "StagedImages", reading: Reading) -> None:
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


def _check_classes(job: PrepareJob, counts: Mapping[str, ClassCounts]) -> None:
    try:
        check_classes(job.config, counts, job.min_group, "images")
    except SourceError as error:
        totals: Counter[Any] = Counter()
        for pairs in counts.values():
            totals.update(dict(pairs))
        least = max(MIN_CLASS_RECORDS, job.min_group)
        proposals = error.proposals or remedies_for_small(job.config, totals, least)
        raise SourceError(*error.args, proposals=proposals) from error


def _class_names(job: PrepareJob) -> list[str]:
    source, label = job.sources[0], job.config.label
    if label is None or not isinstance(source, ImageSource):
        return []
    return list(source.class_names(label))


def _columns(config: SourceConfig, number: int) -> list[str]:
    """Return the columns to read: the deciding one only of the first source."""
    names = [config.label]
    if number == 0:
        names += [config.split.column, config.split.group_by]
    return list(dict.fromkeys(name for name in names if name is not None))


def _collected(config: SourceConfig, staged: StagedImages) -> tuple[SplitConfig, SplitInputs]:
    """Return the rule of the split and what decides it; the frames of one file are a group."""
    split = config.split
    name = split.column or split.group_by
    deciding = None if name is None else staged.column(name)[: staged.own_rows]
    if name is None and config.frames == "all":
        split = split.model_copy(update={"group_by": "the file of a frame"})
        files = np.concatenate([batch.file_digests for batch in staged.batches])
        deciding = pa.array([file.tobytes().hex() for file in files[: staged.own_rows]])
    held_out = np.zeros(staged.rows, np.bool_)
    held_out[staged.own_rows :] = True
    inputs = SplitInputs(
        digests=np.concatenate([batch.digests for batch in staged.batches]),
        final_digests=np.concatenate([batch.final_digests for batch in staged.batches]),
        deciding=deciding,
        held_out=held_out,
    )
    return split, inputs


def _table(folder: Path, name: str, shape: tuple[int, int, int, int], label: str | None) -> Any:
    rows, height, width, channels = shape
    type_ = pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))
    pixels = pa.memory_map(str(folder / f"{name}.u8")).read_buffer()
    values = pa.Array.from_buffers(pa.uint8(), len(pixels), [None, pixels])
    size = height * width * channels
    images = pa.ExtensionArray.from_storage(type_, pa.FixedSizeListArray.from_arrays(values, size))
    columns = {IMAGE: images.slice(0, rows)}
    if label is not None:
        columns[label] = map_arrow(folder / f"{name}.arrow").column(0)
    return pa.table(columns)
