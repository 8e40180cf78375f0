"""Where real records come from: image folders, Parquet, examples; local or on S3."""

from storage.settings import StorageProfile, load_profile
from storage.sources.config import SourceConfig
from storage.sources.examples import SCHEME, ExampleSource
from storage.sources.files import find_files
from storage.sources.image_folder import ImageFolderSource
from storage.sources.parquet import ParquetSource
from storage.sources.source import Source

__all__ = ["Source", "SourceConfig", "open_source"]


def open_source(config: SourceConfig, profile: StorageProfile | None = None) -> Source:
    """List a source, find out what it is, and check that it has what the recipe names.

    No image is decoded. The kind follows from the content: `example:`, image files, or Parquet.

    Args:
        config: the recipe's `source`.
        profile: credentials; None = those that `config.storage` names.

    Raises:
        SourceError: it is missing, empty, of mixed kinds, without images, or lacks a column.
        SettingsError: there is no such storage profile, or the URI is wrong.
        LakeError: the store fails, such as AccessDeniedError or BucketMissingError.
    """
    source: Source
    if config.uri.startswith(SCHEME):
        source = ExampleSource(config)
    else:
        found = find_files(config, profile or load_profile(config.storage))
        source = (ParquetSource if found.parquet else ImageFolderSource)(config, found)
    if config.label is not None:
        source.check_label(config.label)
    for column in (config.split.column, config.split.group_by):
        if column is not None:
            source.column_type(column)
    return source
