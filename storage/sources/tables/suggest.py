"""What a table suggests to its owner: columns of personal data, and constraints between columns.

Only suggestions: a person decides. Personal data is looked for in the names of columns and in the
shapes of their values, by a small set of rules, so what is not found here may be personal all the
same. Constraints are found on a sample of rows and verified on all of them; what columns make of
each other is found elsewhere, and kept (`storage.sources.tables.structure`). N rows.
"""

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records.constraint import Constraint
from storage.records.moment_parts import days
from storage.records.schema import Column
from storage.sources.tables.standards import EMAIL, SSN, is_card, is_iban
from storage.sources.tables.structure.rule import derived_columns
from storage.sources.tables.text_patterns import words_of_name

_SAMPLE_VALUES: Final = 2000

_MOST: Final = 0.5
"""This share of the values has the shape."""

_FEWEST: Final = 10
_LONGEST: Final = 60

MOST_SHOWN: Final = 12
"""Of each kind."""

_SAMPLE_ROWS: Final = 2000
_MOST_COLUMNS: Final = 60
_FEWEST_ROWS: Final = 100
_SURE_ROWS: Final = 1000
_OVERLAP: Final = 0.05
_HINTS: Final = (
    ("start", "end"), ("begin", "end"), ("from", "to"), ("min", "max"), ("low", "high"),
    ("lower", "upper"), ("first", "last"), ("net", "gross"), ("birth", "death"), ("open", "close"),
    ("created", "updated"), ("order", "ship"), ("ordered", "shipped"), ("shipped", "delivered"),
    ("admission", "discharge"), ("von", "bis"), ("beginn", "ende"), ("netto", "brutto"),
    ("pickup", "dropoff"), ("departure", "arrival"), ("debut", "fin"), ("submitted", "due"),
    ("issued", "due"), ("invoice", "due"), ("opened", "closed"), ("hired", "left"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PersonalDataSuggestion:
    """One column that may hold personal data."""

    column: str
    what: str
    """In the plural, such as `e-mail addresses`."""
    why: str
    """`by the name` or `by the values`; names no value."""


Suggestion = tuple[Constraint, str]
"""A constraint that seems to hold, and why; the reason names no value."""


def suggest_personal_data(table: pa.Table) -> tuple[PersonalDataSuggestion, ...]:
    """Return suggestions in the order of the columns, at most one per column."""
    found = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        what = _by_values(column)
        why = "by the values"
        if what is None:
            what, why = _by_name(name), "by the name"
        if what is not None and _can_be(what, column.type):
            found.append(PersonalDataSuggestion(column=name, what=what, why=why))
    return tuple(found)


def suggest_constraints(
    table: pa.Table, columns: Sequence[Column], rules: Sequence[Constraint] = ()
) -> tuple[Suggestion, ...]:
    """Return orders and keys that hold in every row and would hardly do so by chance.

    Args:
        table: of all rows.
        columns: what its columns are.
        rules: what is kept between columns; the order of columns that they make of the same ones
            follows from these.
    """
    kinds = {column.name: column.kind for column in columns if column.name in table.column_names}
    return (
        *_inequalities(table, kinds, {name: _made_of(name, rules) for name in kinds}),
        *_unique(table, [n for n, kind in kinds.items() if kind == "integer"]),
    )


def _made_of(name: str, rules: Sequence[Constraint]) -> set[str]:
    """Return a column and all columns that rules make it of; a condition makes none of it."""
    found, waiting = set[str](), [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            makes = [one for one in rules if each in derived_columns(one)]
            waiting += [n for one in makes if one.kind != "conditional" for n in one.columns]
    return found


def _inequalities(
    table: pa.Table, kinds: Mapping[str, str], made_of: Mapping[str, Collection[str]]
) -> list[Suggestion]:
    """Return pairs of which one is never larger, those whose names say so first.

    Of moments the days are compared where one is a date, or where only they are in order.
    """
    families = ({"integer", "float", "decimal"}, {"date", "timestamp"})
    found: dict[tuple[str, str], tuple[bool, bool]] = {}
    for family in families:
        names = [name for name, kind in kinds.items() if kind in family][:_MOST_COLUMNS]
        values = {name: _numbers(table.column(name)) for name in names}
        moments = "date" in family
        by_day = {name: _numbers(days(table.column(name))) for name in names} if moments else {}
        for low, high in itertools.permutations(names, 2):
            if not set(made_of[low]).isdisjoint(made_of[high]):
                continue
            hinted = _hinted(low, high)
            mixed = moments and kinds[low] != kinds[high]
            if not mixed and _below(values[low], values[high], hinted=hinted):
                found[low, high] = hinted, False
            elif moments and _below(by_day[low], by_day[high], hinted=hinted):
                found[low, high] = hinted, True
    plain = [
        (low, high)
        for low, high in _without_implied(found)
        if not any((low, part) in found for part in made_of[high] if part != high)
    ]
    order = sorted(plain, key=lambda pair: not found[pair][0])
    return [_inequality(pair, kinds, *found[pair]) for pair in order[:MOST_SHOWN]]


def _inequality(
    pair: tuple[str, str],
    kinds: Mapping[str, str],
    hinted: bool,  # noqa: FBT001 - of the pair
    by_day: bool,  # noqa: FBT001 - of the pair
) -> Suggestion:
    """Return the suggestion on a pair; days are said where they do not follow from the kinds."""
    low, high = pair
    reason = ", as the names say" if hinted else ", though their ranges overlap"
    days = ", by whole days" if by_day else ""
    said = {"whole_days": True} if by_day and kinds[low] == kinds[high] else {}
    constraint = Constraint(kind="inequality", columns=pair, **said)
    return constraint, f"{low} is at most {high} in all rows{days}{reason}"


def _below(low_N: NDArray[np.float64], high_N: NDArray[np.float64], *, hinted: bool) -> bool:
    """Whether it holds in all rows where both are known, and would not in rows mixed up."""
    for rows in (slice(0, _SAMPLE_ROWS), slice(None)):
        low, high = low_N[rows], high_N[rows]
        known = ~(np.isnan(low) | np.isnan(high))
        if (low[known] > high[known]).any():
            return False
    least = _FEWEST_ROWS if hinted else _SURE_ROWS
    if known.sum() < least or np.array_equal(low[known], high[known]):
        return False
    mixed = np.roll(high[known], known.sum() // 2)
    return hinted or bool((low[known] > mixed).mean() >= _OVERLAP)


def _without_implied(
    pairs: Mapping[tuple[str, str], tuple[bool, bool]],
) -> list[tuple[str, str]]:
    """Leave out a <= c where a <= b and b <= c are there; days alone do not imply moments.

    Args:
        pairs: low and high, to whether the names say it and whether only the days are in order.
    """
    names = {name for pair in pairs for name in pair}

    def implied(low: str, high: str) -> bool:
        steps = [((low, between), (between, high)) for between in names]
        return any(
            one in pairs
            and other in pairs
            and (pairs[low, high][1] or not (pairs[one][1] or pairs[other][1]))
            for one, other in steps
        )

    return [pair for pair in pairs if not implied(*pair)]


def _hinted(low: str, high: str) -> bool:
    """Whether two names differ by a pair of words such as start and end alone."""
    first, second = words_of_name(low), words_of_name(high)
    for one, other in _HINTS:
        if one in first and other in second:
            rest = [word for word in first if word != one], [w for w in second if w != other]
            if rest[0] == rest[1] or not (rest[0] and rest[1]):
                return True
    return False


def _unique(table: pa.Table, names: Sequence[str]) -> list[Suggestion]:
    """Return whole numbers that never repeat, though there is little room for it."""
    found = []
    for name in names:
        column = table.column(name)
        span = pc.min_max(column).as_py()
        dense = len(table) >= _SURE_ROWS and span["max"] - span["min"] < 10 * len(table)
        if dense and not column.null_count and pc.count_distinct(column).as_py() == len(table):
            found.append(_suggestion("unique", (name,), f"no two rows have the same {name}"))
    return found[:MOST_SHOWN]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return floats; days or microseconds of moments; NaN for what is missing."""
    kind = column.type
    if pa.types.is_date(kind):
        column = pc.cast(column, pa.int32())
    elif pa.types.is_timestamp(kind):
        column = pc.cast(column, pa.int64())
    values: NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return values


def _suggestion(kind: Any, columns: tuple[str, ...], why: str) -> Suggestion:
    return Constraint(kind=kind, columns=columns), why


_PHONE: Final = re.compile(r"(\+|00?|\()[0-9][0-9 ()/.-]{6,20}")
_IPV4: Final = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}")
_IPV6: Final = re.compile(r"(?=.*::|(.*:){7})[0-9A-Fa-f:]{3,39}")
_STREET: Final = re.compile(
    r"(?i).*(stra(ß|ss)e|str\.|\bstreet|\bst\.?|\bavenue|\bave\.?|\broad|\brd\.?|\brue|\bcalle|\bvia)\b.*[0-9]"
    r"|[0-9]+[a-z]? .*(street|st\.?|avenue|ave\.?|road|rd\.?|lane|drive|rue)\b.*"
)
_NAMES: Final[tuple[tuple[str, str], ...]] = (
    ("names of persons", r"(first|last|given|family|sur|full|middle|maiden|user|customer|patient"
     r"|employee|client|contact)_?names?|name|vorname|nachname|familienname|geburtsname|prenom"
     r"|nom|nom_de_famille|nombre|apellidos?|cognome|voornaam|achternaam"),
    ("e-mail addresses", r".*e?_?mail(_?(address|adresse))?|correo|courriel"),
    ("telephone numbers", r".*(phone|telefon|telephone|telefono|mobile|handy|fax)(_?(no|nr|number"
     r"|nummer))?|tel"),
    ("addresses", r".*(address|adresse|direccion|indirizzo)|street(_.*)?|strasse|straße|hausnummer"
     r"|rue|calle"),
    ("dates of birth", r".*(birth|geburts|naissance|nacimiento|nascita).*|dob|geboren.*"),
    ("official numbers of persons", r"ssn|social_security.*|passport.*|tax_?id|steuer_?(id|nummer)"
     r"|national_id|personalausweis.*|nif|dni|insurance_?(no|number)|versicherten?nummer"),
    ("bank accounts", r"iban|account_?(no|number)|konto(nummer)?|credit_?card.*|card_?number"),
    ("addresses of machines", r"ip|ip_?addr(ess)?|mac_?addr(ess)?"),
    ("places of persons", r"zip(_?code)?|postal_?code|postcode|plz|postleitzahl|code_postal|cap"
     r"|lat(itude)?|lon(gitude)?|lng"),
)  # fmt: skip


def _by_name(name: str) -> str | None:
    spaced = re.sub(r"(?<=[a-zäöüß0-9])(?=[A-ZÄÖÜ])", "_", name)
    accents = str.maketrans("áàâéèêíîóôúûñç", "aaaeeeiioouunc")
    plain = re.sub(r"[^0-9a-zäöüß]+", "_", spaced.lower().translate(accents)).strip("_")
    return next((what for what, pattern in _NAMES if re.fullmatch(pattern, plain)), None)


def _by_values(column: pa.ChunkedArray) -> str | None:
    if not (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
        return None
    present = column.drop_null()
    step = max(len(present) // _SAMPLE_VALUES, 1)
    texts = [
        str(text).strip() for text in present.take(np.arange(0, len(present), step)).to_pylist()
    ]
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < _FEWEST:
        return None
    for what, test in _TESTS:
        share = sum(len(text) <= _LONGEST and bool(test(text)) for text in distinct) / len(distinct)
        if share >= _MOST:
            return what
    return None


def _can_be(what: str, kind: pa.DataType) -> bool:
    """Whether values of a type can be such; `name_count` of floats is none."""
    if what in ("names of persons", "e-mail addresses", "addresses", "addresses of machines"):
        return bool(pa.types.is_string(kind))
    return not pa.types.is_boolean(kind)


def _is_ip(text: str) -> bool:
    if _IPV4.fullmatch(text):
        return all(int(part) < 256 for part in text.split("."))
    return _IPV6.fullmatch(text) is not None


_TESTS: Final[Sequence[tuple[str, Callable[[str], object]]]] = (
    ("e-mail addresses", EMAIL.fullmatch),
    ("bank accounts", is_iban),
    ("card numbers", is_card),
    ("addresses of machines", _is_ip),
    ("official numbers of persons", SSN.fullmatch),
    ("telephone numbers", _PHONE.fullmatch),
    ("addresses", _STREET.fullmatch),
)
