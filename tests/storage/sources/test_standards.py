"""Made-up values of a standard are valid: checked by other means than they are made."""

import ipaddress
import re
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gan.tables.keys import Texts, form_pattern
from storage.errors import SourceError
from storage.records.text_patterns import with_iban, with_luhn
from storage.sources.config import SourceConfig
from storage.sources.tables.kinds import infer
from storage.sources.tables.standards import (
    is_card,
    is_iban,
    is_ipv4,
    passes_iban,
    passes_luhn,
    standard_form,
)

DRAW = np.random.default_rng(11)
ROWS = 120


def numbers(digits, rows=ROWS):
    return [f"{int(number):0{digits}d}" for number in DRAW.integers(0, 10 ** min(digits, 18), rows)]


def iban(country, account):
    return country + with_iban(country, account) + account


IPV4 = [".".join(map(str, DRAW.integers(1, 255, 4))) for _ in range(ROWS)]
REAL = {
    "ipv4": IPV4,
    "network": [f"10.20.{a}.{b}" for a, b in DRAW.integers(1, 255, (ROWS, 2))],
    "ipv6": [str(ipaddress.IPv6Address(0x20010DB8 << 96 | int(x))) for x in numbers(18)],
    "uuid": [str(uuid.UUID(bytes=DRAW.bytes(16), version=4)) for _ in range(ROWS)],
    "mac": [f"00:1b:44:{a:02x}:{b:02x}:{c:02x}" for a, b, c in DRAW.integers(0, 256, (ROWS, 3))],
    "iban": [iban("DE", number) for number in numbers(18)],
    "spaced": [" ".join(re.findall(".{1,4}", iban("FR", number))) for number in numbers(23)],
    "card": [number + with_luhn(number) for number in ("4" + n for n in numbers(14))],
    "ssn": [f"{a:03d}-{b:02d}-{c:04d}" for a, b, c in DRAW.integers(1, 99, (ROWS, 3))],
    "abroad": [f"+{('49', '351')[i % 2]} {n}" for i, n in enumerate(numbers(9))],
    "american": [f"({a}) {b}-{c:04d}" for a, b, c in DRAW.integers(200, 999, (ROWS, 3))],
    "local": [f"0{n}" for n in numbers(9)],
    "mail": [f"person{i}@firm{i % 9}.de" for i in range(ROWS)],
}  # fmt: skip


def is_uuid(text):
    made = uuid.UUID(text)
    return (made.version, made.variant) == (4, uuid.RFC_4122)


VALID = {
    "ipv4": is_ipv4,
    "network": lambda text: ipaddress.ip_address(text) in ipaddress.ip_network("10.20.0.0/16"),
    "ipv6": lambda text: ipaddress.ip_address(text) in ipaddress.ip_network("2001:db8::/32"),
    "uuid": is_uuid,
    "mac": lambda text: re.fullmatch(r"00:1b:44(:[0-9a-f]{2}){3}", text),
    "iban": lambda text: is_iban(text) and text.startswith("DE") and len(text) == 22,
    "spaced": lambda text: is_iban(text) and text.startswith("FR") and text[4] == " ",
    "card": lambda text: is_card(text) and text[0] == "4" and len(text) == 16,
    "ssn": lambda text: re.fullmatch(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}", text),
    "abroad": lambda text: re.fullmatch(r"\+(49|351) [1-9]\d{8}", text),
    "american": lambda text: re.fullmatch(r"\([2-9]\d\d\) [2-9]\d\d-\d{4}", text),
    "local": lambda text: re.fullmatch(r"0[1-9]\d{8}", text),
    "mail": lambda text: re.fullmatch(r"[a-z]{6}\d{4}@example\.(com|net|org)", text),
}


@pytest.mark.parametrize("name", REAL)
def test_what_is_made_up_is_valid_and_unlike_any_other(name):
    form = standard_form(REAL[name], 10)
    texts = Texts(form)
    made = [*texts.make(0, 300, 5).to_pylist(), *texts.make(300, 300, 5).to_pylist()]
    assert len(set(made)) == 600
    assert all(VALID[name](text) for text in made)
    whole = f"^(?:{form_pattern(form)})$"
    assert pc.all(pc.match_substring_regex(pa.array(made), whole)).as_py()
    assert texts.capacity >= 600


@pytest.mark.parametrize(
    "texts",
    [
        [f"C-{i:05d}" for i in range(ROWS)],
        [f"1.{i}.3.{i * 7}" for i in range(ROWS)],
        [f"{n}" for n in numbers(16)],
        IPV4[:9],
        [*IPV4[:50], *(f"host{i}" for i in range(50))],
    ],
    ids=["codes", "versions", "numbers", "few", "mixed"],
)
def test_other_values_follow_no_standard(texts):
    assert standard_form(texts, 10) is None


def test_check_digits_are_those_that_are_tested():
    for number in numbers(15):
        assert passes_luhn(number + with_luhn(number))
        assert passes_iban(iban("GB", "WEST" + number[:14]))
    assert iban("GB", "WEST12345698765432") == "GB82WEST12345698765432"


def test_columns_take_the_form_of_their_standard():
    table = pa.table({"ip": IPV4, "mail": REAL["mail"], "n": np.arange(ROWS) % 7})
    columns = ({"name": "mail", "text": "pattern"},)
    found = infer(table, SourceConfig(uri="x", label=None, columns=columns), 10).columns
    assert (found[0].kind, found[0].form) == ("key", r"\{1-223}.\{0-255}.\{0-255}.\{1-254}")
    assert (found[1].kind, found[1].form) == ("text", "aaaaaa9999@ex\\ample.\\{com|net|org}")


def test_check_digits_stand_where_the_form_says_also_behind_zeros():
    made = Texts(r"\{0}9999\{luhn}").make(0, 50, 7).to_pylist()
    assert all(text.startswith("0") and passes_luhn(text) for text in made)
    assert len({text[-1] for text in made}) > 3


@pytest.mark.parametrize("name", ["iban", "spaced"])
def test_account_numbers_are_keys_with_blanks_too(name):
    column, odd = pa.array(REAL[name]), pa.array([*REAL[name][1:], "see page 4"])
    config = SourceConfig(uri="x", label=None)
    assert infer(pa.table({"account": column}), config, 10).columns[0].kind == "key"
    with pytest.raises(SourceError, match="free text"):
        infer(pa.table({"account": odd}), config, 10)
