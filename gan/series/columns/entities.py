"""What a vocabulary of steps may rest on: of every stretch of values one of each entity.

The vocabularies of tables show no value, and no mean of values, that fewer than `g` rows hold. Of
series `g` entities must hold it, and an entity has many steps. So the sorted values are cut into
stretches of `g` entities or more, equal values together, and of each stretch every entity gives one
value. Then any `2 g` neighbouring rows are of `g` entities at least: they span three stretches or
hold `g` rows of one of them. Vocabularies are fitted on these rows with groups of `2 g`.

Shapes: N entities, T steps, P pairs of a value and an entity, M rows that are kept.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rows_of_entities(units_T: Array, entity_T: Array, g: int) -> Array:
    """Return the steps whose values a vocabulary of numbers is fitted on, (M,).

    Args:
        units_T: values, none missing.
        entity_T: the entity of each.
        g: how many entities must hold what is shown; 1 keeps all steps.
    """
    if g <= 1 or not len(units_T):
        return np.arange(len(units_T))
    order_T = np.lexsort((entity_T, units_T))
    sorted_T, owner_T = units_T[order_T], entity_T[order_T]
    new_T = (np.diff(sorted_T, prepend=np.nan) != 0) | (np.diff(owner_T, prepend=-1) != 0)
    pair_P = np.flatnonzero(new_T)
    stretch_P = _stretches(sorted_T[new_T], owner_T[new_T], g)
    order_P = np.random.default_rng(0).permutation(len(pair_P))
    place_P = stretch_P * (int(entity_T.max()) + 1) + owner_T[pair_P]
    _, first = np.unique(place_P[order_P], return_index=True)
    kept: Array = np.sort(order_T[pair_P[order_P[first]]])
    return kept


def _stretches(units_P: Array, entity_P: Array, g: int) -> Array:
    """Return the number of the stretch of each of the sorted pairs of value and entity."""
    starts = np.flatnonzero(np.diff(units_P, prepend=np.nan) != 0)
    cuts, seen = [0], set[int]()
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(units_P)], strict=True):
        if len(seen) >= g:
            cuts.append(start)
            seen = set()
        seen.update(entity_P[start:end].tolist())
    if len(seen) < g and len(cuts) > 1:
        cuts.pop()
    stretch_P = np.zeros(len(units_P), dtype=np.int64)
    stretch_P[cuts[1:]] = 1
    return np.cumsum(stretch_P)


def rows_of_levels(codes_T: Array, entity_T: Array) -> Array:
    """Return one step of every entity and level that it has, (M,)."""
    _, first = np.unique(codes_T * (int(entity_T.max(initial=0)) + 1) + entity_T, return_index=True)
    return np.sort(first)
