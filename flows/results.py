"""What one stage hands to the next: small frozen values, everything large is in lake or cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gan.gate import Judgement
from gan.report import Evaluation, Report, Verdict
from storage.lake.manifest import FileEntry
from storage.lake.plan import Plan
from storage.lake.promotions import Standing


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
    is_outdated: bool = False
    """Whether the champion is of an algorithm version that cannot be run any more."""

    @property
    def is_reigning(self) -> bool:
        """Whether the candidate is the champion already."""
        champion = self.standing.champion
        return champion is not None and champion.version == self.challenger.version


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person is asked before the job goes on."""

    kind: Literal["override", "approval"]
    """override: the gate refused this generator. approval: it passed, and a person must agree."""
    version: str
    """The generator that is asked about."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """Of the verdict, worst first."""
    why: str
    """The gate's sentence."""
    unasked: str
    """What the gate would do if it did not ask."""
    champion: str | None
    """The generator that publishes when the answer is `keep champion`; None when none can."""
    hindrance: str = ""
    """Why no champion can, as a sentence's second half."""


AnswerKind = Literal["publish", "keep champion", "stop"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person decided."""

    kind: AnswerKind
    by: str
    """The person, as she signs."""
    reason: str
    """In writing; compulsory with `publish`."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who let a generator publish, why, and when: what the manifest says of it."""

    by: str
    reason: str
    at: str
    """UTC, ISO 8601."""


ChoiceKind = Literal["promoted", "champion", "kept", "blocked", "asked"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who synthesizes, and why."""

    kind: ChoiceKind
    """promoted: the candidate took over. champion: the candidate had been promoted before.
    kept: the champion synthesizes although the candidate was refused. blocked: nobody does.
    asked: nobody does until a person has answered the question."""
    judged: Judged
    """The generator that synthesizes; with `blocked` and `asked`, the candidate."""
    reason: str
    question: Question | None = None
    """With `asked`, and with an answer."""
    answer: Answer | None = None
    """What a person has just decided; `promote` records it."""
    override: Signature | None = None
    """The person who publishes this report although the gate refuses it."""
    approval: Signature | None = None
    """The person who made this generator champion, where nothing had to be overridden."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Shards that are in the lake."""

    plan: Plan
    entries: Mapping[int, FileEntry] = field(default_factory=dict)
    """Those this run has put."""
    committed: bool = False
    """True when the version was published before."""
