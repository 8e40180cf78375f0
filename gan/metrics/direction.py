"""Which way a metric is better."""

from typing import Literal

Direction = Literal["higher", "lower", "target"]
"""target: the nearer to what real data reaches, the better."""
