"""YAML as recipes are written in it: small, flat and plain, whatever a file says.

Aliases may share a part and never multiply it: what a text means is counted with every alias
written out, and refused beyond `MOST_LETTERS`. Nothing is ever executed (`yaml.SafeLoader`).
"""

from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from flows.errors import RecipeError

MOST_LETTERS: Final = 1 << 21
"""Of a recipe, with every alias written out."""
MOST_LEVELS: Final = 32
"""Of keys and lists within each other."""


class _LimitError(yaml.YAMLError):
    """The text is beyond a limit."""

    def __init__(self, problem: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = mark


class _Loader(yaml.SafeLoader):
    """A loader that counts what it composes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._letters: dict[int, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose a node within the limits."""
        is_alias = self.check_event(yaml.AliasEvent)
        self._level += 1
        if self._level > MOST_LEVELS:
            problem = f"it is nested deeper than {MOST_LEVELS} levels"
            raise _LimitError(problem, _mark(parent))
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is not None and not is_alias:
            self._letters[id(node)] = self._count(node)
        if node is not None and id(node) not in self._letters:
            problem = "an alias refers to what it is part of"
            raise _LimitError(problem, _mark(parent))
        return node

    def _count(self, node: Node) -> int:
        if isinstance(node, ScalarNode):
            return len(node.value) + 1
        letters = 1
        if isinstance(node, SequenceNode):
            letters += sum(self._letters[id(child)] for child in node.value)
        if isinstance(node, MappingNode):
            _check_keys(node)
            letters += sum(self._letters[id(child)] for pair in node.value for child in pair)
        if letters > MOST_LETTERS:
            problem = (
                f"it means more than {MOST_LETTERS:,} letters once its aliases are written out"
            )
            raise _LimitError(problem, _mark(node))
        return letters


def _check_keys(node: MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            problem = "a key is a list or a mapping"
            raise _LimitError(problem, _mark(key))
        if key.value in seen:
            problem = f"the key {key.value[:80]!r} stands twice"
            raise _LimitError(problem, _mark(key))
        seen.add(key.value)


def _mark(node: Node | None) -> yaml.Mark | None:
    return None if node is None else node.start_mark


def parse_yaml(text: str) -> Any:
    """Return the plain values of a YAML text.

    Raises:
        RecipeError: the second half of a sentence: what is wrong with it, and in which line.
    """
    if len(text) > MOST_LETTERS:
        msg = f"cannot be read: it has more than {MOST_LETTERS:,} letters"
        raise RecipeError(msg)
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise RecipeError(_reason(error)) from None
    except (ValueError, OverflowError) as error:  # a date or a number that there is not
        msg = f"cannot be read: a value is impossible ({error})"
        raise RecipeError(msg) from None
    finally:
        if loader is not None:
            loader.dispose()


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    said = str(problem or "it cannot be parsed")
    lead = "cannot be read" if isinstance(error, _LimitError) else "is not YAML"
    where = f" in line {mark.line + 1}" if mark is not None else ""
    return f"{lead}: {said}{where}"
