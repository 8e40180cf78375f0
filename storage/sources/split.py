r"""Which record is trained on, chosen by, or held out: pure functions of the content of records.

A record's split depends on its content alone. With `digest = blake2b(SALT + content)` and `u =
digest / 2**128` in [0, 1): holdout below h, validation below h + v, else train. Content is the
decoded pixels and their shape, or the values of a row, never the label, so that equal records fall
into one split and a record keeps its split for ever, whatever the order, the seed, the recipe or
new data.

The content of a row is one text that says its values and nothing of how they are stored: equal
values give equal texts whatever their type, unit or scale, such as 1.50 as a decimal and 1.5 as a
float, or a time in seconds and in microseconds. It is the columns in the order of their names,
joined by tabs; in text a backslash, a tab and a line end are written `\\`, `\t` and `\n`, so that
no text can pass for two, and a missing value is `\N`.

| type | text of a value |
|---|---|
| text | itself |
| whole number | its digits |
| float | the shortest digits that read back as it; -0.0 as 0; NaN is missing |
| decimal | its digits without zeros at the end |
| boolean | true, false |
| date | days since 1970-01-01 |
| timestamp | microseconds since 1970-01-01 00:00 (UTC where it has a zone) |
| time | microseconds since midnight |

Shape legend: N records, 16 bytes of a digest.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from storage.records.schema import FROZEN

SALT: Final = b"ganmill-split/1\0"
"""Part of the rule: another salt would move every record."""

DIGEST_BYTES: Final = 16
TRAIN: Final = "train"
VALIDATION: Final = "validation"
HOLDOUT: Final = "holdout"

SPLITS: Final = (TRAIN, VALIDATION, HOLDOUT)
"""The names, in the order of the numbers 0, 1, 2."""

SPLIT_VALUES: Final = {
    "train": 0,
    "training": 0,
    "tr": 0,
    "validation": 1,
    "valid": 1,
    "val": 1,
    "dev": 1,
    "holdout": 2,
    "hold-out": 2,
    "heldout": 2,
    "test": 2,
    "testing": 2,
    "eval": 2,
}
"""What a column of the user's own split may say (any case) → the number of its split."""

_BLOCK_ROWS: Final = 1 << 15
_MISSING: Final = r"\N"


class SplitConfig(BaseModel):
    """How records are divided into train, validation and holdout."""

    model_config = FROZEN

    validation: float = Field(default=0.2, gt=0, lt=1, title="Validation fraction")
    """Fraction of the records that choices (snapshot, early stop) are made on."""
    holdout: float = Field(default=0.2, gt=0, lt=1, title="Holdout fraction")
    """Fraction of the records that only the final evaluation sees."""
    column: str | None = Field(default=None, title="Split column")
    """A column that already says train, validation or holdout (also: val, dev, test, eval), or a
    part of the files' paths: `depth:1` for the first folder, `path:split` for such a word in any
    folder or file name, a regular expression with one group. Validation or holdout that it never
    says are taken by hash from train."""
    group_by: str | None = Field(default=None, title="Group by")
    """A column whose equal values stay on one side, such as a person; or a part of the files'
    paths: `depth:N` or a regular expression with one group."""
    holdout_uri: str | None = Field(default=None, title="Holdout URI")
    """A source of its own for the holdout, read like `source.uri` (profile, label, globs);
    validation then comes by hash from `source.uri`."""

    @model_validator(mode="after")
    def _consistent(self) -> "SplitConfig":
        if self.validation + self.holdout >= 1:
            message = (
                f"split.validation {self.validation} and split.holdout {self.holdout} leave "
                "nothing to train on; keep their sum below 1"
            )
            raise ValueError(message)
        if self.column is not None and (self.holdout_uri is not None or self.group_by is not None):
            message = (
                f"split.column {self.column!r} already decides every record; remove "
                "split.group_by and split.holdout_uri, or split.column"
            )
            raise ValueError(message)
        return self


