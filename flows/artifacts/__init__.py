"""What a tracked run shows in the UI, made from report and outcome: pure text and small pictures.

markdown   text that stays text, tables
verdict    the verdict, its reasons, the metrics against champion, ceiling and bounds
samples    synthetic pictures or rows
curves     the training curves as one picture
dataset    what was published and how to read it, or why nothing was

Artifacts lie in Prefect's database and come up in every listing: each stays below `MAX_BYTES`.
"""

from flows.artifacts.curves import curves_markdown
from flows.artifacts.dataset import outcome_line, outcome_markdown
from flows.artifacts.samples import samples_markdown
from flows.artifacts.verdict import verdict_line, verdict_markdown

__all__ = [
    "curves_markdown",
    "outcome_line",
    "outcome_markdown",
    "samples_markdown",
    "verdict_line",
    "verdict_markdown",
]

MAX_BYTES = 300_000
"""Of one artifact, as it is stored."""
