"""What one stage hands to the next: small frozen values, everything large is in lake or cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gan.evaluation.gate import Judgement
from gan.evaluation.measured import Evaluation
from gan.report import Report
from storage.manifest import FileEntry
from storage.plan import Plan
from storage.promotions import Standing


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A complete generator in the lake."""

    version: str
    snapshot_digest: str
    train_key: str
    trained: bool
    """False when the lake had it already."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A generator, what was measured on it today, and what the gate says."""

    version: str
    snapshot_digest: str
    split_digest: str
    """Of the split rule it was trained under."""
    evaluation: Evaluation
    judgement: Judgement
    report: Report
    report_digest: str


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """The candidate, and the champion when it is another generator, on the same holdout."""

    standing: Standing
    """The log of promotions as it was when this was measured."""
    challenger: Judged
    champion: Judged | None

    @property
    def is_reigning(self) -> bool:
        """Whether the candidate is the champion already."""
        champion = self.standing.champion
        return champion is not None and champion.version == self.challenger.version


ChoiceKind = Literal["promoted", "champion", "kept", "blocked"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who synthesizes, and why."""

    kind: ChoiceKind
    """promoted: the candidate took over. champion: the candidate had been promoted before.
    kept: the champion synthesizes although the candidate was refused. blocked: nobody does."""
    judged: Judged
    """The generator that synthesizes; with `blocked`, the candidate."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Made:
    """Shards that are in the lake."""

    plan: Plan
    entries: Mapping[int, FileEntry] = field(default_factory=dict)
    """Those this run has put."""
    committed: bool = False
    """True when the version was published before."""