def split_rule(config: SplitConfig, *, by_occurrence: bool = False) -> dict[str, Any]:
    """Describe the rule as it is stored beside snapshots and versions; JSON-able.

    Two generators are comparable only when their rules are equal. The URI of a separate holdout
    is private and appears as a digest.
    """
    uri = config.holdout_uri
    return {
        "schema": SALT.rstrip(b"\0").decode(),
        "by": "column" if config.column else "group" if config.group_by else "content",
        "rows": "occurrence" if by_occurrence else "distinct",
        "validation": config.validation,
        "holdout": None if config.column or uri else config.holdout,
        "column": config.column,
        "group_by": config.group_by,
        "holdout_uri_digest": None if uri is None else blake2b(uri.encode()).hexdigest()[:32],
    }


def assign(digests: NDArray[np.uint8], *, validation: float, holdout: float) -> NDArray[np.uint8]:
    """Return the split of every record, `splits_N`: 0 train, 1 validation, 2 holdout.

    The digests (N, 16) are of the content or of the group. `validation` and `holdout` are
    fractions, 0 for a holdout that comes from elsewhere.
    """
    u = units(digests)
    splits_N = np.zeros(len(u), np.uint8)
    splits_N[u < holdout + validation] = SPLITS.index(VALIDATION)
    splits_N[u < holdout] = SPLITS.index(HOLDOUT)
    return splits_N


