"""A downstream task that costs next to nothing: two classes of ten numbers, told by their means."""

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.lift.config import LiftConfig
from gan.lift.measure import LiftRequest
from gan.lift.task import Made

NAMES = ("no", "yes")
COLUMNS = tuple("abcdefghij")


def rows(count, seed, *, share=0.5, apart=0.4):
    """Records of which a share is `yes`; the classes lie so far apart in every column."""
    numbers = np.random.default_rng(seed)
    yes = numbers.random(count) < share
    values = numbers.normal(np.where(yes, apart, 0.0)[:, None], 1.0, (count, len(COLUMNS)))
    columns = {name: values[:, i] for i, name in enumerate(COLUMNS)}
    return pa.table({**columns, "kind": np.where(yes, "yes", "no")})


def matrix(records):
    return np.stack([records[name].to_numpy() for name in COLUMNS], axis=1)


def indexes(records):
    return (records["kind"].to_numpy(zero_copy_only=False) == "yes").astype(np.int64)


class MeansTask:
    """Linear discriminant analysis on weighted rows, of which every seed sees nine in ten."""

    goal = "classes"
    what = "class of kind"
    classes = NAMES
    record_s = 0.00001

    def __init__(self, validation, holdout, models=("means",), fit_s=0.01):
        self.splits = {"validation": validation, "holdout": holdout}
        self.models = dict.fromkeys(models, "A model.")
        self.fit_s, self.fits = fit_s, []

    def remedies(self, model):  # noqa: ARG002
        return {"class weights": "Classes weigh the same."}

    def cost_s(self, model, rows, remedy=""):  # noqa: ARG002
        return self.fit_s * (1 + rows / 1000)

    def targets(self, split):
        return indexes(self.splits[split])

    def scores(self, model, data, seed):
        self.fits.append((model, data, seed))
        parts = [data.real] * data.copies + [data.synthetic] * (data.synthetic is not None)
        values = np.concatenate([matrix(part) for part in parts])
        classes = np.concatenate([indexes(part) for part in parts])
        weights = np.ones(len(classes))
        weights[data.copies * data.real.num_rows :] = data.synthetic_weight
        kept = np.random.default_rng(seed).random(len(classes)) < 0.9
        values, classes, weights = values[kept], classes[kept], weights[kept]
        if len(set(classes.tolist())) < 2:
            message = "one class alone"
            raise DataError(message)
        means = [
            np.average(values[classes == c], axis=0, weights=weights[classes == c]) for c in (0, 1)
        ]
        share = np.average(classes, weights=weights)
        tilt = 0.0 if data.remedy else np.log(share / (1 - share))
        if model == "coin":
            means[1] = means[0]
        return {split: self._score(part, means, tilt) for split, part in self.splits.items()}

    def _score(self, part, means, tilt):
        logits = (matrix(part) - (means[0] + means[1]) / 2) @ (means[1] - means[0]) + tilt
        yes = 1 / (1 + np.exp(-logits))
        return np.stack([1 - yes, yes], axis=1)


def drawing(source, seed=3):
    """A generator that draws from these records: of each class, or as they come."""
    classes = source["kind"].to_numpy(zero_copy_only=False)
    numbers = np.random.default_rng(seed)

    def make(wanted):
        if isinstance(wanted, int):
            return Made(source.take(pa.array(numbers.choice(len(classes), wanted))))
        chosen = [numbers.choice(np.flatnonzero(classes == c), n) for c, n in wanted]
        return Made(source.take(pa.array(np.concatenate(chosen))))

    return make


def shuffled(records, seed=4):
    """The same records, their labels drawn from one another."""
    labels = np.random.default_rng(seed).permutation(records["kind"].to_numpy(zero_copy_only=False))
    return records.set_column(records.column_names.index("kind"), "kind", pa.array(labels))


def swapped(records):
    """The same records, every one with the other label."""
    other = np.where(indexes(records) == 1, "no", "yes")
    return records.set_column(records.column_names.index("kind"), "kind", pa.array(other))


def request(*, seeds=3, models="auto", thorough=False, curve=False):
    config = LiftConfig(seeds=seeds, models=models)
    return LiftRequest(config=config, seed=0, label="kind", thorough=thorough, curve=curve)
