"""What a recipe says of its source.

Where it is, how it is read and split; of a table also how its CSV is written, what its columns are,
and what holds between them; of series whose steps its rows are.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from storage.masking import NO_LOGIN, check_no_secret
from storage.records.constraint import Constraint
from storage.records.modalities import MODALITIES
from storage.records.schema import FROZEN, Kind
from storage.sources.paths import path_selector
from storage.sources.split import SplitConfig


class CsvConfig(BaseModel):
    """How the CSV files of the source are written; what is not said is detected and printed."""

    model_config = FROZEN

    delimiter: str | None = Field(None, title="Delimiter", min_length=1, max_length=1)
    """One character, such as `;`; null = detected."""
    encoding: str | None = Field(None, title="Encoding", min_length=1)
    """For example `utf-8` or `cp1252`; null = detected."""
    decimal: Literal[".", ","] | None = Field(None, title="Decimal mark")
    """The mark before the fraction; null = detected."""
    nulls: tuple[str, ...] | None = Field(None, title="Null words")
    """What stands for a missing value, besides the empty field; null = detected."""
    date_format: str | None = Field(None, title="Date format", min_length=1)
    """For example `%d.%m.%Y`, for every column of dates; null = detected column by column."""
    skip_rows: int | None = Field(None, title="Lines above the header", ge=0)
    """So many lines stand above the header, such as a title; null = detected."""
    skip_footer: int | None = Field(None, title="Lines below the rows", ge=0)
    """So many lines stand below the rows, such as totals; null = detected."""

    def to_json(self) -> dict[str, Any]:
        """Return what it says, for keys; a later field is there where it is used."""
        later = {"skip_rows", "skip_footer"}
        plain = self.model_dump(mode="json")
        return {k: v for k, v in plain.items() if k not in later or v is not None}


class ColumnConfig(BaseModel):
    """What one column of a table is, where the inference shall not decide."""

    model_config = FROZEN

    name: str = Field(title="Column", min_length=1)
    """As the source names it."""
    kind: Kind | Literal["auto"] = Field("auto", title="Kind")
    """What its values are; `auto` = inferred."""
    text: Literal["refuse", "drop", "pattern"] = Field("refuse", title="Free text")
    """A column of free text is refused. `drop` leaves the column out, whatever it holds; `pattern`
    fills a column of text with patterns of letters and digits."""
    vocabulary: Literal["private", "public"] = Field("private", title="Vocabulary")
    """`public`: every value may be shown, however rare; for codes that everyone knows."""

    @property
    def asked_kind(self) -> Kind | Literal["auto"]:
        """The kind that is asked for: patterns are for text."""
        return "text" if self.kind == "auto" and self.text == "pattern" else self.kind


class WindowConfig(BaseModel):
    """How series that are few and long are cut, each window an entity of its own."""

    model_config = FROZEN

    length: int | None = Field(None, title="Steps of a window", ge=2)
    """How many steps each window has; null = series are not cut."""
    stride: int | None = Field(None, title="Stride", ge=1)
    """How many steps after one window the next one begins, fewer than `length` where windows shall
    overlap; null = `length`."""

    @model_validator(mode="after")
    def _stride_of_windows(self) -> "WindowConfig":
        if self.length is None and self.stride is not None:
            message = (
                f"source.window has stride {self.stride} and no length; say how many steps a "
                "window has, or leave both out"
            )
            raise ValueError(message)
        return self

    @property
    def step(self) -> int:
        """The stride of windows that there are."""
        return self.stride or self.length or 1


MIN_SIDE_PX: Final = 8
MAX_SIDE_PX: Final = 128

_RESIZE = re.compile(r"(\d+)(?:x(\d+))?")


class SourceConfig(BaseModel):
    """Where the real records are and how they are read."""

    model_config = FROZEN

    uri: str = Field(min_length=1, title="URI", json_schema_extra={"pattern": NO_LOGIN})
    """`example:digits`, a folder, a file, a glob, or `s3://bucket/prefix` (also with a glob)."""
    storage: str | None = Field(default=None, title="Storage profile")
    """A named storage profile (endpoint, CA, role, key) for this source; null = environment."""
    modality: str = Field(
        default="auto", title="Modality", json_schema_extra={"enum": ["auto", *MODALITIES]}
    )
    """What the records are; `auto` looks into the source: image files, Parquet with a column of
    encoded images, series where `entity` or `time` names a column or Parquet has lists of moments,
    or a table in CSV or other Parquet files."""
    label: str | None = Field(default="label", title="Label")
    """The column that generation is conditioned on; for image folders the name to give to the
    class. Tables: the column that others are asked to predict. null = unconditional."""
    label_nulls: Literal["few", "drop"] = Field(default="few", title="Records without label")
    """Records whose label is null are left out and counted: `few` refuses more than 1 % of them,
    `drop` leaves out as many as there are. With `label: null` they stay."""
    label_from: str | None = Field(default=None, title="Label from path")
    """Image folders: which part of the relative path is the class. `depth:1` is the first folder
    below the source, `depth:-1` (the default) the folder that holds the image; anything else is a
    regular expression with one group, searched in the relative path."""
    labels: str | None = Field(default=None, title="Label file")
    """Image folders: a file beside the images that says the classes, as its path below the source
    (or a glob of several, such as `*/metadata.csv`): JSON (`{"labels": [[path, class], …]}`,
    `{path: class}`, a list of entries), JSON lines, CSV or TSV. `label` then names one of its
    columns, and so may `split.column` and `split.group_by`. `**/*.cls` or `**/*.json`: files of
    the images' names, one for each, as WebDataset has them."""
    image: str | None = Field(default=None, title="Image column")
    """Parquet of images: the column that is read; null = `image`, or the most likely one."""
    frames: Literal["first", "all"] = Field(default="first", title="Frames")
    """Of image files with several pages or frames: the first, or each as a record of its own, those
    of one file on one side of the split."""
    bits: int | None = Field(default=None, ge=8, le=16, title="Bits")
    """Grey images of more than 8 bits: how many their values use, such as 12; null = the next of
    8, 10, 12, 14 and 16 above the largest value of all images."""
    entity: str | None = Field(default=None, title="Entity", min_length=1)
    """Series: the column that says whose step a row is, such as a shop, a patient or a sensor; all
    rows of one value are one record. Several columns that say it together stand between commas:
    `shop, item`. Where each file is one series, a part of its path: `depth:N` or a regular
    expression with one group, such as `([^/]+)[.]csv`. null = of nested files their key."""
    time: str | None = Field(default=None, title="Time", min_length=1)
    """Series: the column of the moments by which the steps of an entity are in order: dates, times
    or whole numbers. null = of nested files their list of moments."""
    window: WindowConfig = Field(default=WindowConfig(), title="Windows")
    """Series that are few and long: cut into windows, each of which is an entity of its own; what
    is learnt is no longer than one."""
    include: tuple[str, ...] = Field(default=(), title="Include")
    """Globs of the files to read, empty = all. A glob with a slash applies to the relative path,
    one without to the file name."""
    exclude: tuple[str, ...] = Field(default=(), title="Exclude")
    """Globs of the files to leave out, written like those of `include`."""
    resize: str | None = Field(default=None, title="Resize")
    """Bring every image to this size in pixels: `32` for a square, `32x48` for height x width.
    null = the images have one size already."""
    csv: CsvConfig = Field(default=CsvConfig(), title="CSV")
    """Tables in CSV files: how they are written, where that shall not be detected."""
    sheet: str | None = Field(default=None, title="Sheet", min_length=1)
    """Excel workbooks: the name of the sheet that is read; null = the first."""
    columns: tuple[ColumnConfig, ...] = Field(default=(), title="Columns")
    """Tables: what columns are, where that shall not be inferred."""
    constraints: tuple[Constraint, ...] = Field(default=(), title="Constraints")
    """Tables: what holds in every real row and must hold in every synthetic one."""
    structure: Literal["found", "named", "off"] = Field(default="found", title="Structure")
    """Tables: what holds between columns in all rows, such as sums, products, bands and joint gaps.
    `found` keeps it in every synthetic row; `named` states it, to be put into `constraints`; `off`
    does not look for it, and is what it is with `privacy.epsilon` unless it is named."""
    max_rows: Annotated[int, Field(ge=1000)] | Literal["auto"] = Field(
        default="auto", title="Most records"
    )
    """Of a source of more records a uniform sample of so many is kept, chosen by their content
    while they are read in a stream; counts, kinds, constraints and splits are of all records.
    `auto`: as many rows as fit into 8 GiB or half of the machine's memory, no more than the budget
    of the training can read once, and 2,000,000 images. CSV and Parquet tables, and images."""
    allow_synthetic: bool = Field(default=False, title="Allow synthetic data")
    """Also read files that are marked as made by a generator; by default they are refused, as a
    generator of generated data imitates an imitation."""
    confidential: bool = Field(default=True, title="Confidential")
    """When false, reports may show real records beside generated ones."""
    split: SplitConfig = Field(default=SplitConfig(), title="Split")
    """How the records are divided into train, validation and holdout."""

    @field_validator("uri")
    @classmethod
    def _uri_without_login(cls, value: str) -> str:
        return check_no_secret(value, "source.uri")

    @field_validator("modality")
    @classmethod
    def _modality_exists(cls, value: str) -> str:
        if value not in ("auto", *MODALITIES):
            *names, last = map(repr, ("auto", *MODALITIES))
            message = (
                f"source.modality {value!r} does not exist; choose {', '.join(names)} or {last}"
            )
            raise ValueError(message)
        return value

    @field_validator("window", mode="before")
    @classmethod
    def _no_window(cls, value: object) -> object:
        """Accept `window: null`."""
        return WindowConfig() if value is None else value

    @field_validator("structure", mode="before")
    @classmethod
    def _off_as_text(cls, value: object) -> object:
        """Accept `structure: off`, which YAML reads as false."""
        return "off" if value is False else value

    @field_validator("resize", mode="before")
    @classmethod
    def _resize_as_text(cls, value: object) -> object:
        """Accept `resize: 32`, which YAML reads as a number."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("resize")
    @classmethod
    def _resize_in_range(cls, value: str | None) -> str | None:
        if value is None:
            return None
        height, width = parse_resize(value)
        if min(height, width) < MIN_SIDE_PX or max(height, width) > MAX_SIDE_PX:
            message = (
                f"source.resize {value!r} is outside {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels; "
                "choose both sides within it"
            )
            raise ValueError(message)
        return value

    @field_validator("label")
    @classmethod
    def _label_is_free(cls, value: str | None) -> str | None:
        if value in ("", "image", "sample_id"):
            message = (
                f"source.label {value!r} is taken by ganmill's own columns; rename the column "
                "or set label to null"
            )
            raise ValueError(message)
        return value

    @field_validator("columns")
    @classmethod
    def _columns_once(cls, value: tuple[ColumnConfig, ...]) -> tuple[ColumnConfig, ...]:
        names = [column.name for column in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            message = f"source.columns says what {twice!r} is more than once; keep one entry"
            raise ValueError(message)
        return value

    @field_validator("label_from")
    @classmethod
    def _label_from_is_readable(cls, value: str | None) -> str | None:
        if value is not None:
            path_selector(value)
        return value

    @model_validator(mode="after")
    def _holdout_elsewhere(self) -> "SourceConfig":
        if self.split.holdout_uri == self.uri:
            message = (
                f"source.split.holdout_uri {self.uri!r} is source.uri itself; name another "
                "source, or leave it out to hold records out by their hash"
            )
            raise ValueError(message)
        return self


def parse_resize(value: str) -> tuple[int, int]:
    """Return (height, width) in pixels of `32` or `32x48`.

    Raises:
        ValueError: the text is neither.
    """
    match = _RESIZE.fullmatch(value)
    if match is None:
        message = f"source.resize {value!r} is no size; write 32, or 32x48 for height x width"
        raise ValueError(message)
    height, width = match.groups()
    return int(height), int(width or height)
