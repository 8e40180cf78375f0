"""How many records of a source are kept: what the recipe says, or what memory and budget allow.

What `auto` gives must be the same every night, so it counts the memory that the machine has, in
powers of two, and never what happens to be free.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from storage.sources.config import SourceConfig
from storage.sources.memory import LIMIT_FILES

MOST_BYTES: Final = 8 << 30
"""What rows may take while they are read, split and written, whatever the machine has."""
LEAST_ROWS: Final = 100_000
"""So many rows are kept whatever the budget."""
MOST_IMAGES: Final = 2_000_000
"""Images lie on disk, where this many of 32 x 32 pixels in colour take 6 GB."""

_UNKNOWN: Final = 4 << 30


def allowed_bytes() -> int:
    """Return what rows may take: half of the memory there is, and never more than `MOST_BYTES`."""
    return min(MOST_BYTES, _power_of_two(memory_bytes()) // 2)


def memory_bytes() -> int:
    """Return how much memory the machine or the container has, in use or free."""
    found = []
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        total = next(line for line in lines if line.startswith("MemTotal:"))
        found.append(int(total.split()[1]) * 1024)
    for limit in LIMIT_FILES:
        with suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text(encoding="ascii")))
    return min(found, default=_UNKNOWN)


def kept_rows(config: SourceConfig, row_bytes: int, seen_rows: int | None = None) -> int:
    """Return how many rows of a table are kept at most.

    Args:
        config: the recipe's `source`.
        row_bytes: what one row takes at the peak.
        seen_rows: of which the training budget can read no more; None = not known. It lowers what
            is kept of a table that does not fit, and does not say whether one fits.
    """
    if config.max_rows != "auto":
        return config.max_rows
    fitting = max(allowed_bytes() // max(row_bytes, 1), 1)
    return fitting if seen_rows is None else min(fitting, max(seen_rows, LEAST_ROWS))


def _power_of_two(number: int) -> int:
    return 1 << max(number.bit_length() - 1, 0)
