"""What a report may show: the synthetic records, and the real side as far as it is public."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, kw_only=True, eq=False)
class Exhibit:
    """What a modality's `pictures` draws from."""

    candidate: pa.Table
    """Synthetic records, those that were evaluated."""
    reference: Any
    """The real side, as the modality's own `build_reference` made it."""
    label: str | None = None
    """Name of the label column."""
    confidential: bool = True
    """False: real records may stand beside synthetic ones."""
