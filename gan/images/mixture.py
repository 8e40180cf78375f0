"""Images as a mixture of Gaussians, fitted in about a second; every group of images has its own.

A group is a class, or a cluster where there are no classes. Each gets its own principal components
(with a few rows of all groups' residuals, so that a group of twenty images has directions that it
did not show) and in them a mixture of Gaussians by expectation maximisation, each covariance drawn
towards the group's own as by a prior of a few rows.

Mixtures capture the whole distribution where adversarial training leaves modes out: Richardson and
Weiss, "On GANs and GMMs" (2018), sections 3 and 4.

Shapes: R images of a group, P values of an image, D components, K Gaussians, G groups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

ROWS_PER_GAUSSIAN = 25
"""Images that stand behind one Gaussian: fewer copy them, more blur what lies between."""
PRIOR_ROWS = 1.0
"""Weight of the group's own covariance in each Gaussian's."""
SHARED_ROWS, ENOUGH_ROWS, SHARED_SAMPLE = 3.0, 2_000, 400
"""Groups of fewer than ENOUGH_ROWS images see others' residuals with the weight of SHARED_ROWS."""
MOST_ROWS = 3_000
"""Images of a group that are looked at."""
LLOYD_STEPS, EM_STEPS = 5, 6
NEGLIGIBLE = 1e-6
"""Share of the largest sum of squares below which a direction is none."""
FEWEST = 0.5
"""Share of the images that a Gaussian shall have below which it is dissolved: each centre is in the
snapshot, and that of one or two images would show them."""
TINY = 1e-12
FLOOR = 1e-5
"""Least variance of a component, of values in [-1, 1]."""


class MixtureSize(NamedTuple):
    """How large the mixture of one group may be."""

    components: int
    gaussians: int
    rows_per_gaussian: int
    """Images that stand behind one Gaussian, at least."""


@dataclass(frozen=True)
class FittedGroup:
    """The mixture of one group."""

    mean_P: Array
    basis_DP: Array
    weights_K: Array
    centres_KD: Array
    factors_KDD: Array
    """Lower triangles whose products are the covariances."""
    residual: float
    """Variance of a value beyond the components."""


