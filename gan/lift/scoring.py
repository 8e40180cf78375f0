"""What downstream models are scored by: the primary metric, and everything that is reported.

The primary metric decides: the average precision of the rarer of two classes where it is rare,
their AUC where it is not; the balanced accuracy of more classes; R² of numbers. A class with fewer
than `LEAST` records in validation or holdout is not scored.

Shapes: S seeds, E records of a split, C classes, B sets of weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from gan.lift.task import DownstreamTask, Split
from gan.metrics import prediction

Array = np.ndarray[Any, Any]
Threshold = Literal["trained", "prior", "chosen"]
"""By which scores become a predicted class: as trained, each class over its prior, or by what does
best on validation."""

LEAST = 10
"""Records of a class, in validation and in the holdout each, below which it is not scored."""
RARE = 0.2
"""Below this share the rarer of two classes is what a user wants found."""

TITLES: Mapping[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "r2": "R²",
    "mae": "mean absolute error",
}
"""Metric → how a person calls it; recalls are `recall/<class>`."""
SCALES = tuple(step / 8 for step in range(17))
"""Powers of the prior, 0 to 2, among which validation chooses for more than two classes."""
MOST_THRESHOLDS = 200
"""Among which it chooses for two."""
OF_NUMBERS = ("r2", "mae")
OF_CLASSES = tuple(name for name in TITLES if name not in OF_NUMBERS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scoring:
    """The metrics of one task."""

    goal: str
    classes: tuple[str, ...]
    primary: str
    """Key of `TITLES`."""
    scored: Array
    """Indexes of the classes that have enough records."""
    positive: int | None
    """Of two classes the rarer one; None otherwise."""
    prior_C: Array
    """Shares of the classes in validation, smoothed; of one that is not scored the largest, so that
    no threshold says it more often."""

    @property
    def title(self) -> str:
        """The primary metric, for people."""
        if self.primary == "average_precision" and self.positive is not None:
            return f"average precision of {self.classes[self.positive]!r}"
        return TITLES[self.primary]

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric but the recalls."""
        return OF_NUMBERS if self.goal == "numbers" else OF_CLASSES

    @property
    def unscored(self) -> tuple[int, ...]:
        """Indexes of the classes that have too few records."""
        scored = set(self.scored.tolist())
        return tuple(index for index in range(len(self.classes)) if index not in scored)

    @property
    def has_threshold(self) -> bool:
        """Whether the primary metric asks for the predicted class, not for the order of scores."""
        return self.primary == "balanced_accuracy"

    def metric(self, name: str) -> Callable[[Array, Array, Array], Array]:
        """Return one metric as a function of targets, scores and weights."""
        return partial(self._metric, name)

    def primary_of(self, targets_E: Array, scores: Array, weights_BE: Array) -> Array:
        """Return the primary metric under each set of weights; float64 (B,)."""
        return self._metric(self.primary, targets_E, scores, weights_BE)

    def all_of(self, targets_E: Array, scores: Array, weights_BE: Array) -> dict[str, Array]:
        """Return every metric under each set of weights; float64 (B,) each."""
        found = {name: self._metric(name, targets_E, scores, weights_BE) for name in self.names}
        if self.goal == "classes":
            recalls_BC = _recalls(targets_E, scores, weights_BE)
            for index in self.scored.tolist():
                found[f"recall/{self.classes[index]}"] = recalls_BC[:, index]
        return found

    def recalls_of(self, targets_E: Array, scores_EC: Array) -> Array:
        """Return the recall of every class; float64 (C,), NaN without records."""
        recalls_C: Array = _recalls(targets_E, scores_EC, np.ones((1, len(targets_E))))[0]
        return recalls_C

    def at_threshold(
        self, scores: Mapping[Split, Array], targets_E: Array, threshold: Threshold
    ) -> dict[Split, Array]:
        """Return the scores of one fit with another threshold; the order within a class stays.

        At the prior all classes count as if they were equally common: Saerens et al. 2002 (Neural
        Computation 14, 21), equation 2.4.
        Chosen is what gives the highest balanced accuracy on validation: of two classes their
        boundary, of more a power of the prior by which all are divided (0: as trained; 1: as if
        all were equally common). One number, so that few records can say it.

        Args:
            scores: probabilities of both splits.
            targets_E: class indexes of validation.
            threshold: by what they become a class.
        """
        if threshold == "trained":
            return dict(scores)
        divisor_C = self.prior_C
        if threshold == "chosen":
            divisor_C = self._best_divisor(scores["validation"], targets_E)
        return {split: _divided(scores_EC, divisor_C) for split, scores_EC in scores.items()}

    def _best_divisor(self, scores_EC: Array, targets_E: Array) -> Array:
        """Return what divides probabilities for the highest balanced accuracy; the mildest."""
        prior_C, ones_1E = np.maximum(self.prior_C, 1e-9), np.ones((1, len(targets_E)))
        if len(prior_C) == 2:
            candidates = _boundaries(scores_EC)
        else:
            candidates = [prior_C**scale for scale in SCALES]
        values = [
            float(
                self._metric(
                    "balanced_accuracy", targets_E, _divided(scores_EC, divisor_C), ones_1E
                )[0]
            )
            for divisor_C in candidates
        ]
        return candidates[int(np.argmax(values))]

    def _metric(self, name: str, targets_E: Array, scores: Array, weights_BE: Array) -> Array:
        if name == "r2":
            return prediction.r_squared(targets_E, scores, weights_BE)
        if name == "mae":
            return prediction.mean_absolute_error(targets_E, scores, weights_BE)
        if name in ("auc", "average_precision"):
            scored = self.scored if self.positive is None else np.array([self.positive])
            return prediction.one_against_rest(name, scores, targets_E, scored, weights_BE)
        if name == "balanced_accuracy":
            return prediction.mean_present(_recalls(targets_E, scores, weights_BE)[:, self.scored])
        return PLAIN[name](scores, targets_E, weights_BE)


