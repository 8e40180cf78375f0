"""What is proposed to the owner of a source who has no recipe yet, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from storage.records.constraint import Constraint
from storage.records.proposal import Proposal

LABELS: Final = (
    "label", "labels", "class", "target", "y", "outcome", "diagnosis", "churn", "churned",
    "survived", "default", "fraud", "is_fraud", "response", "category",
)  # fmt: skip
"""Columns that are taken for the label, in this order."""


@dataclass(frozen=True, kw_only=True)
class SurveyedColumn:
    """A column that stays, and what it is taken for."""

    name: str
    kind: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a recipe for a source should say, and what its owner should know."""

    label: str | None
    label_why: str
    proposals: tuple[Proposal, ...] = ()
    """Settings besides URI and label."""
    facts: tuple[str, ...] = ()
    """Sentences for the head of the recipe."""
    columns: tuple[SurveyedColumn, ...] = ()
    """The columns that stay, of a table: shown, so that a person can correct them."""
    detected: Mapping[str, Any] = field(default_factory=dict)
    """`source.csv` as it was detected: shown as a comment."""
    likely: tuple[tuple[Constraint, str], ...] = ()
    """Constraints that seem to hold, with their reasons: shown as a comment."""
    formats: str = "others: see docs/recipe.md"
    """Comment on `output.format`."""


def label_by_name(columns: tuple[str, ...]) -> Survey:
    """Return a survey that knows the names of the columns alone."""
    for column in LABELS:
        if column in columns:
            return Survey(label=column, label_why="guessed by its name")
    why = f"no column is called {', '.join(LABELS[:4])} …; the columns are "
    return Survey(label=None, label_why=why + (", ".join(columns) or "none"))
