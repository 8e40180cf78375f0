"""What users train on series: forecasts of the next step, or, with a label, the class of an entity.

With a label, an entity is a row: plain statistics of it and some convolutional kernels, by which
the models of tables predict the label. Without one, the first variable that is a number is forecast
(see `gan.series.evaluation.forecasting`): models learn from several steps of every entity how far
the next value lies from the last one, and are scored on the last step of every entity, so that
entities are the unit. Their R² is what they add to a forecast that nothing changes.

Shapes: N rows to learn from, E entities to score, F features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.lift.installed import installed_models
from gan.lift.task import Array, DownstreamTask, Goal, Split, TrainingSet
from gan.modalities import Options, Splits
from gan.series.evaluation.context import SeriesContext, build_series_context
from gan.series.evaluation.features import KernelSpace
from gan.series.evaluation.forecasting import Forecasting, ForecastRows
from gan.series.evaluation.statistics import Statistics
from gan.series.evaluation.usefulness import forecast_targets
from gan.tables.downstream import MODELS, TableTask, fit_answers
from gan.tables.downstream_models import FITS, Learning, design_of, fit_of_package, own_cost_s
from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.usefulness import Features, fit_features

KERNELS = 170
"""About so many kernel features of an entity."""
MOST_SCORED = 5000
"""Most entities of validation and of the holdout that are scored."""
RECORD_S = 0.005
"""Processor seconds that one synthetic entity takes, roughly."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EntityFeatures(Features):
    """Entities as rows: statistics, kernels and static columns without the label."""

    context: SeriesContext
    statistics: Statistics
    space: KernelSpace
    kept: Array
    """Which statistics are features: all but the label."""

    def of(self, records: pa.Table) -> Array:
        """Return `features_NF`, float64."""
        if not records.num_rows:
            return np.zeros((0, len(self.columns)))
        side = self.context.side(records)
        kernels_NF = self.space.raw(side, np.arange(side.entities)).astype(np.float64)
        return np.concatenate([self.statistics.of(side)[:, self.kept], kernels_NF], axis=1)


def entity_features(context: SeriesContext, label: str) -> EntityFeatures:
    """Return the features of entities whose label is predicted."""
    statistics, space = Statistics(context), KernelSpace(context, KERNELS)
    statics = {one.name: levels for one, levels in _static_levels(context)}
    plain = len(statistics.names)
    kept = [
        place for place, name in enumerate(statistics.all_names) if place < plain or name != label
    ]
    names = [statistics.all_names[place] for place in kept]
    none = pa.array([], pa.string())
    levels = [
        statics.get(name, none) if place >= plain else none
        for place, name in zip(kept, names, strict=True)
    ]
    is_levels = statistics.is_levels[kept]
    columns = [
        JudgedColumn(name=name, form="levels" if is_level else "number")
        for name, is_level in zip(names, is_levels.tolist(), strict=True)
    ]
    width = space.kernels.width
    columns += [JudgedColumn(name=f"kernel {place}", form="number") for place in range(width)]
    return EntityFeatures(
        columns=tuple(columns),
        levels=(*levels, *((none,) * width)),
        context=context,
        statistics=statistics,
        space=space,
        kept=np.array(kept),
    )


def _static_levels(context: SeriesContext) -> list[tuple[JudgedColumn, Any]]:
    if not context.judged.statics:
        return []
    fitted = fit_features(context.train.statics, context.judged.statics)
    return list(zip(fitted.columns, fitted.levels, strict=True))


class SeriesTask(TableTask):
    """The label of entities, predicted from their series."""

    @property
    def record_s(self) -> float:
        """Processor seconds that making one synthetic entity takes, roughly."""
        return RECORD_S


