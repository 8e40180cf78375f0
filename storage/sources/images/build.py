"""Images made ready: decoded, assigned to splits, written as raw files, and mapped again.

An entry holds `<split>.u8` (the pixels, raw) and `<split>.arrow` (the labels, Arrow IPC). The split
of an image is known only when all are decoded, so decoded images are staged first, in order, in one
raw file per number of channels; a second sequential pass widens them to a common form and writes
each into its split. In memory stay 33 bytes per record, its label, and its value of the column that
decides the split.

Shape legend: N records, H height, W width, C channels.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import PIL
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.durable import sync_file
from storage.records.schema import ClassCounts, count_classes
from storage.sources.builder import (
    MAX_SKIPPED_FRACTION,
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
from storage.sources.images.decode import DecodedBatch, Pixels, decoded_batches, widened
from storage.sources.images.examples import IMAGE_EXAMPLES
from storage.sources.images.source import (
    ImageFolderSource,
    ImageSource,
    ParquetImages,
    find_image_column,
)
from storage.sources.images.survey import survey_images
from storage.sources.split import SPLITS
from storage.sources.split_assignment import SplitInputs, assign_splits
from storage.sources.survey import Survey

IMAGE: Final = "image"
"""Name of the image column, whatever the source calls it."""

_BLOCK_BYTES = 8 << 20


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
        if config.modality == "auto" and find_image_column(found.parquet) is None:
            return None
        return ParquetImages(config, found.parquet)

    def settings(self, config: SourceConfig, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Return label, where it comes from, and size; `min_group` changes no image."""
        return {
            "modality": "images",
            "label": config.label,
            "label_from": config.label_from if config.label is not None else None,
            "resize": None if config.resize is None else list(parse_resize(config.resize)),
        }

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:  # noqa: ARG002
        """Return what the folders or the columns tell."""
        return survey_images(source)

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
        with StagedImages(folder) as staged:
            skipped, own_rows = _decode(job, staged)
            check_amount(job.config, staged.rows, words)
            labels = None if label is None else staged.column(label)
            check_classes(job.config, {"all": count_classes(labels)}, job.min_group, words)
            assignment = assign_splits(job.config.split, _collected(job.config, staged, own_rows))
            splits_N = assignment.splits_N
            counts: dict[str, ClassCounts] = dict.fromkeys(SPLITS, ())
            if labels is not None:
                parts = write_splits(folder, pa.table({label: labels}), splits_N)
                counts = {name: count_classes(part.column(0)) for name, part in parts.items()}
            check_classes(job.config, counts, job.min_group, words)
            staged.write_splits(splits_N, {name: folder / f"{name}.u8" for name in SPLITS})
            shape, notes = staged.shape, (*_notes(staged, skipped), *assignment.notes)
        suffixes = (".u8",) if labels is None else (".u8", ".arrow")
        return Built(
            split_rule=assignment.rule,
            files={name: tuple(name + suffix for suffix in suffixes) for name in SPLITS},
            rows={name: int((splits_N == number).sum()) for number, name in enumerate(SPLITS)},
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
        self.done: Counter[str] = Counter()

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
            SourceError: an image has another size than the first, or less than 8 pixels a side.
        """
        for size, name in batch.sizes.items():
            self._check_size(size, name)
        for channels, images in batch.images.items():
            if channels not in self._files:
                self._files[channels] = self._path(channels).open("xb", buffering=0)
            write_all(self._files[channels], images)
        self.batches.append(replace(batch, images={}))
        self.rows += len(batch.channels_K)
        self.done.update(batch.done)

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
                f"{name!r} {size[0]}x{size[1]}; set source.resize, for instance to "
                f"{max(MIN_SIDE_PX, min(height, size[0]))}x{max(MIN_SIDE_PX, min(width, size[1]))}."
            )
            raise SourceError(msg)
        if min(size) < MIN_SIDE_PX:
            msg = (
                f"The image {name!r} has {height}x{width} pixels, where at least {MIN_SIDE_PX} a "
                "side are needed; set source.resize, for instance to 8."
            )
            raise SourceError(msg)

    def _path(self, channels: int) -> Path:
        return self._folder / f"staged-{channels}.u8"


def write_all(file: BinaryIO, array: Pixels) -> None:
    """Write every byte of a contiguous array to an unbuffered file."""
    view = np.ascontiguousarray(array).reshape(-1).data
    while view:
        view = view[file.write(view) :]


def _decode(job: PrepareJob, staged: StagedImages) -> tuple[tuple[str, ...], int]:
    """Stage every image; returns what was skipped and how many rows are of the first source."""
    total = sum(source.description.rows for source in job.sources)
    skipped: list[str] = []
    own_rows = 0
    for number, source in enumerate(job.sources):
        if not isinstance(source, ImageSource):
            raise TypeError(source.modality)
        for batch in decoded_batches(source, job.config, _columns(job.config, number)):
            staged.append(batch)
            skipped += batch.skipped
            if len(skipped) > MAX_SKIPPED_FRACTION * total:
                msg = (
                    f"More than {MAX_SKIPPED_FRACTION:.0%} of the {total} images of "
                    f"{job.config.uri!r} cannot be read, among them {'; '.join(skipped[:3])}; "
                    "repair or exclude them."
                )
                raise SourceError(msg)
            if job.progress is not None:
                job.progress(staged.rows + len(skipped), total)
        own_rows = own_rows or staged.rows
    return tuple(skipped), own_rows


def _columns(config: SourceConfig, number: int) -> list[str]:
    """Return the columns to read: the deciding one only of the first source."""
    names = [config.label]
    if number == 0:
        names += [config.split.column, config.split.group_by]
    return list(dict.fromkeys(name for name in names if name is not None))


def _collected(config: SourceConfig, staged: StagedImages, own_rows: int) -> SplitInputs:
    deciding = config.split.column or config.split.group_by
    held_out = np.zeros(staged.rows, np.bool_)
    held_out[own_rows:] = True
    return SplitInputs(
        digests=np.concatenate([batch.digests for batch in staged.batches]),
        final_digests=np.concatenate([batch.final_digests for batch in staged.batches]),
        deciding=None if deciding is None else staged.column(deciding)[:own_rows],
        held_out=held_out,
    )


def _notes(staged: StagedImages, skipped: tuple[str, ...]) -> list[str]:
    rows = staged.rows
    notes = [f"{what}: {count} of {rows} images." for what, count in sorted(staged.done.items())]
    counts = staged.counts_by_channels()
    if len(counts) > 1:
        names = {1: "grey", 3: "RGB", 4: "RGBA"}
        described = ", ".join(f"{count} {names[c]}" for c, count in counts.items())
        notes.append(
            f"The images have mixed colour modes ({described}); all were widened to "
            f"{names[max(counts)]}."
        )
    if skipped:
        shown, total = first_few(skipped, "; "), rows + len(skipped)
        notes.append(f"Skipped as unreadable: {len(skipped)} of {total} images, {shown}.")
    return notes


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
