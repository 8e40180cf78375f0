r"""Forms of keys and of replaced text: which characters may stand where.

One symbol per character: `9` a digit, `a` a small letter, `A` a capital, `f` and `F` a hexadecimal
digit; a backslash makes the next character stand for itself, and everything else stands for itself.
`\{1-223}` is a number of a range, with the zeros of its lower end (`\{01-99}`), and `\{49|33}` one
of some texts. `\{luhn}` is the check digit of ISO/IEC 7812-1, `\{iban}` are the two of ISO 13616.
"""

import re
from collections.abc import Sequence
from typing import Final

ALPHABETS: Final = {
    "9": "0123456789",
    "a": "abcdefghijklmnopqrstuvwxyz",
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "f": "0123456789abcdef",
    "F": "0123456789ABCDEF",
}

CHECKS: Final = {"luhn": ("0",), "iban": ("00",)}
"""Check digits → what stands for them until they are computed."""

_CHOICE: Final = re.compile(r"\\\{([^}]*)\}")
_RANGE: Final = re.compile(r"([0-9]+)-([0-9]+)")


def parse_form(form: str) -> tuple[Sequence[str], ...]:
    """Return, for every place of a form, the texts that may stand there.

    Raises:
        ValueError: it ends in a backslash.
    """
    found: list[Sequence[str]] = []
    at = 0
    while at < len(form):
        choice = _CHOICE.match(form, at)
        if choice is not None:
            found.append(_choices(choice.group(1)))
            at = choice.end()
        elif form[at] == "\\":
            if at + 1 == len(form):
                msg = (
                    f"the form {form!r} ends in a backslash: name the character it shall stand for"
                )
                raise ValueError(msg)
            found.append(form[at + 1])
            at += 2
        else:
            found.append(ALPHABETS.get(form[at], form[at]))
            at += 1
    return tuple(found)


def check_digits(form: str) -> str | None:
    """Return which check digits a form has, a key of `CHECKS`; None for none."""
    return next((name for name in CHECKS if f"\\{{{name}}}" in form), None)


def _choices(text: str) -> tuple[str, ...]:
    if text in CHECKS:
        return CHECKS[text]
    found: list[str] = []
    for part in text.split("|"):
        limits = _RANGE.fullmatch(part)
        if limits is None:
            found.append(part)
        else:
            low, high = limits.groups()
            width = len(low) if low.startswith("0") and len(low) > 1 else 0
            found += [str(n).zfill(width) for n in range(int(low), int(high) + 1)]
    return tuple(found)


def with_luhn(digits: str) -> str:
    """Return the digit with which digits before it pass the check of payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 * (doubled > 9)
    return str(-total % 10)


def with_iban(country: str, account: str) -> str:
    """Return the two digits that stand between country and account."""
    turned = f"{account}{country}00".replace(" ", "")
    return f"{98 - int(''.join(str(int(one, 36)) for one in turned)) % 97:02d}"
