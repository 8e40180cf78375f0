"""Columns of text as their distinct values, and the numbers among them.

Types are decided on distinct texts, and rows follow by code. Numbers are read by the marks, before
the fraction and between thousands, that the columns of a file prove.

Shape legend: N rows, U distinct texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal

SURE_NULLS: Final = (
    "N/A", "n/a", "#N/A", "NULL", "null", "Null", "NaN", "nan", "NAN", "<NA>", "\\N", "NaT",
    "#N/A N/A", "-nan",
)  # fmt: skip
"""Words that nobody uses for anything but a missing value."""

WORD_NULLS: Final = ("NA", "na", "None", "none", "NONE")
"""Words that may mean something: NA is Namibia, None a kind of masonry."""

SYMBOL_NULLS: Final = ("?", "-", "--", ".", "..", "\u2013", "\u2014")
"""Signs that stand for a missing value where all other values are words or numbers."""

ALL_NULLS: Final = (*SURE_NULLS, *WORD_NULLS, *SYMBOL_NULLS)
_EXPONENT: Final = r"([eE][+-]?[0-9]+)?"
_MOST: Final = 0.9
_OTHER: Final = {".": ",", ",": "."}
_GROUPING: Final = ("\u00a0", "\u202f", "'", "\u2019", " ")
_GROUPED: Final = r"([0-9])[\x{a0}\x{202f}'\x{2019} ]([0-9]{3})"
DIGITS: Final = r"[.,]?[0-9](?:[0-9.,'\x{2019}\x{a0}\x{202f} ]*[0-9])?"
"""Expression of a number without its sign, whatever its marks are."""
_INT64_DIGITS: Final = 18
_DECIMAL_DIGITS: Final = 38
_INFINITE: Final = r"[+-]?[Ii](nf|NF)(inity|INITY)?"


@dataclass(frozen=True, kw_only=True)
class Distinct:
    """One column, read as text."""

    name: str
    texts_U: pa.Array
    """Distinct texts as the file has them."""
    codes_N: pa.ChunkedArray
    """int32: which text a row holds."""

    @cached_property
    def trimmed(self) -> pa.Array:
        """The texts without blanks around them."""
        return pc.utf8_trim_whitespace(self.texts_U)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each text."""
        counts = np.zeros(len(self.texts_U), np.int64)
        for chunk in self.codes_N.chunks:
            counts += np.bincount(chunk.to_numpy(), minlength=len(counts))
        return counts

    @cached_property
    def empty(self) -> NDArray[np.bool_]:
        """Which texts are empty or blank."""
        empty: NDArray[np.bool_] = pc.equal(self.trimmed, "").to_numpy(zero_copy_only=False)
        return empty

    def among(self, words: tuple[str, ...]) -> NDArray[np.bool_]:
        """Return which texts are one of some words."""
        found = pc.is_in(self.trimmed, value_set=pa.array(words, pa.string()))
        mask: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
        return mask

    @cached_property
    def is_word(self) -> NDArray[np.bool_]:
        """Which texts are neither empty nor possibly a null word."""
        return ~(self.empty | self.among(ALL_NULLS))

    def words(self) -> pa.Array:
        """Return the trimmed texts that are certainly values."""
        return self.trimmed.filter(pa.array(self.is_word))

    def word_counts(self) -> NDArray[np.int64]:
        """Return the rows of each of `words`."""
        return self.counts[self.is_word]

    def first_row(self, odd_U: NDArray[np.bool_]) -> int:
        """Return the first row that holds one of some texts."""
        start = 0
        for chunk in self.codes_N.chunks:
            hits = np.flatnonzero(odd_U[chunk.to_numpy()])
            if len(hits):
                return start + int(hits[0])
            start += len(chunk)
        msg = f"no row of {self.name!r} holds such a text"
        raise LookupError(msg)

    def rows(self, values_U: pa.Array) -> pa.ChunkedArray:
        """Return N values of U, one per distinct text."""
        chunks = [values_U.take(chunk) for chunk in self.codes_N.chunks]
        return pa.chunked_array(chunks, values_U.type)


def distinct(name: str, column: pa.ChunkedArray) -> Distinct:
    """Return a column of texts, given as strings or as a dictionary of them."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    encoded = encoded.unify_dictionaries()
    texts = encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], pa.string())
    codes = [chunk.indices for chunk in encoded.chunks]
    return Distinct(name=name, texts_U=texts, codes_N=pa.chunked_array(codes, pa.int32()))


def matches(texts: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Return which texts an expression is found in."""
    found: NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(
        zero_copy_only=False
    )
    return found.astype(np.bool_)


