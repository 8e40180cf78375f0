"""The kinds of data: one row each, in the one table that says what differs between them.

A row holds words and dotted names; what is named is imported when it is asked for. The storage half
of a modality (`Builder`, `ShardFormat`) reads, prepares and writes its records; the gan half
(`gan.modalities.GanModality`) learns, makes and judges them. A new modality is a folder in either
half and a row here; nothing else asks which modality it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple


class Words(NamedTuple):
    """How a person calls the records of a modality."""

    record: str = "record"
    records: str = "records"
    part: str = "part"
    """What a report breaks its metrics down by: a class, a column."""


class JudgedClass(NamedTuple):
    """Records of a class below which the judge does not judge it."""

    holdout: int = 0
    """For the verdict."""
    validation: int = 0
    """For the choice of the snapshot."""
    alone: bool = False
    """Whether the judge compares class by class, so that a class may have more of the holdout than
    its share of the source."""


ANY_CLASS = JudgedClass()
"""For a judge that asks for no number of them."""


class FormatEntry(NamedTuple):
    """One shard format that `output.format` may name."""

    key: str
    """Its name in plans and manifests, unique over all modalities."""
    code: str
    """Dotted name of the `ShardFormat`."""


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One kind of data. Dotted names are `module` or `module:object`."""

    words: Words
    takes_conditions: bool = False
    """Whether `synthesis.given` may set conditions on its columns."""
    equal_classes: bool = False
    """Whether `synthesis.balance: auto` is equal, instead of real."""
    builder: str
    """The `Builder` that recognises its sources and prepares their records."""
    formats: Mapping[str, FormatEntry]
    """What a recipe calls a shard format → the format."""
    codec: str
    """The class of its `Codec`, or `ConditionalCodec` where it takes conditions."""
    networks: str
    """Module with `build`; see `GanModality.build`."""
    presets: str
    """Module with `PRESETS` and `resolve`."""
    knobs: str | None = None
    """What tuning tries, a sequence of `gan.tuning.knobs.Knob`; None where it tries nothing."""
    judge: str
    """Module with `foresee`, `build_reference`, `evaluate`, `build_assess`, `comparable` and
    `figures`."""
    judged_class: JudgedClass = ANY_CLASS
    """How many records of a class the judge needs."""
    downstream: str | None = None
    """Module with `build_task`, what its users train; None where lift is not measured."""
    teacher: str | None = None
    """Module with `check`, `fit`, `load` and `LIBRARIES`, what labels synthetic records; None where
    nothing does."""
    private: str | None = None
    """Module with `questions`, `fit_privately` and `class_counts`, for codecs that are
    differentially private, beside `resolve_private` of the presets; None where nothing is."""
    own_keys: tuple[str, ...] = ()
    """Keys of a recipe for these records only; the run forms of others leave them out."""
    preview: str | None = None
    """Function that draws records as a PNG; None where the report's figures show them."""
    pictures: str | None = None
    """Module with `strip`, `frame` and `neighbours`, what only pictures show of a generator; None
    where records are no pictures."""


MODALITIES: dict[str, Modality] = {
    "images": Modality(
        words=Words("image", "images", "class"),
        equal_classes=True,
        builder="storage.sources.images.build:BUILDER",
        formats={
            "parquet": FormatEntry("parquet", "storage.shards.images:PNG"),
            "parquet-raw": FormatEntry("parquet-raw", "storage.shards.images:RAW"),
        },
        codec="gan.images.codec:ImageCodec",
        networks="gan.images.networks",
        presets="gan.images.presets",
        knobs="gan.images.search_space:KNOBS",
        judge="gan.images.judge",
        judged_class=JudgedClass(holdout=20, validation=20, alone=True),
        downstream="gan.images.downstream",
        teacher="gan.images.teacher",
        own_keys=(
            "source.label_from",
            "source.labels",
            "source.image",
            "source.frames",
            "source.bits",
            "source.resize",
            "generator.augment",
            "synthesis.labels",
        ),
        preview="gan.images.judge:preview",
        pictures="gan.images.figures",
    ),
    "series": Modality(
        words=Words("entity", "entities", "variable"),
        takes_conditions=True,
        builder="storage.sources.series.build:BUILDER",
        formats={
            "parquet": FormatEntry("series-parquet", "storage.shards.series:NESTED"),
            "nested": FormatEntry("series-nested", "storage.shards.series:NESTED"),
            "long": FormatEntry("series-long", "storage.shards.series:LONG"),
        },
        codec="gan.series.codec:SeriesCodec",
        networks="gan.series.networks",
        presets="gan.series.presets",
        judge="gan.series.judge",
        judged_class=JudgedClass(holdout=10),
        downstream="gan.series.downstream",
        own_keys=(
            "source.entity",
            "source.time",
            "source.window",
            "source.csv",
            "source.sheet",
            "source.columns",
            "synthesis.given",
        ),
    ),
    "tables": Modality(
        words=Words("row", "rows", "column"),
        takes_conditions=True,
        builder="storage.sources.tables.build:BUILDER",
        formats={
            "parquet": FormatEntry("table-parquet", "storage.shards.tables:PARQUET"),
            "csv": FormatEntry("csv", "storage.shards.tables:CSV"),
        },
        codec="gan.tables.codec:TableCodec",
        private="gan.tables.stand_in",
        networks="gan.tables.networks",
        presets="gan.tables.presets",
        knobs="gan.tables.search_space:KNOBS",
        judge="gan.tables.judge",
        judged_class=JudgedClass(holdout=10),
        downstream="gan.tables.downstream",
        teacher="gan.tables.teacher",
        own_keys=(
            "source.csv",
            "source.sheet",
            "source.columns",
            "source.constraints",
            "source.structure",
            "synthesis.given",
            "synthesis.labels",
            "output.csv",
            "privacy.delta",
            "privacy.epsilon",
            "privacy.quasi_identifiers",
            "privacy.total_epsilon",
            "report.groups",
        ),
    ),
}
"""Name → row, in the order in which a source is recognised: what takes any Parquet file is last."""


def load_code(name: str) -> Any:
    """Import what a row names.

    Args:
        name: `module` or `module:object`.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such object.
    """
    module, _, attribute = name.partition(":")
    loaded = import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def words_of(modality: str) -> Words:
    """Return the words of a modality; general ones for one that this version does not have."""
    row = MODALITIES.get(modality)
    return Words() if row is None else row.words
