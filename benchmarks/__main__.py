"""Run benchmarks and store their numbers: `python -m benchmarks [name …]`, all without a name."""

import importlib
import json
import sys
from datetime import UTC, datetime

from benchmarks.timing import RESULTS, machine

BENCHMARKS = ("training_step", "synthesis", "demo_quality")


def main() -> int:
    """Run the named benchmarks; return the exit code."""
    names = sys.argv[1:] or BENCHMARKS
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}: choose from {', '.join(BENCHMARKS)}")
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        results = importlib.import_module(f"benchmarks.{name}").main()
        page = {
            "benchmark": name,
            "machine": machine(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "results": results,
        }
        text = json.dumps(page, indent=2)
        (RESULTS / f"{name}.json").write_text(text + "\n")
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
