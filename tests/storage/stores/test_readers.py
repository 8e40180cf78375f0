"""Files over ranges."""

import io

import pytest

from storage.stores.readers import RangeReader

DATA = bytes(range(100))


@pytest.fixture
def asked():
    return []


@pytest.fixture
def file(asked):
    def fetch(start, stop):
        asked.append((start, stop))
        return DATA[start:stop]

    return RangeReader(len(DATA), fetch)


def test_each_read_fetches_exactly_its_bytes(file, asked):
    assert file.read(10) == DATA[:10]
    file.seek(-5, io.SEEK_END)
    assert file.readall() == DATA[-5:]
    assert asked == [(0, 10), (95, 100)]


def test_nothing_is_fetched_for_nothing(file, asked):
    assert file.read(0) == b""
    assert file.seek(200) == 200
    assert file.read() == b""
    assert file.tell() == 200
    assert asked == []


def test_buffers_of_the_standard_library_work_on_it(file):
    buffered = io.BufferedReader(file, buffer_size=16)
    assert buffered.read(3) == DATA[:3]
    assert buffered.seek(50) == 50
    assert buffered.read() == DATA[50:]


def test_a_place_before_the_start_is_refused(file):
    with pytest.raises(ValueError, match="cannot be negative"):
        file.seek(-1)
