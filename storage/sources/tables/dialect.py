"""How a CSV file is written, so that the synthetic one can be written the same way.

The dialect of a source travels as JSON in the metadata of its Arrow schema, under `ganmill-csv`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import pyarrow as pa

KEY: Final = b"ganmill-csv"
SCHEMA: Final = "ganmill-csv/1"

_NAMES: Final = {"\t": "tab", " ": "space", "\u00a0": "no-break space", "\u202f": "thin space"}
_WORDS: Final = {
    "Y": "year", "y": "year", "m": "month", "b": "month", "B": "month", "d": "day", "H": "hour",
    "I": "hour", "M": "minute", "S": "second", "f": "fraction", "p": "am/pm", "z": "zone",
    "Z": "zone",
}  # fmt: skip
_SHOWN_COLUMNS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Style:
    """How the values of one column are written, where it is not the plain way."""

    header: str | None = None
    """The name as the file writes it, where it is not the column's name."""
    null: str = ""
    """What stands for a missing value when one is written."""
    nulls: tuple[str, ...] = ()
    """Every word, besides the empty field, that is read as a missing value."""
    format: str | None = None
    """Of dates, times and timestamps, in the directives of `strftime`; `%-d` is not padded, `%3f`
    are milliseconds."""
    booleans: tuple[str, str] | None = None
    """The words for true and for false."""
    decimals: int | None = None
    """Every number is written with this many decimals."""
    grouped: bool = False
    """Whole numbers are written with the thousands mark."""
    affixes: tuple[str, str] | None = None
    """What stands before and after the digits of every number, such as `$` and nothing."""
    negative: tuple[str, str] | None = None
    """The same of negative numbers, such as `(` and `)`; None = a minus sign before all."""
    decimal: str | None = None
    """The mark before the fraction where it is not that of the file."""
    thousands: str | None = None
    """The thousands mark where it is not that of the file."""
    short: bool = False
    """Numbers without a fraction are written without a decimal mark."""
    stored: str | None = None
    """The Arrow type of the source, such as `string`, where records have another; formats with
    types write it again."""

    @property
    def formatted(self) -> bool:
        """Whether the source's cells are more than plain values of the records' type."""
        return not (self.affixes is None and self.negative is None and self.stored is None)


PLAIN: Final = Style()


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Everything that decides the bytes of a CSV file besides its values. Default: RFC 4180."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    """A name that Python knows."""
    bom: bool = False
    """Whether the file begins with a byte order mark."""
    line_end: str = "\r\n"
    space: bool = False
    """Whether a space follows every delimiter."""
    sep_line: bool = False
    """Whether the first line says `sep=;`, for Excel."""
    trailing: int = 0
    """How many delimiters every line ends with, as columns without a name and a value make."""
    decimal: str = "."
    thousands: str | None = None
    escape_formulas: bool = False
    """Whether an apostrophe is put before text that a spreadsheet would compute; files that are
    read never say it."""
    styles: Mapping[str, Style] = field(default_factory=dict)
    """Column → how its values are written; columns that are not here are written plainly."""
    csv: bool = True
    """Whether the source is CSV; else it has types, and only its texts are written in styles."""

    def style(self, column: str) -> Style:
        """Return how the values of a column are written."""
        return self.styles.get(column, PLAIN)

    @property
    def nulls(self) -> tuple[str, ...]:
        """The words for a missing value in any column, besides the empty field."""
        return tuple(dict.fromkeys(word for style in self.styles.values() for word in style.nulls))

    @property
    def date_formats(self) -> dict[str, str]:
        """Column → format, for dates, times and timestamps."""
        return {name: style.format for name, style in self.styles.items() if style.format}

    def describe(self) -> str:
        """Return one line on the files of CSV for a person."""
        parts = [f"delimiter {_named(self.delimiter)}", f"encoding {self.encoding}"]
        if self.decimal != ".":
            parts.append(f"decimal {self.decimal!r}")
        if self.thousands:
            parts.append(f"thousands {_named(self.thousands)}")
        if self.quote != '"':
            parts.append(f"quote {self.quote!r}")
        if self.nulls:
            parts.append(f"nulls {_listed([repr(word) for word in self.nulls])}")
        return f"CSV: {', '.join([*parts, *self.describe_columns()])}"

    def describe_columns(self) -> list[str]:
        """Return what dates and numbers look like, as parts of a line for a person."""
        parts = []
        by_format: dict[str, list[str]] = {}
        for name, format_ in self.date_formats.items():
            by_format.setdefault(in_words(format_), []).append(repr(name))
        for words, names in by_format.items():
            what = "dates" if "day" in words or "%" in words else "times"
            parts.append(f"{what} {words} in {_few(names)}")
        by_sign: dict[str, list[str]] = {}
        for name, style in self.styles.items():
            if style.affixes is not None:
                by_sign.setdefault(f"{style.affixes[0]}9{style.affixes[1]}", []).append(repr(name))
        parts += [f"numbers as {sign!r} in {_few(names)}" for sign, names in by_sign.items()]
        return parts

    def to_json(self) -> bytes:
        """Return JSON; equal dialects give equal bytes, as columns are in order."""
        plain = dict(sorted({"schema": SCHEMA, **asdict(self)}.items()))
        if self.csv:
            del plain["csv"]
        if not self.escape_formulas:  # as dialects were stored before there was a choice
            del plain["escape_formulas"]
        plain["styles"] = {
            name: {key: value for key, value in asdict(style).items() if value != _DEFAULTS[key]}
            for name, style in self.styles.items()
        }
        return json.dumps(plain, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: these bytes are something else.
        """
        raw: dict[str, Any] = json.loads(text)
        if raw.pop("schema", None) != SCHEMA:
            msg = f"this is no {SCHEMA} dialect; prepare the source again"
            raise ValueError(msg)
        styles = {name: _style(style) for name, style in raw.pop("styles").items()}
        return cls(**raw, styles=styles)


def dialect_of(schema: pa.Schema) -> Dialect:
    """Return the dialect that a schema carries, or the default one."""
    text = (schema.metadata or {}).get(KEY)
    return Dialect() if text is None else Dialect.from_json(text)


def with_dialect(schema: pa.Schema, dialect: Dialect) -> pa.Schema:
    """Return the schema with the dialect; other metadata stays."""
    return schema.with_metadata({**(schema.metadata or {}), KEY: dialect.to_json()})


def in_words(format_: str) -> str:
    """Return a format for a person: `day.month.year` of `%d.%m.%Y`; odd ones stay as they are."""
    if re.search("%-?[A-Za-z]%", re.sub("%[:-]?[zZ]", "", format_)):
        return repr(format_)
    spaced = re.sub("(?<=[^ ])(?=%[:-]?[zZ])", " ", format_.replace("T%", " %"))
    return re.sub("%[-:3]?([A-Za-z])", lambda part: _WORDS.get(part[1], part[0]), spaced)


_DEFAULTS: Final = asdict(PLAIN)


def _style(raw: Mapping[str, Any]) -> Style:
    lists = {key: tuple(value) for key, value in raw.items() if isinstance(value, list)}
    return Style(**{**raw, **lists})


def _named(mark: str) -> str:
    return _NAMES.get(mark, repr(mark))


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN_COLUMNS
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_SHOWN_COLUMNS])} and {more} more"
