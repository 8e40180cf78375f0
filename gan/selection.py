"""How records are drawn under conditions: selected from free ones, or made under them.

A conditioned generator meets its conditions, but the rest of the record is only as good as it
learnt to follow them. An unconditional draw that happens to meet a condition has exactly the
distribution that was learnt for whole records (rejection sampling: von Neumann, "Various techniques
used in connection with random digits", 1951). So where a condition is common, records are selected;
where it is rare, the generator is conditioned.

Some conditions no single set of codes says: a column meets them by a value of its own or by one
that follows from another column's. Such records are drawn stratum by stratum, each as often as free
records that meet the condition are of it, and drawn again until they meet it (stratified sampling:
Neyman, "On the two different aspects of the representative method", 1934).

Shapes: N records, M of them still sought, C classes (1 where the generator draws the class too), S
strata, K codes of a record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gan.codecs import ConditionalCodec
from gan.errors import ConfigError
from storage.records.schema import Condition

Values = np.ndarray[Any, Any]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Shares = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

PILOT = 8_192
"""Unconditional records by which it is measured how common a condition is."""
LEAST_SHARE = 1 / 128
"""Where less of the records is selected, the generator is conditioned."""
HITS, MOST_PILOT = 512, 1_048_576
"""Unconditional records are drawn until so many meet a rare condition, at most so many."""
LEAST_AT_ONCE, MOST_COPIES = 1_024, 64
"""When fewer records are sought, each is drawn several times at once, at most so many times."""
MOST_DRAWN = 2_048
"""A stratum's records are drawn again so many times on average, at most."""
MOST_AT_ONCE = 65_536
RESERVE = 1.05
"""Drawn beyond what is expected to suffice."""


Free = Callable[[int, torch.Generator], Values]
"""Draws so many records without conditions."""
Drawing = Callable[[Labels, torch.Generator], Values]
"""From class indexes to stored values, one row each."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How the records of one request are drawn."""

    free: Free
    conditioned: Drawing
    """Draws one record for each class index under the conditions."""
    classes_of: Callable[[Values], Labels]
    """Class index of every record, 0 where classes were not asked for; -1: conditions not met."""
    shares_C: Shares
    """Share of free records that are of each class and meet the conditions."""

    def values(self, labels_N: Labels, numbers: torch.Generator) -> Values:
        """Return one record for each class index."""
        rest_N = self.shares_C[labels_N] < LEAST_SHARE
        if rest_N.all():
            return self.conditioned(labels_N, numbers)
        parts = [(np.flatnonzero(~rest_N), self._select(labels_N[~rest_N], numbers))]
        if rest_N.any():
            parts.append((np.flatnonzero(rest_N), self.conditioned(labels_N[rest_N], numbers)))
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
    free: Free,
    classes_of: Callable[[Values], Labels],
    classes: int,
    numbers: torch.Generator,
) -> Shares:
    """Return the share of free records that are of each class and meet the conditions."""
    found = classes_of(free(PILOT, numbers))
    return np.bincount(found[found >= 0], minlength=classes) / PILOT


class Strata:
    """Where a record that meets conditions can lie: in a class, and there in a stratum.

    Such a place has a number: class after class, and in each stratum after stratum.
    """

    def __init__(
        self, codec: ConditionalCodec, given: Sequence[Condition], *, per_class: bool
    ) -> None:
        """Ask the codec.

        Args:
            codec: of the records.
            given: conditions.
            per_class: whether the classes are asked for; else there is one.
        """
        self._codec, self._given, self._per_class = codec, given, per_class
        strata = codec.strata(given, per_class=per_class)
        self._stratum_of = strata.of
        self.allowed_CSK = np.stack(strata.allowed, axis=1)
        """Which codes a record may have."""

    @property
    def places_allowed(self) -> Mask:
        """The same, one row for each place."""
        rows: Mask = self.allowed_CSK.reshape(-1, self.allowed_CSK.shape[-1])
        return rows

    def places_of(self, values: Values) -> Labels:
        """Return the place of each record; -1: it does not meet the conditions."""
        classes_N = self._codec.classes_of(values, self._given, per_class=self._per_class)
        strata_N = self._stratum_of(values)
        places_N = classes_N * self.allowed_CSK.shape[1] + strata_N
        return np.where((classes_N >= 0) & (strata_N >= 0), places_N, -1)


