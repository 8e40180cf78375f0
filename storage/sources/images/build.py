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
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import pyarrow as pa

from storage.errors import SourceError
from storage.records.schema import ClassCounts, count_classes, with_class_names
from storage.sources.builder import Builder, Built, PrepareJob, Source, map_arrow, write_splits
from storage.sources.checks import (
    MIN_CLASS_RECORDS,
    check_amount,
    check_classes,
    check_kept_classes,
    class_needs,
)
from storage.sources.config import SourceConfig, parse_resize
from storage.sources.files import ARRAY_FILES, IMAGE_FILES, PARQUET_FILES, SourceFiles
from storage.sources.given import GivenRecords, GivenRequest
from storage.sources.images.arrays import ArrayImages
from storage.sources.images.classes import merged, remedies_for_small
from storage.sources.images.examples import IMAGE_EXAMPLES
from storage.sources.images.folder import ImageFolderSource
from storage.sources.images.given import read_given_images
from storage.sources.images.notes import notes_on, unusual
from storage.sources.images.parquet import ParquetImages, find_image_columns
from storage.sources.images.sampled import sampled_images
from storage.sources.images.source import ImageSource
from storage.sources.images.staged import StagedImages, map_images
from storage.sources.images.staging import staged_images
from storage.sources.images.survey import survey_images
from storage.sources.split import SPLITS, SplitConfig
from storage.sources.split_assignment import SplitInputs, assign_splits
from storage.sources.split_classes import code_classes
from storage.sources.survey import Survey

IMAGE: Final = "image"
"""Name of the image column, whatever the source calls it."""


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
        sampled = sampled_images(job, folder)
        chosen, seen = (job, None) if sampled is None else sampled
        with staged_images(chosen, folder) as (staged, reading):
            check_amount(job.config, staged.rows, words)
            stored = None if label is None else staged.column(label)
            labels, merges = (None, []) if stored is None else merged(stored)
            _check_classes(job, {"all": count_classes(labels)})
            if seen is not None and labels is stored:
                pairs = seen.class_counts.get("all", ())
                check_kept_classes(job.config, pairs, count_classes(labels), job.min_group, words)
            elif seen is not None:  # merged classes are counted in the sample alone
                seen = replace(seen, class_counts={})
            split, inputs = _collected(job.config, staged)
            if labels is not None and seen is None:
                inputs = replace(inputs, classes=code_classes(labels, class_needs(words)))
            assignment = assign_splits(split, inputs)
            splits_N = assignment.splits_N
            counts: dict[str, ClassCounts] = dict.fromkeys(SPLITS, ())
            if labels is not None:
                parts = write_splits(folder, pa.table({label: labels}), splits_N)
                counts = {name: count_classes(part.column(0)) for name, part in parts.items()}
            _check_classes(job, counts)
            staged.write_splits(splits_N, {name: folder / f"{name}.u8" for name in SPLITS})
            rows = {name: int((splits_N == number).sum()) for number, name in enumerate(SPLITS)}
            said = () if seen is None else seen.notes(words, rows, "counts of classes")
            notes = (*said, *notes_on(job, staged, reading), *merges, *assignment.notes)
        suffixes = (".u8",) if labels is None else (".u8", ".arrow")
        return Built(
            split_rule=assignment.rule,
            files={name: tuple(name + suffix for suffix in suffixes) for name in SPLITS},
            rows=rows,
            class_counts=counts,
            skipped=tuple(staged.skipped),
            notes=notes,
            details={
                "shape": list(staged.shape),
                "class_names": _class_names(job),
                "reading": unusual(job.config, staged, reading)
                | ({} if labels is stored else {"classes": "merged"})
                | ({"partitions": [label]} if label in job.sources[0].partitions else {})
                | ({} if seen is None else {"sample": seen.key()}),
                **({} if seen is None else {"seen": seen.to_json()}),
            },
        )

    def read_given(self, request: GivenRequest) -> GivenRecords:
        """Decode images and bring them to the known size, channels and classes."""
        return read_given_images(request)

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
    columns = {IMAGE: map_images(folder / f"{name}.u8", shape)}
    if label is not None:
        columns[label] = map_arrow(folder / f"{name}.arrow").column(0)
    return pa.table(columns)
