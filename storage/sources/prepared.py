"""A source made ready: what training, choices and the final evaluation read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

Label = str | int | bool
"""A value of the label column."""

ClassCounts = tuple[tuple[Label, int], ...]
"""Records per class, sorted by label; empty without labels."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Decoded, split, memory-mapped records, and how they came about."""

    folder: Path
    """The cache entry; `open_prepared(folder)` opens it again, in any process."""

    source_digest: str
    """sha256 over the sorted (relative path, size, content tag) of the files that were read."""

    split_rule: Mapping[str, Any]
    """The rule of the split, JSON-able, as it is stored in snapshot and manifest."""

    split_digest: str
    """Digest of `split_rule`; two generators compare only when it is equal."""

    records: Mapping[str, pa.Table]
    """`train`, `validation`, `holdout`: column `image` of fixed shape (H, W, C) uint8 in one
    chunk, and the label column when there is one. Memory-mapped, in the order of the source."""

    label: str | None
    """Name of the label column; None = unconditional."""

    schema: pa.Schema
    """The schema of every table in `records`."""

    class_counts: Mapping[str, ClassCounts]
    """Records per class of each split."""

    rows: Mapping[str, int]
    """Records of each split."""

    skipped: tuple[str, ...]
    """Records that could not be decoded, each with its reason; at most 1 % of the source."""

    ignored_files: int
    """Files below the source that are no records of it."""

    notes: tuple[str, ...]
    """Sentences about everything that was decided on the user's behalf."""
