"""Which columns say most of each other."""

import json

import numpy as np
import pytest
from typed_tables import described

from gan.tables.codec import TableCodec
from gan.tables.columns import partners

ROWS = 2000


def test_the_closest_columns_are_those_that_say_most():
    numbers = np.random.default_rng(50)
    base = numbers.normal(size=ROWS)
    kind = np.where(base > 0, "high", "low")
    records = described(
        {
            "alone": numbers.normal(size=ROWS),
            "base": base,
            "near": base + numbers.normal(0, 0.5, ROWS),
            "bent": (base + numbers.normal(0, 0.5, ROWS)) ** 2,
            "kind": kind,
        }
    )
    codec = TableCodec.fit(records, None)
    first = [each[0] for each in codec.closest]
    assert first[1:3] == [2, 1]
    assert first[3] in (1, 2)
    assert first[4] == 1
    assert all(index not in each for index, each in enumerate(codec.closest))
    assert TableCodec.from_json(json.loads(json.dumps(codec.to_json()))).closest == codec.closest


def test_information_is_that_of_the_shares():
    one = np.arange(16).repeat(100)
    assert partners.information(one, one) == pytest.approx(np.log(16))
    assert partners.information(one, np.tile(np.arange(16), 100)) < 0.01
