"""What the tests of tables share: the modules beside this file, and one trained generator."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def truth_sampler(trained_once):
    """The default generator, trained on the table of `known_truth`."""
    from known_truth import load_trained, train_on_truth

    return load_trained(trained_once("truth", train_on_truth))
