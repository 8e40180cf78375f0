"""What a source of images shows of labels and splits, as settings that would use it.

A label file lies beside the images; folders are called like splits (`train`, `test`), like packing
(`images`, `00000`, `batch_1`) or like masks; file names begin with the class. Folder levels are
chosen by selectors of `storage.sources.paths`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import StorageError
from storage.records.proposal import Proposal
from storage.sources.checks import MIN_CLASS_RECORDS, listed
from storage.sources.config import SourceConfig
from storage.sources.images.label_file import COMPANION_SUFFIXES, LABEL_FILE_SUFFIXES, LabelFile
from storage.sources.paths import (
    are_splits,
    names_split,
    path_part,
    path_selector,
    split_by_column,
    split_by_path,
)
from storage.sources.survey import LABELS
from storage.stores.interface import ObjectInfo

if TYPE_CHECKING:
    from storage.sources.files import SourceFiles

MOST_CLASSES: Final = 1000
"""A column of more different values names the images."""

_MOST_FILES: Final = 8
"""Label files that are looked into."""
_MOST_BYTES: Final = 32 << 20
_TELLING: Final = re.compile(r"label|annot|meta|class|dataset|target|truth|train", re.IGNORECASE)
_MORE_LABELS: Final = ("class_name", "classname", "category_name", "species", "tag", "type", "dx")
_PACKING: Final = re.compile(
    r"(?:images?|imgs?|pictures?|photos?|data|dataset|files?|jpe?gs?|pngs?|tiffs?|all|raw|full"
    r"|masks?|segmentations?|annotations?|labels?|ground_?truth|gt|thumbs?|thumbnails?|previews?"
    r"|(?:batch|part|chunk|shard|folder|dir|set|group|block|subset)[_\- ]?\d+"
    r"|\d{5,}|\d{4}[_\-]\d{2}(?:[_\-]\d{2})?|0\d{2,})",
    re.IGNORECASE,
)
_MASKS: Final = re.compile(
    r"(?:masks?|segmentations?|annotations?|labels?|ground_?truth|gt|thumbs?|thumbnails?|previews?)",
    re.IGNORECASE,
)
_PREFIX: Final = r"^(?:.*/)?([^/]*?[^/\d._ \-])[._ \-]*\d+\.[^./]+$"
"""The beginning of a file name before its number."""


def is_packing(name: str) -> bool:
    """Say whether a folder is called for how files are packed, not for what they show."""
    return _PACKING.fullmatch(name) is not None


def label_file_beside(
    found: "SourceFiles", keys: Sequence[str], by_path: Sequence[str | None]
) -> tuple[Proposal, ...]:
    """Return the settings for the label file that names most images, at least half of them.

    Args:
        found: the images, and what lies beside them.
        keys: the relative paths of the images.
        by_path: the classes that their paths say: a file that says the same adds nothing.
    """
    groups: dict[str, Sequence[ObjectInfo]] = {
        f"**/*{suffix}": along
        for suffix in sorted(COMPANION_SUFFIXES)
        if 2 * len(along := _along(found, suffix)) > len(keys)
    }
    of_one = {info.key for along in groups.values() for info in along}
    infos = [info for info in found.beside if info.key not in of_one and _may_say_labels(info)]
    infos.sort(key=lambda info: (_TELLING.search(info.key) is None, info.key.count("/"), info.key))
    groups |= {info.key: [info] for info in infos[:_MOST_FILES]}
    for info in infos:
        name = PurePosixPath(info.key).name
        same = [one for one in infos if PurePosixPath(one.key).name == name]
        if 1 < len(same) <= _MOST_FILES:
            groups[f"**/{name}"] = same
    best: tuple[int, tuple[Proposal, ...]] = (len(keys) // 2, ())
    for labels, group in groups.items():
        try:
            file = LabelFile(found.uri, {i.key: found.store.get(i.key) for i in group}, keys)
            columns = file.columns()
        except StorageError:
            continue
        named, column = len(keys) - file.absent, class_column(columns)
        if column is None or named <= best[0]:
            continue
        if columns[column].cast(pa.string()).to_pylist() == by_path:
            continue
        best = named, (*_label_settings(labels, column, (named, len(keys))), *split_in(columns))
    return best[1]


def _along(found: "SourceFiles", suffix: str) -> list[ObjectInfo]:
    """Return the files of a suffix that have the name of an image."""
    stems = {str(PurePosixPath(info.key).with_suffix("")) for info in found.files}
    others = [info for info in found.beside if info.key.endswith(suffix)]
    return [info for info in others if info.key.removesuffix(suffix) in stems]


def _may_say_labels(info: ObjectInfo) -> bool:
    suffix = PurePosixPath(info.key.lower()).suffix
    return suffix in LABEL_FILE_SUFFIXES and info.size_bytes <= _MOST_BYTES


def _label_settings(labels: str, column: str, named: tuple[int, int]) -> list[Proposal]:
    name = PurePosixPath(labels).name
    why = f"this file names {named[0]:,} of the {named[1]:,} images"
    return [
        Proposal(setting="source.labels", value=labels, why=why),
        Proposal(setting="source.label", value=column, why=f"{name} says the classes there"),
    ]


def class_column(columns: Mapping[str, pa.Array]) -> str | None:
    """Return the column that says the classes: by its name, else the only one that can."""
    fit = {name: column for name, column in columns.items() if _can_be_classes(column)}
    by_name = {name.lower(): name for name in reversed(fit)}
    for wanted in (*LABELS, *_MORE_LABELS):
        if wanted in by_name:
            return by_name[wanted]
    rest = [name for name, column in fit.items() if not are_splits(_levels(column))]
    return rest[0] if len(rest) == 1 else None


def _levels(column: pa.Array) -> list[object]:
    levels: list[object] = pc.unique(column.drop_null()).to_pylist()
    return levels


def _can_be_classes(column: pa.Array) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
        return bool(pa.types.is_boolean(column.type))
    there = column.drop_null()
    levels = pc.count_distinct(there).as_py()
    return bool(2 <= levels <= MOST_CLASSES and 2 * levels <= len(there))


def split_in(columns: Mapping[str, pa.Array]) -> tuple[Proposal, ...]:
    """Return the setting for the column that says a split already, if one does."""
    for name, column in columns.items():
        if pa.types.is_string(column.type):
            proposal = split_by_column(name, _levels(column))
            if proposal is not None:
                return (proposal,)
    return ()


def folder_evidence(
    keys: Sequence[str], config: SourceConfig, beside: Sequence[Proposal]
) -> tuple[Proposal, ...]:
    """Return settings for what paths and the label file say and the recipe does not use.

    Args:
        keys: the relative paths of the images.
        config: the recipe's `source`; without a label no class is looked for.
        beside: the settings for a label file.
    """
    proposals: list[Proposal] = []
    masks = _masks(keys, config)
    proposals += masks
    if masks:
        left = re.compile("|".join(re.escape(name) for name in _mask_folders(keys)))
        keys = [key for key in keys if not any(map(left.fullmatch, key.split("/")[:-1]))]
    if config.split.column is None and config.split.holdout_uri is None:
        by_path = split_by_path(keys)
        proposals += [by_path] if by_path else []
    if config.label is not None and config.labels is None:
        if beside:
            split = any(one.setting == "source.split.column" for one in proposals)
            own = [one for one in beside if one.setting != "source.split.column"]
            proposals += own if split or config.split.column else beside
        elif config.label_from is None or not _says_classes(config.label_from, keys):
            proposals += _other_level(keys, config)
    return tuple(proposals)


def _mask_folders(keys: Iterable[str]) -> list[str]:
    folders = {folder for key in keys for folder in key.split("/")[:-1]}
    pictures = [
        name
        for name in folders
        if names_split(name) or (is_packing(name) and not _MASKS.fullmatch(name))
    ]
    return sorted(name for name in folders if pictures and _MASKS.fullmatch(name))


def _masks(keys: Sequence[str], config: SourceConfig) -> list[Proposal]:
    folders = _mask_folders(keys)
    if not folders:
        return []
    globs = [*config.exclude, *(f"**/{name}/**" for name in folders)]
    why = f"folders beside the images hold something else: {listed(folders)}"
    return [Proposal(setting="source.exclude", value=globs, why=why)]


def _says_classes(rule: str, keys: Sequence[str]) -> bool:
    """Say whether what a selector chooses looks like classes, and not like splits or packing."""
    found = Counter(path_part(path_selector(rule), key) for key in keys)
    return None not in found and not _suspicious(found)


def _suspicious(names: Iterable[str | None]) -> list[str]:
    """Return the names that look like splits or packing, where all do or several are splits."""
    there = [name for name in names if name is not None]
    odd = sorted(name for name in there if names_split(name) or is_packing(name))
    return odd if len(odd) == len(there) or are_splits(filter(names_split, odd)) else []


def _number_anew(keys: Sequence[str], names: Iterable[str | None]) -> bool:
    """Say whether folders are numbers and file names repeat in them: then they may be classes."""
    files = {key.rpartition("/")[2] for key in keys}
    return len(files) < len(keys) and all(name is not None and name.isdigit() for name in names)


def _other_level(keys: Sequence[str], config: SourceConfig) -> list[Proposal]:
    """Return the setting where the folders that are taken for classes do not look like classes."""
    rule = config.label_from or "depth:-1"
    found = Counter(path_part(path_selector(rule), key) for key in keys)
    odd = _suspicious(found)
    if None not in found and (not odd or _number_anew(keys, found)):
        return []
    why = (
        "the images lie in no folder of their own"
        if None in found
        else f"the folders {listed(odd)} are called like splits or packing, not like classes"
    )
    depth = min(key.count("/") for key in keys)
    for other in [*(f"depth:{-level}" for level in range(1, depth + 1)), _PREFIX]:
        counts = Counter(path_part(path_selector(other), key) for key in keys)
        large = all(count >= MIN_CLASS_RECORDS for count in counts.values())
        if None not in counts and len(counts) > 1 and large and not _suspicious(counts):
            where = "the file names begin" if other is _PREFIX else "this level looks"
            more = f"{why}; {where} like {listed(sorted(map(str, counts)))}"
            return [Proposal(setting="source.label_from", value=other, why=more)]
    return [Proposal(setting="source.label", value=None, why=why)]
