"""Tables at the edge of what their types hold: right values or one sentence."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare

ROWS = 150
DRAW = np.random.default_rng(2)
COLOURS = DRAW.choice(["x", "y"], ROWS)


@pytest.fixture
def values(tmp_path):
    """Return a column of a source as it is learnt."""

    def run(uri, name, **source):
        config = SourceConfig(uri=str(uri), **{"label": None, **source})
        found = prepare(config, folder=tmp_path / "cache", min_group=1)
        tables = [table for table in found.records.values() if len(table)]
        return pa.concat_tables(tables).column(name)

    return run


def test_numbers_of_a_workbook_have_a_point_whatever_its_texts_have(values, tmp_path):
    numbers = np.round(DRAW.uniform(1, 9, ROWS), 3)
    texts = [f"{value:,.2f}".replace(",", " ").replace(".", ",") for value in numbers * 1000]
    frame = pd.DataFrame({"n": numbers, "text": texts, "c": COLOURS})
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    columns = [{"name": "text", "text": "drop"}]
    found = values(tmp_path / "a.xlsx", "n", columns=columns)
    assert sorted(found.to_pylist()) == sorted(numbers)


def test_durations_of_two_units_are_not_mixed(values, tmp_path):
    for unit in ("s", "ms"):
        table = pa.table({"took": pa.array(range(ROWS), pa.duration(unit)), "c": COLOURS})
        pq.write_table(table, tmp_path / f"{unit}.parquet")
    with pytest.raises(SourceError, match=r"'took'.*duration\[ms\].*duration\[s\]"):
        values(tmp_path, "took", include=["*.parquet"])


def test_a_label_too_large_for_whole_numbers_is_no_traceback(values, tmp_path):
    table = pa.table({"y": DRAW.choice([0.0, 1e20], ROWS), "c": COLOURS})
    pq.write_table(table, tmp_path / "a.parquet")
    assert values(tmp_path / "a.parquet", "y", label="y").type == pa.float64()


def test_text_with_a_nul_stays_text(values, tmp_path):
    table = pa.table({"t": ["\x00$5", "$6", "$7"] * (ROWS // 3), "c": COLOURS})
    pq.write_table(table, tmp_path / "a.parquet")
    columns = [{"name": "t", "kind": "category"}]
    assert values(tmp_path / "a.parquet", "t", columns=columns).type == pa.string()


def test_a_last_row_that_begins_like_a_total_is_a_row(values, tmp_path):
    rows = [f"Film {n},{1900 + n % 90},{n % 99}" for n in range(ROWS)]
    text = "\n".join(["title,year,votes", *rows, "Total Recall,1990,50"])
    (tmp_path / "a.csv").write_text(f"{text}\n")
    columns = [{"name": "title", "text": "drop"}]
    assert len(values(tmp_path / "a.csv", "votes", columns=columns)) == ROWS + 1