class SeriesForecast:
    """The next step of one variable, forecast from the steps before."""

    def __init__(self, context: SeriesContext, forecasting: Forecasting, seed: int) -> None:
        """Take the last step of every entity of validation and holdout."""
        self._context, self._forecasting, self._seed = context, forecasting, seed
        parts: dict[Split, pa.Table] = {
            "validation": context.splits.validation,
            "holdout": context.splits.holdout,
        }
        self._scored: dict[Split, ForecastRows] = {}
        for split, records in parts.items():
            side = context.side(records.slice(0, MOST_SCORED))
            self._scored[split] = forecasting.rows(side, seed, last_only=True)
        learned = self._rows(context.train.records).features_RF
        self._steps = len(learned) / max(1, context.train.entities)
        """Steps of an entity that are learned from."""
        count = learned.shape[1]
        statics = forecasting.statics
        flags = np.zeros(count, dtype=bool)
        levels: list[Any] = [pa.array([], pa.string())] * count
        if statics is not None:
            flags[count - len(statics.columns) :] = statics.is_levels
            levels[count - len(statics.columns) :] = statics.levels
        columns = [
            JudgedColumn(name=str(place), form="levels" if flag else "number")
            for place, flag in enumerate(flags.tolist())
        ]
        self._features = Features(columns=tuple(columns), levels=tuple(levels))
        self._design = design_of(self._features, learned)

    @property
    def goal(self) -> Goal:
        """Numbers are predicted."""
        return "numbers"

    @property
    def what(self) -> str:
        """What is predicted, for people."""
        return f"change of {self._forecasting.name} in the next step"

    @property
    def classes(self) -> tuple[str, ...]:
        """None: numbers are predicted."""
        return ()

    @property
    def models(self) -> Mapping[str, str]:
        """Name of each downstream model, those of installed packages last."""
        more = {name: why for name, why in installed_models().items() if name not in MODELS}
        return {**MODELS, **more}

    @property
    def record_s(self) -> float:
        """Processor seconds that making one synthetic entity takes, roughly."""
        return RECORD_S

    def cost_s(self, model: str, rows: int, remedy: str = "") -> float:
        """Return the processor seconds of one fit, by constants measured on one machine."""
        del remedy
        scored = sum(len(one.next_R) for one in self._scored.values())
        steps = round(rows * self._steps)
        columns = len(self._features.columns)
        return own_cost_s(model, steps, scored, columns, self._design.width, 1) + rows * 1e-4

    def remedies(self, model: str) -> Mapping[str, str]:
        """Return none: they are for classes."""
        del model
        return {}

    def targets(self, split: Split) -> Array:
        """Return how far the next value lies from the last one, scaled; float64 (E,)."""
        rows = self._scored[split]
        return rows.next_R - rows.last_R

    def scores(self, model: str, data: TrainingSet, seed: int) -> Mapping[Split, Array]:
        """Train once and return the predicted changes of both splits.

        Raises:
            DataError: no step of these entities is followed by another one, or all changes are
                equal.
        """
        parts = [(data.real, 1.0)] * data.copies
        if data.synthetic is not None:
            parts.append((data.synthetic, data.synthetic_weight))
        learned = [(self._rows(records), weight) for records, weight in parts if records.num_rows]
        rows_NF = np.concatenate([rows.features_RF for rows, _ in learned])
        targets_N = np.concatenate([rows.next_R - rows.last_R for rows, _ in learned])
        weights_N = np.concatenate([np.full(len(rows.next_R), weight) for rows, weight in learned])
        if len(np.unique(targets_N)) < 2:
            msg = (
                f"{self._forecasting.name!r} changes by one value in {len(targets_N)} steps to "
                "learn from"
            )
            raise DataError(msg)
        learning = Learning(
            rows_NF=rows_NF,
            targets_N=targets_N,
            weights_N=weights_N,
            classes=0,
            is_levels_F=self._features.is_levels,
            design=self._design,
        )
        fit = FITS.get(model) or fit_of_package(model)
        return fit(learning, {split: one.features_RF for split, one in self._scored.items()}, seed)

    def _rows(self, records: pa.Table) -> ForecastRows:
        return self._forecasting.rows(self._context.side(records), self._seed)


def build_task(splits: Splits, *, seed: int) -> DownstreamTask | None:
    """Return the learning task of series; None where nothing is predicted.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    context = build_series_context(splits, Options(seed=seed))
    own = next((one for one in context.judged.statics if one.name == splits.label), None)
    if splits.label is not None and own is not None:
        goal: Goal = "classes" if own.form == "levels" else "numbers"
        answers = fit_answers(splits.train, splits.label, goal, context.metadata.min_group)
        return SeriesTask(splits, entity_features(context, splits.label), answers, seed)
    targets = forecast_targets(context)
    if not targets:
        return None
    statics: Features | None = None
    if context.judged.statics:
        statics = fit_features(context.train.statics, context.judged.statics)
    forecasting = Forecasting(
        signals=context.signals, calendar=context.calendar, statics=statics, target=targets[0]
    )
    task = SeriesForecast(context, forecasting, seed)
    return task if all(len(task.targets(split)) for split in ("validation", "holdout")) else None
