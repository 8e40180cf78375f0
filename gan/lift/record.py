"""The answer to "does it help?" as a small record: in manifests, listings and outcomes."""

from typing import Any

from gan.lift.result import Effect, Lift

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
