"""The answer to "does it help?" and everything it rests on, as plain frozen data."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

SCHEMA = "ganmill-lift/1"

Answer = Literal["helps", "no measurable effect", "hurts", "cannot be known"]
"""helps, hurts: the whole interval of the effect is above, below zero, and the effect at least
.001. cannot be known: the smallest effect that could have been seen is larger than any that could
be expected, nothing could be learnt, or it would help, but on fewer real records than the generator
has seen."""
ArmKind = Literal["baseline", "synthetic", "free"]
"""baseline: real records alone, with the usual augmentation. synthetic: with synthetic records,
or of these alone. free: what a user can do without any generator."""


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """One way to train one downstream model, over all seeds."""

    name: str
    """For people, unique together with the model: `real`, `real + fill`, `oversampling`."""
    kind: ArmKind
    model: str
    real_rows: int
    synthetic_rows: int
    validation: Mapping[str, Estimate]
    """Metric → mean over the seeds, on validation records: what choices are made by."""
    holdout: Mapping[str, Estimate] = field(default_factory=dict)
    """The same on the holdout, only for the arms that were confirmed there."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What one arm changes against the baseline, on the holdout, once."""

    arm: str
    model: str
    metric: str
    baseline: float
    value: float
    effect: Estimate
    """Difference, positive where the arm is better; hierarchical bootstrap of seeds and records."""
    detectable: float
    """Smallest effect that would have been told from zero in four of five cases."""


@dataclass(frozen=True, kw_only=True)
class GroupLift:
    """What the synthetic arm changes in one group of the holdout."""

    column: str
    group: str
    """One value of the column."""
    rows: int = 0
    """Records of the holdout that are in it."""
    answer: Answer = "cannot be known"
    effect: Effect | None = None
    """On these records alone; None where there are too few."""
    why: str = ""
    """Why there is no effect."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One point of the learning curve: the primary metric on validation, mean over the seeds."""

    real_rows: int
    real: Estimate
    """Of the baseline."""
    best: Estimate
    """Of the chosen synthetic arm, with the same synthetic records at every point."""


@dataclass(frozen=True, kw_only=True)
class Lift:
    """Whether training on synthetic records beside real ones helps a downstream model."""

    answer: Answer
    text: str
    """One or two sentences for people: effect, interval, price, and the best free remedy, which
    comes first when it wins."""
    task: str
    """What is predicted, such as `class of label` or `value of price`."""
    effect: Effect | None
    """Of the synthetic arm that was best on validation; None when nothing could be trained."""
    remedy: Effect | None
    """Of the free remedy that was best on validation, with the same model; None without any."""
    per_class: Sequence[tuple[str, float, float]] = ()
    """Class, recall on the holdout of the baseline and of the confirmed synthetic arm."""
    arms: Sequence[ArmResult] = ()
    curve: Sequence[CurvePoint] = ()
    """From few real rows to all, where it was asked for."""
    groups: Sequence[GroupLift] = ()
    """Where `report.groups` names columns; absent from JSON where there are none."""
    seeds: int = 0
    cpu_s: float = 0.0
    """What the answer cost, processor seconds."""
    notes: Sequence[str] = ()
    schema: str = SCHEMA

    @property
    def free_wins(self) -> bool:
        """Whether a free remedy was measured to help, and at least as much as synthetic records."""
        if self.remedy is None or self.remedy.effect.low <= 0:
            return False
        return self.effect is None or self.remedy.effect.value >= self.effect.effect.value

    def to_plain(self) -> dict[str, Any]:
        """Return plain values; without groups those of reports before there were any."""
        plain = dataclasses.asdict(self)
        if not self.groups:
            del plain["groups"]  # what people decided is bound to the digest of a report
        return plain

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        return json.dumps(self.to_plain(), sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote."""
        raw: dict[str, Any] = json.loads(data)
        for name in ("effect", "remedy"):
            raw[name] = None if raw[name] is None else _effect(raw[name])
        raw["arms"] = tuple(_arm(one) for one in raw["arms"])
        raw["per_class"] = tuple((str(a), float(b), float(c)) for a, b, c in raw["per_class"])
        raw["curve"] = tuple(_point(one) for one in raw.get("curve", ()))
        raw["groups"] = tuple(_group(one) for one in raw.get("groups", ()))
        raw["notes"] = tuple(raw["notes"])
        return cls(**raw)


def _effect(raw: dict[str, Any]) -> Effect:
    return Effect(**raw | {"effect": Estimate(*raw["effect"])})


def _group(raw: dict[str, Any]) -> GroupLift:
    effect = None if raw["effect"] is None else _effect(raw["effect"])
    return GroupLift(**raw | {"effect": effect})


def _arm(raw: dict[str, Any]) -> ArmResult:
    intervals = {
        split: {name: Estimate(*value) for name, value in raw[split].items()}
        for split in ("validation", "holdout")
    }
    return ArmResult(**raw | intervals)


def _point(raw: dict[str, Any]) -> CurvePoint:
    return CurvePoint(
        real_rows=raw["real_rows"], real=Estimate(*raw["real"]), best=Estimate(*raw["best"])
    )


NOT_MEASURED = "not measured"
"""In place of an answer, where `lift.when` is never or an older version of ganmill published."""


def lift_record(lift: Lift | None) -> dict[str, Any]:
    """Return the answer with what it rests on, JSON-able; of the arms only those confirmed."""
    if lift is None:
        return {"answer": NOT_MEASURED}
    return {
        "answer": lift.answer,
        "text": lift.text,
        "task": lift.task,
        "effect": _effect_record(lift.effect),
        "remedy": _effect_record(lift.remedy),
        "free_wins": lift.free_wins,
        "seeds": lift.seeds,
        "cpu_s": round(lift.cpu_s, 3),
    }


def _effect_record(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        "arm": effect.arm,
        "model": effect.model,
        "metric": effect.metric,
        "baseline": effect.baseline,
        "value": effect.value,
        "change": effect.effect.value,
        "low": effect.effect.low,
        "high": effect.effect.high,
        "detectable": effect.detectable,
    }
