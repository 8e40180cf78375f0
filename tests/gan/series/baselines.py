"""Candidates that a judge must not let pass: without any memory, and pieced together from records.

Both return nested records of the same schema as the real ones.
"""

import numpy as np
import pyarrow as pa

from storage.records.series import lengths_of, read_series_metadata, steps_of, to_nested


def independent(records: pa.Table, rows: int, seed: int) -> pa.Table:
    """Every variable of every step by itself: a value of any entity at any step."""
    numbers = np.random.default_rng(seed)
    metadata = read_series_metadata(records.schema)
    entities, lengths, moments = _entities(records, rows, numbers)
    steps = steps_of(records, metadata)
    drawn = {
        each.name: steps[each.name].take(pa.array(numbers.integers(0, len(steps), lengths.sum())))
        for each in metadata.variables
    }
    return _as(
        records,
        to_nested(entities, pa.table({metadata.time.name: moments, **drawn}), lengths, metadata),
    )


def block_bootstrap(records: pa.Table, rows: int, seed: int, block: int = 7) -> pa.Table:
    """Blocks of steps, each of another entity (Künsch, Annals of Statistics 17, 1989, eq. 2.2)."""
    numbers = np.random.default_rng(seed)
    metadata = read_series_metadata(records.schema)
    entities, lengths, moments = _entities(records, rows, numbers)
    sizes = lengths_of(records, metadata)
    first = np.cumsum(sizes) - sizes
    source = []
    for length in lengths:
        taken: list[int] = []
        while len(taken) < length:
            one = numbers.integers(0, len(sizes))
            begin = numbers.integers(0, max(sizes[one] - block, 0) + 1)
            end = min(begin + block, sizes[one])
            taken += range(first[one] + begin, first[one] + end)
        source += taken[:length]
    steps = steps_of(records, metadata).take(pa.array(source))
    drawn = {each.name: steps[each.name] for each in metadata.variables}
    return _as(
        records,
        to_nested(entities, pa.table({metadata.time.name: moments, **drawn}), lengths, metadata),
    )


def _entities(records, rows, numbers):
    """Key, statics, length and moments of entities that are drawn with replacement."""
    metadata = read_series_metadata(records.schema)
    chosen = records.take(pa.array(numbers.integers(0, len(records), rows)))
    names = [metadata.entity.name, *(each.name for each in metadata.statics)]
    lengths = lengths_of(chosen, metadata)
    return chosen.select(names), lengths, steps_of(chosen, metadata)[metadata.time.name]


def _as(records: pa.Table, made: pa.Table) -> pa.Table:
    return made.cast(records.schema)
