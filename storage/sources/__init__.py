"""Where real records come from: files of every modality, or examples; local or on S3."""

from collections.abc import Iterable

from storage.errors import SourceError
from storage.records.modalities import MODALITIES
from storage.sources.builder import Builder, Source, load_builder
from storage.sources.config import SourceConfig
from storage.sources.files import FileKind, find_files
from storage.stores.settings import StorageProfile, load_profile

__all__ = ["Source", "SourceConfig", "open_source"]


SCHEME = "example:"


def open_source(config: SourceConfig, profile: StorageProfile | None = None) -> Source:
    """List a source, find out what it is, and check that it has what the recipe names.

    No record is decoded. The first modality whose builder knows the files has them, unless
    `source.modality` names one.

    Args:
        config: the recipe's `source`.
        profile: credentials; None = those that `config.storage` names.

    Raises:
        SourceError: it is missing, empty, of mixed kinds, of another modality, or lacks a column.
        SettingsError: there is no such storage profile, or the URI is wrong.
        LakeError: the store fails, such as AccessDeniedError or BucketMissingError.
    """
    source = _open_example(config.uri) if config.uri.startswith(SCHEME) else _open(config, profile)
    if config.modality not in ("auto", source.modality):
        msg = (
            f"The source {config.uri!r} holds {source.modality} and source.modality says "
            f"{config.modality!r}; set it to auto or name another source."
        )
        raise SourceError(msg)
    source.check(config)
    return source


def _open_example(uri: str) -> Source:
    examples = {
        name: opener for row in MODALITIES for name, opener in load_builder(row).examples.items()
    }
    if uri not in examples:
        msg = f"There is no source {uri!r}; the examples are {', '.join(examples)}."
        raise SourceError(msg)
    return examples[uri](uri)


def _open(config: SourceConfig, profile: StorageProfile | None) -> Source:
    builders = {name: load_builder(name) for name in MODALITIES}
    asked = {name: one for name, one in builders.items() if config.modality in ("auto", name)}
    found = find_files(
        config,
        profile or load_profile(config.storage),
        known=_kinds(builders.values()),
        wanted=_kinds(asked.values()),
    )
    for builder in asked.values():
        source = builder.open(config, found) if found.kind in builder.files else None
        if source is not None:
            return source
    msg = (
        f"The {found.kind.name} files of the source {config.uri!r} hold no {' or '.join(asked)}; "
        "correct source.uri or source.modality."
    )
    raise SourceError(msg)


def _kinds(builders: Iterable[Builder]) -> tuple[FileKind, ...]:
    """Return what these builders read from, each kind once."""
    return tuple(dict.fromkeys(kind for builder in builders for kind in builder.files))
