"""Sources of more images than are kept: a uniform sample of them, chosen by their encoded bytes.

All images are read once for their digests, and those that are chosen once more to be decoded; an
image that is not chosen is never decoded. In memory lie the places of the sample and how long each
batch was. Of which split an image is depends on its pixels alone, so that it is the same as if all
were kept; only a class that the hash starves among all of them would have fractions of its own.

Shape legend: N records of a batch, K of the sample.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.schema import ClassCounts
from storage.sources.builder import PrepareJob, SourceDescription
from storage.sources.config import SourceConfig
from storage.sources.images.decode import in_order
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.split import DIGEST_BYTES, SplitConfig, as_digests
from storage.sources.streams.limits import MOST_IMAGES
from storage.sources.streams.sample import SAMPLE_WORDS, as_words, choose_rows
from storage.sources.streams.seen import SeenRecords
from storage.sources.streams.spill import Spill, Words
from storage.sources.synthetic import check_images

_WORDS: Final = SAMPLE_WORDS + 1
"""Both halves of the digest of image and label, the place, and half of that of the image alone."""


@dataclass(frozen=True, kw_only=True)
class ChosenPlaces:
    """Which records of a source are kept."""

    places_K: NDArray[np.int64]
    """In the order of the source."""
    ends: tuple[int, ...]
    """Where each batch of the source ends."""


class ChosenImages(ImageSource):
    """Some images of a source, batch by batch."""

    def __init__(self, source: ImageSource, chosen: ChosenPlaces) -> None:
        self.uri = source.uri
        self.threads = source.threads
        self._source, self._chosen = source, chosen

    @cached_property
    def digest(self) -> str:
        """That of the source."""
        return self._source.digest

    @cached_property
    def description(self) -> SourceDescription:
        """That of the source, but for the records."""
        return replace(self._source.description, rows=len(self._chosen.places_K))

    @property
    def partitions(self) -> tuple[str, ...]:
        """Those of the source."""
        return self._source.partitions

    def column_type(self, name: str) -> pa.DataType:
        """Return that of the source."""
        return self._source.column_type(name)

    def check(self, config: SourceConfig) -> None:
        """Check the source."""
        self._source.check(config)

    def verify_unchanged(self) -> None:
        """Check that the source is still the same."""
        self._source.verify_unchanged()

    def class_names(self, name: str) -> tuple[str, ...]:
        """Return those of the source."""
        return self._source.class_names(name)

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield the batches that hold a chosen record."""
        start = 0
        for end, read in zip(self._chosen.ends, self._source.reads(columns), strict=False):
            low, high = np.searchsorted(self._chosen.places_K, [start, end])
            if high > low:
                yield partial(_picked, read, self._chosen.places_K[low:high] - start)
            start = end


def most_images(config: SourceConfig) -> int:
    """Return how many images are kept at most."""
    return MOST_IMAGES if config.max_rows == "auto" else config.max_rows


def sampled_images(job: PrepareJob, folder: Path) -> tuple[PrepareJob, SeenRecords] | None:
    """Return the job for a sample of its source, and what was seen; None: all images are kept.

    Args:
        job: with one source, or with a holdout of its own that must not be too large either.
        folder: for the digests, which are deleted.

    Raises:
        SourceError: the split takes all images, most are copies, or some are synthetic.
    """
    config, source = job.config, job.sources[0]
    most = most_images(config)
    if not isinstance(source, ImageSource) or source.description.rows <= most:
        return None
    if config.split != _by_content(config.split):
        msg = (
            f"The source {config.uri!r} has more images than source.max_rows ({most:,}) keeps, and "
            "source.split.column, group_by and holdout_uri take all of them at once; leave them "
            "out to divide by content, raise source.max_rows, or read a part with source.include."
        )
        raise SourceError(msg)
    counts, ends = Counter[Any](), list[int]()
    with Spill(folder, "images", _WORDS) as spill:
        columns = [] if config.label is None else [config.label]
        work = partial(_digested, source, allow_synthetic=config.allow_synthetic)
        for words, labels in in_order(source, columns, work):
            words[:, 2] += np.uint64(spill.rows)
            spill.add(words, words[:, 3])
            counts.update(labels)
            ends.append(spill.rows)
            if job.progress is not None:
                job.progress(min(spill.rows, source.description.rows), source.description.rows)
        distinct = sum(len(np.unique(words[:, 3])) for words in spill.parts())
        if 2 * distinct < spill.rows:
            msg = (
                f"Most of the {spill.rows:,} images of the source {config.uri!r} are copies of "
                "others, so that a sample of them cannot be divided as all of them; remove the "
                "copies, or raise source.max_rows."
            )
            raise SourceError(msg)
        places_K, rows = np.sort(choose_rows(spill, most)), spill.rows
    chosen = ChosenPlaces(places_K=places_K, ends=tuple(ends))
    lacking = 0 if config.label is None else counts.pop(None, 0)
    labelled: ClassCounts = tuple(sorted(counts.items())) if config.label is not None else ()
    seen = SeenRecords(
        rows=rows - lacking,
        kept=len(places_K),
        most=most,
        class_counts={"all": labelled} if labelled else {},
    )
    return replace(job, sources=(ChosenImages(source, chosen),)), seen


def _by_content(split: SplitConfig) -> SplitConfig:
    return split.model_copy(update={"column": None, "group_by": None, "holdout_uri": None})


def _picked(read: Read, rows: NDArray[np.int64]) -> RawBatch:
    raw = read()
    images = raw.images[rows] if isinstance(raw.images, np.ndarray) else None
    return RawBatch(
        names=[raw.names[row] for row in rows],
        images=[raw.images[row] for row in rows] if images is None else images,
        columns=raw.columns.take(pa.array(rows)),
    )


def _digested(source: ImageSource, read: Read, *, allow_synthetic: bool) -> tuple[Words, list[Any]]:
    """Return the words of a batch's records, counted from 0, and their labels."""
    raw = read()
    if not allow_synthetic:
        check_images(source.uri, raw.names, raw.images)
    labels = raw.columns.column(0).to_pylist() if raw.columns.num_columns else []
    alone, joined = bytearray(), bytearray()
    for row, image in enumerate(raw.images):
        data = image.tobytes() if isinstance(image, np.ndarray) else image or b""
        digest = blake2b(data, digest_size=DIGEST_BYTES)
        alone += digest.digest()
        digest.update(repr(labels[row]).encode() if labels else b"")
        joined += digest.digest()
    halves, own = as_words(as_digests(bytes(joined))), as_words(as_digests(bytes(alone)))
    places = np.arange(len(halves), dtype=np.uint64)
    return np.column_stack([halves, places, own[:, 0]]), labels
