"""What is proposed for a source of images."""

from dataclasses import replace
from typing import Final

from storage.sources.builder import Source
from storage.sources.config import SourceConfig
from storage.sources.images.source import ImageSource
from storage.sources.survey import Survey, label_by_name

FORMATS: Final = "PNG in Parquet; parquet-raw: plain pixels"


def survey_images(source: Source, config: SourceConfig) -> Survey:
    """Return label, split and formats, as folders, columns and a label file tell them."""
    asked = config.model_copy(update={"label": config.label or "label"})
    proposals = source.evidence(asked)
    if source.description.kind == "folder":
        survey = Survey(label="label", label_why="the folder an image is in")
    else:
        survey = _by_column(source)
    for one in proposals:
        if one.setting == "source.label":
            survey = replace(survey, label=one.value, label_why=one.why)
        elif one.setting == "source.label_from":
            survey = replace(survey, label="label", label_why="a part of the path")
    rest = tuple(one for one in proposals if one.setting != "source.label")
    return replace(survey, proposals=rest, formats=FORMATS)


def _by_column(source: Source) -> Survey:
    """Return the label of columns: by its name, or the one whose classes have names."""
    columns = source.description.columns
    survey = label_by_name(columns)
    if survey.label is not None or not isinstance(source, ImageSource):
        return survey
    for name in columns:
        if source.class_names(name):
            return Survey(label=name, label_why="the features name its classes")
    for name in source.partitions:
        return Survey(label=name, label_why=f"the folders are called {name}=…")
    return survey
