"""Conditions on series: on what is known of whole entities, whose codes are those of a table.

Shapes: N entities, E columns of the whole entity, V values of a row, C classes, K codes of the
columns of the whole entity.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan.codecs import CodeStrata, Repaired, Resample, ShardRequest
from gan.errors import ConfigError
from gan.tables.codec import TableCodec
from storage.records.schema import Condition
from storage.records.series import SeriesMetadata

Array = np.ndarray[Any, Any]


class ConditionsOnEntities:
    """The part of a codec that conditions ask; see `gan.codecs.ConditionalCodec`."""

    whole: TableCodec
    """Of what is known of whole entities."""

    @property
    def metadata(self) -> SeriesMetadata:
        """What the columns mean."""
        raise NotImplementedError

    @property
    def cells(self) -> slice:
        """Where in a row the cells of the whole entity are."""
        raise NotImplementedError

    def spans(self, cells_NE: Array) -> tuple[Array, Array]:
        """Return how many steps entities have, and where their first lies, of cells."""
        raise NotImplementedError

    def allowed(self, given: Sequence[Condition], *, per_class: bool) -> Array | None:
        """Return which codes of the whole entity are allowed; see `ConditionalCodec`.

        Raises:
            ConfigError: a column that is observed at every step, or that there is not.
        """
        self._check_given(given)
        return self.whole.allowed(given, per_class=per_class)

    def strata(self, given: Sequence[Condition], *, per_class: bool) -> CodeStrata:
        """Return the ways in which entities meet conditions; see `ConditionalCodec`."""
        self._check_given(given)
        found = self.whole.strata(given, per_class=per_class)
        return CodeStrata(found.allowed, lambda values: found.of(self._cells_of(values)))

    def classes_of(self, values: Array, given: Sequence[Condition], *, per_class: bool) -> Array:
        """Return the class index of rows, -1 where they do not meet the conditions."""
        return self.whole.classes_of(self._cells_of(values), given, per_class=per_class)

    def _cells_of(self, values: Array) -> Array:
        return values[:, self.cells].astype(np.int32)

    def repair(
        self,
        values: Array,
        request: ShardRequest,
        resample: Resample,  # noqa: ARG002 - conditions are met by the nearest cell
    ) -> Repaired | None:
        """Move cells that a range cuts out of their code to the nearest that it leaves."""
        if not request.given:
            return None
        cells_NE, changed_N = self._cells_of(values), np.zeros(len(values), dtype=bool)
        for index, mask in enumerate(self.whole.cell_masks(request.given)):
            wrong = np.flatnonzero(~mask[cells_NE[:, index]])
            if len(wrong):
                meets = np.flatnonzero(mask)
                cells_NE[wrong, index] = _nearest(meets, cells_NE[wrong, index])
                changed_N[wrong] = True
        repaired = values.copy()
        repaired[:, self.cells] = cells_NE
        lengths_N, start_N = self.spans(cells_NE)
        repaired[:, 0] = np.minimum(lengths_N, values[:, 0])
        repaired[:, 1] = start_N
        return Repaired(repaired, 0, int(changed_N.sum()))

    def check(self, given: Sequence[Condition], rows: int) -> None:
        """Check that so many entities can be made under these conditions.

        Raises:
            ConfigError: a condition is not known, or a key's form has too few values.
        """
        self._check_given(given)
        self.whole.check(given, rows)

    def _check_given(self, given: Sequence[Condition]) -> None:
        metadata = self.metadata
        steps = {metadata.time.name, *(each.name for each in metadata.variables)}
        for each in given:
            if each.column in steps:
                known = ", ".join(one.name for one in metadata.statics) or "none here"
                msg = (
                    f"synthesis.given names column {each.column!r}, which is observed at every "
                    f"step: conditions are on static columns ({known})"
                )
                raise ConfigError(msg)


def _nearest(meets: Array, cells: Array) -> Array:
    """Return for each cell the nearest of those that meet."""
    after = np.searchsorted(meets, cells).clip(0, len(meets) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(meets[before] - cells) <= np.abs(meets[after] - cells)
    return np.asarray(meets[np.where(nearer, before, after)])
