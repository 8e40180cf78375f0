"""Repeats among a candidate's rows: rows that are equal in all judged columns.

Real rows repeat as well where columns are few: they are counted, too (`gan.metrics.repeats`).

Shapes: N rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.repeats import measured_repeats
from gan.metrics.repeats import candidate_repeats, real_repeats, share_of_codes
from gan.report import Measured
from gan.tables.evaluation.closeness import RowIdentity
from gan.tables.evaluation.columns import EvaluationContext
from gan.tables.evaluation.rows import some

Array = np.ndarray[Any, Any]


class RowRepeats:
    """How many real rows repeat another one, measured once for every candidate."""

    def __init__(self, context: EvaluationContext, identity: RowIdentity) -> None:
        """Look at as many rows of every split as are compared.

        Args:
            context: the real rows.
            identity: tells which of them are equal.
        """
        self.context = context
        train = some(context.splits.train, context.n, context.seed, "repeats")
        parts = (train, context.validation, context.holdout)
        starts = np.cumsum([part.num_rows for part in parts])
        rows = np.split(np.arange(starts[-1]), starts[:-1])
        digests = [np.array(identity.digests(part), dtype="V16") for part in parts]
        share = share_of_codes(np.concatenate(digests))
        self.real = real_repeats(share, rows, context.n, context.halves, context.seed)

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Measured:
        """Return `repeats` of a candidate's sets, each as large as the holdout's part.

        Values are told apart as the candidate has them: most of many digits are in no real row.
        """
        own, n = RowIdentity((candidate,), self.context.columns), self.context.n
        codes_M = np.array(own.digests(candidate), dtype="V16")
        shares = [share_of_codes(codes_M[rows]) for rows in sets]
        found = candidate_repeats(shares, n, self.context.replicates, self.context.seed)
        counts = np.unique(codes_M[sets[0]], return_counts=True)[1]
        because = (
            f"{int(counts[counts > 1].sum()):,} of {n:,} synthetic rows equal another one of them, "
            f"one row is there {int(counts.max()):,} times"
        )
        return measured_repeats(self.real, found, n, "all", because)
