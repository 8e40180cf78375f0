"""Keys of whole numbers that lie as densely as the real ones.

Numbers that name rows are seldom spread evenly over all numbers of so many digits: accounts were
opened faster every year. A knot is the mean of `2 g` neighbouring real keys, of which the `g` at an
end count as the next one (`columns.groups`), and between two knots lie equally many rows. Row i has
the i-th place of a keyed permutation of all places (`keys`), each interval has as many of them, and
they lie evenly in it: so keys stay unique over all shards, whoever makes them. Rows for which there
is no place go on after the last knot.

Keys that are dense, such as numbers that count up, are not learnt: a key that is drawn would mostly
be a real one.

Shapes: N rows, V knots.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.randomness import derive
from gan.tables.keys import LARGEST, permute

Array = np.ndarray[Any, Any]

MOST_KNOTS = 65
ROWS_PER_KNOT = 8
"""Times g: rows between two knots, at least."""
FEWEST_KNOTS = 5
SPARSE = 20
"""So many numbers must lie between two knots for each real key there."""
LARGEST_KEY = 2**61


class SpreadIntegers:
    """Integers between knots."""

    def __init__(self, knots: Sequence[int], kind: Any) -> None:
        """Keep the knots, rising, and the Arrow type of the keys."""
        self.knots_V, self.kind = np.array(knots, dtype=np.int64), kind
        self.widths = np.diff(self.knots_V)
        self.places = min(int(self.widths.min()), LARGEST // len(self.widths))

    @property
    def capacity(self) -> int:
        """How many rows it can name."""
        bits = int(self.kind.bit_width) - (not pa.types.is_unsigned_integer(self.kind))
        after: int = min(2**bits, LARGEST) - int(self.knots_V[-1])
        return self.places * len(self.widths) + after

    def make(self, first_row: int, rows: int, key: int) -> Any:
        """Return an Arrow array of the column's type.

        Raises:
            DataError: there are fewer keys than rows.
        """
        if first_row + rows > self.capacity:
            msg = (
                f"{first_row + rows} rows need as many keys and the column's type has "
                f"{self.capacity}: synthesize fewer rows, or declare the column as category"
            )
            raise DataError(msg)
        numbers_N = np.arange(first_row, first_row + rows, dtype=np.int64)
        inside = self.places * len(self.widths)
        values_N = self.knots_V[-1] + numbers_N - inside
        there = numbers_N < inside
        place_M = permute(numbers_N[there], inside, derive(key, "chunk"))
        interval_M, step_M = np.divmod(place_M, self.places)
        whole_M, rest_M = np.divmod(self.widths[interval_M], self.places)
        moved_M = step_M * whole_M + (step_M * (rest_M / self.places)).astype(np.int64)
        values_N[there] = self.knots_V[interval_M] + moved_M
        return pa.array(values_N).cast(self.kind)


def learn_knots(keys: Any, g: int) -> tuple[int, ...]:
    """Return the knots of real keys; none where they are too few or too dense.

    Args:
        keys: Arrow integers.
        g: rows of the smallest group.
    """
    keys = keys.drop_null()
    intervals = min(MOST_KNOTS - 1, len(keys) // (ROWS_PER_KNOT * max(g, 1)))
    if intervals < FEWEST_KNOTS - 1:
        return ()
    ends = pc.min_max(keys).as_py()
    if ends["min"] < -LARGEST_KEY or ends["max"] > LARGEST_KEY:
        return ()
    keys_N = np.sort(keys.to_numpy(zero_copy_only=False).astype(np.int64))
    rows = len(keys_N)
    cut_N = np.clip(keys_N, keys_N[g], keys_N[-1 - g])
    middles = np.linspace(0, rows, intervals + 1).round().astype(np.int64)
    starts = np.clip(middles - g, 0, rows - 2 * g)
    means = [
        int(cut_N[start]) + int(np.mean(cut_N[start : start + 2 * g] - cut_N[start]))
        for start in starts.tolist()
    ]
    knots = [_free(mean, keys_N) for mean in means]
    sparse = np.diff(knots) >= SPARSE * rows / intervals
    return tuple(knots) if sparse.all() else ()


def _free(number: int, keys_N: Array) -> int:
    """Return the next number that is no key."""
    place = int(np.searchsorted(keys_N, number))
    while place < len(keys_N) and keys_N[place] == number:
        number, place = number + 1, place + 1
    return number
