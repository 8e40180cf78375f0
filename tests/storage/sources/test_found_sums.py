"""A column that is the sum of two others in every row is made from them, unless told otherwise."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare


def invoices(path, rows, *, wrong=0):
    draw = np.random.default_rng(1)
    net, tax = draw.integers(1, 500, rows), draw.integers(1, 90, rows)
    total = net + tax
    total[:wrong] += 1
    shop = draw.choice(["a", "b", "c"], rows)
    pq.write_table(pa.table({"net": net, "tax": tax, "total": total, "shop": shop}), path)
    return str(path)


def constraints(folder, uri, **changes):
    config = SourceConfig(uri=uri, **{"label": "shop", **changes})
    found = prepare(config, folder=folder, min_group=10)
    meaning = json.loads(found.schema.metadata[b"ganmill-table"])
    return [(one["kind"], one["columns"]) for one in meaning["constraints"]], found.notes


def test_a_sum_in_all_of_many_rows_is_found_and_said(tmp_path):
    uri = invoices(tmp_path / "t.parquet", 1200)
    found, notes = constraints(tmp_path / "cache", uri)
    assert found == [("sum", ["total", "net", "tax"])]
    assert any("total is net plus tax in all rows" in note for note in notes)


@pytest.mark.parametrize(
    ("rows", "wrong", "changes"),
    [
        (900, 0, {}),
        (1200, 1, {}),
        (1200, 0, {"sums": "named"}),
        (1200, 0, {"label": "total"}),
    ],
)
def test_few_rows_one_exception_an_objection_or_the_label_leave_it(tmp_path, rows, wrong, changes):
    uri = invoices(tmp_path / "t.parquet", rows, wrong=wrong)
    assert constraints(tmp_path / "cache", uri, **changes)[0] == []


def test_a_named_constraint_comes_first(tmp_path):
    uri = invoices(tmp_path / "t.parquet", 1200)
    named = {"kind": "inequality", "columns": ["net", "total"]}
    found, _ = constraints(tmp_path / "cache", uri, constraints=[named])
    assert found == [("inequality", ["net", "total"])]
