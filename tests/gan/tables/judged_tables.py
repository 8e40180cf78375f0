"""A mixed table in four shares, and breast cancer: what the tests of the judge measure on."""

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_breast_cancer
from small_tables import with_meaning

from gan.modalities import Options, Splits

OPTIONS = Options(halves=20, replicates=6)


def shop(rows, seed=0):
    """Orders: region → size → price, a date, a note that is often null, whether it came back."""
    rng = np.random.default_rng(seed)
    region = rng.choice(["east", "north", "west"], rows, p=[0.2, 0.5, 0.3])
    size = rng.poisson(np.where(region == "north", 6, 3)) + 1
    price = np.round(np.exp(rng.normal(1 + 0.1 * size, 0.3)), 2)
    back = rng.random(rows) < 1 / (1 + np.exp(4 - size + 2 * (region == "east")))
    return with_meaning(
        {
            "region": region,
            "size": size,
            "price": price,
            "day": pa.array(rng.integers(18_000, 19_000, rows).astype("datetime64[D]")),
            "note": pa.array(rng.choice(["a", "b"], rows), mask=rng.random(rows) < 0.3),
            "back": back,
            "shop": ["main"] * rows,
            "id": [f"A{index:06d}" for index in rng.permutation(rows)],
        },
        kinds={"shop": "constant", "id": "key"},
        forms={"id": "A999999"},
        constraints=[{"kind": "range", "columns": ["size"], "low": 1}],
        min_group=5,
    )


def cancer():
    """The real table, rows at random."""
    data, targets = load_breast_cancer(return_X_y=True)
    columns = {f"f{index}": column for index, column in enumerate(data.T)}
    return with_meaning(columns | {"diagnosis": np.where(targets == 1, "benign", "malignant")})


def cut(table, sizes, label, seed=None):
    """Return splits of these sizes, and the rest: rows that nobody has seen."""
    if seed is not None:
        order = np.random.default_rng(seed).permutation(table.num_rows)
        table = table.take(pa.array(order))
    ends = np.cumsum((0, *sizes))
    parts = [table.slice(start, size) for start, size in zip(ends[:-1], sizes, strict=True)]
    train, validation, holdout = parts
    splits = Splits(train=train, validation=validation, holdout=holdout, label=label)
    return splits, table.slice(int(ends[-1]))


def replaced(table, name, values):
    """Return the table with other values in one column."""
    place = table.column_names.index(name)
    kind = table.schema.field(name)
    return table.set_column(place, kind, pa.array(values, type=kind.type))
