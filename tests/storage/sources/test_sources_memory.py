"""Memory does not grow with the source: it is decoded, split and mapped piece by piece."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MEASURE = """
import json, sys, threading
from pathlib import Path
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare

def anonymous():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])

before = anonymous()
peak = before
done = threading.Event()

def watch():
    global peak
    while not done.wait(0.02):
        peak = max(peak, anonymous())

thread = threading.Thread(target=watch)
thread.start()
config = SourceConfig(uri=sys.argv[1], label=None)
result = prepare(config, folder=Path(sys.argv[2]), min_group=10)
done.set()
thread.join()
print(json.dumps({"grown": peak - before, "rows": sum(result.rows.values())}))
"""


def bitmap(pixels: np.ndarray) -> bytes:
    """A binary PPM: the cheapest file to make."""
    height, width, _ = pixels.shape
    return b"P6 %d %d 255\n" % (width, height) + pixels.tobytes()


def write_source(path: Path, rows: int) -> int:
    """Write `rows` images of 128 x 128 RGB; returns their decoded bytes."""
    schema = pa.schema({"image": pa.binary()})
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, 100):
            images = []
            for row in range(start, start + 100):
                pixels[0, 0] = row // 65536, row // 256 % 256, row % 256
                images.append(bitmap(pixels))
            writer.write_table(pa.table({"image": images}, schema=schema), row_group_size=1000)
    return rows * pixels.nbytes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("rows", [4_000, pytest.param(20_000, marks=pytest.mark.full)])
def test_a_source_may_be_larger_than_memory(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    size_bytes = write_source(path, rows)
    command = [sys.executable, "-c", MEASURE, str(path), str(tmp_path / "cache")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    measured = json.loads(done.stdout)
    assert measured["rows"] == rows
    assert measured["grown"] < 150e6 < size_bytes
