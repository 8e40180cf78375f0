"""In which order the variables of a step are drawn.

The gap first, for everything else follows the moment; then those of few codes, as columns of a
table are, and the others as the records have them; what is summed from others after these.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gan.series.columns.relations import Addend
from gan.series.columns.variables import Variable

MANY: Final = 32
"""Variables of so many codes are in the order of the records."""


def in_order(variables: Sequence[Variable], first: str) -> tuple[tuple[Variable, ...], list[int]]:
    """Return the variables in their order, the addends of their relations numbered so, and it.

    Args:
        variables: with their relations.
        first: name of the one that comes first, if it is among them.
    """
    wanted = sorted(
        range(len(variables)),
        key=lambda i: (variables[i].name != first, min(variables[i].own.codes, MANY), i),
    )
    order: list[int] = []
    while wanted:
        ready = next(i for i in wanted if _needs(variables[i]) <= set(order))
        wanted.remove(ready)
        order.append(ready)
    place = {index: at for at, index in enumerate(order)}
    return tuple(_renumbered(variables[index], place) for index in order), order


def _needs(variable: Variable) -> set[int]:
    """Return the variables of the same step that its sums need; predictions are found later."""
    addends = (each.addend for each in variable.relations)
    return {each.variable for each in addends if each is not None and not each.lagged}


def _renumbered(variable: Variable, place: dict[int, int]) -> Variable:
    relations = tuple(
        each
        if each.addend is None
        else replace(each, addend=Addend(place[each.addend.variable], *each.addend[1:]))
        for each in variable.relations
    )
    return replace(variable, relations=relations)