@dataclass(frozen=True, kw_only=True)
class Marks:
    """How numbers of a file are written."""

    decimal: str = "."
    thousands: str | None = None
    notes: tuple[str, ...] = ()
    proven: bool = True
    """Whether the recipe or a column says what the decimal mark is; else it is taken to be one."""


def decide_marks(
    columns: Sequence[Distinct],
    delimiter: str,
    given: str | None,
    signed: Sequence[Distinct] = (),
) -> Marks:
    """Return the decimal and thousands marks of a file.

    A column proves a mark when it reads as numbers in one way only: 1,5 or 1.234,5 or 1.234.567.
    Numbers such as 1.234 alone prove nothing.

    Args:
        columns: of the file.
        delimiter: between its fields.
        given: the decimal mark that the recipe says.
        signed: the digits of columns whose numbers carry signs or units; they prove a mark where
            no other column does.

    Raises:
        SourceError: columns prove different marks, or numbers read well both ways.
    """
    proofs, doubtful = _proofs(columns)
    if not proofs:
        others = _proofs(signed)[0]
        proofs = others if len(others) == 1 else {}
    decimal = given or _decimal(proofs, doubtful, columns, delimiter)
    thousands, example = _thousands(columns, decimal)
    notes: tuple[str, ...] = ()
    if thousands:
        mark = "a space" if thousands in " \u00a0\u202f" else thousands
        notes = (f"{mark} in numbers such as those of {example!r} is taken for a thousands mark",)
    for mark, name in proofs.items():
        if given is not None and mark != given:
            notes += (
                f"the numbers of {name!r} have the decimal mark {mark} and stay text, as "
                f"source.csv.decimal is {given}",
            )
    proven = given is not None or bool(proofs) or delimiter == ","
    return Marks(decimal=decimal, thousands=thousands, notes=notes, proven=proven)


def _proofs(columns: Sequence[Distinct]) -> tuple[dict[str, str], list[str]]:
    """Return which column proves each decimal mark, and the columns that read well both ways."""
    proofs: dict[str, str] = {}
    doubtful: list[str] = []
    for column in columns:
        share = _reading_shares(column)
        if max(share.values()) < _MOST:
            continue
        if share["."] != share[","]:
            proofs.setdefault(max(share, key=lambda mark: share[mark]), column.name)
        else:
            doubtful.append(column.name)
    return proofs, doubtful


def _decimal(
    proofs: dict[str, str], doubtful: list[str], columns: Sequence[Distinct], delimiter: str
) -> str:
    if len(proofs) == 2:
        msg = (
            f"The decimal mark is a point in the column {proofs['.']!r} and a comma in "
            f"{proofs[',']!r}; write all numbers one way, or set source.csv.decimal."
        )
        why = f"{proofs['.']} says so, and {proofs[',']} does not"
        raise SourceError(msg, proposals=[_decimal_proposal(".", why)])
    if proofs:
        return next(iter(proofs))
    marked = {column.name: column for column in columns}
    with_comma = [name for name in doubtful if matches(marked[name].words(), ",").any()]
    if doubtful and (delimiter == ";" or (with_comma and delimiter != ",")):
        name = (with_comma or doubtful)[0]
        mark = "," if with_comma else "."
        msg = (
            f"Numbers of the column {name!r} are written as 9{mark}999, which may be thousands or "
            "three decimals; set source.csv.decimal to '.' or ','."
        )
        why = f"a guess, for 9{mark}999 in {name} may be thousands or three decimals"
        raise SourceError(msg, proposals=[_decimal_proposal(",", why)])
    return "."


def _decimal_proposal(mark: str, why: str) -> Proposal:
    return Proposal(setting="source.csv.decimal", value=mark, why=why)


def _reading_shares(column: Distinct) -> dict[str, float]:
    """Return the share of rows that are numbers for either decimal mark, 0 where none has one."""
    words = column.words()
    for _ in range(2):
        words = pc.replace_substring_regex(words, _GROUPED, r"\1\2")
    marked = matches(words, r"^[+-]?[0-9.,]*[.,][0-9.,]*[0-9]([eE][+-]?[0-9]+)?$")
    if not marked.any():
        return {".": 0.0, ",": 0.0}
    rows = column.word_counts()
    fits = {m: matches(words, float_pattern(m, _OTHER[m])) for m in (".", ",")}
    return {mark: float(rows[fit].sum() / rows.sum()) for mark, fit in fits.items()}


