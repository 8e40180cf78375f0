"""What the tests of tables share: the modules beside this file, and one trained generator."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def truth_sampler(tmp_path_factory):
    """The default generator, trained on the table of `known_truth`."""
    from known_truth import trained

    return trained(tmp_path_factory.mktemp("truth"))
