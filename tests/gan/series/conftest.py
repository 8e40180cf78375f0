"""What tests of series need: the modality's row, where nobody has added it yet."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.records.modalities import MODALITIES, JudgedClass, Modality, Words

sys.path.insert(0, str(Path(__file__).parent))

ROW = Modality(
    words=Words("entity", "entities", "variable"),
    takes_conditions=True,
    builder="none",
    formats={},
    codec="gan.series.codec:SeriesCodec",
    networks="gan.series.networks",
    presets="gan.series.presets",
    knobs="gan.series.search_space:KNOBS",
    judge="none",
    judged_class=JudgedClass(holdout=10),
)


@pytest.fixture(autouse=True, scope="session")
def with_series() -> Iterator[None]:
    """Add the row."""
    known = "series" in MODALITIES
    MODALITIES.setdefault("series", ROW)
    yield
    if not known:
        del MODALITIES["series"]
