"""A column of texts as its distinct values: types are decided on those, rows follow by code.

Shape legend: N rows, U distinct texts.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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


def matches(texts: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Return which texts an expression is found in."""
    found: NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(
        zero_copy_only=False
    )
    return found.astype(np.bool_)


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
