"""From a source to split, memory-mapped records, built once and reused."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from storage.digests import digest_json
from storage.errors import SourceError
from storage.sources.builder import Builder, PrepareJob, Progress, Source, load_builder
from storage.sources.cache import obtain
from storage.sources.checks import advice, check_classes
from storage.sources.config import SourceConfig
from storage.sources.open import open_source
from storage.sources.prepared import Prepared, load_prepared, write_prepared
from storage.sources.split import SplitConfig
from storage.stores.settings import StorageProfile

CACHE_VERSION: Final = 3
"""Raised when the same source and settings are prepared otherwise than before."""


def prepare(  # noqa: PLR0913 - the source, and who is told of it
    config: SourceConfig,
    *,
    folder: Path,
    min_group: int,
    profile: StorageProfile | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    seen_rows: int | None = None,
) -> Prepared:
    """Read and split a source into `folder`, or reuse what an earlier call left there.

    Args:
        config: the recipe's `source`.
        folder: the cache for prepared sources; safe for several processes at once.
        min_group: the smallest class that may be published (`privacy.min_group`).
        profile: credentials of the source; None = those that `config.storage` names.
        progress: called with how far the reading is.
        say: called with what a person should know before a large source is read.
        seen_rows: records of which the training budget can read no more; None = not known.

    Raises:
        SourceError: the source is missing, empty or unfit.
        LakeError: the store that holds the source fails; its own children say how.
        LakeFullError: the disk of `folder` is full.
    """
    sources = _open_sources(config, profile)
    job = PrepareJob(
        config=config,
        sources=sources,
        min_group=min_group,
        progress=progress,
        seen_rows=seen_rows,
    )
    modality = sources[0].modality
    builder, digest = load_builder(modality), job.digest

    def build(entry: Path) -> None:
        for text in (source.announcement for source in sources):
            if text and say is not None:
                say(text)
        built = builder.build(job, entry)
        for source in sources:
            source.verify_unchanged()
        write_prepared(entry, job, built, digest)  # the index that makes it an entry comes last

    name = _entry_name(job, builder, digest)
    prepared = obtain(folder, name, load=load_prepared, build=build)
    check_classes(config, prepared.class_counts, min_group, modality)
    listing = (note for source in sources for note in source.listing_notes)
    notes = (*listing, *prepared.notes, *_notes_on_files(job))
    return replace(prepared, ignored_files=job.ignored_files, notes=notes)


def _notes_on_files(job: PrepareJob) -> list[str]:
    """Return what lies in the source and is not used: evidence, and files of other kinds."""
    source = job.sources[0]
    notes = [
        advice(one)
        for one in source.evidence(job.config)
        if one.value != _said(job.config, one.setting)
    ]
    left_out = Counter[str]()
    for each in job.sources:
        left_out.update(each.left_out)
    if left_out:
        shown = ", ".join(f"{count:,} {what}" for what, count in left_out.most_common())
        notes.append(f"Files that are left out: {shown}.")
    return notes


def _said(config: SourceConfig, setting: str) -> Any:
    """Return what the recipe's `source` says of a setting, such as `source.split.column`."""
    value: Any = config
    for name in setting.split(".")[1:]:
        value = getattr(value, name)
    return value


def _open_sources(config: SourceConfig, profile: StorageProfile | None) -> tuple[Source, ...]:
    source = open_source(config, profile)
    if config.split.holdout_uri is None:
        return (source,)
    update = {"uri": config.split.holdout_uri, "split": SplitConfig()}
    holdout = open_source(config.model_copy(update=update), profile)
    if holdout.modality != source.modality:
        msg = (
            f"The source {holdout.uri!r} of split.holdout_uri holds {holdout.modality} and "
            f"{source.uri!r} {source.modality}; name a holdout of the same kind."
        )
        raise SourceError(msg)
    return source, holdout


def _entry_name(job: PrepareJob, builder: Builder, digest: str) -> str:
    """Name the cache entry: a slot per source and settings, a key per content and settings."""
    config = job.config
    settings: dict[str, Any] = {
        "version": CACHE_VERSION,
        **builder.libraries(),
        "records": builder.settings(config, job.min_group),
        "split": config.split.model_dump(mode="json"),
        **({"allow_synthetic": True} if config.allow_synthetic else {}),
        **builder.limits(job),
    }
    slot = digest_json([config.uri, settings])[:8]
    return f"{slot}-{digest_json([digest, settings])[:32]}"