def fit_groups(
    images_RP: Array,
    groups_R: Array,
    groups: int,
    size: MixtureSize,
    rng: np.random.Generator,
) -> Sequence[FittedGroup]:
    """Return the mixture of every group; an empty group gets that of all images.

    Args:
        images_RP: values in [-1, 1].
        groups_R: group of every image.
        groups: G.
        size: how large a group's mixture may be.
        rng: what rows and first centres are drawn with.
    """
    rows = [np.flatnonzero(groups_R == group) for group in range(groups)]
    rows = [chosen if len(chosen) else np.arange(len(images_RP)) for chosen in rows]
    rows = [rng.permutation(chosen)[:MOST_ROWS] for chosen in rows]
    means = [images_RP[chosen].mean(0) for chosen in rows]
    seen = rng.permutation(len(images_RP))[:SHARED_SAMPLE]
    shared_RP = np.stack([images_RP[row] - means[groups_R[row]] for row in seen])
    return [
        _fit_group(
            images_RP[chosen],
            shared_RP if groups > 1 and len(chosen) < ENOUGH_ROWS else shared_RP[:0],
            size.components,
            min(max(len(chosen) // size.rows_per_gaussian, 1), size.gaussians),
            rng,
        )
        for chosen in rows
    ]


def _fit_group(
    images_RP: Array, shared_RP: Array, components: int, gaussians: int, rng: np.random.Generator
) -> FittedGroup:
    """Return one group's mixture."""
    rows, mean_P = len(images_RP), images_RP.mean(0)
    centred_RP = images_RP - mean_P
    weight = np.sqrt(SHARED_ROWS / max(len(shared_RP), 1))
    seen_RP = np.concatenate([centred_RP, shared_RP * weight]).astype(np.float32)
    variances_D, basis_DP = principal_components(
        seen_RP, min(components, len(seen_RP), len(mean_P))
    )
    prior_D = variances_D / (rows + SHARED_ROWS * bool(len(shared_RP))) + FLOOR
    codes_RD = (centred_RP @ basis_DP.T).astype(np.float64)
    residual = float(np.maximum((centred_RP**2).sum() - (codes_RD**2).sum(), 0.0))
    residual /= max(rows * (len(mean_P) - len(basis_DP)), 1)
    least = FEWEST * rows / gaussians
    chosen_R = dissolve_small(codes_RD, cluster(codes_RD, gaussians, rng), least)
    found = expectation_maximisation(codes_RD, chosen_R, least, own_covariances)
    if len(found.weights_K) == 1:
        found = Gaussians(np.ones(1), np.zeros_like(codes_RD[:1]), np.diag(prior_D)[None])
    return FittedGroup(
        mean_P.astype(np.float32),
        basis_DP,
        found.weights_K,
        found.centres_KD.astype(np.float32),
        np.linalg.cholesky(found.covariances_KDD).astype(np.float32),
        max(residual, FLOOR),
    )


def principal_components(centred_RP: Array, components: int) -> tuple[Array, Array]:
    """Return the largest sums of squares along orthogonal directions, and these (D, P).

    Directions in which nothing lies are left out.
    """
    rows, values = centred_RP.shape
    if values <= rows:
        squares, vectors = np.linalg.eigh((centred_RP.T @ centred_RP).astype(np.float64))
        largest = np.argsort(-squares)[:components]
        largest = largest[squares[largest] > NEGLIGIBLE * max(float(squares.max()), NEGLIGIBLE)]
        return squares[largest], vectors[:, largest].T.astype(centred_RP.dtype)
    squares, vectors = np.linalg.eigh((centred_RP @ centred_RP.T).astype(np.float64))
    largest = np.argsort(-squares)[:components]
    largest = largest[squares[largest] > NEGLIGIBLE * max(float(squares.max()), NEGLIGIBLE)]
    basis_DP = vectors[:, largest].T @ centred_RP / np.sqrt(squares[largest])[:, None]
    return squares[largest], basis_DP.astype(centred_RP.dtype)


class Gaussians(NamedTuple):
    """A mixture."""

    weights_K: Array
    centres_KD: Array
    covariances_KDD: Array


Covariances = Callable[[Array, Array, int], Array]
"""From the scatter matrices of Gaussians, the rows that each has, and of how many rows in all."""


def expectation_maximisation(
    codes_RD: Array, chosen_R: Array, least: float, covariances: Covariances
) -> Gaussians:
    """Return the Gaussians that clusters become.

    Args:
        codes_RD: coordinates of the images.
        chosen_R: the cluster of each, from 0.
        least: images that stand behind each of several; one with fewer leaves them to the others.
        covariances: what scatter matrices are drawn towards.
    """
    shares_RK = np.eye(chosen_R.max() + 1)[chosen_R]
    for step in range(EM_STEPS):
        counts_K = shares_RK.sum(0)
        shares_RK = shares_RK[:, counts_K >= min(least, counts_K.max())]
        shares_RK = shares_RK / np.maximum(shares_RK.sum(1, keepdims=True), TINY)
        found = _moments(codes_RD, shares_RK, covariances)
        if step < EM_STEPS - 1:
            shares_RK = _gaussian_shares(codes_RD, found)
    return found


def dissolve_small(codes_RD: Array, chosen_R: Array, least: float) -> Array:
    """Return clusters, numbered from 0, of at least so many rows; others go to the nearest left."""
    counts_K = np.bincount(chosen_R)
    while len(counts_K) > 1 and counts_K.min() < least:
        kept = np.arange(len(counts_K)) != counts_K.argmin()
        centres_KD = np.stack(
            [codes_RD[chosen_R == index].mean(0) for index in np.flatnonzero(kept & (counts_K > 0))]
        )
        chosen_R = _squares(codes_RD, centres_KD).argmin(1)
        counts_K = np.bincount(chosen_R, minlength=len(centres_KD))
        if counts_K.min() == 0:
            chosen_R = np.unique(chosen_R, return_inverse=True)[1]
            counts_K = np.bincount(chosen_R)
    return chosen_R


def _moments(codes_RD: Array, shares_RK: Array, covariances: Covariances) -> Gaussians:
    """Return the Gaussians of rows that belong to them by shares."""
    counts_K = shares_RK.sum(0)
    centres_KD = shares_RK.T @ codes_RD / counts_K[:, None]
    scatter_KDD = np.stack(
        [
            ((codes_RD - centre_D) * share_R[:, None]).T @ (codes_RD - centre_D)
            for centre_D, share_R in zip(centres_KD, shares_RK.T, strict=True)
        ]
    )
    covariances_KDD = covariances(scatter_KDD, counts_K, len(codes_RD))
    return Gaussians(counts_K / counts_K.sum(), centres_KD, covariances_KDD)


def own_covariances(scatter_KDD: Array, counts_K: Array, rows: int) -> Array:
    """Return covariances that are drawn towards the group's own variances."""
    within_D = np.einsum("kdd->d", scatter_KDD) / rows + FLOOR
    covariances_KDD = scatter_KDD + PRIOR_ROWS * np.diag(within_D)
    covariances: Array = covariances_KDD / (counts_K + PRIOR_ROWS)[:, None, None]
    return covariances


def cluster(codes_RD: Array, k: int, rng: np.random.Generator) -> Array:
    """Return the cluster of each row: Lloyd's algorithm from k-means++ centres.

    Arthur and Vassilvitskii, "k-means++" (2007), section 2.2.
    """
    centres_KD = codes_RD[rng.integers(len(codes_RD), size=1)]
    while len(centres_KD) < k:
        nearest_R = _squares(codes_RD, centres_KD).min(1)
        total = nearest_R.sum()
        chances_R = nearest_R / total if total > 0 else None
        chosen = rng.choice(len(codes_RD), p=chances_R)
        centres_KD = np.concatenate([centres_KD, codes_RD[chosen : chosen + 1]])
    for _ in range(LLOYD_STEPS):
        nearest_R = _squares(codes_RD, centres_KD).argmin(1)
        centres_KD = np.stack(
            [
                codes_RD[nearest_R == index].mean(0) if (nearest_R == index).any() else centre_D
                for index, centre_D in enumerate(centres_KD)
            ]
        )
    nearest: Array = _squares(codes_RD, centres_KD).argmin(1)
    return nearest


def _squares(codes_RD: Array, centres_KD: Array) -> Array:
    """Return squared distances (R, K)."""
    squares_RK = (codes_RD**2).sum(1)[:, None] + (centres_KD**2).sum(1)
    distances: Array = np.maximum(squares_RK - 2 * codes_RD @ centres_KD.T, 0.0)
    return distances


def _gaussian_shares(codes_RD: Array, gaussians: Gaussians) -> Array:
    """Return how much of each row every Gaussian accounts for, (R, K)."""
    log_RK = np.stack(
        [
            np.log(weight) + _log_density(codes_RD - centre_D, covariance_DD)
            for weight, centre_D, covariance_DD in zip(*gaussians, strict=True)
        ],
        axis=1,
    )
    shares_RK = np.exp(log_RK - log_RK.max(1, keepdims=True))
    shares: Array = shares_RK / shares_RK.sum(1, keepdims=True)
    return shares


def _log_density(centred_RD: Array, covariance_DD: Array) -> Array:
    """Return the log of a Gaussian's density, up to a constant."""
    factor_DD = np.linalg.cholesky(covariance_DD)
    scaled_DR = np.linalg.solve(factor_DD, centred_RD.T)
    density: Array = -0.5 * (scaled_DR**2).sum(0) - np.log(np.diag(factor_DD)).sum()
    return density
