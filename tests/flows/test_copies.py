"""Copies over all shards: the same number whether a shard was made, adopted or read back."""

import pickle
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from flows.copies import begin_copies, count_copies
from flows.engines.interface import MadeShard
from flows.errors import BlockedError
from flows.evaluate import splits_of
from flows.progress import SilentReporter
from gan.images.codec import write_images
from gan.modalities import load_modality
from storage.errors import LakeError
from storage.lake.plan import Identity, RecordKind, propose
from storage.lake.publish import Publisher
from storage.lake.synthesis import SynthesisConfig
from storage.records.modalities import words_of
from storage.records.series import read_series_metadata, steps_of
from storage.shards.format import format_for, load_format
from storage.stores.memory import MemoryStore
from tests.gan.series.small_series import make_series
from tests.gan.tables.small_tables import with_meaning

ROWS, SHARD = 60, 10


def table(seed):
    """Few values, nulls among them, so that chance makes some rows equal."""
    numbers = np.random.default_rng(seed)
    columns = {
        "size": [None if one == 2 else one / 4 for one in numbers.integers(3, size=ROWS)],
        "count": [None if one == 2 else int(one) for one in numbers.integers(3, size=ROWS)],
        "flag": numbers.random(ROWS) < 0.5,
        "town": [("Bern", "B\u00e2le", "=1")[one] for one in numbers.integers(3, size=ROWS)],
    }
    return with_meaning(columns)


