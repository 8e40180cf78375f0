r"""Forms of values that follow a standard: what is made up of them is valid, too.

IP and MAC addresses, UUIDs, telephone numbers, IBANs, card numbers, US social security numbers and
e-mail addresses. A column is of a standard when nine of ten of its values are; what all of them
share, such as the prefix of a network, stays. Forms are those of `storage.records.text_patterns`.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from storage.records.text_patterns import with_luhn
from storage.sources.tables.text_patterns import literal, pattern_of

_MOST: Final = 0.9
_SAMPLE: Final = 500
_FEWEST: Final = 10
_LONGEST: Final = 60
_HEX: Final = "0123456789abcdef"
_NOT_ZERO: Final = r"\{1-9}"
_AREA: Final = r"\{2-9}"

_UUID: Final = re.compile(r"\{?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_MAC: Final = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}", re.IGNORECASE)
SSN: Final = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2} ?[A-Z0-9 ]{11,42}")
_CARD: Final = re.compile(r"[0-9]{4}([ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}")
_PHONE: Final = re.compile(r"(\+|\(|0)[0-9 ()./-]{6,22}")
_NORTH_AMERICAN: Final = re.compile(r"\(?[0-9]{3}\)?[ .-]?[0-9]{3}[ .-][0-9]{4}")
_LONG_CODES: Final = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}"
)
"""Country calling codes of ITU-T E.164, by their length."""


def standard_form(texts: Sequence[str], min_group: int) -> str | None:
    """Return the form of values that follow a standard; None when these follow none.

    Args:
        texts: values of a column, none missing.
        min_group: what fewer of them share is not shown.
    """
    sample = [text for text in texts[:: max(len(texts) // _SAMPLE, 1)] if len(text) <= _LONGEST]
    if len(sample) < max(_FEWEST, min_group):
        return None
    for follows, form in _STANDARDS:
        valid = [text for text in sample if follows(text)]
        if len(valid) >= _MOST * len(sample) and len(valid) >= min_group:
            return form(valid, min_group)
    return None


def is_ipv4(text: str) -> bool:
    """Return whether a text is an IP address of version 4."""
    return _is_address(text, ipaddress.IPv4Address)


def is_ipv6(text: str) -> bool:
    """Return whether a text is an IP address of version 6."""
    return ":" in text and _is_address(text, ipaddress.IPv6Address)


def _is_address(text: str, kind: Callable[[str], object]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def passes_luhn(digits: str) -> bool:
    """Return whether a number has the check digit of payment cards (ISO/IEC 7812-1, annex B)."""
    return with_luhn(digits[:-1]) == digits[-1]


def passes_iban(text: str) -> bool:
    """Return whether an account number has the check digits of ISO 13616."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def is_card(text: str) -> bool:
    """Return whether a text is a number of a payment card."""
    return _CARD.fullmatch(text) is not None and passes_luhn(re.sub("[ -]", "", text))


def is_iban(text: str) -> bool:
    """Return whether a text is an international number of a bank account."""
    plain = text.replace(" ", "")
    return _IBAN.fullmatch(text) is not None and 15 <= len(plain) <= 34 and passes_iban(plain)


def _is_ssn(text: str) -> bool:
    area, group, serial = [*text.split("-"), "", ""][:3]
    valid = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return SSN.fullmatch(text) is not None and valid


def _commonest(texts: Sequence[str]) -> str:
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text))


def _shared(parts: Sequence[str], otherwise: str) -> str:
    """Return the part that all texts share, or what stands for it."""
    return literal(parts[0]) if len(set(parts)) == 1 else otherwise


def _ipv4(texts: Sequence[str], min_group: int) -> str:  # noqa: ARG001 - as all forms
    columns = zip(*(text.split(".") for text in texts), strict=True)
    ranges = (r"\{1-223}", r"\{0-255}", r"\{0-255}", r"\{1-254}")
    return ".".join(_shared(part, other) for part, other in zip(columns, ranges, strict=True))


def _ipv6(texts: Sequence[str], min_group: int) -> str:  # noqa: ARG001 - as all forms
    groups = [ipaddress.IPv6Address(text).exploded.split(":") for text in texts]
    columns = [[one.lstrip("0") or "0" for one in column] for column in zip(*groups, strict=True)]
    upper = any(re.search("[A-F]", text) for text in texts)
    shared = [[one.upper() if upper else one for one in column] for column in columns]
    return ":".join(_shared(column, "FFFF" if upper else "ffff") for column in shared)


