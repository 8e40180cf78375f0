"""Whether the nets that judge images agree with scorers of other kinds, on many candidates.

    python -m benchmarks judge_agreement                  scikit-learn's digits
    python -m benchmarks.judge_agreement IMAGES.npz       `images` and `labels`

A scorer here shares nothing
with the judge but the images: a plain convolutional classifier without normalisation that is
trained seven times as long, random convolutions of another draw, and the principal components of
the pixels. It standardises by the reference, the judge by train; coverage and Fréchet distance are
put over what another half of real images reaches. The answer is one JSON line per candidate: the
worst of each side, and how far they are apart.

Shapes: N images, F features.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from gan.images.evaluation.features import fit_extractors
from gan.images.evaluation.trained import JUDGING, Effort
from gan.metrics.distribution import frechet_distance, moments

Array = np.ndarray[Any, Any]
Features = Callable[[Array], Array]
Side = dict[str, list[Features]]
"""Kind → feature spaces, of which the mean is taken."""
Labelled = tuple[Array, Array]

K = 5
STEPS, BATCH = 1_500, 128
GREY = 3
"""Dimensions of grey images without an axis for channels."""


class PlainClassifier(nn.Module):
    """Convolutions of 32, 64 and 64 maps, pooled to 2 x 2, 64 units."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        wide = channels
        for wider in (32, 64, 64):
            layers += [nn.Conv2d(wide, wider, 3, padding=1), nn.ReLU()]
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            wide = wider
        layers[-1] = nn.AdaptiveMaxPool2d(2)
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 64), nn.ReLU())
        self.head = nn.Linear(64, classes)


def main() -> list[dict[str, Any]]:
    """Compare both sides on scikit-learn's digits."""
    torch.set_num_threads(1)
    return compare(_digits(), rows=719, compared=359)


