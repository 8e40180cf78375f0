"""Columns that no network sees: the codec adds them when it decodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa

from gan.tables.columns.types import from_plain, parse_type, to_plain, value_type


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """One column that is made, not learnt."""

    type_name: ClassVar[str] = ""
    name: str
    kind_name: str
    """Arrow type of the column."""

    def make(self, rows: int, first_row: int, made: Mapping[str, Any]) -> Any:
        """Return the column's values.

        Args:
            rows: how many.
            first_row: number of the first of them in the whole data set.
            made: the columns decoded so far, by name.
        """
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(Made):
    """A column with one value."""

    type_name: ClassVar[str] = "constant"
    value: Any
    """An Arrow array of one value."""

    def make(self, rows: int, first_row: int, made: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """Return the value, repeated."""
        return pa.repeat(self.value[0], rows)

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "column": self.type_name,
            "name": self.name,
            "type": self.kind_name,
            "value": to_plain(self.value),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        value = from_plain(data["value"], value_type(parse_type(data["type"])))
        return cls(name=data["name"], kind_name=data["type"], value=value)
