"""Classes of records, as the whole of storage counts them."""

import pyarrow as pa
import pyarrow.compute as pc

Label = str | int | bool
"""A value of the label column."""

ClassCounts = tuple[tuple[Label, int], ...]
"""(label, count) sorted by label; empty where nothing conditions the generation."""


def count_classes(labels: pa.Array | pa.ChunkedArray | None) -> ClassCounts:
    """Count the records of every class."""
    if labels is None:
        return ()
    counts = pc.value_counts(labels)
    pairs = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    return tuple(sorted(pairs))
