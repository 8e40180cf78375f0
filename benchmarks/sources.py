"""Sources that are larger than memory: peak memory and time of their preparation, by size.

    python -m benchmarks.sources parquet 1e5 1e6 1e7     (also csv)
    python -m benchmarks.sources images 1e4 1e5

Every size is prepared in a process of its own, whose peak is that of nothing else; of each source
`MOST` records are kept. The rows are those of an invented shop: a key, a formula, gaps, categories,
dates, classes.
"""

import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.timing import peak_mib
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare

MOST = 100_000
MOST_IMAGES = 5_000
BLOCK_ROWS = 100_000
SIDE_PX = 16


def shop(rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a shop in blocks."""
    random = np.random.default_rng(0)
    for start in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - start)
        plan = random.choice(["basic", "plus", "pro"], count, p=[0.5, 0.3, 0.2])
        net = np.round(random.lognormal(3, 1, count), 2)
        tax = np.round(net * 0.19, 2)
        days = np.datetime64("2020-01-01") + random.integers(0, 2000, count)
        churned = random.random(count) < 0.1 + 0.2 * (plan == "basic")
        yield pa.table(
            {
                "customer_id": np.arange(start, start + count),
                "age": random.integers(18, 91, count),
                "net": net,
                "tax": tax,
                "total": np.round(net + tax, 2),
                "score": pa.array(random.normal(0, 1, count), mask=random.random(count) < 0.1),
                "city": np.char.add("city_", random.integers(0, 60, count).astype(str)),
                "plan": plan,
                "signup": pa.array(days.astype("datetime64[D]")),
                "churned": np.where(churned, "yes", "no"),
            }
        )


def pictures(count: int) -> Iterator[pa.Table]:
    """Yield small grey images as PNG, with their class, in blocks."""
    random = np.random.default_rng(0)
    for start in range(0, count, 1000):
        size = min(1000, count - start)
        pixels = random.integers(0, 256, (size, SIDE_PX, SIDE_PX), np.uint8)
        data = [_png(one) for one in pixels]
        images = pa.array([{"bytes": one, "path": None} for one in data])
        yield pa.table({"image": images, "label": random.integers(0, 10, size)})


def _png(pixels_HW: np.ndarray) -> bytes:
    sink = pa.BufferOutputStream()
    Image.fromarray(pixels_HW).save(sink, "PNG", compress_level=1)
    return bytes(sink.getvalue())


def write(kind: str, size: int, path: Path) -> None:
    """Write a source of so many records as one file."""
    tables = pictures(size) if kind == "images" else shop(size)
    first = next(tables)
    make = pa_csv.CSVWriter if kind == "csv" else pq.ParquetWriter
    with make(str(path), first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _prepare(path: str, most: int, label: str) -> dict[str, object]:
    config = SourceConfig(uri=path, label=label, max_rows=most)
    before = peak_mib()
    started_s, started_cpu_s = perf_counter(), process_time()
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        prepared = prepare(config, folder=Path(folder), min_group=10)
        kept = sum(prepared.rows.values())
    return {
        "kept": kept,
        "cpu_s": round(process_time() - started_cpu_s, 1),
        "wall_s": round(perf_counter() - started_s, 1),
        "imports_mib": before,
        "peak_mib": peak_mib(),
    }


def measure(kind: str, size: int, folder: Path, most: int | None = None) -> dict[str, object]:
    """Return what the preparation of a source of so many records takes.

    Args:
        kind: `parquet`, `csv` or `images`.
        size: records.
        folder: for the file and for what is prepared.
        most: `source.max_rows`; None = that of the benchmark.
    """
    path = folder / f"{kind}-{size}.{'csv' if kind == 'csv' else 'parquet'}"
    write(kind, size, path)
    label = "label" if kind == "images" else "churned"
    kept = most or (MOST_IMAGES if kind == "images" else MOST)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(_prepare, str(path), kept, label).result()
    found["file_mb"] = round(path.stat().st_size / 1e6, 1)
    path.unlink()
    return {"kind": kind, "records": size, **found}


def main() -> list[dict[str, object]]:
    """Measure the kind and the sizes that the command line names, and print a line of each."""
    kind, sizes = sys.argv[1], [int(float(word)) for word in sys.argv[2:]]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            results.append(measure(kind, size, Path(folder)))
            print(json.dumps(results[-1]), flush=True)
    return results


def tiny(folder: Path) -> list[dict[str, object]]:
    """Prepare two thousand rows, of which half are kept."""
    return [measure("parquet", 2000, folder, most=1000)]


if __name__ == "__main__":
    main()
