"""What holds in every record of a table: kinds of constraints, and what each must say."""

from datetime import date
from typing import Any, Final, Literal, Self, get_args

from pydantic import BaseModel, Field, model_validator

from storage.records.functions import Function
from storage.records.moment_parts import LEVELS as PART_LEVELS
from storage.records.moment_parts import PIECES, UNTIL, YEAR_DAYS, Part, Unit, Until, unknown_pieces
from storage.records.schema import FROZEN

LEAST_COLUMNS: Final = {
    "range": 1,
    "inequality": 2,
    "combinations": 2,
    "sum": 2,
    "unique": 1,
    "product": 3,
    "ratio": 3,
    "linear": 2,
    "difference": 3,
    "band": 2,
    "lookup": 2,
    "one_of": 3,
    "conditional": 2,
    "part": 2,
    "largest": 3,
    "smallest": 3,
    "piecewise": 2,
    "products": 5,
    "function": 2,
    "rates": 3,
}
"""Kind of constraint → fewest columns that it names."""
MOST_COLUMNS: Final = {
    "range": 1,
    "difference": 3,
    "band": 3,
    "conditional": 2,
    "part": 2,
    "piecewise": 3,
    "rates": 3,
}
"""Kind of constraint → most columns, where there is a limit."""
FIELDS: Final = {
    "strict": ("inequality",),
    "whole_days": ("inequality", "difference"),
    "weights": ("linear", "product", "piecewise", "products", "rates"),
    "offset": ("linear", "part", "ratio", "piecewise"),
    "scale": ("product", "ratio", "function"),
    "rate": ("product",),
    "unit": ("difference",),
    "cuts": ("band", "piecewise"),
    "levels": ("band", "part", "rates"),
    "part": ("part",),
    "pattern": ("part",),
    "until": ("part",),
    "decimals": ("part",),
    "function": ("function",),
    "value": ("conditional",),
    "when": ("conditional",),
    "exactly": ("conditional",),
}
"""Field of a constraint → the kinds that it is for; low and high are those of a range."""
FIRST_FIELDS: Final = frozenset({"kind", "columns", "low", "high", "strict"})
"""Those that JSON always has; a later one is there where it is used."""