def images(seed, levels=2):
    pixels = np.random.default_rng(seed).integers(levels, size=(ROWS, 2, 2, 1))
    return pa.table({"image": write_images((pixels * 255 // (levels - 1)).astype(np.uint8))})


def series(seed):
    numbers = np.random.default_rng(seed)
    lengths = numbers.integers(1, 4, size=ROWS)
    steps = int(lengths.sum())
    return make_series(
        {"level": numbers.integers(2, size=steps), "mood": numbers.choice(["a", "b"], size=steps)},
        lengths,
    )


def table_values(records):
    return [repr(row) for row in records.to_pylist()]


def image_values(records):
    return [repr(one.tolist()) for one in records["image"].combine_chunks().to_numpy_ndarray()]


def series_values(records):
    steps = steps_of(records, read_series_metadata(series(0).schema)).select(["level", "mood"])
    lengths = [len(one) for one in records["when"].to_pylist()]
    ends = np.cumsum(lengths)
    rows = steps.to_pylist()
    return [repr(rows[end - n : end]) for end, n in zip(ends, lengths, strict=True)]


CASES = {
    "tables": (table, table_values, "parquet"),
    "tables, csv": (table, table_values, "csv"),
    "images": (images, image_values, "parquet"),
    "series": (series, series_values, "nested"),
}


class Case:
    """A version of six shards; every second record of the third is one of the training set."""

    def __init__(self, name):
        make, self.values, kind = CASES[name]
        self.parts = [make(seed) for seed in (1, 2, 3)]
        modality, schema = name.partition(",")[0], self.parts[0].schema
        self.prepared = SimpleNamespace(
            modality=modality,
            label=None,
            records=dict(zip(("train", "validation", "holdout"), self.parts, strict=True)),
        )
        self.plan = propose(
            Identity(name="n", run_key="0" * 64, generator="n/x", snapshot_digest="0" * 64),
            SynthesisConfig(samples=ROWS, shard_samples=SHARD, seed=0),
            RecordKind(schema=schema, label=None, class_counts=(), modality=modality),
            format=format_for(modality, kind),
            created=datetime(2026, 1, 1, tzinfo=UTC),
        )
        made, train = make(4), self.parts[0]
        copied = [train.slice(i, 1) if i % 2 else made.slice(20 + i, 1) for i in range(SHARD)]
        made = pa.concat_tables([made.slice(0, 20), *copied, made.slice(30)])
        self.shards = [made.slice(start, SHARD) for start in range(0, ROWS, SHARD)]
        self.lake = MemoryStore()
        self.read = []

    def put(self, indices):
        """Store shards and return their entries."""
        publisher = Publisher(self.lake, self.plan)
        return {index: publisher.put_shard(index, self.shards[index]) for index in indices}

    def run(self, made, override=None):
        """Count in a run that makes some shards and finds the others stored by an earlier one."""
        self.put(set(range(len(self.shards))) - set(made))
        tally, entries = begin_copies(self.prepared, self.plan), self.put(made)
        hasher = pickle.loads(pickle.dumps(tally.hasher))  # noqa: S301 - as a worker has it
        for index in reversed(made):
            tally.take(index, MadeShard(entries[index], hasher(self.shards[index])))
        publisher = Publisher(self.lake, self.plan)
        adopt = publisher.adopt
        publisher.adopt = lambda index: self.read.append(index) or adopt(index)
        for index, entry in entries.items():
            publisher.record(index, entry)
        job = SimpleNamespace(reporter=SilentReporter())
        return count_copies(job, SimpleNamespace(override=override), tally, publisher)

    def read_back(self):
        """Count what readers will read, shard after shard."""
        counter = load_modality(self.prepared.modality).count_copies(
            splits_of(self.prepared), self.plan.rows
        )
        shard_format = load_format(self.plan.format)
        for shard in self.plan.shards:
            data = self.lake.get(self.plan.shard_key(shard.index))
            counter.add(shard_format.decode(data, self.plan.record_schema))
        return counter.result(words_of(self.prepared.modality).records)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("made", [range(6), (1, 4), ()], ids=["all", "continued", "stored"])
def test_the_number_is_that_of_what_readers_read(name, made):
    case = Case(name)
    found = case.run(list(made), override=object())
    assert case.read == [index for index in range(6) if index not in made]
    assert found == case.read_back()
    values = [one for shard in case.shards for one in case.values(shard)]
    train, *others = (set(case.values(part)) for part in case.parts)
    unseen = others[0] | others[1]
    assert found.equal == sum(one in train for one in values) >= SHARD // 2
    assert found.equal_unseen == sum(one in unseen for one in values)
    assert (found.trained, found.trained_hit) == (len(train), len(train & set(values)))
    assert found.records == ROWS


def test_a_second_try_of_publishing_counts_nothing_twice():
    """As where the lake fails in the middle, and the stage is tried again."""
    case = Case("series")
    case.put(range(6))
    tally, publisher = begin_copies(case.prepared, case.plan), Publisher(case.lake, case.plan)
    adopt = publisher.adopt

    def failing(index):
        if index == 3:
            raise LakeError
        return adopt(index)

    publisher.adopt = failing
    with pytest.raises(LakeError):
        tally.finish(SilentReporter(), publisher)
    assert tally.finish(SilentReporter(), Publisher(case.lake, case.plan)) == case.read_back()


def test_a_shard_that_arrives_twice_counts_once():
    case = Case("tables")
    case.put(range(1, 6))
    tally, entries = begin_copies(case.prepared, case.plan), case.put([0])
    for _ in range(2):
        tally.take(0, MadeShard(entries[0], tally.hasher(case.shards[0])))
    publisher = Publisher(case.lake, case.plan)
    assert tally.finish(SilentReporter(), publisher) == case.read_back()


def test_copies_in_an_adopted_shard_block():
    """What an earlier run has put is published with the rest."""
    case = Case("images")
    case.prepared.records |= {"train": images(1, levels=256), "holdout": images(3, levels=256)}
    case.shards[:5] = [images(4, levels=256).slice(SHARD * i, SHARD) for i in range(5)]
    case.shards[5] = case.prepared.records["train"].slice(0, SHARD)
    with pytest.raises(BlockedError, match=r"10 of 60 published .* nothing was published"):
        case.run([0, 1, 2, 3, 4])
