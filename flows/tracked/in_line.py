"""The graph of a run: its tasks one behind the other, in the order in which they are done."""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect.utilities.annotations import opaque, quote

T = TypeVar("T")


class InLine:
    """Has every task wait for the one before it, and for nothing else.

    Left to itself Prefect looks through everything that a task is given and draws an arrow from
    each task that any part of it may come from: a web of arrows, and seconds for a large report.
    """

    def __init__(self) -> None:
        self._last: Any = None

    def then(self, task: Callable[..., T]) -> Callable[..., T]:
        """Return the task as a function that puts its run behind the last one."""

        def run(*given: Any) -> T:
            before = [] if self._last is None else [opaque(self._last)]
            result = task(*(quote(each) for each in given), wait_for=before)
            self._last = self._last if result is None else result
            return result

        return run
