"""Columns that may hold personal data: by their names, and by the shapes of their values.

A small set, honest about being one: what is not found here may be personal all the same.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

_SAMPLE: Final = 2000
_MOST: Final = 0.5
"""This share of the values has the shape."""
_FEWEST: Final = 10
_LONGEST: Final = 60

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_PHONE: Final = re.compile(r"(\+|00?|\()[0-9][0-9 ()/.-]{6,20}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_CARD: Final = re.compile(r"[0-9]{4}([ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}")
_IPV4: Final = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}")
_IPV6: Final = re.compile(r"(?=.*::|(.*:){7})[0-9A-Fa-f:]{3,39}")
_SOCIAL: Final = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
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


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One column that may hold personal data."""

    column: str
    what: str
    """In the plural, such as `e-mail addresses`."""
    why: str
    """`by the name` or `by the values`; names no value."""


def find_suspects(table: pa.Table) -> tuple[Suspect, ...]:
    """Return the suspects in the order of the columns, at most one per column."""
    found = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        what = _by_values(column)
        why = "by the values"
        if what is None:
            what, why = _by_name(name), "by the name"
        if what is not None and _can_be(what, column.type):
            found.append(Suspect(column=name, what=what, why=why))
    return tuple(found)


def passes_luhn(digits: str) -> bool:
    """Return whether a number has the check digit of payment cards (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0


def passes_iban(text: str) -> bool:
    """Return whether an account number has the check digits of ISO 13616."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _by_name(name: str) -> str | None:
    spaced = re.sub(r"(?<=[a-zäöüß0-9])(?=[A-ZÄÖÜ])", "_", name)
    plain = re.sub(r"[^0-9a-zäöüß]+", "_", spaced.lower()).strip("_")
    accents = str.maketrans("áàâéèêíîóôúûñç", "aaaeeeiioouunc")
    plain = re.sub(r"[^0-9a-zäöüß]+", "_", spaced.lower().translate(accents)).strip("_") or plain
    return next((what for what, pattern in _NAMES if re.fullmatch(pattern, plain)), None)


def _by_values(column: pa.ChunkedArray) -> str | None:
    if not (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
        return None
    present = column.drop_null()
    step = max(len(present) // _SAMPLE, 1)
    texts = [
        str(text).strip() for text in present.take(np.arange(0, len(present), step)).to_pylist()
    ]
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < _FEWEST:
        return None
    for what, test in _TESTS:
        share = sum(len(text) <= _LONGEST and test(text) for text in distinct) / len(distinct)
        if share >= _MOST:
            return what
    return None


def _can_be(what: str, kind: pa.DataType) -> bool:
    """Whether values of a type can be such; `name_count` of floats is none."""
    if what in ("names of persons", "e-mail addresses", "addresses", "addresses of machines"):
        return bool(pa.types.is_string(kind))
    return not pa.types.is_boolean(kind)


def _is_card(text: str) -> bool:
    return _CARD.fullmatch(text) is not None and passes_luhn(re.sub("[ -]", "", text))


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    return _IBAN.fullmatch(plain) is not None and passes_iban(plain)


def _is_ip(text: str) -> bool:
    if _IPV4.fullmatch(text):
        return all(int(part) < 256 for part in text.split("."))
    return _IPV6.fullmatch(text) is not None


def _full(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_TESTS: Final[Sequence[tuple[str, Callable[[str], bool]]]] = (
    ("e-mail addresses", _full(_EMAIL)),
    ("bank accounts", _is_iban),
    ("card numbers", _is_card),
    ("addresses of machines", _is_ip),
    ("official numbers of persons", _full(_SOCIAL)),
    ("telephone numbers", _full(_PHONE)),
    ("addresses", _full(_STREET)),
)