def _thousands(columns: Sequence[Distinct], decimal: str) -> tuple[str | None, str]:
    for mark in (_OTHER[decimal], *_GROUPING):
        for column in columns:
            words = column.words()
            rows = column.word_counts()
            if not len(words) or not matches(words, f"^[+-]?{_grouped(mark)}").any():
                continue
            fit = matches(words, float_pattern(decimal, mark))
            if rows[fit].sum() >= _MOST * rows.sum() and (mark != " " or _vary(words)):
                return mark, column.name
    return None, ""


def _vary(words: pa.Array) -> bool:
    """Whether texts differ in length; those of one length may be telephone numbers."""
    lengths = pc.min_max(pc.utf8_length(words)).as_py()
    return bool(lengths["min"] != lengths["max"])


def _grouped(mark: str) -> str:
    return rf"-?[1-9][0-9]{{0,2}}(\x{{{ord(mark):x}}}[0-9]{{3}})+"


def integer_pattern(thousands: str | None) -> str:
    """Return the expression of a whole number without leading zeros."""
    plain = r"-?(0|[1-9][0-9]*)"
    return f"^({plain}|{_grouped(thousands)})$" if thousands else f"^{plain}$"


def float_pattern(decimal: str, thousands: str | None) -> str:
    """Return the expression of a number; +49 is none, as telephone numbers begin so."""
    whole = "(0|[1-9][0-9]*)"
    if thousands:
        whole = f"({_grouped(thousands)}|{whole})"
    mark = "\\" + decimal
    fraction = f"[+-]?({whole}?{mark}[0-9]+|{whole}{mark}){_EXPONENT}"
    return f"^({fraction}|-?{whole}{_EXPONENT}|{_INFINITE})$"


def plain_texts(texts: pa.Array, marks: Marks) -> pa.Array:
    """Return numbers as every machine reads them."""
    if marks.thousands:
        texts = pc.replace_substring(texts, marks.thousands, "")
    if marks.decimal != ".":
        texts = pc.replace_substring(texts, marks.decimal, ".")
    return pc.replace_substring_regex(texts, r"^\+", "")


def read_integers(texts: pa.Array, marks: Marks) -> tuple[pa.Array, str | None]:
    """Return whole numbers, and what to say when they are too large for 64 bits."""
    plain = plain_texts(texts, marks)
    lengths = pc.utf8_length(pc.replace_substring(plain, "-", ""))
    shortest, longest = pc.min(lengths).as_py(), pc.max(lengths).as_py()
    try:
        return pc.cast(plain, pa.int64()), None
    except pa.ArrowInvalid:
        pass
    if longest > _DECIMAL_DIGITS or shortest == longest:
        return texts, f"numbers of {longest} digits do not fit 64 bits and are kept as text"
    type_ = pa.decimal128(_DECIMAL_DIGITS, 0)
    return pc.cast(plain, type_), f"numbers of {longest} digits do not fit 64 bits: decimals"


def read_floats(texts: pa.Array, marks: Marks) -> pa.Array:
    """Return 64-bit floats, the nearest to what is written."""
    return pc.cast(plain_texts(texts, marks), pa.float64())


def read_decimals(texts: pa.Array, marks: Marks) -> pa.Array | None:
    """Return decimals of the scale that is written; None where 38 digits do not suffice."""
    plain = plain_texts(texts, marks)
    if matches(plain, "[eEn]").any():
        return None
    scale = _decimals(plain).max(initial=0)
    whole = pc.utf8_length(pc.replace_substring_regex(plain, r"\..*|-", "")).to_numpy()
    digits = int(whole.max(initial=1) + scale)
    if digits > _DECIMAL_DIGITS:
        return None
    return pc.cast(plain, pa.decimal128(max(digits, _INT64_DIGITS), int(scale)))


def fixed_decimals(texts: pa.Array, marks: Marks) -> int | None:
    """Return how many decimals every number has, None where they differ."""
    plain = plain_texts(texts, marks)
    counts = _decimals(plain)
    if not len(counts) or counts.min() != counts.max() or matches(plain, "[eEn]").any():
        return None
    return int(counts[0]) or None


def _decimals(plain: pa.Array) -> NDArray[np.int64]:
    fractions = pc.replace_substring_regex(plain, r"^[^.]*\.?", "")
    counts: NDArray[np.int64] = pc.utf8_length(fractions).to_numpy(zero_copy_only=False)
    return counts
