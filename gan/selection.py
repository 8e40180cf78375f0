"""Records that meet conditions, selected from records that were drawn without any.

A generator that is told a condition obeys it, but the rest of the record is as good as it learnt to
follow conditions. A free draw that happens to meet the condition has exactly the distribution that
it learnt for whole records (rejection sampling: von Neumann, "Various techniques used in connection
with random digits", 1951). So where a condition is common enough, records are selected; where it is
rare, the generator is told.

Shapes: N records, C classes (1 where the generator draws the class too).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Values = np.ndarray[Any, Any]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Shares = np.ndarray[Any, np.dtype[np.float64]]

PILOT = 8_192
"""Free records that tell how common a condition is."""
LEAST_SHARE = 1 / 128
"""Rarer conditions are told; at most 128 records are drawn for one, on average."""
MOST_AT_ONCE = 65_536
RESERVE = 1.05
"""Drawn beyond what is expected to suffice."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How the records of one request are drawn."""

    free: Callable[[int, torch.Generator], Values]
    """Draws so many records without conditions."""
    told: Callable[[Labels, torch.Generator], Values]
    """Draws one record for each class index under the conditions."""
    classes_of: Callable[[Values], Labels]
    """Class index of every record, 0 where classes were not asked for; -1: conditions not met."""
    shares_C: Shares
    """Share of free records that are of each class and meet the conditions."""

    def values(self, labels_N: Labels, numbers: torch.Generator) -> Values:
        """Return one record for each class index."""
        rest_N = self.shares_C[labels_N] < LEAST_SHARE
        if rest_N.all():
            return self.told(labels_N, numbers)
        parts = [(np.flatnonzero(~rest_N), self._select(labels_N[~rest_N], numbers))]
        if rest_N.any():
            parts.append((np.flatnonzero(rest_N), self.told(labels_N[rest_N], numbers)))
        values = np.empty((len(labels_N), *parts[0][1].shape[1:]), dtype=parts[0][1].dtype)
        for rows, found in parts:
            values[rows] = found
        return values

    def _select(self, labels_M: Labels, numbers: torch.Generator) -> Values:
        """Return one free record that meets the conditions for each class index."""
        missing = [np.flatnonzero(labels_M == label) for label in range(len(self.shares_C))]
        found: list[tuple[Labels, Values]] = []
        while any(len(rows) for rows in missing):
            wanted = max(
                len(rows) / share
                for rows, share in zip(missing, self.shares_C, strict=True)
                if len(rows)
            )
            drawn = self.free(min(int(RESERVE * wanted) + 1, MOST_AT_ONCE), numbers)
            classes = self.classes_of(drawn)
            for label, rows in enumerate(missing):
                hits = np.flatnonzero(classes == label)[: len(rows)]
                found.append((rows[: len(hits)], drawn[hits]))
                missing[label] = rows[len(hits) :]
        order = np.argsort(np.concatenate([rows for rows, _ in found]))
        values: Values = np.concatenate([values for _, values in found])[order]
        return values


def measure_shares(
    free: Callable[[int, torch.Generator], Values],
    classes_of: Callable[[Values], Labels],
    classes: int,
    numbers: torch.Generator,
) -> Shares:
    """Return the share of free records that are of each class and meet the conditions."""
    found = classes_of(free(PILOT, numbers))
    return np.bincount(found[found >= 0], minlength=classes) / PILOT
