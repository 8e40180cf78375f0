"""Where real records come from: images and tables, in files or examples; local or on S3."""

from storage.errors import SourceError
from storage.sources.builder import Source
from storage.sources.config import SourceConfig
from storage.sources.examples import SCHEME, open_example
from storage.sources.files import ParquetFiles, find_files
from storage.sources.images.source import ImageFolderSource, ParquetImages, find_image_column
from storage.sources.tables.csv_source import DelimitedTable
from storage.sources.tables.source import ParquetTable
from storage.stores.settings import StorageProfile, load_profile

__all__ = ["Source", "SourceConfig", "open_source"]


def open_source(config: SourceConfig, profile: StorageProfile | None = None) -> Source:
    """List a source, find out what it is, and check that it has what the recipe names.

    No image is decoded. The kind follows from the content: `example:`, image files, CSV, Parquet
    with a column of encoded images, or other Parquet, which is a table; `source.modality`
    overrides.

    Args:
        config: the recipe's `source`.
        profile: credentials; None = those that `config.storage` names.

    Raises:
        SourceError: it is missing, empty, of mixed kinds, of another modality, or lacks a column.
        SettingsError: there is no such storage profile, or the URI is wrong.
        LakeError: the store fails, such as AccessDeniedError or BucketMissingError.
    """
    source = open_example(config) if config.uri.startswith(SCHEME) else _open(config, profile)
    if config.modality not in ("auto", source.modality):
        msg = (
            f"The source {config.uri!r} holds {source.modality} and source.modality says "
            f"{config.modality!r}; set it to auto or name another source."
        )
        raise SourceError(msg)
    source.check(config)
    return source


def _open(config: SourceConfig, profile: StorageProfile | None) -> Source:
    found = find_files(config, profile or load_profile(config.storage))
    if found.kind == "images":
        return ImageFolderSource(config, found)
    if found.kind == "csv":
        return DelimitedTable(config, found)
    files = ParquetFiles(found)
    if config.modality == "images" or (
        config.modality == "auto" and find_image_column(files) is not None
    ):
        return ParquetImages(config, files)
    return ParquetTable(config, files)