def units(digests: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Map digests (N, 16) to numbers in [0, 1): their first 53 bits as a fraction."""
    leading = np.ascontiguousarray(digests[:, :8]).view(">u8")[:, 0].astype(np.uint64)
    return (leading >> np.uint64(11)).astype(np.float64) * 2.0**-53


def leaks(digests: NDArray[np.uint8], splits_N: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the records that are equal to a record of a later split (train < validation < holdout).

    Left out, they make the three splits disjoint without touching the holdout.
    """
    order, starts = _grouped(digests)
    group = np.cumsum(starts) - 1
    latest = np.zeros(int(starts.sum()), np.uint8)
    np.maximum.at(latest, group, splits_N[order])
    marked = np.empty(len(order), np.bool_)
    marked[order] = splits_N[order] < latest[group]
    return marked


def copies_of(digests: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the records that are equal to one of the others."""
    splits_N = np.repeat(np.array([0, 1], np.uint8), [len(digests), len(others)])
    return leaks(np.concatenate([digests, others]), splits_N)[: len(digests)]


def repeated(digests: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the records that are equal to another one."""
    order, starts = _grouped(digests)
    group = np.cumsum(starts) - 1
    marked = np.empty(len(order), np.bool_)
    marked[order] = np.bincount(group)[group] > 1
    return marked


def occurrences(digests: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number the copies of every record: 0 for the first with its digest, 1 for the second."""
    order, starts = _grouped(digests)
    first_of_group = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.arange(len(order)) - first_of_group
    return numbers


def with_occurrence(digests: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give every further copy of a record a digest of its own; the first copy keeps its digest.

    For sources in which most rows are copies: copies are equal, so numbering them in any order
    gives the same sets of records.
    """
    numbers = occurrences(digests)
    result, copies = digests.copy(), np.flatnonzero(numbers)
    result[copies] = _digested(
        digests[row].tobytes() + int(numbers[row]).to_bytes(8, "little") for row in copies
    )
    return result


def distinct_rows(digests: NDArray[np.uint8]) -> int:
    """Count the different digests among (N, 16)."""
    return int(_grouped(digests)[1].sum())


def _grouped(digests: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a stable order that brings equal digests together and where each group starts."""
    words = np.ascontiguousarray(digests).view(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[order]
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, starts


def content_digests(images_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digest images: shape and decoded 8-bit pixels, in the narrowest form that loses nothing.

    A colour image whose channels are equal is digested as grey, and an opaque alpha is left out:
    so an image has one digest however many channels it is stored in or widened to.

    Returns:
        uint8 array of shape (N, 16).
    """
    _, height, width, _ = images_NHWC.shape
    digests = np.empty((len(images_NHWC), DIGEST_BYTES), np.uint8)
    narrowest_N = _narrowest(images_NHWC)
    for channels in np.unique(narrowest_N):
        rows = np.flatnonzero(narrowest_N == channels)
        pixels = np.ascontiguousarray(images_NHWC[rows, :, :, :channels]).reshape(len(rows), -1)
        shape = np.array([height, width, channels], "<u4").tobytes()
        digests[rows] = _digested((image.data for image in pixels), shape)
    return digests


def _narrowest(images_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the channels (1, 3 or 4) that each image needs."""
    channels = images_NHWC.shape[3]
    narrowest_N = np.full(len(images_NHWC), channels, np.uint8)
    if channels == 1:
        return narrowest_N
    opaque_N = np.ones(len(images_NHWC), np.bool_)
    if channels == 4:
        opaque_N = (images_NHWC[..., 3] == 255).all(axis=(1, 2))
    grey_N = (images_NHWC[..., :2] == images_NHWC[..., 1:3]).all(axis=(1, 2, 3))
    narrowest_N[opaque_N] = 3
    narrowest_N[opaque_N & grey_N] = 1
    return narrowest_N


def row_digests(table: pa.Table, columns: Sequence[str]) -> NDArray[np.uint8]:
    """Digest N rows of plain types: the texts of their values in some columns, in any order.

    Returns:
        uint8 array of shape (N, 16).
    """
    blocks = row_texts(table, columns)
    return _digested(text for texts in blocks for text in texts.to_pylist())


def value_digests(values: Iterable[object]) -> NDArray[np.uint8]:
    """Digest the values of a grouping column by their text, so that 7 and "7" are one group.

    Returns:
        uint8 array of shape (N, 16).
    """
    return _digested(str(value).encode() for value in values)


def _digested(contents: Iterable[bytes | memoryview], shape: bytes = b"") -> NDArray[np.uint8]:
    """Digest the salt, the shape and each content: uint8 (N, 16)."""
    start = blake2b(SALT + shape, digest_size=DIGEST_BYTES)
    digests = bytearray()
    for content in contents:
        digest = start.copy()
        digest.update(content)
        digests += digest.digest()
    return as_digests(bytes(digests))


def as_digests(data: bytes) -> NDArray[np.uint8]:
    """View concatenated digests as a uint8 array of shape (N, 16)."""
    return np.frombuffer(data, np.uint8).reshape(-1, DIGEST_BYTES)


def row_texts(table: pa.Table, columns: Sequence[str]) -> Iterator[pa.Array]:
    """Yield the texts of the rows in blocks, as binary arrays; the columns may be in any order.

    They are of plain types (`storage.sources.tables.types`).
    """
    ordered = sorted(columns)
    for start in range(0, len(table), _BLOCK_ROWS):
        block = table.slice(start, _BLOCK_ROWS)
        texts = [_texts(block.column(name).combine_chunks()) for name in ordered]
        joined = pc.binary_join_element_wise(
            *texts, "\t", null_handling="replace", null_replacement=_MISSING
        )
        yield joined.cast(pa.binary())


def _texts(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_string(kind):
        return _escaped(values)
    if pa.types.is_floating(kind):
        return _float_texts(values)
    if pa.types.is_decimal(kind):
        return _decimal_texts(values)
    if pa.types.is_date(kind):
        return values.cast(pa.date32()).cast(pa.int32()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        plain = values.cast(pa.timestamp("us", kind.tz), safe=False)
        return plain.cast(pa.int64()).cast(pa.string())
    if pa.types.is_time(kind):
        return values.cast(pa.time64("us"), safe=False).cast(pa.int64()).cast(pa.string())
    return values.cast(pa.string())


def _escaped(values: pa.Array) -> pa.Array:
    for plain, written in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n")):
        values = pc.replace_substring(values, plain, written)
    return values


def _float_texts(values: pa.Array) -> pa.Array:
    numbers = pc.add(values, pa.scalar(0, values.type))  # -0.0 + 0 is 0
    nothing = pa.scalar(None, values.type)
    return pc.if_else(pc.is_nan(numbers), nothing, numbers).cast(pa.string())


def _decimal_texts(values: pa.Array) -> pa.Array:
    texts = pc.utf8_lower(values.cast(pa.string()))
    texts = pc.replace_substring_regex(texts, r"^(-?\d+)\.(\d*?)0*(e.*)?$", r"\1.\2\3")
    return pc.replace_substring_regex(texts, r"\.(e|$)", r"\1")
