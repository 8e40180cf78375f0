"""A large CSV file is read in little memory."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

ROWS, COLUMNS = 300_000, 32
READ = """
import sys
from pathlib import Path
from storage.sources.config import SourceConfig
from storage.sources.listing import find_files
from storage.sources.tables.csv_source import read_csv_files
from storage.sources.tables.kinds import infer

config = SourceConfig(uri=sys.argv[1], label=None)
table = read_csv_files(find_files(config, None), config).table
kinds = {column.kind for column in infer(table, config, 10).columns}
print(table.num_rows, table.num_columns, ",".join(sorted(kinds)))
# Of this process alone: getrusage counts the memory that its parent had, too.
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]))
"""


@pytest.mark.full
def test_300000_rows_of_32_columns_take_less_than_a_gigabyte(tmp_path):
    draw = np.random.default_rng(0)
    columns = {f"f{i}": draw.normal(size=ROWS).round(4) for i in range(12)}
    columns |= {f"i{i}": draw.integers(0, 10 ** (i % 5 + 1), ROWS) for i in range(10)}
    columns |= {
        f"c{i}": pa.array(draw.choice([f"level {n}" for n in range(20)], ROWS)) for i in range(8)
    }
    columns["codes"] = pa.array(draw.choice([f"code{n:04}" for n in range(529)], ROWS))
    columns["day"] = pa.array(draw.integers(0, 9999, ROWS).astype(np.int32), pa.int32()).cast(
        pa.date32()
    )
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "large.csv")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "large.csv")],
        check=True,
        capture_output=True,
        text=True,
    )
    shape, peak_kib = done.stdout.splitlines()
    assert shape == f"{ROWS} {COLUMNS} category,date,float,integer"
    assert int(peak_kib) < 1 << 20
