"""A large table fits into little memory: 300,000 rows of 32 columns, one with 529 levels."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.full

PROGRAM = """
import json
from pathlib import Path
import numpy as np, pyarrow as pa, torch
from gan.tables.codec import TableCodec

rows, numbers = 300_000, np.random.default_rng(0)
columns = {f"n{i}": numbers.normal(size=rows).round(4) for i in range(12)}
columns |= {f"i{i}": numbers.integers(0, 10**5, rows) for i in range(9)}
columns |= {f"c{i}": np.array(list("abcdefgh"))[numbers.integers(0, 8, rows)] for i in range(10)}
columns["level"] = [f"level {code}" for code in numbers.integers(0, 529, rows)]
kinds = {"n": "float", "i": "integer", "c": "category", "l": "category"}
table = pa.table(columns)
table = table.replace_schema_metadata({"ganmill-table": json.dumps({
    "schema": "ganmill-table/1", "min_group": 10, "constraints": [],
    "columns": [{"name": name, "kind": kinds[name[0]], "why": "", "vocabulary": "private",
                 "form": None} for name in columns]})})
del columns
codec = TableCodec.fit(table, None)
encoded = codec.encode(table)
codes = codec.to_samples(torch.from_numpy(encoded.values))
values = codec.to_values(codes)
found = codec.decode(values, encoded.labels_N)
assert found.num_rows == rows and len(codec.columns) == 32
assert found["level"].equals(table["level"])
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 2**10)
"""


def test_three_hundred_thousand_rows_stay_below_two_gigabytes():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=600
    )
    assert float(run.stdout) < 2000