def _divided(scores_EC: Array, divisor_C: Array) -> Array:
    """Return scores over a number for each class, as probabilities again."""
    raised_EC = scores_EC / np.maximum(divisor_C, 1e-9)
    divided_EC: Array = raised_EC / np.maximum(raised_EC.sum(axis=1, keepdims=True), 1e-300)
    return divided_EC


def _boundaries(scores_EC: Array) -> list[Array]:
    """Return divisors that put the boundary of two classes between validation's scores.

    The boundary as trained is the first.
    """
    values = np.unique(scores_EC[:, 1])
    between = (values[1:] + values[:-1]) / 2
    if len(between) > MOST_THRESHOLDS:
        at = np.linspace(0, len(between) - 1, MOST_THRESHOLDS)
        between = between[np.round(at).astype(np.int64)]
    return [np.array([1 - one, one]) for one in (0.5, *between.tolist())]


def _accuracy(scores_EC: Array, targets_E: Array, weights_BE: Array) -> Array:
    right_E = scores_EC.argmax(axis=1) == targets_E
    found_B: Array = weights_BE @ right_E.astype(np.float64) / weights_BE.sum(axis=1)
    return found_B


def _recalls(targets_E: Array, scores_EC: Array, weights_BE: Array) -> Array:
    right_E = scores_EC.argmax(axis=1) == targets_E
    return prediction.weighted_recalls(right_E, targets_E, scores_EC.shape[1], weights_BE)


PLAIN: Mapping[str, Callable[[Array, Array, Array], Array]] = {
    "accuracy": _accuracy,
    "brier": prediction.weighted_brier,
    "log_loss": prediction.weighted_log_loss,
    "calibration_error": prediction.weighted_calibration_error,
}
"""Metrics of probabilities that ask nothing of single classes."""


def scoring_of(task: DownstreamTask) -> Scoring:
    """Return the metrics of a task; what is primary follows from validation and counts alone."""
    if task.goal == "numbers":
        nothing = np.array([], dtype=np.int64)
        return Scoring(
            goal="numbers",
            classes=(),
            primary="r2",
            scored=nothing,
            positive=None,
            prior_C=np.array([]),
        )
    counts = {split: _counts(task, split) for split in ("validation", "holdout")}
    enough = (counts["validation"] >= LEAST) & (counts["holdout"] >= LEAST)
    smoothed_C = counts["validation"] + 1.0  # Laplace
    prior_C = smoothed_C / smoothed_C.sum()
    primary, positive = "balanced_accuracy", None
    if len(task.classes) == 2:
        positive = int(np.argmin(prior_C))
        primary = "average_precision" if prior_C[positive] < RARE else "auc"
    return Scoring(
        goal="classes",
        classes=tuple(task.classes),
        primary=primary,
        scored=np.flatnonzero(enough),
        positive=positive,
        prior_C=np.where(enough, prior_C, prior_C.max()),
    )


def why_unknown(task: DownstreamTask, scoring: Scoring) -> str | None:
    """Return why the splits cannot show anything, None where they can."""
    if scoring.goal == "numbers":
        rows = min(len(task.targets("validation")), len(task.targets("holdout")))
        if rows >= 2 * LEAST:
            return None
        return f"validation and holdout have {rows} records and need {2 * LEAST}"
    if len(scoring.scored) >= 2:
        return None
    counts = np.minimum(_counts(task, "validation"), _counts(task, "holdout"))
    named = ", ".join(
        f"{name!r} {count}"
        for name, count in zip(task.classes, counts.tolist(), strict=True)
        if count < LEAST
    )
    return (
        f"two classes need {LEAST} records each in validation and in the holdout, "
        f"and too few have them ({named})"
    )


def _counts(task: DownstreamTask, split: Split) -> Array:
    return np.bincount(task.targets(split), minlength=len(task.classes))
