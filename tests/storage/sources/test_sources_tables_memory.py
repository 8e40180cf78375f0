"""A table is prepared within bounds that do not surprise: it is read whole, a few times over."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MEASURE = """
import json, sys
from pathlib import Path
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare

config = SourceConfig(uri=sys.argv[1], label="label")
result = prepare(config, folder=Path(sys.argv[2]), min_group=10)
status = Path("/proc/self/status").read_text()
peak = 1024 * int(status.partition("VmHWM:")[2].split()[0])
print(json.dumps({"peak": peak, "rows": sum(result.rows.values())}))
"""


def write_source(path: Path, rows: int) -> None:
    """Write 32 columns: numbers, categories of up to 529 levels, days, and a label."""
    rng = np.random.default_rng(0)
    cities = np.array([f"the city of number {i}" for i in range(529)])
    columns = {f"amount_{i}": rng.normal(size=rows) for i in range(12)}
    columns |= {f"count_{i}": rng.integers(0, 1000, rows) for i in range(8)}
    columns |= {f"city_{i}": cities[rng.integers(0, 529, rows)] for i in range(8)}
    columns |= {
        f"day_{i}": pa.array(rng.integers(0, 9999, rows, np.int32), pa.date32()) for i in (0, 1, 2)
    }
    pq.write_table(pa.table({**columns, "label": rng.random(rows) < 0.3}), path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("rows", "most"), [(30_000, 0.4e9), pytest.param(300_000, 1e9, marks=pytest.mark.full)]
)
def test_a_table_takes_little_memory(rows: int, most: float, tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    write_source(path, rows)
    command = [sys.executable, "-c", MEASURE, str(path), str(tmp_path / "cache")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    measured = json.loads(done.stdout)
    assert measured["rows"] == rows
    assert 50e6 < measured["peak"] < most
