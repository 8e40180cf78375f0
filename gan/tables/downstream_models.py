"""The downstream models of tables: from rows to scores.

Shapes: N rows to learn from, E rows to score, F columns of the features, D of the design, C
classes, H hidden units, K levels of a column.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from gan.lift.installed import class_scores, class_scores_of, fit_installed, number_scores_of
from gan.lift.task import Split
from gan.randomness import numpy_stream, stream
from gan.tables.evaluation.usefulness import Features

Array = np.ndarray[Any, Any]

ROUNDS, FEWEST_ROUNDS, TREES = 100, 20, 300
"""Boosting rounds; with many classes fewer, so that about so many trees are grown in all."""
TREE_SETTINGS: Mapping[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
MOST_DUMMIES = 30
"""Commonest levels of a column that get a column of their own in the design."""
LINEAR_STEPS = 200
HIDDEN, NET_STEPS, NET_BATCH, NET_RATE = 32, 1000, 256, 0.003


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """The map from features to columns of like spread: one per number, level and null."""

    is_levels_F: Array
    mean_F: Array
    spread_F: Array
    levels: tuple[Array, ...]
    """Levels of each column that get a column; empty for numbers."""
    has_null_F: Array

    @property
    def width(self) -> int:
        """Number of columns, D."""
        return sum(len(one) or 1 for one in self.levels) + int(self.has_null_F.sum())

    def of(self, rows_NF: Array) -> Array:
        """Return `design_ND`, float64."""
        parts = []
        for f in range(rows_NF.shape[1]):
            values, null_N = rows_NF[:, f], np.isnan(rows_NF[:, f])
            if self.is_levels_F[f]:
                parts.append((values[:, None] == self.levels[f]).astype(np.float64))
            else:
                scaled = (values - self.mean_F[f]) / self.spread_F[f]
                parts.append(np.clip(np.where(null_N, 0.0, scaled), -8, 8)[:, None])
            if self.has_null_F[f]:
                parts.append(null_N.astype(np.float64)[:, None])
        return np.concatenate(parts, axis=1)


def design_of(features: Features, rows_NF: Array) -> Design:
    """Return the design that fits the training rows."""
    is_levels_F = features.is_levels
    null_NF = np.isnan(rows_NF)
    known_F = np.maximum(1, (~null_NF).sum(axis=0))
    filled_NF = np.where(null_NF, 0.0, rows_NF)
    mean_F = filled_NF.sum(axis=0) / known_F
    away_NF = np.where(null_NF, 0.0, rows_NF - mean_F)
    spread_F = np.sqrt(np.square(away_NF).sum(axis=0) / known_F)
    levels = tuple(
        np.arange(min(MOST_DUMMIES, len(one)), dtype=np.float64) if is_levels else np.array([])
        for one, is_levels in zip(features.levels, is_levels_F.tolist(), strict=True)
    )
    return Design(
        is_levels_F=is_levels_F,
        mean_F=mean_F,
        spread_F=np.where(spread_F > 0, spread_F, 1.0),
        levels=levels,
        has_null_F=np.asarray(null_NF.any(axis=0)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Learning:
    """Weighted rows to learn from."""

    rows_NF: Array
    targets_N: Array
    """Class indexes, or numbers."""
    weights_N: Array
    classes: int
    """0 for numbers."""
    is_levels_F: Array
    design: Design

    def taking(self, chosen_M: Array) -> "Learning":
        """Return some of the rows, each as often as it is named."""
        return replace(
            self,
            rows_NF=self.rows_NF[chosen_M],
            targets_N=self.targets_N[chosen_M],
            weights_N=self.weights_N[chosen_M],
        )


Rows = Mapping[Split, Array]
Fit = Callable[[Learning, Rows, int], Mapping[Split, Array]]
"""What is learned from, `rows_EF` of both splits and a seed in; scores of both splits out."""


def fit_trees(learning: Learning, rows: Rows, seed: int) -> Mapping[Split, Array]:
    """Return the scores of LightGBM: Ke et al. 2017 (NeurIPS)."""
    import lightgbm

    count, rounds = learning.classes, rounds_of(learning.classes)
    objective = {0: "regression", 2: "binary"}.get(count, "multiclass")
    settings = {**TREE_SETTINGS, "objective": objective, "seed": seed % 2**31}
    if objective == "multiclass":
        settings["num_class"] = count
    data = lightgbm.Dataset(
        learning.rows_NF,
        learning.targets_N,
        weight=learning.weights_N,
        categorical_feature=np.flatnonzero(learning.is_levels_F).tolist(),
        params=settings,
    )
    trees = lightgbm.train(settings, data, rounds)
    scores = {split: np.asarray(trees.predict(part, num_threads=1)) for split, part in rows.items()}
    if objective == "binary":
        return {split: np.stack([1 - one, one], axis=1) for split, one in scores.items()}
    return scores


def rounds_of(classes: int) -> int:
    """Return the boosting rounds, which depend on the number of classes alone."""
    return ROUNDS if classes <= 2 else min(ROUNDS, max(FEWEST_ROUNDS, TREES // classes))


def fit_linear(learning: Learning, rows: Rows, seed: int) -> Mapping[Split, Array]:
    """Return the scores of logistic or ridge regression."""
    from sklearn.linear_model import LogisticRegression, Ridge

    del seed
    design_ND = learning.design.of(learning.rows_NF)
    if not learning.classes:
        ridge = Ridge(alpha=1.0).fit(design_ND, learning.targets_N, learning.weights_N)
        return {split: ridge.predict(learning.design.of(part)) for split, part in rows.items()}
    solver = "newton-cholesky" if learning.classes == 2 else "lbfgs"
    model = LogisticRegression(solver=solver, max_iter=LINEAR_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(design_ND, learning.targets_N, learning.weights_N)
    return {
        split: class_scores(model, learning.design.of(part), learning.classes)
        for split, part in rows.items()
    }


def fit_net(learning: Learning, rows: Rows, seed: int) -> Mapping[Split, Array]:
    """Return the scores of a network with one hidden layer, after a fixed number of steps."""
    design_ND = torch.from_numpy(learning.design.of(learning.rows_NF)).float()
    weights_N = torch.from_numpy(learning.weights_N / learning.weights_N.mean()).float()
    middle, scale = 0.0, 1.0
    if learning.classes:
        targets_N = torch.from_numpy(learning.targets_N)
    else:
        middle, scale = float(learning.targets_N.mean()), float(learning.targets_N.std()) or 1.0
        targets_N = torch.from_numpy((learning.targets_N - middle) / scale).float()
    net = _net(design_ND.shape[1], max(1, learning.classes), seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=NET_RATE)
    numbers = numpy_stream(seed, "lift-batches")
    for step in range(NET_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = NET_RATE * (1 - step / NET_STEPS)
        chosen = torch.from_numpy(numbers.integers(0, len(design_ND), NET_BATCH))
        losses = _losses(net(design_ND[chosen]), targets_N[chosen], learning.classes)
        optimiser.zero_grad(set_to_none=True)
        (losses * weights_N[chosen]).mean().backward()
        optimiser.step()
    scores = {}
    with torch.inference_mode():
        for split, part in rows.items():
            out = net(torch.from_numpy(learning.design.of(part)).float())
            scores[split] = (
                out.double().softmax(dim=1) if learning.classes else out[:, 0] * scale + middle
            )
    return {split: one.double().numpy() for split, one in scores.items()}


def _net(width: int, outputs: int, seed: int) -> torch.nn.Sequential:
    """Return the network, drawn from the seed alone."""
    numbers = stream(seed, "lift-net")
    layers = (
        torch.nn.Linear(width, HIDDEN, device="cpu"),
        torch.nn.Linear(HIDDEN, outputs, device="cpu"),
    )
    with torch.no_grad():
        for layer in layers:
            bound = float(layer.in_features**-0.5)
            for part in (layer.weight, layer.bias):
                part.uniform_(-bound, bound, generator=numbers)
    return torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])


def _losses(out: torch.Tensor, targets: torch.Tensor, classes: int) -> torch.Tensor:
    if classes:
        return torch.nn.functional.cross_entropy(out, targets, reduction="none")
    return torch.square(out[:, 0] - targets)


FITS: Mapping[str, Fit] = {"lightgbm": fit_trees, "linear": fit_linear, "mlp": fit_net}


def fit_of_package(name: str) -> Fit:
    """Return the fit of a model that an installed package brings; it takes the design."""

    def fit(learning: Learning, rows: Rows, seed: int) -> Mapping[Split, Array]:
        design_ND = learning.design.of(learning.rows_NF)
        model = fit_installed(name, design_ND, learning.targets_N, learning.weights_N, seed)
        designs = {split: learning.design.of(part) for split, part in rows.items()}
        if learning.classes:
            return {
                split: class_scores_of(name, model, design_ED, learning.classes)
                for split, design_ED in designs.items()
            }
        return {
            split: number_scores_of(name, model, design_ED) for split, design_ED in designs.items()
        }

    return fit


def own_cost_s(model: str, rows: int, scored: int, columns: int, width: int, outputs: int) -> float:
    """Return the processor seconds of a fit, by constants; an installed model counts as trees.

    Args:
        model: name of the model.
        rows: to learn from.
        scored: rows of both splits.
        columns: F.
        width: D.
        outputs: C, 1 for numbers.
    """
    both = rows + scored
    if model == "linear":
        return 0.05 + both * width * (1e-7 if outputs <= 2 else outputs * 2.5e-8)
    if model == "mlp":
        return 0.2 + NET_STEPS * (9e-4 + 3e-6 * width) + both * width * 2e-8
    trees = rounds_of(outputs if outputs > 1 else 0) * (outputs if outputs > 2 else 1)
    return trees * (6e-4 + rows * columns * 6e-9 + scored * 2e-7)
