"""Samples of streams: uniform, whatever the order; counts and splits of all records on disk."""

import numpy as np
import pyarrow as pa
import pytest

from storage.sources.config import SourceConfig
from storage.sources.split import (
    SPLITS,
    SplitConfig,
    value_digests,
)
from storage.sources.split_assignment import SplitInputs, assign_splits
from storage.sources.split_classes import ClassNeeds, code_classes
from storage.sources.streams import distinct
from storage.sources.streams.distinct import DistinctCounter
from storage.sources.streams.divide import DIVIDE_WORDS, StreamClasses, divide
from storage.sources.streams.limits import kept_rows
from storage.sources.streams.sample import SAMPLE_WORDS, add_digests, as_words, choose_rows
from storage.sources.streams.seen import error_note
from storage.sources.streams.spill import Spill
from storage.sources.tables.column_facts import ColumnCounter, facts_of


def chosen(folder, values, most, block=700) -> list:
    """The values of a sample, in its order."""
    digests = value_digests(values)
    with Spill(folder, "rows", SAMPLE_WORDS) as spill:
        for start in range(0, len(values), block):
            add_digests(spill, digests[start : start + block], start)
        places = choose_rows(spill, most)
    assert not list(folder.iterdir())
    return [values[place] for place in places]


def test_a_sample_is_the_same_in_any_order(tmp_path) -> None:
    values = [str(number % 900) for number in range(3000)]
    mixed = [values[place] for place in np.random.default_rng(1).permutation(3000)]
    first = chosen(tmp_path, values, 500)
    assert len(first) == 500
    assert first == chosen(tmp_path, mixed, 500, block=111)
    assert len(chosen(tmp_path, values, 5000)) == 3000


def test_a_sample_is_uniform_also_among_copies(tmp_path) -> None:
    """A value that a third of the rows hold is a third of the sample: not all of it, nor none."""
    values = ["same"] * 4000 + [str(number) for number in range(8000)]
    sample = chosen(tmp_path, values, 3000)
    share = sample.count("same") / 3000
    assert abs(share - 1 / 3) < 4 * (2 / 9 / 3000) ** 0.5
    places = np.array([int(value) for value in sample if value != "same"])
    assert abs(places.mean() - 4000) < 4 * 8000 / (12 * len(places)) ** 0.5
    smaller = chosen(tmp_path, values, 1000)
    assert smaller == sample[:1000]


def spilled(spill, digests, codes, block=500) -> None:
    for start in range(0, len(digests), block):
        halves = as_words(digests[start : start + block])
        places = np.arange(start, start + len(halves), dtype=np.uint64)
        own = codes[start : start + block].astype(np.uint64) + np.uint64(1)
        spill.add(np.column_stack([halves, places, own]), halves[:, 1])


@pytest.mark.parametrize("values", [6000, 400], ids=["distinct", "mostly copies"])
@pytest.mark.parametrize("rare", [0.3, 0.006], ids=["large classes", "a starved class"])
def test_splits_of_a_stream_are_those_of_memory(tmp_path, values, rare) -> None:
    random = np.random.default_rng(3)
    digests = value_digests([f"row {n}" for n in random.integers(0, values, 3000)])
    labels = pa.array(np.where(random.random(3000) < rare, "a", "b").tolist())
    needs = ClassNeeds(train=3, validation=4, holdout=4)
    classes = code_classes(labels, needs)
    inputs = SplitInputs(
        digests=digests,
        final_digests=digests,
        deciding=None,
        held_out=np.zeros(3000, np.bool_),
        classes=classes,
    )
    config = SplitConfig()
    whole = assign_splits(config, inputs)
    sample = random.permutation(3000)[:800]
    of_stream = StreamClasses(
        values=classes.values,
        counts_C=np.bincount(classes.codes_N),
        places_C=np.arange(2),
        needs=needs,
    )
    with Spill(tmp_path, "content", DIVIDE_WORDS) as spill:
        spilled(spill, digests, classes.codes_N)
        found = divide(spill, sample, config, of_stream)
    assert (found.assignment.splits_N == whole.splits_N[sample]).all()
    assert found.assignment.rule == whole.rule
    assert found.rows == {n: int((whole.splits_N == k).sum()) for k, n in enumerate(SPLITS)}
    counted = {label: sum(dict(found.class_counts[n])[label] for n in SPLITS) for label in "ab"}
    assert counted == {label: labels.to_pylist().count(label) for label in "ab"}


def test_columns_are_counted_in_blocks_as_whole(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(distinct, "MOST_COUNTED", 100)
    random = np.random.default_rng(5)
    columns = {
        "texts": [None if n < 40 else f"word {n} of many" for n in random.integers(0, 900, 1500)],
        "unique": [f"k{n:05}" for n in range(1500)],
        "numbers": random.integers(-70, 70, 1500).tolist(),
        "counts up": list(range(7, 1507)),
    }
    for name, values in columns.items():
        column = pa.chunked_array([values])
        with ColumnCounter(tmp_path, "column") as counter:
            for start in range(0, 1500, 400):
                counter.add(column.slice(start, 400))
            assert counter.facts() == facts_of(column), name
    assert not list(tmp_path.iterdir())


def test_counters_spill_and_agree(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(distinct, "MOST_COUNTED", 10)
    values = pa.chunked_array([[f"v{n % 70}" for n in range(100)]])
    with DistinctCounter(tmp_path, "one") as counter:
        counter.add(values.slice(0, 50))
        counter.add(values.slice(50))
        found = counter.result()
        assert list(tmp_path.iterdir())
    assert (found.distinct, found.repeated) == (70, 60)


def test_auto_counts_the_machine_and_the_budget(monkeypatch) -> None:
    from storage.sources.streams import limits

    config = SourceConfig(uri="rows.parquet")
    monkeypatch.setattr(limits, "memory_bytes", lambda: 12 << 30)
    assert limits.allowed_bytes() == 4 << 30
    assert kept_rows(config, 1 << 10) == 4 << 20
    assert kept_rows(config, 1 << 10, seen_rows=300_000) == 300_000
    assert kept_rows(config, 1 << 10, seen_rows=7) == limits.LEAST_ROWS
    said = config.model_copy(update={"max_rows": 5000})
    assert kept_rows(said, 1 << 10, seen_rows=7) == 5000


def test_the_error_is_that_of_the_inequality() -> None:
    """For one column and 95 %: sqrt(ln(40) / 2n), the worked example of every textbook."""
    assert "1.36% of the rows" in error_note(10_000, 1)
