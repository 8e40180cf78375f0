"""Lessons: what boosted trees say of the label, for the units that predict it.

The units learn the label from one class per row, and few rows hold few of the steps that a label
may depend on. Trees find such steps in the same rows, and their probabilities say more than a
class; units that are taught by them, on more rows than there are, come near the trees: Bucilă,
Caruana & Niculescu-Mizil, "Model compression" (KDD 2006); Hinton, Vinyals & Dean, "Distilling the
knowledge in a neural network" (2015). As in the first, more rows are made by mixing two that lie
near each other, here along a random direction. Sampling stays one pass of the network.

Nothing is taught that was learnt from the row itself: each row, and each that is made from it, is
answered by trees that grew on the other folds: both rows that are mixed are of one fold. A leaf
holds MIN_LEAF rows.

Shapes: N rows, P rows of the pool, M of one step, D columns in the network's order, the label the
last, J codes of the label, F columns of the trees, all but the label.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from gan.device import one_thread_everywhere
from gan.metrics.trees import MOST_LEVELS
from gan.randomness import derive, numpy_stream
from gan.tables.networks.masked_conditional import UnitLayout

Array = np.ndarray[Any, Any]

FOLDS, MIN_LEAF = 5, 20
FEWEST_ROWS, MOST_ROWS = 200, 8_000
"""Fewer teach trees nothing that a network does not see; of more it learns the label as well."""
TIMES = 8
"""The pool holds so many times as many rows."""
MIXED = 0.3
"""Share of the columns that a made row has from the other one."""
TRUTH = 0.5
"""Share of the row's own class where the row is real; the rest is the trees' answer."""
MOST_CLASSES = 20
ITERATIONS, MOST_TREES = 80, 400
"""Rounds of boosting; fewer where each grows a tree per class."""
SEEDS = 2**31


class Lessons(NamedTuple):
    """Rows, and what the label's units shall say of each."""

    codes_PD: Tensor
    """int16, counted within their column; the label's is not seen."""
    shares_PJ: Tensor

    def draw(self, rows: int, stream: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the codes (M, D) and shares (M, J) of so many rows at random."""
        rows_M = torch.randint(len(self.codes_PD), (rows,), generator=stream)
        rows_M = rows_M.to(self.codes_PD.device)
        return self.codes_PD[rows_M].long(), self.shares_PJ[rows_M]


class GrownTrees(Protocol):
    """Grown trees."""

    classes_: Array

    def predict_proba(self, rows: Array) -> Array:
        """Return the probability of each of `classes_`."""


@one_thread_everywhere()
def lessons(codes_ND: Array, layout: UnitLayout, seed: int) -> Lessons | None:
    """Return lessons from the training rows; None where there is nothing to teach.

    Args:
        codes_ND: in the network's order, counted within their column.
        layout: of the network.
        seed: of the training.
    """
    classes = layout.counts[-1]
    if not layout.label_units or layout.ordered[-1] or classes > MOST_CLASSES:
        return None
    if not FEWEST_ROWS <= len(codes_ND) <= MOST_ROWS:
        return None
    rng = numpy_stream(seed, "lessons")
    label_N, folds_N = codes_ND[:, -1], rng.permutation(len(codes_ND)) % FOLDS
    if _rarest(label_N, folds_N) < 1:
        return None
    made = [mixed(codes_ND, folds_N, layout, rng) for _ in range(TIMES - 1)]
    pool_PD = np.concatenate([codes_ND, *made])
    shares_PJ = _answers(codes_ND, folds_N, pool_PD, layout, seed)
    own_NJ = np.eye(classes)[label_N]
    shares_PJ[: len(own_NJ)] += TRUTH * (own_NJ - shares_PJ[: len(own_NJ)])
    return Lessons(
        torch.from_numpy(pool_PD.astype(np.int16)), torch.from_numpy(shares_PJ.astype(np.float32))
    )


def mixed(codes_ND: Array, folds_N: Array, layout: UnitLayout, rng: np.random.Generator) -> Array:
    """Return each row with some columns of the next one of its fold along a random direction."""
    places_N = np.zeros(len(codes_ND))
    columns = zip(codes_ND.T, layout.counts, layout.smooth, strict=True)
    for codes_N, codes, smooth in list(columns)[:-1]:
        rows_J = np.bincount(codes_N, minlength=codes)
        ranks_J = (rows_J.cumsum() - rows_J / 2) / len(codes_N) * np.sqrt(12)
        steps_J = rng.standard_normal() * ranks_J if smooth else rng.standard_normal(codes)
        places_N += steps_J[codes_N]
    order_N = np.argsort(places_N, kind="stable")
    next_N = np.empty_like(order_N)
    for fold in range(FOLDS):
        rows = order_N[folds_N[order_N] == fold]
        next_N[rows] = np.roll(rows, 1)
    taken_ND = rng.random(codes_ND.shape) < MIXED
    return np.where(taken_ND, codes_ND[next_N], codes_ND)


def _rarest(label_N: Array, folds_N: Array) -> int:
    """Return the fewest other classes that the rows outside of a fold hold."""
    return min(len(np.unique(label_N[folds_N != fold])) for fold in range(FOLDS)) - 1


def _answers(
    codes_ND: Array, folds_N: Array, pool_PD: Array, layout: UnitLayout, seed: int
) -> Array:
    """Return what trees that did not see a row of the pool say of it, (P, J)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    label_N, classes = codes_ND[:, -1], layout.counts[-1]
    levels_F = ~np.array(layout.smooth[:-1])
    inputs_NF, inputs_PF = (_inputs(each, levels_F) for each in (codes_ND, pool_PD))
    folds_P = np.tile(folds_N, TIMES)
    per_round = 1 if len(np.unique(label_N)) == 2 else classes
    shares_PJ = np.zeros((len(pool_PD), classes))
    for fold in range(FOLDS):
        trees: GrownTrees = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=min(ITERATIONS, MOST_TREES // per_round),
            max_leaf_nodes=15,
            min_samples_leaf=MIN_LEAF,
            categorical_features=levels_F,
            early_stopping=False,
            random_state=derive(seed, "lessons", fold) % SEEDS,
        ).fit(inputs_NF[folds_N != fold], label_N[folds_N != fold])
        rows_P = np.flatnonzero(folds_P == fold)
        shares_PJ[np.ix_(rows_P, trees.classes_)] = trees.predict_proba(inputs_PF[rows_P])
    return shares_PJ


def _inputs(codes_ND: Array, levels_F: Array) -> Array:
    """Return what trees look at; the last of the levels that they know is for all others."""
    inputs_NF: Array = codes_ND[:, :-1].astype(np.float64)
    most_F = np.where(levels_F, float(MOST_LEVELS - 1), np.inf)
    return np.minimum(inputs_NF, most_F)
