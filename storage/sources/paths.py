"""What the relative paths of a source's files say of its records: folders, partitions, splits.

A part of a path is chosen by a selector: `depth:1` is the first folder below the source, `depth:-1`
the folder that holds the file, `path:split` the first word for a split (`train`, `val`, `test` …)
among the folders and the parts of the file's name, anything else a regular expression with one
group. Folders of the form `name=value` are columns of their own, as Hive writes them. All is pure.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import unquote

import pyarrow as pa

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.split import SPLIT_VALUES, SplitConfig

PATH_SPLIT: Final = "path:split"
"""The selector of the word for a split."""

Selector = int | re.Pattern[str]
"""A folder by its depth, or an expression with one group."""

_DEPTH: Final = re.compile(r"depth:(-?[1-9]\d*)")
_WORDS: Final = "|".join(sorted(map(re.escape, SPLIT_VALUES), key=len, reverse=True))
_SPLIT: Final = re.compile(rf"(?i)(?:^|[/_.\- ])({_WORDS})(?=[/_.\- \d]|$)")
_PARTITION: Final = re.compile(r"([^=/]+)=([^/]*)")
_NOTHING: Final = "__HIVE_DEFAULT_PARTITION__"
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9]\d{0,17}")


def path_selector(value: str) -> Selector:
    """Parse a selector: `depth:N` to N, anything else to a regular expression with one group.

    Raises:
        ValueError: `depth:` without a number other than 0, a broken expression, or not one group.
    """
    depth = _DEPTH.fullmatch(value)
    if depth is not None:
        return int(depth.group(1))
    if value == PATH_SPLIT:
        return _SPLIT
    if value.startswith("depth:"):
        message = (
            f"{value!r} names no folder; write depth:1 for the first folder below the source "
            "or depth:-1 for the one that holds the file"
        )
        raise ValueError(message)
    try:
        pattern = re.compile(value)
    except re.error as error:
        message = f"{value!r} is no regular expression ({error}); correct it or write depth:1"
        raise ValueError(message) from error
    if pattern.groups != 1:
        message = (
            f"{value!r} has {pattern.groups} groups where exactly one (…) must mark the value; "
            "use (?:…) for the others"
        )
        raise ValueError(message)
    return pattern


def path_part(selector: Selector, path: str) -> str | None:
    """Return the part of a path that a selector chooses; None where there is none."""
    if isinstance(selector, int):
        folders = path.split("/")[:-1]
        index = selector - 1 if selector > 0 else selector
        return folders[index] if -len(folders) <= index < len(folders) else None
    match = selector.search(path)
    return None if match is None else match.group(1)


def partitions(path: str) -> dict[str, str | None]:
    """Return the columns that the folders of a path say in the form `name=value`."""
    pairs = (_PARTITION.fullmatch(folder) for folder in path.split("/")[:-1])
    return {
        unquote(pair.group(1)): None if pair.group(2) == _NOTHING else unquote(pair.group(2))
        for pair in pairs
        if pair is not None
    }


def typed(texts: Iterable[str | None]) -> pa.Array:
    """Return values as int64 where all that are there are whole numbers, else as text."""
    values = list(texts)
    there = [value for value in values if value is not None]
    if there and all(_WHOLE_NUMBER.fullmatch(value) for value in there):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    return pa.array(values, pa.string())


class PathColumns:
    """The columns that the paths of some files say: partitions, and what a selector chooses."""

    def __init__(self, uri: str, keys: Sequence[str]) -> None:
        self._uri = uri
        found = [partitions(key) for key in keys]
        self.names = tuple(
            name for name in (found[0] if found else ()) if all(name in one for one in found)
        )
        """The partitions that every path has."""
        self._partitions = {
            name: dict(zip(keys, typed(one[name] for one in found), strict=True))
            for name in self.names
        }

    def type(self, name: str) -> pa.DataType | None:
        """Return the type of a column; None where neither a partition nor a selector is meant."""
        if name in self._partitions:
            return next(iter(self._partitions[name].values())).type
        return pa.string() if is_selector(name) else None

    def columns(self, split: SplitConfig, names: Sequence[str]) -> tuple[str, ...]:
        """Return the columns to read from paths, besides those of these names in the files."""
        deciding = (split.column, split.group_by)
        wanted = dict.fromkeys([*self.names, *(name for name in deciding if name)])
        return tuple(name for name in wanted if name not in names and self.type(name))

    def value(self, name: str, key: str) -> pa.Scalar:
        """Return what the path of a file says for all its records.

        Raises:
            SourceError: nothing.
        """
        if name in self._partitions:
            return self._partitions[name][key]
        part = path_part(path_selector(name), key)
        if part is None:
            msg = (
                f"The path {key!r} of the source {self._uri!r} has no part {name!r}; correct it, "
                "or leave the file out with source.exclude."
            )
            raise SourceError(msg)
        return pa.scalar(part)


def is_selector(name: str) -> bool:
    """Say whether a name that no column has chooses a part of the paths."""
    try:
        path_selector(name)
    except ValueError:
        return False
    return True


def names_split(value: object) -> bool:
    """Say whether a value names a split, such as `train` or `Test`."""
    return str(value).strip().lower() in SPLIT_VALUES


def are_splits(values: Iterable[object]) -> bool:
    """Say whether values divide records: all name a split, and at least two different ones."""
    words = {str(value).strip().lower() for value in values}
    return (
        bool(words) and all(map(names_split, words)) and len({SPLIT_VALUES[w] for w in words}) > 1
    )


def split_by_path(keys: Sequence[str]) -> Proposal | None:
    """Return the setting for a split that folders or names of files say already, None for none."""
    depths = min((key.count("/") for key in keys), default=0)
    for depth in [*range(1, depths + 1), *([-1] if depths else [])]:
        found = {path_part(depth, key) for key in keys}
        if are_splits(found):
            return _proposal(f"depth:{depth}", "the folders", found)
    found = {path_part(_SPLIT, key) for key in keys}
    if None not in found and are_splits(found):
        return _proposal(PATH_SPLIT, "the names of the files", found)
    return None


def split_by_column(name: str, values: Iterable[object]) -> Proposal | None:
    """Return the setting for a split that a column says already, None where it says none."""
    found = {value for value in values if value is not None}
    return _proposal(name, f"the column {name!r}", found) if are_splits(found) else None


def _proposal(value: str, what: str, found: Iterable[object]) -> Proposal:
    words = sorted(map(str, found), key=lambda word: SPLIT_VALUES[word.strip().lower()])
    why = f"{what} divide the records already: {', '.join(words)}"
    why = why.replace("divide", "divides") if what.startswith("the column") else why
    return Proposal(setting="source.split.column", value=value, why=why)
