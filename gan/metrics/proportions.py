"""Whether something happens more often than it does among real rows."""

import math

from gan.metrics.copies import Z_95

Z_999 = 3.0902323061678132
"""Normal quantile of a one-sided test at 0.1 %."""


def more_often(hits: int, rows: int, own_hits: int, own_rows: int) -> bool:
    """Return whether a share lies above the real one by more than chance (one-sided, 0.1 %).

    Two proportions with a pooled variance: Fleiss, Levin & Paik 2003, Statistical Methods for
    Rates and Proportions, equation 3.5. Where it never happens among the real rows nothing is put
    down to chance: once is more often.
    """
    share, own = hits / rows, own_hits / own_rows
    if own_hits == 0:
        return hits > 0
    pooled = (hits + own_hits) / (rows + own_rows)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / own_rows))
    return share - own > Z_999 * spread


def difference_half_width(share: float, rows: int, other: float, other_rows: int) -> float:
    """Return half of the 95 % interval of a difference of shares.

    Agresti & Caffo 2000 (American Statistician 54, 280): one success and one failure added to
    each side.
    """
    variance = 0.0
    for part, count in ((share, rows), (other, other_rows)):
        middle = (part * count + 1) / (count + 2)
        variance += middle * (1 - middle) / (count + 2)
    return Z_95 * math.sqrt(variance)
