"""The teacher of tables: an ensemble of boosted trees that learned the label from real rows.

Each member learns from all but one of five parts and stops when the part that it does not see gets
no better (cross-validated committees: Parmanto, Munro & Doyle, NeurIPS 1995); the ensemble's answer
is the mean. The trees are LightGBM's (Ke et al. 2017, NeurIPS). A leaf holds at least MIN_LEAF real
rows, so no answer rests on few of them.

The file is JSON with the trees in LightGBM's own text format; reading it executes nothing:

    {"schema": "ganmill-table-teacher/1", "label", "classes", "members": [text, …],
     "columns": [{"name", "form", "levels"}]}

Shapes: N rows, F columns of the trees, C classes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import ConfigError, DataError, SnapshotError
from gan.metrics.trees import MOST_LEVELS
from gan.randomness import derive, numpy_stream
from gan.tables.columns.values import plain, require_metadata
from gan.tables.evaluation.columns import (
    DERIVED,
    LEVELS,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)
from storage.records.schema import Label

Array = np.ndarray[Any, Any]

SCHEMA = "ganmill-table-teacher/1"
LIBRARIES = ("lightgbm",)
"""Packages that its answers rest on, beyond those that every job needs."""
MEMBERS = 5
MIN_LEAF = 20
MOST_TREES, PATIENCE_TREES = 400, 40
FEWEST_ROWS = 50
SEEDS = 2**31
TREES: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": MIN_LEAF,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


@dataclass(frozen=True, kw_only=True)
class TaughtColumn:
    """One column that the trees look at."""

    name: str
    form: Literal["levels", "number"]
    levels: tuple[str, ...] = ()
    """Of train as text, the commonest first; what is none of them shares a number."""

    def of(self, records: pa.Table) -> Array:
        """Return the column as numbers, float64 (N,), null as NaN.

        Raises:
            DataError: the records have no such column.
        """
        if self.name not in records.column_names:
            msg = (
                f"the records have no column {self.name!r}, only {', '.join(records.column_names)}:"
                " the teacher learned from others; train the generator again"
            )
            raise DataError(msg)
        values = records[self.name]
        if self.form == "number":
            return as_numbers(values)
        found = as_levels(_texts(values), pa.array(self.levels, pa.string())).astype(np.float64)
        found[found < 0] = len(self.levels)
        found[is_null(values)] = np.nan
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class TableTeacher:
    """The ensemble for one label."""

    label: str
    classes: tuple[Label, ...]
    columns: tuple[TaughtColumn, ...]
    members: tuple[Any, ...]
    """LightGBM's boosters."""

    def predict(self, records: pa.Table) -> Array:
        """Return probabilities (N, C), or expected numbers (N,); float64.

        Raises:
            DataError: a column is missing.
        """
        features_NF = self.features(records)
        found = np.mean([one.predict(features_NF, num_threads=1) for one in self.members], axis=0)
        if len(self.classes) == 2:
            return np.stack([1 - found, found], axis=1)
        answers: Array = found
        return answers

    def features(self, records: pa.Table) -> Array:
        """Return what the trees look at, float64 (N, F)."""
        return np.stack([column.of(records) for column in self.columns], axis=1)

    def to_bytes(self) -> bytes:
        """Return the file."""
        data = {
            "schema": SCHEMA,
            "label": self.label,
            "classes": list(self.classes),
            "columns": [asdict(column) for column in self.columns],
            "members": [one.model_to_string() for one in self.members],
        }
        return json.dumps(data, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            SnapshotError: these bytes are something else.
            ConfigError: LightGBM is not installed.
        """
        trees = _lightgbm()
        try:
            raw = json.loads(data)
            if raw["schema"] != SCHEMA:
                raise ValueError(raw["schema"])  # noqa: TRY301 - one sentence for every defect
            columns = [
                TaughtColumn(**one | {"levels": tuple(one["levels"])}) for one in raw["columns"]
            ]
            members = [trees.Booster(model_str=text) for text in raw["members"]]
            label, classes = str(raw["label"]), tuple(raw["classes"])
            answers, features = _answers(len(classes)), {len(columns)}
            if not members or {one.num_feature() for one in members} != features:
                raise ValueError(features)  # noqa: TRY301
            if {one.num_model_per_iteration() for one in members} != {answers}:
                raise ValueError(classes)  # noqa: TRY301
        except (ValueError, KeyError, TypeError, trees.basic.LightGBMError) as error:
            msg = f"this is no {SCHEMA} teacher ({error!r}); delete it and run again"
            raise SnapshotError(msg) from error
        return cls(label=label, classes=classes, columns=tuple(columns), members=tuple(members))


def check(train: pa.Table, *, label: str, classes: Sequence[Label]) -> None:
    """Check that a teacher can learn the label from these rows.

    Raises:
        DataError: there are too few rows, a single class or too many of text, or no column to learn
            from.
        ConfigError: LightGBM is not installed.
    """
    _lightgbm()
    problem, rows = "", len(train) - train[label].null_count
    if rows < FEWEST_ROWS:
        problem = f"there are {rows} training rows with a label, and it needs {FEWEST_ROWS}"
    elif len(classes) == 1:
        problem = f"{label!r} has the single class {classes[0]!r} in the training rows"
    elif not classes and _is_text(train[label]):
        problem = "the label is text with more than 50 classes"
    elif not taught_columns(train, label):
        problem = "no column is left beside the label, keys, constants and text"
    if problem:
        msg = f"no teacher can learn {label!r}: {problem}; set synthesis.labels to generator"
        raise DataError(msg)


def fit(train: pa.Table, *, label: str, classes: Sequence[Label], seed: int) -> bytes:
    """Return a teacher that learned the label from these rows, as a file.

    Args:
        train: prepared rows; those without a label are left out.
        label: the column to predict.
        classes: its classes; empty for a number.
        seed: root of all randoms.

    Raises:
        DataError, ConfigError: as `check`.
    """
    check(train, label=label, classes=classes)
    train = train.filter(pa.array(~is_null(train[label])))
    columns = taught_columns(train, label)
    teacher = TableTeacher(label=label, classes=tuple(classes), columns=columns, members=())
    features_NF = teacher.features(train)
    targets_N = _targets(train[label], classes)
    parts_N = _parts(targets_N, seed, stratified=bool(classes))
    levels = [f for f, column in enumerate(columns) if column.form == "levels"]
    settings = TREES | _goal(len(classes)) | {"seed": derive(seed, "teacher") % SEEDS}
    members = [
        _grow(features_NF, targets_N, parts_N != part, levels, settings) for part in range(MEMBERS)
    ]
    return TableTeacher(
        label=label, classes=tuple(classes), columns=columns, members=tuple(members)
    ).to_bytes()


load = TableTeacher.from_bytes


def taught_columns(train: pa.Table, label: str) -> tuple[TaughtColumn, ...]:
    """Return what the trees look at: every column but the label, keys, constants and text."""
    found = []
    for column in require_metadata(train.schema).columns:
        if column.kind in DERIVED or column.name == label:
            continue
        if column.kind in LEVELS:
            levels = levels_by_count(_texts(train[column.name]))[0].slice(0, MOST_LEVELS - 1)
            named = tuple(levels.to_pylist())
            found.append(TaughtColumn(name=column.name, form="levels", levels=named))
        else:
            found.append(TaughtColumn(name=column.name, form="number"))
    return tuple(found)


def _targets(column: Any, classes: Sequence[Label]) -> Array:
    if not classes:
        return as_numbers(column)
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in classes]
    return as_levels(_texts(column), pa.array(texts, pa.string()))


def _parts(targets_N: Array, seed: int, *, stratified: bool) -> Array:
    """Return the part of every row; every class is spread evenly."""
    rng = numpy_stream(seed, "teacher-parts")
    order_N = rng.permutation(len(targets_N))
    if stratified:
        order_N = order_N[np.argsort(targets_N[order_N], kind="stable")]
    parts_N = np.empty(len(targets_N), dtype=np.int64)
    parts_N[order_N] = np.arange(len(targets_N)) % MEMBERS
    return parts_N


def _goal(classes: int) -> dict[str, Any]:
    """Return what the trees shall make small; without classes they learn a number."""
    if not classes:
        return {"objective": "regression", "metric": "l2"}
    if classes == 2:
        return {"objective": "binary", "metric": "binary_logloss"}
    return {"objective": "multiclass", "metric": "multi_logloss", "num_class": classes}


def _grow(
    features_NF: Array,
    targets_N: Array,
    seen_N: Array,
    levels: list[int],
    settings: dict[str, Any],
) -> Any:
    """Return the trees of one member; the rows it does not see say when it is enough."""
    trees = _lightgbm()
    own = trees.Dataset(
        features_NF[seen_N],
        targets_N[seen_N],
        categorical_feature=levels,
        params=settings,
    )
    unseen = trees.Dataset(features_NF[~seen_N], targets_N[~seen_N], reference=own)
    stop = trees.early_stopping(PATIENCE_TREES, verbose=False)
    grown = trees.train(settings, own, MOST_TREES, valid_sets=[unseen], callbacks=[stop])
    return trees.Booster(model_str=grown.model_to_string(num_iteration=grown.best_iteration))


def _texts(column: Any) -> Any:
    """Return levels as text; booleans as `true` and `false`."""
    return pc.cast(plain(column), pa.string())


def _is_text(column: Any) -> bool:
    type_ = plain(column).type
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _answers(classes: int) -> int:
    """Return the trees of one round: one per class, where there are more than two."""
    return classes if classes > 2 else 1


def _lightgbm() -> ModuleType:
    try:
        import lightgbm
    except ImportError as error:
        msg = (
            "synthesis.labels is 'teacher', which needs LightGBM, and it is not installed: "
            "pip install lightgbm"
        )
        raise ConfigError(msg) from error
    module: ModuleType = lightgbm
    return module
