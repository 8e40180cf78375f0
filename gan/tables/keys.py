"""Keys and patterns: values of a form, made from the number of a row alone.

Forms are those of `storage.records.text_patterns`. A key of integers has digits and an optional
leading `-` only; its first digit is no zero. Check digits are computed from all others.

A key of row i is the i-th value of a keyed permutation of the form's values: a Feistel network on
the smallest even number of bits that holds them, with cycle walking (Black and Rogaway 2002,
Ciphers with arbitrary finite domains, sections 3 and 5). So keys are unique over all shards,
whoever makes them. Forms of more than 2^62 values are cut into chunks of digits: the first is the
permutation, the others are hashes of the row. The mixing function is that of splitmix64 (Steele et
al. 2014); this scrambles, it does not encrypt.

Shapes: N rows.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.randomness import derive
from storage.records.text_patterns import (
    ALPHABETS,
    CHECKS,
    check_digits,
    parse_form,
    with_iban,
    with_luhn,
)

Array = np.ndarray[Any, Any]

LARGEST = 2**62
"""Most values of one chunk."""
ROUNDS = 8


class Texts:
    """Strings of a form: unique keys, or patterns, which may repeat."""

    def __init__(self, form: str, *, unique: bool = True) -> None:
        """Read the form.

        Raises:
            DataError: it ends in a backslash.
        """
        self.form, self.unique, self.check = form, unique, check_digits(form)
        self.characters = _parse(form)
        self.capacity = math.prod(len(alphabet) for alphabet in self.characters)

    def make(self, first_row: int, rows: int, key: int) -> Any:
        """Return an Arrow array of strings.

        Args:
            first_row: number of the first row in the whole data set.
            rows: how many.
            key: of the permutation.

        Raises:
            DataError: the form has fewer texts than rows.
        """
        numbers_N = np.arange(first_row, first_row + rows, dtype=np.int64)
        if self.unique:
            _check_room(self.form, self.capacity, first_row + rows)
        longest = max((len(text) for texts in self.characters for text in texts), default=1)
        texts = np.empty((rows, len(self.characters)), dtype=f"<U{longest}")
        for index, chunk in enumerate(self._chunks()):
            size = math.prod(len(self.characters[position]) for position in chunk)
            draw = permute if self.unique and index == 0 else _hashed
            left_N = draw(numbers_N, size, derive(key, "chunk", index))
            for position in reversed(chunk):
                alphabet = np.array(list(self.characters[position]), dtype=texts.dtype)
                left_N, digits_N = np.divmod(left_N, len(alphabet))
                texts[:, position] = alphabet[digits_N]
        if self.check is not None:
            place = next(i for i, part in enumerate(self.characters) if part is CHECKS[self.check])
            texts[:, place] = [_checked(row, place, self.check) for row in texts.tolist()]
        return _strings(texts)

    def _chunks(self) -> list[list[int]]:
        """Return the positions of each chunk: as many as stay below the largest size."""
        chunks: list[list[int]] = [[]]
        size = 1
        for position, alphabet in enumerate(self.characters):
            if size * len(alphabet) > LARGEST:
                chunks.append([])
                size = 1
            size *= len(alphabet)
            chunks[-1].append(position)
        return chunks


def _checked(parts: list[str], place: int, check: str) -> str:
    """Return the check digits of one text, whose place they have."""
    before, after = "".join(parts[:place]), "".join(parts[place + 1 :])
    if check == "iban":
        return with_iban(before.replace(" ", ""), after.replace(" ", ""))
    return with_luhn("".join(character for character in before if character.isdigit()))


def _strings(texts: Array) -> Any:
    """Return rows of parts as an Arrow array of strings."""
    rows, length = texts.shape
    if texts.dtype.itemsize > 4:
        return pa.array(["".join(row) for row in texts.tolist()], type=pa.large_string())
    points = texts.view(np.uint32).reshape(rows, length) if length else np.zeros((rows, 0))
    if length == 0 or (points.size and points.max() > 127):
        return pa.array(["".join(row) for row in texts.tolist()], type=pa.large_string())
    data = np.ascontiguousarray(points.astype(np.uint8))
    offsets = np.arange(rows + 1, dtype=np.int64) * length
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data.tobytes())]
    return pa.Array.from_buffers(pa.large_string(), rows, buffers)


class Integers:
    """Integers of a form."""

    def __init__(self, form: str, kind: Any) -> None:
        """Read the form.

        Raises:
            DataError: it holds more than digits after an optional minus.
        """
        self.form, self.kind = form, kind
        self.sign = -1 if form.startswith("-") else 1
        digits = [set(alphabet) for alphabet in _parse(form.removeprefix("-"))]
        if not digits or any(not alphabet <= set(ALPHABETS["9"]) for alphabet in digits):
            msg = f"the form {form!r} makes no integers of {kind}: it may hold digits and 9 only"
            raise DataError(msg)
        if len(digits) > 1:
            digits[0] = digits[0] - {"0"}
        self.digits = [sorted(int(digit) for digit in alphabet) for alphabet in digits]
        self.capacity = self._count()

    def _count(self) -> int:
        """Return how many of the integers the type holds; they rise with their index."""
        width = self.kind.bit_width - (not pa.types.is_unsigned_integer(self.kind))
        low, high = 0, min(math.prod(len(digits) for digits in self.digits), LARGEST)
        while low < high:
            middle = (low + high) // 2
            if self._value(middle) < 2**width:
                low = middle + 1
            else:
                high = middle
        return low

    def _value(self, index: int) -> int:
        value, unit = 0, 1
        for digits in reversed(self.digits):
            index, digit = divmod(index, len(digits))
            value += digits[digit] * unit
            unit *= 10
        return value

    def make(self, first_row: int, rows: int, key: int) -> Any:
        """Return an Arrow array of the column's type.

        Raises:
            DataError: the form has fewer integers than rows.
        """
        _check_room(self.form, self.capacity, first_row + rows)
        numbers_N = np.arange(first_row, first_row + rows, dtype=np.int64)
        left_N = permute(numbers_N, self.capacity, derive(key, "chunk"))
        values_N, unit = np.zeros(rows, dtype=np.uint64), 1
        for digits in reversed(self.digits):
            left_N, digits_N = np.divmod(left_N, len(digits))
            values_N += np.array(digits, dtype=np.uint64)[digits_N] * np.uint64(unit)
            unit *= 10
        if self.sign < 0:
            return pa.array(-values_N.astype(np.int64)).cast(self.kind)
        return pa.array(values_N).cast(self.kind)


def read_form(form: str, kind: Any, *, unique: bool = True) -> Integers | Texts:
    """Return what makes the values of a form.

    Args:
        form: see the module.
        kind: Arrow type of the column: integers or strings.
        unique: keys; else patterns, which may repeat and are strings.

    Raises:
        DataError: the form cannot be read, or makes no integers where the column has them.
    """
    return Integers(form, kind) if pa.types.is_integer(kind) else Texts(form, unique=unique)


def form_pattern(form: str) -> str:
    """Return the regular expression of a form, from begin to end of the text."""
    return f"^{''.join(map(_pattern, _parse(form)))}$"


def _pattern(texts: Sequence[str]) -> str:
    if isinstance(texts, str):
        return f"[{texts}]" if len(texts) > 1 else re.escape(texts)
    if any(texts is one for one in CHECKS.values()):
        return f"[0-9]{{{len(texts[0])}}}"
    return f"(?:{'|'.join(map(re.escape, texts))})"


def _parse(form: str) -> tuple[Sequence[str], ...]:
    """Return, for every place of a form, the texts that may stand there.

    Raises:
        DataError: the form cannot be read.
    """
    try:
        return parse_form(form)
    except ValueError as error:
        raise DataError(str(error)) from error


def _check_room(form: str, room: int, rows: int) -> None:
    if rows > room:
        msg = (
            f"{rows} rows need as many keys and the form {form!r} has {room}: synthesize fewer "
            "rows, or declare the column as category or text"
        )
        raise DataError(msg)


def permute(numbers_N: Array, size: int, key: int) -> Array:
    """Return the image of each number in a permutation of `range(size)`; both int64.

    Args:
        numbers_N: below `size`.
        size: at most 2^62.
        key: another key is another permutation.
    """
    half = max((size - 1).bit_length() + 1, 2) // 2
    keys = [np.uint64(derive(key, "feistel", turn)) for turn in range(ROUNDS)]
    found_N = _feistel(numbers_N.astype(np.uint64), half, keys)
    outside = np.flatnonzero(found_N >= size)
    while len(outside):
        found_N[outside] = _feistel(found_N[outside], half, keys)
        outside = outside[found_N[outside] >= size]
    return found_N.astype(np.int64)


def _feistel(numbers_N: Array, half: int, keys: list[np.uint64]) -> Array:
    """Apply a balanced Feistel network on twice `half` bits."""
    bits, low = np.uint64(half), np.uint64(2**half - 1)
    left_N, right_N = numbers_N >> bits, numbers_N & low
    for key in keys:
        left_N, right_N = right_N, left_N ^ (_mix(right_N + key) & low)
    joined_N: Array = (left_N << bits) | right_N
    return joined_N


def _mix(numbers_N: Array) -> Array:
    """Return the finalizer of splitmix64; wraps around at 2^64."""
    numbers_N = (numbers_N ^ (numbers_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers_N = (numbers_N ^ (numbers_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_N: Array = numbers_N ^ (numbers_N >> np.uint64(31))
    return mixed_N


def _hashed(numbers_N: Array, size: int, key: int) -> Array:
    """Return a number below `size` for each row, at random but always the same."""
    start = np.uint64(derive(key, "hash"))
    mixed_N = _mix(_mix(numbers_N.astype(np.uint64) + start) + start)
    hashed_N: Array = (mixed_N % np.uint64(size)).astype(np.int64)
    return hashed_N
