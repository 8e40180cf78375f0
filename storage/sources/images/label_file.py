"""A file beside the images that says their classes: JSON, JSON lines, CSV, TSV or text.

| form | columns |
|---|---|
| `{"labels": [[path, class], …]}` (StyleGAN), `[[path, class], …]` | `label` |
| `{path: class}`, also below `labels`; `{class: [path, …]}` | `label` |
| `{path: {…}}`, a list of entries `{"file_name": …, "class": …}`, JSON lines of them | their keys |
| COCO's `images`, `annotations` and `categories`, one category an image | `category` |
| CSV, TSV and text, with a header or without | its header; `label`, `column_3` … |

Which column holds the paths is seen by the images that it names: by the path below the source or
below the file's own folder, with or without suffix, or by the file name where that is unique.
"""

import csv
import io
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa

from storage.errors import SourceError
from storage.sources.checks import listed
from storage.sources.paths import typed

LABEL: Final = "label"
"""What the classes are called where the file has no name for them."""

LABEL_FILE_SUFFIXES: Final = frozenset({".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt"})

COMPANION_SUFFIXES: Final = frozenset({".cls", ".json", ".txt"})
"""Of files that say something of the one image of their name, as WebDataset has them."""

_PATH: Final = "path"
_DELIMITERS: Final = (",", "\t", ";", "|")
_PROBED_LINES: Final = 20
_ON_OR_OFF: Final = {"0": False, "1": True, "0.0": False, "1.0": True}
_COCO: Final = {"images", "annotations", "categories"}


@dataclass(frozen=True, kw_only=True)
class Entries:
    """What a label file says, before it is known which images it speaks of."""

    names: tuple[str, ...]
    """Of the columns; those of paths are among them."""
    rows: Sequence[Sequence[Any]]
    """As many values each as there are names: text, numbers, true and false, None for nothing."""
    texts: bool
    """Whether every value is text, whatever it stands for, as in CSV."""


