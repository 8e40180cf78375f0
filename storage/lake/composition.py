"""What a version's rows are, beside those that the gate judged: sentences for plan and card.

The gate judges rows as a generator makes them. A version may be re-weighted (`synthesis.balance`)
or conditioned (`synthesis.given`): its class shares are then others than those that the verdict
speaks of. Pure functions of what was asked for and of class counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.lake.synthesis import COUNTED, SynthesisConfig
from storage.records.schema import ClassCounts, Label

SHOWN_MOVES = 3
"""As many classes as a sentence names whose share moves; those that move most come first."""
SHOWN_CLASSES = 8
"""As many classes as a sentence counts."""
SAME = 0.005
"""Class shares that lie so near to each other are the same."""


@dataclass(frozen=True, kw_only=True)
class Composition:
    """What was asked for, and the classes that came of it."""

    synthesis: SynthesisConfig
    """Seed and balance are resolved."""
    published: ClassCounts
    """Of the version; empty where the generator decides."""
    splits: Mapping[str, ClassCounts]
    """Split → class counts of its real records."""
    filled_up: ClassCounts = ()
    """With `balance: fill`: the real records that were counted."""
    relabelled: bool | None = None
    """Whether a teacher drew the labels, or wrote its probabilities beside them; None: neither."""
    picks: int = 1
    """Records of which the teacher picked one."""
    words: str = field(default="records")
    """What a person calls the records."""

    @property
    def share_distance(self) -> float | None:
        """Total variation distance of the class shares from train's; None without classes."""
        real, made = _shares(self.splits.get("train", ())), _shares(self.published)
        if not real or not made:
            return None
        return sum(abs(made.get(one, 0.0) - real.get(one, 0.0)) for one in {**real, **made}) / 2

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was re-weighted or conditioned after the verdict, and what comes of it."""
        found = [self._reweighted()]
        if self.synthesis.given:
            columns = ", ".join(each.column for each in self.synthesis.given)
            found.append(
                f"Conditioned after the verdict (synthesis.given on {columns}): the verdict speaks "
                f"of {self.words} without conditions, not of these"
            )
        if self.relabelled is not None:
            found.append(self._labelled())
        if self.filled_up:
            found += self._together()
        return tuple(text for text in found if text)

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        distance = self.share_distance
        found: dict[str, Any] = {
            "balance": self.synthesis.balance,
            "given": [each.column for each in self.synthesis.given],
            "share_distance": None if distance is None else round(distance, 4),
            "sentences": list(self.sentences),
        }
        if self.filled_up:
            found["filled_up"] = [list(pair) for pair in self.filled_up]
        return found

    def _labelled(self) -> str:
        """Return whose the labels are."""
        drawn = (
            f"the label of these {self.words} is drawn from its probabilities, and the verdict "
            f"speaks of {self.words} with the generator's own labels"
            if self.relabelled
            else "the label itself stays the one that was asked for"
            + (f", and it picked one of {self.picks} {self.words} by it" if self.picks > 1 else "")
        )
        return (
            "Labelled by a teacher (synthesis.labels: teacher): an ensemble that learned from the "
            f"real training {self.words} says what it expects in columns of its own; {drawn}"
        )

    def _reweighted(self) -> str:
        balance, distance = self.synthesis.balance, self.share_distance
        if distance is None:
            decides = (
                f"Nothing is re-weighted after the verdict: the {self.words} are published as "
            )
            return (
                ""
                if self.synthesis.given or self.relabelled
                else f"{decides}the generator makes them"
            )
        if balance == "real" or distance < SAME:  # of few records rounding moves the shares
            return (
                f"Nothing is re-weighted after the verdict: the {self.words} have the class "
                "shares of the real training data"
            )
        return (
            f"Re-weighted after the verdict (synthesis.balance: {balance}): the class shares lie "
            f"{distance:.2f} from the real ones (total variation distance; {self._moves()}), and "
            f"the verdict holds for {self.words} with the real shares, not for these"
        )

    def _moves(self) -> str:
        real, made = _shares(self.splits.get("train", ())), _shares(self.published)
        moved = sorted({**real, **made}, key=lambda one: -abs(made.get(one, 0) - real.get(one, 0)))
        shown = [
            f"{one}: {real.get(one, 0):.2f} became {made.get(one, 0):.2f}"
            for one in moved[:SHOWN_MOVES]
        ]
        return "most of all " + ", ".join(shown) if moved[SHOWN_MOVES:] else ", ".join(shown)

    def _together(self) -> list[str]:
        """Return how many of each class a reader has who adds the version to the real records."""
        counts = self.synthesis.fill_counts
        rest = [name for name in self.splits if name not in COUNTED[counts]]
        totals = _sum(self.filled_up, self.published)
        found = [
            f"Filled up (synthesis.fill_counts: {counts}): with the "
            f"{sum(dict(self.filled_up).values()):,} real {self.words} of "
            f"{' and '.join(COUNTED[counts])} you have {_counts(totals)}"
        ]
        left = [self.splits[name] for name in rest if self.splits[name]]
        if left:
            rows = sum(count for counts in left for _, count in counts)
            found.append(
                f"Not counted were the {rows:,} of {' and '.join(rest)}: with them too you have "
                f"{_counts(_sum(totals, *left))}"
            )
        return found


def _shares(counts: ClassCounts) -> dict[Label, float]:
    whole = sum(count for _, count in counts)
    return {one: count / whole for one, count in counts} if whole else {}


def _sum(*parts: ClassCounts) -> ClassCounts:
    totals: dict[Label, int] = {}
    for counts in parts:
        for one, count in counts:
            totals[one] = totals.get(one, 0) + count
    return tuple(totals.items())


def _counts(counts: Sequence[tuple[Label, int]]) -> str:
    shown = sorted(counts, key=lambda pair: -pair[1])
    if len(shown) > SHOWN_CLASSES:
        most, least = shown[0][1], shown[-1][1]
        sizes = f"{most:,}" if least == most else f"{least:,} to {most:,}"
        return f"{sizes} of each of {len(counts):,} classes"
    return ", ".join(f"{count:,} of {one}" for one, count in shown)
