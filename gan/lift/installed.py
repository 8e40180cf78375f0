"""A user's own downstream model, from an installed package that names it as an entry point.

In the package's `pyproject.toml`:

    [project.entry-points."ganmill.downstream_models"]
    mine = "my_package.models:build"

The name loads something that is called without arguments and returns a fresh model with `fit` and
`predict_proba` (or `predict`, where numbers are predicted), as scikit-learn's are. It is loaded
only where the recipe's `lift.models` names it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np

from gan.errors import ConfigError, DataError, Interrupted

Array = np.ndarray[Any, Any]

GROUP = "ganmill.downstream_models"


def installed_models() -> Mapping[str, str]:
    """Return name → one sentence, of every model that an installed package brings."""
    found = sorted(metadata.entry_points(group=GROUP), key=lambda one: one.name)
    return {one.name: f"Of an installed package: {one.value}." for one in found}


def origins(names: Sequence[str]) -> dict[str, list[str]]:
    """Return name → what it loads and of which version, of the models that a package brings."""
    return {
        one.name: [one.value, "" if one.dist is None else one.dist.version]
        for one in sorted(metadata.entry_points(group=GROUP), key=lambda one: one.name)
        if one.name in names
    }


def load_model(name: str) -> Callable[[], Any]:
    """Return what builds a model of that name.

    Raises:
        ConfigError: there is none, it cannot be imported, or it cannot be called.
    """
    for one in metadata.entry_points(group=GROUP, name=name):
        try:
            build = one.load()
        except (Exception, SystemExit) as error:  # a package runs what it likes when it is imported
            msg = (
                f"the downstream model {name!r} is {one.value!r}, which cannot be imported "
                f"({error}): repair or remove the package that brings it"
            )
            raise ConfigError(msg) from error
        if callable(build):
            return build  # type: ignore[no-any-return]
        msg = f"the downstream model {name!r} is {one.value!r}, which is nothing that can be called"
        raise ConfigError(msg)
    msg = f"no installed package brings a downstream model {name!r} (entry points {GROUP!r})"
    raise ConfigError(msg)


def fit_installed(name: str, rows_ND: Array, targets_N: Array, weights_N: Array, seed: int) -> Any:
    """Return a trained model of a user, weighted where its `fit` takes `sample_weight`.

    Elsewhere rows are drawn by their weights. `random_state` is set where it has one.

    Raises:
        DataError: it cannot be loaded, built or trained.
    """
    with own_errors(name):
        return _trained(load_model(name)(), rows_ND, targets_N, weights_N, seed)


@contextmanager
def own_errors(name: str) -> Iterator[None]:
    """Turn whatever a user's model raises into one sentence, which fails its arm alone.

    Raises:
        DataError: it raised something.
    """
    try:
        yield
    except (DataError, Interrupted):
        raise
    except ConfigError as error:
        raise DataError(str(error)) from error
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split()) or "no message"
        msg = f"{name}: {type(error).__name__}: {said}"
        raise DataError(msg) from error


def _trained(model: Any, rows_ND: Array, targets_N: Array, weights_N: Array, seed: int) -> Any:
    if "random_state" in getattr(model, "get_params", dict)():
        model.set_params(random_state=seed % 2**31)
    if (weights_N == weights_N[0]).all():
        return _fitted(model, rows_ND, targets_N)
    if "sample_weight" in inspect.signature(model.fit).parameters:
        return _fitted(model, rows_ND, targets_N, sample_weight=weights_N)
    numbers = np.random.default_rng(seed)
    chosen = numbers.choice(len(targets_N), len(targets_N), p=weights_N / weights_N.sum())
    return _fitted(model, rows_ND[chosen], targets_N[chosen])


def _fitted(model: Any, rows_ND: Array, targets_N: Array, **more: Array) -> Any:
    model.fit(rows_ND, targets_N, **more)
    return model


def class_scores_of(name: str, model: Any, rows_ED: Array, count: int) -> Array:
    """Return what `class_scores` does of a user's model.

    Raises:
        DataError: it cannot answer, or its answer is no probabilities.
    """
    with own_errors(name):
        scores_EC = class_scores(model, rows_ED, count)
    if not np.isfinite(scores_EC).all():
        msg = f"{name}: predict_proba gives numbers that are not finite"
        raise DataError(msg)
    return scores_EC


def number_scores_of(name: str, model: Any, rows_ED: Array) -> Array:
    """Return the numbers (E,) that a user's model predicts.

    Raises:
        DataError: it cannot answer, or its answer is not one finite number for each row.
    """
    with own_errors(name):
        found_E = np.asarray(model.predict(rows_ED), dtype=np.float64).reshape(-1)
    if found_E.shape != (len(rows_ED),) or not np.isfinite(found_E).all():
        msg = f"{name}: predict does not give one finite number for each of {len(rows_ED)} rows"
        raise DataError(msg)
    return found_E


def class_scores(model: Any, rows_ED: Array, count: int) -> Array:
    """Return `probabilities_EC`; classes that it did not see get 0."""
    found = np.asarray(model.predict_proba(rows_ED), dtype=np.float64)
    scores_EC = np.zeros((len(rows_ED), count))
    scores_EC[:, np.asarray(model.classes_, dtype=np.int64)] = found
    return scores_EC