class LabelFile:
    """What a label file says of some images, or several files of one form.

    Raises:
        SourceError: it is broken, of no form that is known, or names none of the images.
    """

    def __init__(self, uri: str, files: Mapping[str, bytes], keys: Sequence[str]) -> None:
        self._uri, self._keys = uri, keys
        self._name = listed(tuple(files))
        self._texts = True
        self._made: dict[str, pa.Array] = {}
        self._rows_by_key: dict[str, list[Mapping[str, Any]]] = {}
        self._names: dict[str, None] = {}
        self.unknown = 0
        """Entries that name no image."""
        stems = {_stem(key): key for key in keys}
        for name, data in files.items():
            suffix = PurePosixPath(name).suffix
            key = stems.get(_stem(name)) if suffix in COMPANION_SUFFIXES else None
            if key is not None:
                self._add_companion(name, data, key)
            elif suffix not in COMPANION_SUFFIXES or len(files) == 1:
                self._add(name, data, ImageIndex(keys, str(PurePosixPath(name).parent)))
            else:
                self.unknown += 1
        self.absent = len(keys) - len(self._rows_by_key)
        """Images that no entry names."""

    def _add(self, name: str, data: bytes, index: "ImageIndex") -> None:
        entries = self._read(name, data, index)
        paths, matches = _path_column(entries, index)
        if not any(matches):
            some = next((row[0] for row in entries.rows if row), None)
            msg = (
                f"The label file {name!r} of the source {self._uri!r} names none of the "
                f"{len(self._keys)} images (it says {some!r}, they are called like "
                f"{self._keys[0]!r}); let one column hold their paths below the source, or name "
                "another file in source.labels."
            )
            raise SourceError(msg)
        self._texts = self._texts and entries.texts
        titles = [LABEL if paths == LABEL and one == _PATH else one for one in entries.names]
        kept = [one not in (paths, "") for one in entries.names]
        self._names |= dict.fromkeys(one for one, keep in zip(titles, kept, strict=True) if keep)
        for key, row in zip(matches, entries.rows, strict=True):
            if key is None:
                self.unknown += 1
            else:
                said = zip(titles, row, kept, strict=True)
                values = {title: value for title, value, keep in said if keep}
                self._rows_by_key.setdefault(key, []).append(values)

    def _add_companion(self, name: str, data: bytes, key: str) -> None:
        """Take what a file says of the one image that has its name."""
        text = _decoded(data).strip()
        values: Any = text
        if name.endswith(".json"):
            self._texts = False
            try:
                values = json.loads(text)
            except (ValueError, RecursionError) as error:
                msg = (
                    f"The file {name!r} of the source {self._uri!r} is no JSON ({error}); correct "
                    "it, or name other files in source.labels."
                )
                raise SourceError(msg) from error
        values = values if isinstance(values, dict) else {LABEL: values}
        self._names |= dict.fromkeys(values)
        self._rows_by_key.setdefault(key, []).append(values)

    def columns(self) -> dict[str, pa.Array]:
        """Return the columns that say one value per image, in the order of the images."""
        columns = {}
        for name in self.names:
            with suppress(SourceError):
                columns[name] = self._column(name)
        return columns

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns besides the paths, and `label` where all of them are one-hot classes."""
        plain = tuple(name for name in self._names if not self._holds_lists(name))
        return (LABEL, *plain) if LABEL not in plain and self._one_hot is not None else plain

    def _holds_lists(self, name: str) -> bool:
        rows = (row for rows in self._rows_by_key.values() for row in rows)
        return any(isinstance(row.get(name), list | dict) for row in rows)

    def type(self, name: str) -> pa.DataType:
        """Return the type of a column.

        Raises:
            SourceError: an image has two values of it, or they are of a kind that is no value.
        """
        return self._column(name).type

    def values(self, name: str, keys: Iterable[str]) -> pa.Array:
        """Return the values of a column for some images, null where the file says none.

        Raises:
            SourceError: an image has two values of it, or they are of a kind that is no value.
        """
        column = self._column(name)
        places = [self._place_of_key[key] for key in keys]
        return column.take(pa.array(places, pa.int64()))

    @cached_property
    def _place_of_key(self) -> Mapping[str, int]:
        return {key: place for place, key in enumerate(self._keys)}

    def _column(self, name: str) -> pa.Array:
        if name in self._made:
            return self._made[name]
        column = self._one_hot if name == LABEL and LABEL not in self._names else None
        column = self._array(name) if column is None else column
        if column is None:
            msg = (
                f"The column {name!r} of the label file {self._name} of the source "
                f"{self._uri!r} holds lists or objects; let it hold one class per image, or name "
                "another column."
            )
            raise SourceError(msg)
        self._made[name] = column
        return column

    def _array(self, name: str) -> pa.Array | None:
        """Return a column in the order of the images; None where it holds no plain values."""
        values = [self._value(key, name) for key in self._keys]
        there = [value for value in values if value is not None]
        if not all(isinstance(value, str | int | float) for value in there):
            return None
        if self._texts:
            return typed(values)
        if all(isinstance(value, bool) for value in there):
            return pa.array(values, pa.bool_())
        if all(isinstance(value, int | float) and _is_whole(value) for value in there):
            whole = [None if value is None else int(value) for value in values]
            return pa.array(whole, pa.int64())
        if all(isinstance(value, int | float) for value in there):
            numbers = [None if value is None else float(value) for value in values]
            return pa.array(numbers, pa.float64())
        return pa.array([None if value is None else str(value) for value in values], pa.string())

    def _value(self, key: str, name: str) -> Any:
        found = [row.get(name) for row in self._rows_by_key.get(key, ())]
        found = [value for value in found if not _is_nothing(value)]
        if any(value != found[0] for value in found):
            other = next(value for value in found if value != found[0])
            msg = (
                f"The label file {self._name} of the source {self._uri!r} contradicts itself: "
                f"{name!r} of {key!r} is {found[0]!r} and {other!r}; keep one entry per image."
            )
            raise SourceError(msg)
        return found[0] if found else None

    @cached_property
    def _one_hot(self) -> pa.Array | None:
        """Return the names of the columns that are 1 where all others are 0; None: not so."""
        named = [place for place, key in enumerate(self._keys) if key in self._rows_by_key]
        try:
            arrays = {name: self._array(name) for name in self._names}
        except SourceError:
            return None
        hot: dict[str, list[bool]] = {}
        for name, column in arrays.items():
            values = [] if column is None else column.take(pa.array(named)).to_pylist()
            if values and all(str(value) in _ON_OR_OFF for value in values):
                hot[name] = [_ON_OR_OFF[str(value)] for value in values]
        rows = list(zip(*hot.values(), strict=True))
        if len(hot) < 2 or any(sum(row) != 1 for row in rows):
            return None
        names = list(hot)
        classes = dict(zip(named, (names[row.index(True)] for row in rows), strict=True))
        return pa.array([classes.get(place) for place in range(len(self._keys))], pa.string())

    def _read(self, name: str, data: bytes, index: "ImageIndex") -> Entries:
        suffix = PurePosixPath(name.lower()).suffix
        try:
            text = _decoded(data)
            if suffix in (".jsonl", ".ndjson"):
                lines = (json.loads(line) for line in text.splitlines() if line.strip())
                return _from_json(list(lines), index)
            if suffix == ".json":
                return _from_json(json.loads(text), index)
            return _from_lines(text, index)
        except (ValueError, RecursionError, csv.Error, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            msg = (
                f"The label file {name!r} of the source {self._uri!r} cannot be read "
                f'({reason}); write JSON such as {{"labels": [[path, class], …]}}, or CSV.'
            )
            raise SourceError(msg) from error


def _is_nothing(value: object) -> bool:
    """Say whether a value stands for none, as JSON's NaN does."""
    return value in (None, "") or (isinstance(value, float) and math.isnan(value))


def _is_whole(value: float) -> bool:
    return value % 1 == 0 and abs(value) < 1 << 63


