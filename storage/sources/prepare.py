"""From a source to decoded, split, memory-mapped records, built once and reused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import pyarrow as pa

from storage.classes import ClassCounts, count_classes
from storage.digests import digest_json
from storage.errors import SourceError
from storage.settings import StorageProfile
from storage.sources import open_source
from storage.sources.batches import decoded_batches
from storage.sources.cache import obtain
from storage.sources.config import SourceConfig, record_settings
from storage.sources.prepared import (
    Prepared,
    PreparedFacts,
    load_prepared,
    split_paths,
    write_prepared,
)
from storage.sources.sides import Collected, Decision, decide
from storage.sources.source import Source
from storage.sources.staging import Staging
from storage.split import SPLITS, TRAIN, SplitConfig

Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""

MIN_RECORDS: Final = 100
MIN_CLASS_RECORDS: Final = 10
MAX_SKIPPED_FRACTION: Final = 0.01

CACHE_VERSION: Final = 1
"""Raised when the same source and settings are prepared otherwise than before."""

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One source, or a source and its separate holdout, to be prepared."""

    config: SourceConfig
    sources: tuple[Source, ...]
    min_group: int
    progress: Progress | None

    @property
    def digest(self) -> str:
        """The source digest; of both digests where the holdout is a source of its own."""
        digests = [source.digest for source in self.sources]
        return digests[0] if len(digests) == 1 else digest_json(digests)

    @property
    def ignored_files(self) -> int:
        """Files beside the records."""
        return sum(source.description.ignored_files for source in self.sources)


def prepare(
    config: SourceConfig,
    *,
    folder: Path,
    min_group: int,
    profile: StorageProfile | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Decode and split a source into `folder`, or reuse what an earlier call left there.

    Args:
        config: the recipe's `source`.
        folder: the cache for prepared sources; safe for several processes at once.
        min_group: the smallest class that may be published (`privacy.min_group`).
        profile: credentials of the source; None = those that `config.storage` names.
        progress: told how far the decoding is.

    Raises:
        SourceError: the source is missing, empty or unfit.
        LakeError: the store that holds the source fails; its own children say how.
        LakeFullError: the disk of `folder` is full.
    """
    job = _Job(
        config=config,
        sources=_open_sources(config, profile),
        min_group=min_group,
        progress=progress,
    )
    digest = job.digest
    prepared = obtain(
        folder, _entry_name(config, digest), load=load_prepared, build=partial(_build, job, digest)
    )
    _check_classes(config, prepared.class_counts, min_group)
    return replace(prepared, ignored_files=job.ignored_files)


def _open_sources(config: SourceConfig, profile: StorageProfile | None) -> tuple[Source, ...]:
    source = open_source(config, profile)
    if config.split.holdout_uri is None:
        return (source,)
    update = {"uri": config.split.holdout_uri, "split": SplitConfig()}
    return source, open_source(config.model_copy(update=update), profile)


def _entry_name(config: SourceConfig, digest: str) -> str:
    """Name the cache entry: a slot per source and settings, a key per content and settings."""
    settings = {
        "version": CACHE_VERSION,
        "pillow": PIL.__version__,
        "records": record_settings(config),
        "split": config.split.model_dump(mode="json"),
    }
    slot = digest_json([config.uri, settings])[:8]
    return f"{slot}-{digest_json([digest, settings])[:32]}"


def _build(job: _Job, digest: str, folder: Path) -> None:
    """Decode into `folder`, decide the sides, deal the images out."""
    label, split = job.config.label, job.config.split
    with Staging(folder) as staging:
        skipped, own_rows = _decode(job, staging)
        _check_amount(job, staging.rows)
        labels = None if label is None else staging.column(label)
        _check_classes(job.config, {"all": count_classes(labels)}, job.min_group)
        decision = decide(split, _collected(job.config, staging, own_rows))
        by_split = _by_split(labels, decision)
        counts = {name: count_classes(part) for name, part in by_split.items()}
        _check_classes(job.config, counts, job.min_group)
        staging.deal(decision.sides, split_paths(folder))
        facts = PreparedFacts(
            source_digest=digest,
            split_rule=decision.rule,
            label=label,
            shape_HWC=staging.shape,
            skipped=skipped,
            ignored_files=job.ignored_files,
            notes=(*_notes(staging, skipped), *decision.notes),
        )
    for source in job.sources:
        source.verify_unchanged()
    write_prepared(folder, facts, by_split)


def _decode(job: _Job, staging: Staging) -> tuple[tuple[str, ...], int]:
    """Stage every image; returns what was skipped and how many rows are of the first source."""
    total = sum(source.description.rows for source in job.sources)
    skipped: list[str] = []
    own_rows = 0
    for number, source in enumerate(job.sources):
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


def _check_amount(job: _Job, rows: int) -> None:
    if rows < MIN_RECORDS:
        msg = (
            f"The source {job.config.uri!r} holds {rows} images, and at least {MIN_RECORDS} are "
            "needed to train and to judge; add images."
        )
        raise SourceError(msg)


def _check_classes(
    config: SourceConfig, class_counts: Mapping[str, ClassCounts], min_group: int
) -> None:
    """Check that every class is large enough, and that none is missing from train."""
    least = max(MIN_CLASS_RECORDS, min_group)
    totals: dict[Any, int] = {}
    for counts in class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + count
    small = [(label, count) for label, count in totals.items() if count < least]
    if small:
        shown = ", ".join(f"{label!r} ({count})" for label, count in sorted(small)[:_SHOWN])
        more = f" and {len(small) - _SHOWN} more" if len(small) > _SHOWN else ""
        msg = (
            f"Each class needs at least {least} images, but {config.label!r} has {shown}{more}; "
            "add images, merge or exclude these classes, or set source.label to null."
        )
        raise SourceError(msg)
    if TRAIN in class_counts:
        trained = dict(class_counts[TRAIN])
        absent = [label for label in totals if label not in trained]
        if absent:
            msg = (
                f"The classes {absent[:_SHOWN]} of {config.label!r} have no image in train; "
                "divide them among the splits or exclude them."
            )
            raise SourceError(msg)


def _too_many_skipped(job: _Job, skipped: list[str], total: int) -> str:
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