def tiny(folder: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - nothing is written
    """Compare on a few digits with nets that learned next to nothing."""
    torch.set_num_threads(1)
    few = Effort(first=64, least=64, hard=0, epochs=0.0, most=64)
    return compare(_digits(), rows=200, compared=100, steps=5, effort=few)


def compare(
    images: Labelled,
    *,
    rows: int,
    compared: int,
    steps: int = STEPS,
    effort: Effort = JUDGING,
    given: Labelled | None = None,
) -> list[dict[str, Any]]:
    """Compare both sides on every candidate; print and return a line for each.

    Args:
        images: real images and their labels.
        rows: of train.
        compared: real images on each side of a comparison.
        steps: of the independent classifier.
        effort: of the judge's.
        given: a candidate beside those made here.
    """
    train, reference, real, unseen = _splits(images, rows, compared)
    candidates = make_candidates(train, unseen)
    if given is not None:
        candidates["given"] = given
    own: Side = {}
    for net in fit_extractors(*train, seed=0, effort=effort):
        own.setdefault(net.name, []).append(net)
    others: Side = {kind: [net] for kind, net in independent(train, steps).items()}
    lines = []
    for name, candidate in candidates.items():
        sides = [
            {kind: mean_score(nets, reference, real, candidate) for kind, nets in side.items()}
            for side in (own, others)
        ]
        ours, theirs = (worst(list(side.values())) for side in sides)
        apart = {
            "coverage": round(ours["coverage"] - theirs["coverage"], 3),
            "worst_class": round(ours["worst_class"] - theirs["worst_class"], 3),
            "fd": round(ours["fd"] / theirs["fd"], 2),
        }
        line = {"candidate": name, "judge": sides[0], "independent": sides[1], "apart": apart}
        lines.append(line)
        print(json.dumps(line), flush=True)
    return lines


def _digits() -> Labelled:
    data, labels = load_digits(return_X_y=True)
    return np.round(data.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8), labels.astype(np.int64)


def _load(path: str) -> Labelled:
    with np.load(path, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"].astype(np.int64)
    return (images if images.ndim == GREY + 1 else images[..., None]), labels


def _splits(images: Labelled, rows: int, compared: int) -> list[Labelled]:
    """Return train, reference, the real images of the ceiling, and unseen ones to damage."""
    order = np.random.default_rng(0).permutation(len(images[0]))
    cuts = np.cumsum([rows, compared, compared, compared])
    return [(images[0][part], images[1][part]) for part in np.split(order, cuts)[:4]]


def make_candidates(train: Labelled, unseen: Labelled) -> dict[str, Labelled]:
    """Return real images with and without a fault, and a mixture of Gaussians per class."""
    rng = np.random.default_rng(1)
    images, labels = unseen
    values = images.astype(np.float64)
    kept = np.resize(np.flatnonzero(labels != labels.min()), len(images))
    return {
        "real": unseen,
        "mixture": _mixture(train, labels),
        "blur": (gaussian_filter(values, (0, 0.8, 0.8, 0)).astype(np.uint8), labels),
        "grain 15": (_clipped(values + rng.normal(0, 15, images.shape)), labels),
        "grain 30": (_clipped(values + rng.normal(0, 30, images.shape)), labels),
        "class lost": (images[kept], labels[kept]),
    }


def _mixture(train: Labelled, labels_N: Array) -> Labelled:
    """Richardson & Weiss 2018 (arXiv:1805.12462), in the space of 64 principal components."""
    images, labels = train
    parts = []
    for label, count in zip(*np.unique(labels_N, return_counts=True), strict=True):
        flat = images[labels == label].reshape((labels == label).sum(), -1).astype(np.float64)
        space = PCA(min(64, len(flat) - 1, flat.shape[1]), random_state=0).fit(flat)
        mixture = GaussianMixture(max(1, min(8, len(flat) // 60)), reg_covar=1.0, random_state=0)
        drawn, _ = mixture.fit(space.transform(flat)).sample(int(count))
        made = _clipped(space.inverse_transform(drawn)).reshape(-1, *images.shape[1:])
        parts.append((made, np.full(len(made), label)))
    return np.concatenate([one for one, _ in parts]), np.concatenate([two for _, two in parts])


def _clipped(values: Array) -> Array:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def independent(train: Labelled, steps: int) -> dict[str, Features]:
    """Return feature spaces that share nothing with the judge's."""
    images, labels = train
    classes = {label: place for place, label in enumerate(np.unique(labels).tolist())}
    indexes = np.array([classes[label] for label in labels.tolist()])
    classifier = _train(images, indexes, len(classes), steps)
    random = _random(images.shape[-1])
    space = PCA(min(64, images[0].size), random_state=0)
    space.fit(images.reshape(len(images), -1))
    return {
        "classifier": lambda part: _features(classifier.trunk, part),
        "random": lambda part: _features(random, part),
        "components": lambda part: space.transform(part.reshape(len(part), -1)),
    }


def _train(images: Array, classes_N: Array, classes: int, steps: int) -> PlainClassifier:
    rng = np.random.default_rng(2)
    torch.manual_seed(2)
    net = PlainClassifier(images.shape[-1], classes)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    reach = 2 if images.shape[1] > 16 else 1
    padded = nn.functional.pad(_pixels(images), (reach,) * 4, mode="replicate")
    targets = torch.from_numpy(classes_N)
    for _ in range(steps):
        rows = rng.integers(len(images), size=BATCH)
        down, right = rng.integers(0, 2 * reach + 1, 2)
        batch = padded[rows][:, :, down : down + images.shape[1], right : right + images.shape[2]]
        logits = net.head(net.trunk(batch))
        optimiser.zero_grad()
        nn.functional.cross_entropy(logits, targets[rows], label_smoothing=0.1).backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def _random(channels: int) -> Callable[[Tensor], Tensor]:
    torch.manual_seed(3)
    layers: list[nn.Module] = []
    for narrow, wide, stride in ((channels, 64, 2), (64, 128, 2), (128, 128, 1)):
        layer = nn.Conv2d(narrow, wide, 3, stride=stride, padding=1)
        nn.init.orthogonal_(layer.weight.data.flatten(1), gain=2**0.5)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
        layers += [layer, nn.ReLU()]
    trunk = nn.Sequential(*layers)

    def features(pixels_NCHW: Tensor) -> Tensor:
        maps = trunk(pixels_NCHW)
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)

    return features


def _features(net: Callable[[Tensor], Tensor], images: Array) -> Array:
    with torch.inference_mode():
        parts = [net(_pixels(images[i : i + 500])).double() for i in range(0, len(images), 500)]
    features: Array = torch.cat(parts).numpy()
    return features


def _pixels(images: Array) -> Tensor:
    values = np.ascontiguousarray(np.moveaxis(images, -1, 1), dtype=np.float32)
    return torch.from_numpy(values) / 127.5 - 1.0


def mean_score(
    members: list[Features], reference: Labelled, real: Labelled, candidate: Labelled
) -> dict[str, float]:
    """Return the mean of `score` over feature spaces of one kind."""
    found = [score(features, reference, real, candidate) for features in members]
    return {name: round(float(np.mean([one[name] for one in found])), 3) for name in found[0]}


def score(
    features: Features, reference: Labelled, real: Labelled, candidate: Labelled
) -> dict[str, float]:
    """Return coverage, within the worst class too, and Fréchet distance, over real images'."""
    wanted_NF = features(reference[0])
    spread_F = wanted_NF.std(axis=0)
    kept_F = spread_F > 1e-3 * spread_F.max()

    def standardised(images: Array) -> Array:
        found: Array = (features(images)[:, kept_F] - wanted_NF[:, kept_F].mean(0)) / spread_F[
            kept_F
        ]
        return found

    ours, others, fakes = (standardised(part[0]) for part in (reference, real, candidate))
    fakes, labels = fakes[: len(ours)], candidate[1][: len(ours)]
    ratios = [
        _coverage(ours[reference[1] == label], fakes[labels == label])
        / max(_coverage(ours[reference[1] == label], others[real[1] == label]), 1e-9)
        for label in np.unique(reference[1])
    ]
    ceiling_fd = frechet_distance(moments(ours), moments(others))
    return {
        "coverage": round(_coverage(ours, fakes) / _coverage(ours, others), 3),
        "worst_class": round(min(ratios), 3),
        "fd": round(frechet_distance(moments(ours), moments(fakes)) / ceiling_fd, 2),
    }


def worst(found: list[dict[str, float]]) -> dict[str, float]:
    """Return the worst of several feature spaces."""
    return {
        "coverage": min(one["coverage"] for one in found),
        "worst_class": min(one["worst_class"] for one in found),
        "fd": max(one["fd"] for one in found),
    }


def _coverage(reals_NF: Array, fakes_NF: Array) -> float:
    """Naeem et al. 2020 (arXiv:2002.09797), equation 5, written without the product's code."""
    if not len(fakes_NF):
        return 0.0
    within = ((reals_NF[:, None] - reals_NF[None]) ** 2).sum(-1)
    np.fill_diagonal(within, np.inf)
    radii = np.sort(within, axis=1)[:, min(K, len(reals_NF) - 1) - 1]
    nearest = [((fakes_NF - real) ** 2).sum(-1).min() for real in reals_NF]
    return float((np.array(nearest) <= radii).mean())


def _from_the_command_line() -> None:
    parser = argparse.ArgumentParser(description="Does the judge of images agree with others?")
    parser.add_argument("images", help=".npz with `images` and `labels`")
    parser.add_argument("--train", type=int, default=2_200, help="images of train")
    parser.add_argument("--compared", type=int, default=700, help="images on each side")
    parser.add_argument("--candidate", help="such a file of synthetic images")
    words = parser.parse_args()
    torch.set_num_threads(1)
    given = _load(words.candidate) if words.candidate else None
    compare(_load(words.images), rows=words.train, compared=words.compared, given=given)


if __name__ == "__main__":
    _from_the_command_line()
