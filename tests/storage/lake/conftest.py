"""The toy data set of these tests; `toy.py` is also run as a child process."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import toy

from storage.stores.memory import MemoryStore


@pytest.fixture
def lake():
    return MemoryStore()


@pytest.fixture
def plan():
    return toy.proposal()


@pytest.fixture
def fast_path(tmp_path):
    """A folder in memory where there is one: these tests sync thousands of files."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def zygote():
    with toy.Zygote() as process:
        yield process
