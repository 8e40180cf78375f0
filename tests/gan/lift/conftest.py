"""The toy task beside this file is imported by its name; CI draws fewer resamples."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch, request):
    """Of the comparison, except in tests of the whole product."""
    if request.node.get_closest_marker("full") is None:
        monkeypatch.setattr("gan.lift.measure.DRAWS", 400)
        monkeypatch.setattr("gan.lift.measure.REPORTED_DRAWS", 20)
        monkeypatch.setattr("gan.lift.choice.CHOICE_DRAWS", 50)
