"""What is proposed for a source of images."""

from dataclasses import replace

from storage.sources.builder import Source
from storage.sources.survey import Survey, label_by_name


def survey_images(source: Source) -> Survey:
    """Return label and formats: of a folder the folders are the classes, else a column is."""
    formats = "PNG in Parquet; parquet-raw: plain pixels"
    if source.description.kind == "folder":
        return Survey(label="label", label_why="the folder an image is in", formats=formats)
    return replace(label_by_name(source.description.columns), formats=formats)
