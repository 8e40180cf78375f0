"""What the tests of tuning share: a small table's codec, from the helpers of tables."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tables"))


@pytest.fixture(scope="module")
def tables():
    """The codec of 200 rows with a number and a label."""
    from small_tables import with_meaning

    from gan.tables.codec import TableCodec

    columns = {"x": [float(n % 7) for n in range(200)], "y": ["a", "b"] * 100}
    return TableCodec.fit(with_meaning(columns), "y")
