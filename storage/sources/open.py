"""From an URI to a source: its files are listed and chosen, and a builder recognises them."""

from collections.abc import Iterable
from typing import Final

from storage.errors import SourceError
from storage.records.modalities import MODALITIES
from storage.records.proposal import Proposal
from storage.sources.builder import Builder, Source, load_builder
from storage.sources.config import SourceConfig
from storage.sources.files import FileKind
from storage.sources.listing import find_files
from storage.sources.synthetic import check_files
from storage.stores.settings import StorageProfile, load_profile

EXAMPLE: Final = "example:"
"""How the URI of an example begins."""

READ_BY_SOME: Final = frozenset(
    {"labels", "image", "frames", "bits", "entity", "time", "window", "max_rows"}
)
"""Settings that only some sources know."""


def open_source(config: SourceConfig, profile: StorageProfile | None = None) -> Source:
    """List a source, find out what it is, and check that it has what the recipe names.

    No record is decoded. The first modality whose builder knows the files has them, unless
    `source.modality` names one. No profile: the credentials that `config.storage` names.

    Raises:
        SourceError: it is missing, empty, of mixed kinds, of another modality, or lacks a column.
        SettingsError: there is no such storage profile, or the URI is wrong.
        LakeError: the store fails, such as AccessDeniedError or BucketMissingError.
    """
    source = _open_example(config.uri) if config.uri.startswith(EXAMPLE) else _open(config, profile)
    if config.modality not in ("auto", source.modality):
        msg = (
            f"The source {config.uri!r} holds {source.modality} and source.modality says "
            f"{config.modality!r}; set it to auto or name another source."
        )
        raise SourceError(msg)
    _check_used(config, source)
    source.check(config)
    return source


def _check_used(config: SourceConfig, source: Source) -> None:
    """Check that this source reads what the recipe sets of what only some sources read."""
    fields = type(config).model_fields
    for name in sorted(READ_BY_SOME - source.reads_settings):
        value = getattr(config, name)
        if value != fields[name].default:
            msg = (
                f"source.{name} {value!r} has no effect on the source {config.uri!r} of "
                f"{source.modality} ({type(source).__name__}); remove it."
            )
            raise SourceError(msg)


def _open_example(uri: str) -> Source:
    examples = {
        name: opener for row in MODALITIES for name, opener in load_builder(row).examples.items()
    }
    if uri not in examples:
        msg = f"There is no source {uri!r}; the examples are {', '.join(examples)}."
        raise SourceError(msg)
    return examples[uri](uri)


def _open(config: SourceConfig, profile: StorageProfile | None) -> Source:
    profile = profile or load_profile(config.storage)
    builders = {name: load_builder(name) for name in MODALITIES}
    candidates = {name: one for name, one in builders.items() if config.modality in ("auto", name)}
    found = find_files(
        config,
        profile,
        known=_kinds(builders.values()),
        wanted=_kinds(candidates.values()),
    )
    if not config.allow_synthetic:
        check_files(found, profile)
    for builder in candidates.values():
        source = builder.open(config, found) if found.kind in builder.files else None
        if source is not None:
            return source
    msg = (
        f"The {found.kind.name} files of the source {config.uri!r} hold no "
        f"{' or '.join(candidates)}; correct source.uri or source.modality."
    )
    raise SourceError(msg)


def _kinds(builders: Iterable[Builder]) -> tuple[FileKind, ...]:
    """Return what these builders read from, each kind once."""
    return tuple(dict.fromkeys(kind for builder in builders for kind in builder.files))


def recognised(
    source: Source, config: SourceConfig, min_group: int, profile: StorageProfile | None = None
) -> tuple[Source, SourceConfig, tuple[Proposal, ...]]:
    """Return a source as what its records turn out to be, and the settings that say it.

    Every modality is asked, in the order in which sources are recognised. Where none has something
    to say, the source stays what it was opened as.

    Raises:
        SourceError, SettingsError, LakeError: as `open_source`.
    """
    for name in MODALITIES:
        found = load_builder(name).recognise(source, config, min_group)
        if found:
            said = {one.setting.removeprefix("source."): one.value for one in found}
            wanted = config.model_copy(update=said)
            return open_source(wanted, profile), wanted, found
    return source, config, ()