class Constraint(BaseModel):
    """Something that holds in every real row and must hold in every synthetic one."""

    model_config = FROZEN

    kind: Literal[
        "range",
        "inequality",
        "combinations",
        "sum",
        "unique",
        "product",
        "ratio",
        "linear",
        "difference",
        "band",
        "lookup",
        "one_of",
        "conditional",
        "part",
        "largest",
        "smallest",
        "piecewise",
        "products",
        "function",
        "rates",
    ] = Field(title="Kind")
    """range: low <= columns[0] <= high. inequality: columns[0] <= columns[1] (<= columns[2] ...).
    combinations: only the combinations of these columns that train has. sum: columns[0] is the sum
    of the others. unique: no two rows agree in these columns. product: columns[0] is the product of
    the others, times scale. ratio: columns[0] is columns[1] divided by all others, times scale.
    linear: columns[0] is offset plus weights times the others. difference: columns[0] is columns[1]
    minus columns[2], moments, in the unit. band: columns[0] is the level of the interval that
    columns[1], less columns[2] if there is one, lies in. lookup: columns[0] is decided by the
    others together. one_of: exactly one of the columns is 1 or true. conditional: columns[0] is the
    value where columns[1] is one of when. part: columns[0] is a part of columns[1], a moment.
    largest, smallest: columns[0] is the largest, or smallest, of the others. piecewise: columns[0]
    is a function of columns[1], less columns[2] if there is one, that is straight between cuts.
    products: columns[0] is the sum of products of the others, two by two. function: columns[0] is
    the function of the product of the others, times scale. rates: columns[0] is columns[2] times
    the weight of the level of columns[1]. Numbers are rounded as columns[0] is."""
    columns: tuple[str, ...] = Field(title="Columns", min_length=1)
    """The columns it is about."""
    low: float | None = Field(None, title="Low")
    """range only: the smallest value."""
    high: float | None = Field(None, title="High")
    """range only: the largest value."""
    strict: bool = Field(False, title="Strict")
    """inequality only: less than, instead of at most."""
    whole_days: bool = Field(False, title="Whole days")
    """inequality and difference of timestamps only: their days are compared, as they always are
    where one of two columns holds dates."""
    weights: tuple[float, ...] = Field((), title="Weights")
    """linear: one for each column but the first. product: of the last so many columns, which are
    not multiplied but added, each so many times. piecewise: the slope of each piece, one more than
    cuts. products: how many times each product counts; none: once. rates: one for each level."""
    offset: float = Field(0.0, title="Offset")
    """linear, part, ratio and piecewise only: what is added, such as -100 to a change in percent;
    to a moment so many seconds; of a piecewise one the value at its first cut."""
    scale: float = Field(1.0, title="Scale", ge=-1e12, le=1e12, allow_inf_nan=False)
    """product, ratio and function only: the factor of all of it, such as 0.01 where a rate is in
    percent; of what the function is of."""
    rate: float = Field(0.0, title="Rate", ge=-1e12, le=1e12, allow_inf_nan=False)
    """product only: the last factor is 1 plus so many times its column, such as -0.01 where that is
    a discount in percent; 0: the factor is the column itself."""
    unit: Unit | None = Field(None, title="Unit")
    """difference only; months and years are whole ones, as in an age; others are rounded."""
    cuts: tuple[float, ...] = Field((), title="Cuts")
    """band: ascending; each is the smallest value of the next level. piecewise: where it bends."""
    levels: tuple[str, ...] = Field((), title="Levels")
    """band: one more than cuts, as text. part: of a quarter, a month or a day of the week what
    stands for the first, the second and so on; none: their numbers. rates: the values of
    columns[1], `null` for none."""
    part: Part | None = Field(None, title="Part")
    """part only: of the moment; moment and day are moments, text is one, the others numbers."""
    pattern: str | None = Field(None, title="Pattern")
    """part only: how a text is written, such as `{year}-Q{quarter}`."""
    until: date | None = Field(None, title="Until")
    """part only: the day until which years, months or days have passed, such as the one on which
    an age was said."""
    decimals: int = Field(0, title="Decimals", ge=0, le=15)
    """part only: of the years that have passed, where all are of one length."""
    function: Function | None = Field(None, title="Function")
    """function only: a logarithm, exponential or root; length: the root of the sum of squares."""
    value: str | None = Field(None, title="Value")
    """conditional only: of columns[0], as text; `null` for none."""
    when: tuple[str, ...] = Field((), title="When")
    """conditional only: values of columns[1], as text; `null` for none."""
    exactly: bool = Field(True, title="Exactly")
    """conditional only: nowhere else, too."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        least, most = LEAST_COLUMNS[self.kind], MOST_COLUMNS.get(self.kind, len(self.columns))
        if not least <= len(self.columns) <= most:
            takes = f"exactly {least}" if most == least else least
            msg = (
                f"a constraint of kind {self.kind!r} names {len(self.columns)} columns "
                f"({', '.join(self.columns)}); it takes {takes}"
            )
            raise ValueError(msg)
        if (self.kind == "range") != (self.low is not None or self.high is not None):
            msg = (
                f"a constraint of kind {self.kind!r} has low {self.low} and high {self.high}; "
                "give low, high or both exactly when the kind is range"
            )
            raise ValueError(msg)
        for name, kinds in FIELDS.items():
            said = getattr(self, name) != type(self).model_fields[name].default
            if said and self.kind not in kinds:
                article = "an" if kinds[0][0] in "aeiou" else "a"
                msg = (
                    f"a constraint of kind {self.kind!r} says {name}, which only {article} "
                    f"{' or a '.join(kinds)} can; leave it out"
                )
                raise ValueError(msg)
        if (wrong := self._incomplete()) is not None:
            msg = f"a constraint of kind {self.kind!r} on {', '.join(self.columns)} {wrong}"
            raise ValueError(msg)
        return self

    @property
    def factors(self) -> tuple[str, ...]:
        """Of a product the columns that are multiplied."""
        return self.columns[1 : len(self.columns) - len(self.weights)]

    @property
    def added(self) -> tuple[tuple[float, str], ...]:
        """Of a product the columns that are added, each with how many times."""
        if self.kind != "product":
            return ()
        names = self.columns[len(self.columns) - len(self.weights) :]
        return tuple(zip(self.weights, names, strict=True))

    @property
    def detail(self) -> str | Until | None:
        """Of a part how a text is written, or the day until which something has passed."""
        return self.pattern if self.until is None else Until(self.until, self.decimals)

    @property
    def pairs(self) -> tuple[tuple[float, str, str], ...]:
        """Of products how many times each counts, and its two columns."""
        names = self.columns[1:]
        weights = self.weights or (1.0,) * (len(names) // 2)
        return tuple(zip(weights, names[::2], names[1::2], strict=True))

    def _incomplete(self) -> str | None:
        """Return what is missing or does not fit together, with the remedy."""
        if self.kind == "linear" and len(self.weights) != len(self.columns) - 1:
            return f"has {len(self.weights)} weights; give one for each column but the first"
        if self.kind == "product" and len(self.weights) > len(self.columns) - 3:
            return f"has {len(self.weights)} weights; leave two columns to be multiplied"
        if self.scale == 0:
            return "has the scale 0, which makes everything 0; give another"
        if self.kind == "difference" and self.unit is None:
            return f"has no unit; give one of {', '.join(get_args(Unit))}"
        if self.kind == "function" and self.function is None:
            return f"has no function; give one of {', '.join(get_args(Function))}"
        ways = {
            "band": self._wrong_cuts,
            "piecewise": self._wrong_cuts,
            "products": self._wrong_products,
            "part": self._wrong_part,
            "rates": self._wrong_rates,
        }
        if self.kind in ways:
            return ways[self.kind]()
        if self.kind == "conditional" and (self.value is None or not self.when):
            return "needs value and when; give both"
        return None

    def _wrong_cuts(self) -> str | None:
        what = "levels" if self.kind == "band" else "weights"
        given = len(getattr(self, what))
        if not self.cuts or given != len(self.cuts) + 1:
            return (
                f"has {len(self.cuts)} cuts and {given} {what}; give one {what.removesuffix('s')} "
                "more than cuts"
            )
        if list(self.cuts) != sorted(set(self.cuts)):
            return "has cuts that do not rise; sort them"
        return None

    def _wrong_products(self) -> str | None:
        factors = len(self.columns) - 1
        if factors % 2:
            return f"has {factors} columns to be multiplied; give two for each product"
        if len(self.weights) not in (0, factors // 2):
            return f"has {len(self.weights)} weights; give one for each product, or none"
        return None

    def _wrong_rates(self) -> str | None:
        if not self.levels or len(self.levels) != len(self.weights):
            count = len(self.levels)
            return f"has {count} levels and {len(self.weights)} weights; give one for each"
        if len(set(self.levels)) < len(self.levels):
            return "names a level twice; name it once"
        return None

    def _wrong_part(self) -> str | None:
        if self.part is None:
            return "has no part; give one, such as year"
        if (self.part == "text") != (self.pattern is not None):
            return "has a pattern without the part text, or that without one; give both"
        parts = (*UNTIL, *YEAR_DAYS)
        if (self.part in parts) != (self.until is not None):
            return f"has until without one of the parts {', '.join(parts)}, or these without it"
        if self.decimals and self.part not in YEAR_DAYS:
            return f"has decimals, which only the parts {', '.join(YEAR_DAYS)} can; leave them out"
        if unknown := unknown_pieces(self.pattern or ""):
            return f"has {unknown[0]!r} in its pattern; there are {', '.join(PIECES)}"
        _, wanted = PART_LEVELS.get(self.part, (0, 0))
        if self.levels and (len(self.levels) != wanted or self.offset):
            counts = ", ".join(f"{count} of a {part}" for part, (_, count) in PART_LEVELS.items())
            return (
                f"has {len(self.levels)} levels for the part {self.part!r}; give {counts} and no "
                "offset, or no levels"
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """Return what it says, for schemas and keys; a later field is there where it is used."""
        fields = type(self).model_fields
        plain = self.model_dump(mode="json")
        return {
            name: value
            for name, value in plain.items()
            if name in FIRST_FIELDS or getattr(self, name) != fields[name].default
        }
