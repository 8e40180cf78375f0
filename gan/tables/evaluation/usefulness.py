"""What a model loses that learns from synthetic instead of real rows (TSTR against TRTR).

Train on synthetic, test on real: Esteban et al. 2017 (arXiv:1706.02633), section 4.2. Both models
learn from equally many rows and are tested on the same holdout rows; the interval is a paired
bootstrap of these.

Shapes: N rows of the holdout, B resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.ceilings import summarise
from gan.evaluation.measured import Measured
from gan.metrics.intervals import LEVELS
from gan.randomness import numpy_stream
from gan.report import Ceiling, Metric
from gan.tables.evaluation.features import Features
from gan.tables.evaluation.ground import Ground, some
from gan.tables.evaluation.targets import Target, find_targets, target_features

Array = np.ndarray[Any, Any]

BOOTSTRAPS = 200
MOST_ROWS, MOST_ROWS_CHOSEN = 20_000, 5000
"""Most rows a model learns from: for a label, and for each of several chosen targets."""
FEWEST_ROWS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """A quality on the holdout, and on resamples of it."""

    point: float
    again_B: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """One target with what real rows teach about it."""

    target: Target
    features: Features
    test: tuple[Array, Array]
    weights_BN: Array
    """The first row is the holdout itself, the others are its resamples."""
    train: pa.Table
    """Real rows to learn from."""
    real: Bootstrap
    noise_B: Array
    """Difference between two models that learned from the two halves of these real rows, about
    its mean: what the holdout and its size make of models that are equally good."""

    def learn(self, records: pa.Table) -> Bootstrap:
        """Return the quality of a model that learned from these records."""
        known_N, values = self.target.of(records)
        train = self.features.of(records)[known_N], values
        if len(known_N) < FEWEST_ROWS:
            return Bootstrap(point=0.0, again_B=np.zeros(len(self.weights_BN) - 1))
        scores = self.target.scores(train, self.test, self.features.is_levels, self.weights_BN)
        return Bootstrap(point=float(scores[0]), again_B=np.nan_to_num(scores[1:]))

    def real_of(self, rows: int, seed: int) -> Bootstrap:
        """Return what as many real rows teach, where a candidate has fewer than train."""
        if rows >= self.train.num_rows:
            return self.real
        return self.learn(some(self.train, rows, seed, "tstr-fewer"))


@dataclass(frozen=True, kw_only=True, eq=False)
class UsefulnessSide:
    """The real side of these metrics."""

    lessons: tuple[Lesson, ...]
    ground: Ground

    @property
    def notes(self) -> tuple[str, ...]:
        """Which targets were chosen, where no label says it."""
        if self.ground.splits.label is not None or not self.lessons:
            return ()
        return (
            "without a label, models predict the columns that depend most on the others: "
            + ", ".join(repr(name) for name in self._names()),
        )

    def measure(self, candidate: pa.Table) -> Iterator[Measured]:
        """Yield `tstr_gap` (of R²: `tstr_gap_r2`), and both qualities behind it."""
        if not self.lessons:
            return
        ground = self.ground
        order = numpy_stream(ground.seed, "tstr-rows").permutation(candidate.num_rows)
        learned = [
            lesson.learn(candidate.take(pa.array(order[: lesson.train.num_rows])))
            for lesson in self.lessons
        ]
        scope = "+".join(self._names())
        reals = [lesson.real_of(candidate.num_rows, ground.seed) for lesson in self.lessons]
        yield _quality("trtr", scope, reals, ground.n)
        yield _quality("tstr", scope, learned, ground.n)
        gap = _mean(reals).point - _mean(learned).point
        gaps_B = _mean(reals).again_B - _mean(learned).again_B
        noise_B = np.mean([lesson.noise_B for lesson in self.lessons], axis=0)
        low, high = np.quantile(gaps_B - gaps_B.mean(), LEVELS)
        real = summarise(noise_B.tolist(), value=0.0)
        upper = float(np.quantile(noise_B, LEVELS[1]))
        number = self.lessons[0].target.task == "number"
        metric = Metric(
            name="tstr_gap_r2" if number else "tstr_gap",
            scope=scope,
            value=gap,
            low=min(gap, gap + float(low)),
            high=max(gap, gap + float(high)),
            n=ground.n,
            ceiling=Ceiling(value=0.0, low=real.ceiling.low, high=real.ceiling.high),
            direction="lower",
        )
        upper_ends = tuple((noise_B + upper).tolist())
        yield Measured(metric=metric, reals=upper_ends, replicates=tuple(gaps_B.tolist()))

    def _names(self) -> tuple[str, ...]:
        return tuple(lesson.target.column.name for lesson in self.lessons)


def build_usefulness(ground: Ground, features: Features) -> UsefulnessSide:
    """Learn from real rows what synthetic ones will be measured by."""
    targets = find_targets(ground)
    lessons = [_lesson(ground, features, target, len(targets)) for target in targets]
    kept = tuple(lesson for lesson in lessons if np.isfinite(lesson.real.point))
    return UsefulnessSide(lessons=kept, ground=ground)


def rows_to_learn(ground: Ground) -> int:
    """Return how many fakes a model learns from at most."""
    most = MOST_ROWS if ground.splits.label is not None else MOST_ROWS_CHOSEN
    return min(most, int(ground.splits.train.num_rows))


def _lesson(ground: Ground, features: Features, target: Target, count: int) -> Lesson:
    features = target_features(features, target)
    known_N, values = target.of(ground.holdout)
    rng = numpy_stream(ground.seed, "tstr-bootstrap")
    n = ground.n
    weights_BN = np.stack(
        [
            np.ones(n),
            *(np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(BOOTSTRAPS)),
        ]
    )[:, known_N]
    most = MOST_ROWS if count == 1 else MOST_ROWS_CHOSEN
    train = some(ground.splits.train, most, ground.seed, "tstr-train")
    lesson = Lesson(
        target=target,
        features=features,
        test=(features.of(ground.holdout)[known_N], values),
        weights_BN=weights_BN,
        train=train,
        real=Bootstrap(point=0.0, again_B=np.zeros(BOOTSTRAPS)),
        noise_B=np.zeros(BOOTSTRAPS),
    )
    order = numpy_stream(ground.seed, "tstr-halves").permutation(train.num_rows)
    half = train.num_rows // 2
    one, two = (lesson.learn(train.take(pa.array(rows))) for rows in (order[:half], order[half:]))
    swings_B = one.again_B - two.again_B
    made = {"real": lesson.learn(train), "noise_B": swings_B - swings_B.mean()}
    return Lesson(**{**vars(lesson), **made})


def _mean(parts: Sequence[Bootstrap]) -> Bootstrap:
    return Bootstrap(
        point=float(np.mean([part.point for part in parts])),
        again_B=np.mean([part.again_B for part in parts], axis=0),
    )


def _quality(name: str, scope: str, parts: Sequence[Bootstrap], n: int) -> Measured:
    mean = _mean(parts)
    low, high = np.quantile(mean.again_B - mean.again_B.mean(), LEVELS)
    metric = Metric(
        name=name,
        scope=scope,
        value=mean.point,
        low=min(mean.point, mean.point + float(low)),
        high=max(mean.point, mean.point + float(high)),
        n=n,
    )
    return Measured(metric=metric)