def _uuid(texts: Sequence[str], min_group: int) -> str:
    places = list(_places(pattern_of(texts, min_group)))
    at = places.index("-") if "-" in places else -1
    version, variant = at + 6, at + 11
    letters = "AB" if any(re.search("[A-F]", text) for text in texts) else "ab"
    if len(places) > variant and places[variant] in "fF":
        places[variant] = rf"\{{8|9|{letters[0]}|{letters[1]}}}"
    if len(places) > version and places[version] in "fF9":
        places[version] = r"\{1|3|4|5|7}"
    return "".join(places)


def _places(form: str) -> list[str]:
    return re.findall(r"\\.|.", form, re.DOTALL)


def _mac(texts: Sequence[str], min_group: int) -> str:  # noqa: ARG001 - as all forms
    between, upper = texts[0][2], any(re.search("[A-F]", text) for text in texts)
    pairs = [[text[at : at + 2] for text in texts] for at in range(0, 17, 3)]
    hexadecimal = "F" if upper else "f"
    even = "|".join(one.upper() if upper else one for one in _HEX[::2])
    others = [rf"{hexadecimal}\{{{even}}}", *[hexadecimal * 2] * 5]
    parts = [_shared(pair, other) for pair, other in zip(pairs, others, strict=True)]
    return between.join(parts)


def _ssn(texts: Sequence[str], min_group: int) -> str:  # noqa: ARG001 - as all forms
    return r"\{001-665|667-899}-\{01-99}-\{0001-9999}"


def _email(texts: Sequence[str], min_group: int) -> str:  # noqa: ARG001 - as all forms
    """Return addresses of RFC 2606: nobody receives what is sent there."""
    return "aaaaaa9999@" + literal("example.") + r"\{com|net|org}"


def _iban(texts: Sequence[str], min_group: int) -> str:
    outlines = [re.sub("[0-9]", "9", re.sub("[A-Z]", "A", text)) for text in texts]
    keys = [text[:2] + outline[2:] for text, outline in zip(texts, outlines, strict=True)]
    best = _commonest(keys)
    country = best[:2] if keys.count(best) >= min_group else "DE"
    return literal(country) + r"\{iban}" + best[4:]


def _card(texts: Sequence[str], min_group: int) -> str:
    outline = _commonest([re.sub("[0-9]", "9", text) for text in texts])
    issuers = Counter(text[0] for text in texts)
    kept = sorted(one for one, count in issuers.items() if count >= min_group) or ["4"]
    return rf"\{{{'|'.join(kept)}}}" + outline[1:-1] + r"\{luhn}"


def _phone(texts: Sequence[str], min_group: int) -> str:
    """Return the commonest layout, with the country's code, and no group that begins with 0."""
    keys = [_layout(text) for text in texts]
    layout = _commonest([key for key, _ in keys])
    codes = Counter(code for key, code in keys if key == layout)
    kept = sorted(one for one, count in codes.items() if one and count >= min_group)
    alike = [text for text, (key, _) in zip(texts, keys, strict=True) if key == layout]
    if layout.startswith("+"):
        start = rf"+\{{{'|'.join(kept or ['1'])}}}"
        rest = layout.partition("}")[2]
    else:
        zeros = len(_common_prefix(alike, "0(+"))
        start, rest = literal(alike[0][:zeros]), layout[zeros:]
    american = all(_NORTH_AMERICAN.fullmatch(text) for text in alike) or kept == ["1"]
    first = _AREA if american else _NOT_ZERO
    groups = re.split(r"(9+)", rest)
    many = [place for place, group in enumerate(groups) if group.startswith("9")]
    for place in many if american else many[:1]:
        if len(groups[place]) >= (3 if american else 1) and not (american and place == many[-1]):
            groups[place] = first + groups[place][1:]
    return start + "".join(groups)


def _layout(text: str) -> tuple[str, str]:
    """Return a number with 9 for its digits, the country's code cut out, and that code."""
    code = _LONG_CODES.match(text, 1) if text.startswith("+") else None
    if code is None:
        return re.sub("[0-9]", "9", text), ""
    return "+{}" + re.sub("[0-9]", "9", text[code.end() :]), code.group()


def _common_prefix(texts: Sequence[str], of: str) -> str:
    """Return the first characters that all texts share and that are some of a few."""
    prefix = ""
    for place in zip(*texts, strict=False):
        if len(set(place)) > 1 or place[0] not in of:
            break
        prefix += place[0]
    return prefix


_STANDARDS: Final[Sequence[tuple[Callable[[str], object], Callable[[Sequence[str], int], str]]]] = (
    (is_ipv4, _ipv4),
    (_MAC.fullmatch, _mac),
    (is_ipv6, _ipv6),
    (_UUID.fullmatch, _uuid),
    (EMAIL.fullmatch, _email),
    (is_iban, _iban),
    (is_card, _card),
    (_is_ssn, _ssn),
    (_PHONE.fullmatch, _phone),
)
"""What a value is recognised by, and the form of such values."""
