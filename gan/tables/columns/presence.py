"""Where a column that is made is null: one code for a value, one for null."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from gan.tables.columns.modelled import Modelled
from gan.tables.columns.types import plain

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Presence(Modelled):
    """Whether a column has a value; the value itself is made."""

    type_name: ClassVar[str] = "presence"

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the presence of a column."""
        return cls(
            name=name,
            kind="category",
            fields=(name,),
            vocabularies=(pa.array([True, None]),),
            first_cells=np.arange(3, dtype=np.int32),
        )

    def encode(self, records: pa.Table) -> Array:
        """Return 0 where there is a value, 1 where there is none."""
        null = plain(records[self.name]).is_null()
        cells_N: Array = null.to_numpy(zero_copy_only=False).astype(np.int32)
        return cells_N

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {"column": self.type_name, "name": self.name}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls.of(data["name"])
