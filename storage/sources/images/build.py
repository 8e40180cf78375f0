"""Images made ready: decoded, assigned to splits, written as raw files, and mapped again.

An entry holds `<split>.u8` (the pixels, raw) and `<split>.arrow` (the labels, Arrow IPC). The split
of an image is known only when all are decoded, so decoded images are staged first, in order, in one
raw file per number of channels; a second sequential pass widens them to a common form and writes
each into its split. In memory stay 33 bytes per record, its label, and its value of the column that
decides the split.

Shape legend: N records, H height, W width, C channels.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import PIL
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.durable import sync_file
from storage.records.proposal import Proposal
from storage.records.schema import ClassCounts, count_classes, with_class_names
from storage.sources.builder import (
    MAX_SKIPPED_FRACTION,
    MIN_CLASS_RECORDS,
    Builder,
    Built,
    PrepareJob,
    Source,
    check_amount,
    check_classes,
    first_few,
    map_arrow,
    write_splits,
)
from storage.sources.config import MIN_SIDE_PX, SourceConfig, parse_resize
from storage.sources.files import ARRAY_FILES, IMAGE_FILES, PARQUET_FILES, SourceFiles
from storage.sources.images.arrays import ArrayImages
from storage.sources.images.classes import merged, remedies_for_small
from storage.sources.images.decode import (
    DecodedBatch,
    ImageSizeError,
    Reading,
    decoded_batches,
)
from storage.sources.images.examples import IMAGE_EXAMPLES
from storage.sources.images.folder import ImageFolderSource
from storage.sources.images.parquet import ParquetImages, find_image_columns
from storage.sources.images.pixels import OPAQUE, Found, Pixels, used_bits, widened
from storage.sources.images.sizes import propose_resize
from storage.sources.images.source import ImageSource
from storage.sources.images.survey import survey_images
from storage.sources.split import SPLITS, SplitConfig
from storage.sources.split_assignment import SplitInputs, assign_splits
from storage.sources.survey import Survey

IMAGE: Final = "image"
"""Name of the image column, whatever the source calls it."""

MAX_ABSENT_FRACTION: Final = 0.5
"""Of the records, that may have no image or no label: they are left out, which is said."""
FEW_TRANSPARENT: Final = 0.05
"""Up to this share of transparent images does not make all images transparent."""
DARK: Final = 128
"""Below this brightest value 16-bit colour used fewer bits."""

_BLOCK_BYTES = 8 << 20
_ABSENT = ("(no image)", "(no label)")


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
        later = ("labels", "image", "frames", "bits")
        fields = type(config).model_fields
        values = {name: getattr(config, name) for name in later}
        return settings | {k: v for k, v in values.items() if v != fields[k].default}

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:  # noqa: ARG002
        """Return what the folders, the columns and a label file tell."""
        return survey_images(source, config)

    def describe(self, schema: pa.Schema) -> str:
        """Return the shape of the images."""
        height, width, channels = schema.field(IMAGE).type.shape
        return f"images of {height} x {width} x {channels} (height x width x channels)"

    def libraries(self) -> Mapping[str, str]:
        """Return Pillow's version, which decides the pixels of lossy formats."""
        return {"pillow": PIL.__version__}

    def build(self, job: PrepareJob, folder: Path) -> Built:
        """Decode into `folder`, decide the splits, and write the images of each."""
        label, words = job.config.label, "images"
        with _staged(job, folder) as (staged, reading):
            check_amount(job.config, staged.rows, words)
            stored = None if label is None else staged.column(label)
            labels, merges = (None, []) if stored is None else merged(stored)
            _check_classes(job, {"all": count_classes(labels)})
            split, inputs = _collected(job.config, staged)
            assignment = assign_splits(split, inputs)
            splits_N = assignment.splits_N
            counts: dict[str, ClassCounts] = dict.fromkeys(SPLITS, ())
            if labels is not None:
                parts = write_splits(folder, pa.table({label: labels}), splits_N)
                counts = {name: count_classes(part.column(0)) for name, part in parts.items()}
            _check_classes(job, counts)
            staged.write_splits(splits_N, {name: folder / f"{name}.u8" for name in SPLITS})
            notes = (*_notes(job, staged, reading), *merges, *assignment.notes)
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
                "reading": _unusual(job.config, staged, reading)
                | ({} if labels is stored else {"classes": "merged"}),
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


