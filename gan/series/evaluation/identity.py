"""Which entities are equal: in all variables of all their steps, whatever their key and their time.

An entity that is copied with its time shifted equals the original. The steps of an entity are cut
into `PARTS` parts of neighbouring ones, each with a hash of its own, so that entities that differ
in one part alone are known as well (`gan.metrics.equality`).

Shapes: N entities, T steps of all of them, V variables, G parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.repeats import measured_repeats
from gan.metrics.copies import record_digests
from gan.metrics.equality import PARTS
from gan.metrics.repeats import candidate_repeats, real_repeats, share_of_codes
from gan.randomness import numpy_stream
from gan.report import Measured
from gan.series.evaluation.context import JudgedSeries, SeriesContext
from gan.tables.evaluation.closeness import RowIdentity
from gan.tables.evaluation.rows import some
from gan.tables.row_hashes import value_hashes
from storage.records.series import SeriesMetadata, lengths_of, steps_of

Array = np.ndarray[Any, Any]


class EntityIdentity:
    """Tells by hashes which entities are equal in all judged variables."""

    def __init__(
        self, splits: Sequence[pa.Table], metadata: SeriesMetadata, judged: JudgedSeries
    ) -> None:
        """Collect the distinct values of every variable in all splits."""
        self.metadata = metadata
        self.steps = RowIdentity([steps_of(part, metadata) for part in splits], judged.variables)

    def parts(self, records: pa.Table) -> Array:
        """Return a hash of every part of every entity; uint64 (N, G).

        A value that none of the splits has makes its entity equal to none of theirs.
        """
        codes_TV = self.steps.codes(steps_of(records, self.metadata)).astype(np.int64)
        values_TV = codes_TV.view(np.uint64) + np.uint64(2)
        return _part_hashes(values_TV, lengths_of(records, self.metadata))

    def varied(self, records: pa.Table) -> Array:
        """Return which entities have a variable that changes; bool (N,)."""
        lengths_N = lengths_of(records, self.metadata)
        codes_TV = self.steps.codes(steps_of(records, self.metadata))
        first_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]]).astype(np.int64)
        changes_T = np.zeros(len(codes_TV), dtype=bool)
        changes_T[1:] = (codes_TV[1:] != codes_TV[:-1]).any(axis=1)
        changes_T[first_N] = False
        found: Array = np.logical_or.reduceat(changes_T, first_N)
        return found

    def digests(self, records: pa.Table) -> list[bytes]:
        """Return a digest of every entity."""
        return record_digests(self.parts(records))


@dataclass(frozen=True)
class EntityHashes:
    """Hashes entities by some variables of all their steps; takes their names from no data."""

    metadata: SeriesMetadata
    variables: tuple[str, ...]

    def __call__(self, records: pa.Table) -> Array:
        """Return a hash of every part of every entity; uint64 (N, G)."""
        steps = steps_of(records, self.metadata)
        values_TV = np.stack([value_hashes(steps[name]) for name in self.variables], axis=1)
        return _part_hashes(values_TV, lengths_of(records, self.metadata))


def _part_hashes(values_TV: Array, lengths_N: Array) -> Array:
    """Return a hash of every part of every entity, from one of every value; uint64 (N, G)."""
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    first_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]]).astype(np.int64)
    place_T = np.arange(len(entity_T)) - first_N[entity_T]
    longest, width = int(lengths_N.max(initial=1)), values_TV.shape[1]
    weights_V, weights_L = _weights("variables", width), _weights("places", longest)
    step_T = (values_TV * weights_V).sum(axis=1)
    part_T = place_T * PARTS // lengths_N[entity_T]
    found = np.zeros(len(lengths_N) * PARTS, dtype=np.uint64)
    mixed_T = (step_T ^ (step_T >> np.uint64(29))) * weights_L[place_T]
    np.add.at(found, entity_T * PARTS + part_T, mixed_T)
    return found.reshape(-1, PARTS)


def _weights(purpose: str, size: int) -> Array:
    """Return fixed odd numbers, which no factor of 2 of another is lost to."""
    found = numpy_stream(0, f"entity-{purpose}").integers(2**64, size=size, dtype=np.uint64)
    return found | np.uint64(1)


class EntityRepeats:
    """How many real entities repeat another one, measured once for every candidate."""

    def __init__(self, context: SeriesContext, identity: EntityIdentity) -> None:
        """Look at as many entities of every split as are compared.

        Args:
            context: the real entities.
            identity: tells which of them are equal.
        """
        self.context = context
        train = some(context.splits.train, context.n, context.seed, "repeats")
        parts = (train, context.validation.records, context.holdout.records)
        ends = np.cumsum([part.num_rows for part in parts])
        rows = np.split(np.arange(ends[-1]), ends[:-1])
        digests = [np.array(identity.digests(part), dtype="V16") for part in parts]
        share = share_of_codes(np.concatenate(digests))
        self.real = real_repeats(share, rows, context.n, context.halves, context.seed)

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Measured:
        """Return `repeats` of a candidate's sets, each as large as the holdout's part.

        Values are told apart as the candidate has them: most of many digits are in no real one.
        """
        context = self.context
        own = EntityIdentity((candidate,), context.metadata, context.judged)
        codes_M = np.array(own.digests(candidate), dtype="V16")
        shares = [share_of_codes(codes_M[rows]) for rows in sets]
        found = candidate_repeats(shares, context.n, context.replicates, context.seed)
        counts = np.unique(codes_M[sets[0]], return_counts=True)[1]
        because = (
            f"{int(counts[counts > 1].sum()):,} of {context.n:,} synthetic entities equal another "
            f"one of them step by step, one is there {int(counts.max()):,} times"
        )
        return measured_repeats(self.real, found, context.n, "all", because)
