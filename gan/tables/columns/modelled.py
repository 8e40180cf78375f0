"""What every modelled column is: a vocabulary of cells, each of which belongs to one code."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Modelled:
    """One column that networks see; it stands for one column of the table, or for several."""

    type_name: ClassVar[str] = ""
    """Its kind in JSON."""

    name: str
    """Of the column it stands for; of a joint column the names, joined by ` + `."""
    kind: Literal["category", "numeric"]
    """Numeric codes are in the order of their values, the null's last."""
    fields: tuple[str, ...]
    """The columns of the table it stands for."""
    vocabularies: tuple[Any, ...]
    """For each of them the value of every cell: Arrow arrays of one length."""
    first_cells: Array
    """int32 (K_j + 1,): the cells of code k are `first_cells[k]` up to `first_cells[k + 1]`."""
    notes: tuple[str, ...] = field(default=())
    """What was changed for privacy's sake, in sentences that name no rare value."""

    @property
    def codes(self) -> int:
        """Number of codes, K_j."""
        return len(self.first_cells) - 1

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.first_cells[-1])

    @cached_property
    def code_of_cell(self) -> Array:
        """The code of every cell, int64."""
        return np.repeat(np.arange(self.codes), np.diff(self.first_cells))

    def vocabulary(self, column: str) -> Any:
        """Return the values of the cells in one column of the table."""
        return self.vocabularies[self.fields.index(column)]

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N` int32 of records."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON; no value that few rows hold."""
        raise NotImplementedError
