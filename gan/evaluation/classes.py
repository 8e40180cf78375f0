"""Whether a candidate has every class of the real records."""

import math
from collections.abc import Mapping

from gan.report import Fact
from storage.records.schema import Label

EXPECTED_OF_A_CLASS = math.log(1000)
"""A class is missing when it has no record although so many were expected: by chance that happens
once in a thousand."""


def missing_classes(
    shares: Mapping[Label, float], counts: Mapping[Label, int], rows: int, record: str
) -> Fact:
    """Judge whether a candidate has every class that chance alone would not keep from it.

    Args:
        shares: class → share of train, in the order in which missing ones are named.
        counts: class → records of the candidate.
        rows: records of the candidate, of these classes or not.
        record: what a person calls a record.
    """
    missing = [
        str(value)
        for value, share in shares.items()
        if not counts.get(value) and share * rows >= EXPECTED_OF_A_CLASS
    ]
    found = f"missing {'class' if len(missing) == 1 else 'classes'} {', '.join(missing)}"
    return Fact(
        name="classes",
        holds=not missing,
        value=float(len(missing)),
        text=f"{found}: no {record} among {rows:,}" if missing else "no class is missing",
    )