class ImageIndex:
    """Finds images by what other files call them."""

    def __init__(self, keys: Sequence[str], folder: str) -> None:
        self._forms: list[tuple[Callable[[str], str], dict[str, str | None]]] = []
        below = "" if folder == "." else f"{folder}/"
        for shorten in (_same, _stem, _file_name, lambda text: _stem(_file_name(text))):
            forms: dict[str, str | None] = {}
            for key in keys:
                for path in {key, key.removeprefix(below)}:
                    form = shorten(_plain(path))
                    forms[form] = key if forms.get(form, key) == key else None
            self._forms.append((shorten, forms))

    def find(self, said: object) -> str | None:
        """Return the image that a path, a file name or a name without suffix means, if one."""
        if not isinstance(said, str | int) or isinstance(said, bool):
            return None
        text = _plain(str(said))
        for shorten, forms in self._forms:
            for form in (text, shorten(text)):
                key = forms.get(form)
                if key is not None:
                    return key
        return None


def _plain(path: str) -> str:
    text = unicodedata.normalize("NFC", path.strip()).replace("\\", "/")
    return text.removeprefix("./").lstrip("/")


def _same(path: str) -> str:
    return path


def _stem(path: str) -> str:
    return path.removesuffix(PurePosixPath(path).suffix)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _path_column(entries: Entries, index: ImageIndex) -> tuple[str, list[str | None]]:
    """Return the column that names most images, and the image of every entry."""
    best: tuple[str, list[str | None]] = ("", [None] * len(entries.rows))
    most = 0
    for place, name in enumerate(entries.names):
        matches = [index.find(row[place]) for row in entries.rows]
        found = len({match for match in matches if match is not None})
        if found > most:
            best, most = (name, matches), found
    return best


def _decoded(data: bytes) -> str:
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("cp1252", "replace")


def _from_json(raw: Any, index: ImageIndex) -> Entries:
    """Return the entries of a document.

    Raises:
        ValueError: it is of no form that is known.
    """
    if isinstance(raw, dict) and raw.keys() >= _COCO:
        return _from_coco(raw)
    if isinstance(raw, dict) and isinstance(raw.get("labels"), dict | list):
        raw = raw["labels"]
    if isinstance(raw, dict) and raw:
        return _from_mapping(raw, index)
    if isinstance(raw, list) and raw and all(isinstance(entry, dict) for entry in raw):
        return _from_objects(raw)
    if isinstance(raw, list) and raw and all(isinstance(entry, list) for entry in raw):
        width = max(len(entry) for entry in raw)
        return _named(_numbered(width), [[*entry, *[None] * (width - len(entry))] for entry in raw])
    msg = "it is of no form that says the class of an image"
    raise ValueError(msg)


def _from_mapping(raw: Mapping[str, Any], index: ImageIndex) -> Entries:
    if all(isinstance(value, list) for value in raw.values()):
        pairs = [(path, label) for label, paths in raw.items() for path in paths]
        if any(index.find(path) for path, _ in pairs):
            return _named((_PATH, LABEL), pairs)
    if all(isinstance(value, dict) for value in raw.values()):
        return _from_objects([{_PATH: path, **value} for path, value in raw.items()])
    return _named((_PATH, LABEL), list(raw.items()))


def _from_objects(raw: Sequence[Mapping[str, Any]]) -> Entries:
    names = tuple(dict.fromkeys(name for entry in raw for name in entry))
    return _named(names, [[entry.get(name) for name in names] for entry in raw])


def _from_coco(raw: Mapping[str, Any]) -> Entries:
    names = {one["id"]: one["name"] for one in raw["categories"]}
    files = {one["id"]: one["file_name"] for one in raw["images"]}
    found = {(files[one["image_id"]], names[one["category_id"]]) for one in raw["annotations"]}
    return _named(("file_name", "category"), sorted(found))


def _from_lines(text: str, index: ImageIndex) -> Entries:
    lines = [line for line in text.splitlines() if line.strip()]
    probed = lines[:_PROBED_LINES]
    counts = {mark: min((line.count(mark) for line in probed), default=0) for mark in _DELIMITERS}
    mark = max(counts, key=lambda one: counts[one])
    if counts[mark]:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=mark))
    else:
        rows = [line.rsplit(None, 1) for line in lines]
    rows = [[cell.strip() for cell in row] for row in rows]
    width = max((len(row) for row in rows), default=0)
    rows = [[*row, *[""] * (width - len(row))] for row in rows]
    headed = bool(rows) and not any(index.find(cell) for cell in rows[0])
    names = tuple(rows[0]) if headed else _numbered(width)
    return Entries(names=names, rows=rows[1:] if headed else rows, texts=True)


def _numbered(width: int) -> tuple[str, ...]:
    return (_PATH, LABEL, *(f"column_{number}" for number in range(3, width + 1)))[:width]


def _named(names: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> Entries:
    return Entries(names=names, rows=rows, texts=False)