class StagedImages:
    """Decoded images in order. Use as a context manager; its files are deleted at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}
        self._size: tuple[tuple[int, int], str] | None = None
        self.batches: list[DecodedBatch] = []
        """Without their images."""
        self.rows = 0
        self.own_rows = 0
        """Images of the first source; the others are held out."""
        self.found = Found()
        self.skipped: list[str] = []
        """Records that could not be read, each with its reason."""
        self.absent: Counter[str] = Counter()
        """How many of them have no image or no label."""

    def __enter__(self) -> "StagedImages":
        return self

    def __exit__(self, *_: object) -> None:
        for channels, file in self._files.items():
            file.close()
            self._path(channels).unlink(missing_ok=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The common (H, W, C): the size of every image, and the most channels of any.

        Raises:
            SourceError: no image was appended.
        """
        if self._size is None:
            msg = "The source holds no readable image; check source.uri."
            raise SourceError(msg)
        return (*self._size[0], max(self._files))

    def column(self, name: str) -> pa.Array:
        """Return the N values of a column.

        Raises:
            SourceError: two sources give it types that do not go together.
        """
        batches = (batch.columns for batch in self.batches)
        parts = [batch.column(name) for batch in batches if name in batch.schema.names]
        try:
            return pa.concat_arrays([part.cast(parts[0].type) for part in parts])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            types = " and ".join(sorted({str(part.type) for part in parts}))
            msg = (
                f"The column {name!r} is {types} in source.uri and split.holdout_uri; "
                "give both one type."
            )
            raise SourceError(msg) from error

    def append(self, batch: DecodedBatch) -> None:
        """Add a batch.

        Raises:
            ImageSizeError: an image has another size than the first, or less than 8 pixels a side.
        """
        for size, name in batch.sizes.items():
            self._check_size(size, name)
        for channels, images in batch.images.items():
            if channels not in self._files:
                self._files[channels] = self._path(channels).open("xb", buffering=0)
            write_all(self._files[channels], images)
        self.batches.append(replace(batch, images={}))
        self.rows += len(batch.channels_K)
        self.found.add(batch.found)
        self.skipped += batch.skipped
        self.absent.update(batch.absent)

    def write_splits(self, splits_N: NDArray[np.uint8], paths: Mapping[str, Path]) -> None:
        """Write the raw file of every split: uint8 (rows, H, W, C), in the order of the source."""
        height, width, channels = self.shape
        channels_N = np.concatenate([batch.channels_K for batch in self.batches])
        step = max(_BLOCK_BYTES // (height * width * channels), 1)
        with ExitStack() as stack:
            outputs = [stack.enter_context(paths[name].open("xb", buffering=0)) for name in SPLITS]
            inputs = {c: stack.enter_context(self._path(c).open("rb")) for c in self._files}
            for start in range(0, self.rows, step):
                block = self._block(inputs, channels_N[start : start + step])
                splits_B = splits_N[start : start + step]
                for number, output in enumerate(outputs):
                    write_all(output, block[splits_B == number])
        for path in paths.values():
            sync_file(path)

    def counts_by_channels(self) -> dict[int, int]:
        """Return how many images there are of each number of channels."""
        channels_N = np.concatenate([batch.channels_K for batch in self.batches])
        counts = np.bincount(channels_N, minlength=5)
        return {channels: int(counts[channels]) for channels in sorted(self._files)}

    def _block(self, inputs: Mapping[int, BinaryIO], channels_B: NDArray[np.uint8]) -> Pixels:
        height, width, channels = self.shape
        block = np.empty((len(channels_B), height, width, channels), np.uint8)
        for have, file in inputs.items():
            here = channels_B == have
            count = int(here.sum())
            data = np.fromfile(file, np.uint8, count * height * width * have)
            block[here] = widened(data.reshape(count, height, width, have), channels)
        return block

    def _check_size(self, size: tuple[int, int], name: str) -> None:
        if self._size is None:
            self._size = (size, name)
        (height, width), first = self._size
        if (height, width) != size:
            msg = (
                f"The images have different sizes: {first!r} has {height}x{width} pixels and "
                f"{name!r} {size[0]}x{size[1]}"
            )
            raise ImageSizeError(msg)
        if min(size) < MIN_SIDE_PX:
            msg = (
                f"The image {name!r} has {height}x{width} pixels, where at least {MIN_SIDE_PX} a "
                "side are needed"
            )
            raise ImageSizeError(msg)

    def _path(self, channels: int) -> Path:
        return self._folder / f"staged-{channels}.u8"


def write_all(file: BinaryIO, array: Pixels) -> None:
    """Write every byte of a contiguous array to an unbuffered file."""
    view = np.ascontiguousarray(array).reshape(-1).data
    while view:
        view = view[file.write(view) :]


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
            absent = staged.absent.total()
            if len(staged.skipped) - absent > MAX_SKIPPED_FRACTION * total:
                broken = [one for one in staged.skipped if not one.endswith(_ABSENT)]
                msg = (
                    f"More than {MAX_SKIPPED_FRACTION:.0%} of the {total} images of "
                    f"{job.config.uri!r} cannot be read, among them {'; '.join(broken[:3])}; "
                    "repair or exclude them."
                )
                raise SourceError(msg)
            if absent > MAX_ABSENT_FRACTION * total:
                what = " and ".join(f"{n} have no {word}" for word, n in staged.absent.items())
                msg = (
                    f"Of the {total} records of {job.config.uri!r}, {what}, more than "
                    f"{MAX_ABSENT_FRACTION:.0%}; add what is missing, name another column in "
                    "source.label, or set it to null."
                )
                raise SourceError(msg, proposals=_without_label(staged))
            if job.progress is not None:
                done = min(staged.rows + len(staged.skipped), total)
                job.progress(done, total)
        staged.own_rows = staged.own_rows or staged.rows


def _without_label(staged: "StagedImages") -> tuple[Proposal, ...]:
    if not staged.absent["label"]:
        return ()
    return (Proposal(setting="source.label", value=None, why="most records have no label"),)


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


def _unusual(config: SourceConfig, staged: "StagedImages", reading: Reading) -> dict[str, Any]:
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


def _notes(job: PrepareJob, staged: StagedImages, reading: Reading) -> list[str]:
    rows, found = staged.rows, staged.found
    notes = [f"{what}: {count} of {rows} images." for what, count in sorted(found.done.items())]
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
    if found.dropped_frames:
        notes.append(
            f"Of {found.files_with_frames} files with several frames or pages the first is read "
            f"and {found.dropped_frames:,} are left out; source.frames: all makes each a record."
        )
    if found.turned:
        notes.append(f"Turned as XMP or a raw profile says: {found.turned} of {rows} images.")
    counts = staged.counts_by_channels()
    if len(counts) > 1:
        names = {1: "grey", 3: "RGB", 4: "RGBA"}
        described = ", ".join(f"{count} {names[c]}" for c, count in counts.items())
        notes.append(
            f"The images have mixed colour modes ({described}); all were widened to "
            f"{names[max(counts)]}."
        )
    total = rows + len(staged.skipped)
    for word, count in sorted(staged.absent.items()):
        notes.append(f"Left out for want of {_article(word)}: {count:,} of {total:,} records.")
    broken = [one for one in staged.skipped if not one.endswith(_ABSENT)]
    if broken:
        shown = first_few(broken, "; ")
        notes.append(f"Skipped as unreadable: {len(broken)} of {total} images, {shown}.")
    return [*notes, *(note for source in job.sources for note in _source_notes(source))]


def _article(word: str) -> str:
    return f"an {word}" if word == "image" else f"a {word}"


def _source_notes(source: Source) -> list[str]:
    if isinstance(source, ImageFolderSource) and source.label_file is not None:
        file, notes = source.label_file, []
        if file.unknown:
            notes.append(f"The label file has {file.unknown:,} entries that name no image.")
        if file.absent:
            notes.append(f"The label file does not name {file.absent:,} of the images.")
        return notes
    return []


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