@dataclass(frozen=True, kw_only=True)
class Stratified:
    """How the records of one request are drawn under a rare condition of several strata."""

    conditioned: Drawing
    """Draws one record for each place."""
    strata: Strata
    shares_CS: Shares
    """Share of free records that are of each class and stratum and meet the conditions."""

    def values(self, labels_N: Labels, numbers: torch.Generator) -> Values:
        """Return one record for each class index.

        Raises:
            ConfigError: drawing again does not lead to records that meet the conditions.
        """
        places_N = self._places(labels_N, numbers)
        values: Values | None = None
        left, drawn, limit = np.arange(len(places_N)), 0, self._limit(len(places_N))
        while len(left) or values is None:
            if drawn >= limit:
                msg = (
                    f"synthesis.given is met by so few records that {drawn:,} draws brought "
                    f"{len(places_N) - len(left):,} of {len(places_N):,}: widen its conditions, or "
                    "ask for fewer rows"
                )
                raise ConfigError(msg)
            some = left[:MOST_AT_ONCE]
            copies = int(np.clip(LEAST_AT_ONCE // max(len(some), 1), 1, MOST_COPIES))
            fresh, met = self._draw(places_N[some], copies, numbers)
            drawn += len(some) * copies
            if values is None:
                values = np.empty((len(places_N), *fresh.shape[1:]), dtype=fresh.dtype)
            values[some[met]] = fresh[met]
            left = np.concatenate([left[len(some) :], some[~met]])
        return values

    def _limit(self, rows: int) -> int:
        return MOST_DRAWN * max(rows, LEAST_AT_ONCE)

    def _places(self, labels_N: Labels, numbers: torch.Generator) -> Labels:
        """Return a stratum for each class index, by their shares, as a place."""
        sums_CS = np.cumsum(self.shares_CS, axis=1)
        uniform_N = torch.rand(len(labels_N), generator=numbers, dtype=torch.float64).numpy()
        sought_N = uniform_N * sums_CS[labels_N, -1]
        strata_N = (sums_CS[labels_N] <= sought_N[:, None]).sum(axis=1)
        places_N: Labels = labels_N * self.shares_CS.shape[1] + strata_N
        return places_N

    def _draw(self, places_M: Labels, copies: int, numbers: torch.Generator) -> tuple[Values, Mask]:
        """Return the first of some draws of each place that meets it, and which have such."""
        drawn = self.conditioned(np.repeat(places_M, copies), numbers)
        met = (self.strata.places_of(drawn) == np.repeat(places_M, copies)).reshape(-1, copies)
        first_M = np.argmax(met, axis=1)
        every_M = np.arange(len(places_M))
        found = drawn.reshape(len(places_M), copies, *drawn.shape[1:])[every_M, first_M]
        return found, met[every_M, first_M]


def measure_strata(free: Free, strata: Strata, asked: Labels, numbers: torch.Generator) -> Shares:
    """Return the share of free records that are of each class and stratum and meet conditions.

    Args:
        free: draws them.
        strata: of the conditions.
        asked: the classes whose shares are needed.
        numbers: the stream of the records.

    Raises:
        ConfigError: none of very many records meets them.
    """
    shape = strata.allowed_CSK.shape[:2]
    counts_CS, drawn = np.zeros(shape, dtype=np.int64), 0
    while drawn < MOST_PILOT and counts_CS[asked].sum(axis=1).min() < HITS:
        count = min(max(PILOT, drawn), MOST_AT_ONCE)
        places_N = strata.places_of(free(count, numbers))
        counts_CS += np.bincount(places_N[places_N >= 0], minlength=counts_CS.size).reshape(shape)
        drawn += count
    if (counts_CS[asked].sum(axis=1) == 0).any():
        msg = (
            f"synthesis.given is met by none of {drawn:,} records that were drawn without it: "
            "widen its conditions"
        )
        raise ConfigError(msg)
    return counts_CS / drawn
