"""The codec of a private training: it sees noisy counts, and a row that is alone never shows."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gan.accounting import CodecBudget
from gan.errors import ConfigError, DataError
from gan.tables.codec import TableCodec
from gan.tables.columns.noisy import Noise, noisy_cells, noisy_decimals, noisy_levels, noisy_step
from gan.tables.stand_in import class_counts, fit_privately, questions
from tests.gan.tables.small_tables import with_meaning

ROWS = 6_000


def noise(sigma=1.0, delta=1e-6, seed=0):
    return Noise(sigma=sigma, delta=delta, numbers=np.random.default_rng(seed))


def table(**more):
    numbers = np.random.default_rng(0)
    columns = {
        "age": numbers.integers(17, 91, size=ROWS),
        "gain": np.where(numbers.random(ROWS) < 0.9, 0, numbers.integers(100, 99_999, size=ROWS)),
        "price": np.round(numbers.lognormal(3, 1, size=ROWS), 2),
        "city": numbers.choice(["a", "b", "c"], p=[0.7, 0.2, 0.1], size=ROWS).tolist(),
        "kind": numbers.choice(["yes", "no"], size=ROWS).tolist(),
    }
    columns["price"] = pa.array(columns["price"], mask=numbers.random(ROWS) < 0.2)
    return with_meaning({**columns, **more}, min_group=10)


def fitted(records, sigma=5.0, seed=0, label="kind"):
    return fit_privately(records, label, CodecBudget(sigma, 1e-6, seed))


@pytest.fixture(scope="module")
def codec():
    return fitted(table())


class TestCounts:
    def test_a_level_of_one_row_is_never_told(self):
        values = pa.array(["many"] * 500 + ["alone"])
        for seed in range(300):
            found = noisy_levels(values, noise(2.0, 1e-6, seed))
            assert found.parts.to_pylist() == ["many"]

    def test_the_threshold_is_passed_by_one_row_with_probability_delta(self):
        limit = noise(3.0, 0.02).threshold
        draws = 1.0 + 3.0 * np.random.default_rng(1).standard_normal(200_000)
        assert (draws > limit).mean() == pytest.approx(0.02, rel=0.1)

    def test_cells_are_as_fine_as_counts_afford(self):
        values = np.concatenate(
            [np.zeros(5_000), np.random.default_rng(0).uniform(1e3, 1e6, 5_000)]
        )
        fine = noisy_cells(values, 0, noise(1.0), None, whole=True)
        coarse = noisy_cells(values, 0, noise(60.0), None, whole=True)
        assert [0.0, 1.0] in fine.parts.tolist()
        assert len(fine.parts) > 3 * len(coarse.parts)
        assert fine.counts_M.sum() == pytest.approx(10_000, rel=0.05)

    def test_next_to_nothing_lies_where_only_noise_is(self):
        values = np.full(2_000, 40)
        for seed in range(50):
            found = noisy_cells(values, 0, noise(10.0, seed=seed), None, whole=True)
            (own,) = [c for part, c in zip(found.parts, found.counts_M, strict=True) if 40 in part]
            assert own / found.counts_M.sum() > 0.95
            assert found.parts.max() <= 64

    def test_declared_bounds_hold(self):
        values = np.array([-500] * 50 + [3] * 900 + [10**9])
        found = noisy_cells(values, 0, noise(), (0.0, 100.0), whole=True)
        assert found.parts.min() >= 0
        assert found.parts.max() <= 101

    def test_rounding_is_voted_on(self):
        prices = np.append(np.round(np.random.default_rng(0).lognormal(3, 1, 4_000), 2), np.pi)
        assert noisy_decimals(pa.array(prices), noise()) == 2
        assert noisy_decimals(pa.array(np.random.default_rng(0).random(4_000)), noise()) is None
        days_us = np.arange(3_000) * 86_400_000_000
        assert noisy_step(days_us, pa.timestamp("us"), noise()) == 86_400_000_000
        assert noisy_step(days_us + 60_000_000, pa.timestamp("us"), noise()) == 60_000_000


class TestFit:
    def test_shares_are_those_of_the_records(self, codec):
        records = table()
        assert codec.classes == ("no", "yes")
        found, true = class_counts(codec, ROWS), pc.value_counts(records["kind"]).to_pylist()
        for one in true:
            assert found[one["values"]] == pytest.approx(one["counts"], abs=60)
        gain = codec.columns[1]
        zero = gain.vocabulary("gain").to_pylist().index(0)
        assert codec.shares[1][int(gain.codes_of(np.array([zero]))[0])] == pytest.approx(
            0.9, abs=0.03
        )

    def test_real_records_are_encoded_and_come_back_about_as_they_were(self, codec):
        records = table()
        encoded = codec.encode(records)
        again = codec.decode(encoded.values, encoded.labels_N)
        assert again["city"].to_pylist() == records["city"].to_pylist()
        assert again["age"].to_pylist() == records["age"].to_pylist()
        pairs = zip(again["price"].to_pylist(), records["price"].to_pylist(), strict=True)
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        assert np.median([abs(a - b) / b for a, b in both]) < 0.05
        assert again["price"].null_count == records["price"].null_count

    def test_a_rare_level_becomes_another_and_its_name_is_nowhere(self):
        cities = ["a"] * 4_000 + ["b"] * 1_985 + ["hamlet-of-one"] * 15
        codec = fitted(table(city=cities))
        assert "hamlet" not in str(codec.to_json())

    def test_it_is_kept_and_read(self, codec):
        assert TableCodec.from_json(codec.to_json()).shares == codec.shares

    def test_noise_is_new_each_time_unless_it_is_asked_for(self):
        assert CodecBudget(5.0, 1e-6).secret() != CodecBudget(5.0, 1e-6).secret()
        assert CodecBudget(5.0, 1e-6, 7).secret() == 7

    def test_a_row_more_changes_each_question_by_one(self, monkeypatch):
        """What noise is added to differs by one in one place, for every column and question."""
        asked = []
        monkeypatch.setattr(Noise, "on", lambda _, counts: asked.append(counts.copy()) or counts)
        records = table()
        fitted(records)
        first, asked[:] = list(asked), []
        more = pa.concat_tables([records, records.slice(5, 1)])
        fitted(more)
        apart = [np.abs(b - a).sum() for a, b in zip(first, asked, strict=True)]
        assert max(apart) <= 1
        assert sum(apart) <= questions(records.schema)[0]

    def test_types_of_every_kind(self):
        numbers = np.random.default_rng(0)
        days = [date(2020, 1, 1) + timedelta(days=int(n)) for n in numbers.integers(900, size=ROWS)]
        moments = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n % 500) for n in range(ROWS)]
        records = with_meaning(
            {
                "day": pa.array(days, pa.date32()),
                "at": pa.array(moments, pa.timestamp("us")),
                "cost": pa.array(
                    [Decimal(n % 977) / 100 for n in range(ROWS)], pa.decimal128(9, 2)
                ),
                "small": pa.array(numbers.integers(-100, 100, size=ROWS), pa.int8()),
                "flag": pa.array(numbers.random(ROWS) < 0.3),
            },
            min_group=10,
        )
        codec = fitted(records, label=None)
        encoded = codec.encode(records)
        again = codec.decode(encoded.values, encoded.labels_N)
        assert again.schema.types == records.schema.types
        assert all(value.minute == 0 for value in again["at"].to_pylist())
        near = [abs((a - b).days) for a, b in zip(again["day"].to_pylist(), days, strict=True)]
        assert np.median(near) <= 7

    def test_next_to_no_value_lies_beyond_the_real_ones(self, codec):
        for name in ("age", "gain", "price"):
            column = next(one for one in codec.columns if name in one.fields)
            real, found = pc.min_max(table()[name]), pc.min_max(column.vocabulary(name))
            assert found["max"].as_py() <= real["max"].as_py() * 1.02
            assert found["min"].as_py() >= real["min"].as_py()


class TestRefusals:
    def test_of_a_column_nothing_stands_out(self):
        with pytest.raises(DataError, match=r"of column 'city' nothing stands out of the noise .*"):
            fitted(table(city=[f"c{n}" for n in range(ROWS)]))

    def test_a_constraint_that_is_learnt(self):
        rule = {"kind": "inequality", "columns": ["age", "gain"]}
        records = with_meaning({"age": [1, 2], "gain": [3, 4]}, constraints=[rule])
        with pytest.raises(ConfigError, match=r"kind 'inequality' on age, gain, .* keep ranges"):
            questions(records.schema)

    def test_a_range_is_kept(self):
        rule = {"kind": "range", "columns": ["age"], "low": 0, "high": 60}
        plain = table()
        columns = {name: plain[name] for name in plain.column_names}
        records = with_meaning(columns, constraints=[rule], min_group=10)
        codec = fitted(records)
        assert pc.max(codec.columns[0].vocabulary("age")).as_py() <= 60
        assert questions(records.schema)[0] == questions(plain.schema)[0] - 1
