"""The hard fact about synthetic records that equal training records, whatever the modality.

It is a comparison: see `gan.metrics.equality`. Two questions are asked, and either answer blocks.
Are training records hit more often, per record held, than those that were never trained on? And
are there more hits than chance explains: than real records come near one another, than the
candidate comes near unseen ones, than training records repeat? Where nothing comes near anything,
one copy is one too many.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.equality import Equals, near, near_others, part_hashes
from gan.metrics.intervals import more_often
from gan.report import Fact

Array = np.ndarray[Any, Any]


class Chance(NamedTuple):
    """How often chance brings records together."""

    hits: int
    rows: int

    @property
    def share(self) -> float:
        """Hits of all rows."""
        return self.hits / max(self.rows, 1)


def find_chance(fakes: Array, train: Array, unseen: Array, repeats: int) -> Chance:
    """Return the most frequent way in which chance brings records together.

    Args:
        fakes: values of the candidate's records.
        train: of the training records.
        unseen: of the real records that were not trained on.
        repeats: training records that equal another one.
    """
    unseen_NG = part_hashes(unseen)
    reals = near_others(np.concatenate([part_hashes(train), unseen_NG]))
    found = (
        Chance(int(reals.sum()), len(reals)),
        Chance(int(near(part_hashes(fakes), unseen_NG).sum()), len(fakes)),
        Chance(repeats, len(train)),
    )
    return max(found, key=lambda item: item.share)


def exact_copies(equals: Equals, chance: Callable[[], Chance], found: str) -> Fact:
    """Return the fact.

    Args:
        equals: what was counted.
        chance: returns what chance explains; asked only where there is a hit.
        found: what equal records are, such as `records equal a training record exactly`.
    """
    share = equals.rows / equals.fakes
    text = f"{equals.rows:,} of {equals.fakes:,} {found}"
    if not equals.rows:
        return Fact(name="exact_copies", holds=True, value=0.0, text=text, aspect="privacy")
    explained = chance()
    compared = (
        f"{equals.seen:,} of {equals.seen_records:,} distinct training records are hit and "
        f"{equals.unseen:,} of {equals.unseen_records:,} unseen ones"
    )
    text += f" ({share:.2%}): {compared}"
    holds = False
    if equals.more_of_train:
        text += ", which chance does not explain"
    elif explained.hits == 0:
        text += ", but no real record even comes near another one, so that it is no chance"
    elif more_often(equals.rows, equals.fakes, explained.hits, explained.rows):
        text += f", but chance explains {explained.share:.2%} at most"
    else:
        holds, text = True, f"{text}, as chance explains"
    return Fact(name="exact_copies", holds=holds, value=share, text=text, aspect="privacy")
