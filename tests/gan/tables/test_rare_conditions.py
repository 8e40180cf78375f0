"""Rare conditions on a column beside another: rows as those that meet them, not its own codes."""

import numpy as np
import pytest
from row_generator import sampler_of
from typed_tables import described

from gan.errors import ConfigError
from gan.selection import LEAST_SHARE
from gan.tables.codec import TableCodec
from gan.tables.columns.relative import RelativeNumeric
from gan.tables.strata import MOST_STRATA, ConditionStrata
from storage.records.schema import Condition

ROWS = 40_000


@pytest.fixture(scope="module")
def bills():
    """Three bills of which each lies beside the one before, and a kind that says which do not."""
    numbers = np.random.default_rng(4)
    first = np.rint(numbers.lognormal(8, 1.2, ROWS)).astype(np.int64)
    kind = numbers.choice(["steady", "other"], ROWS, p=[0.8, 0.2])
    rows = [first]
    for _ in range(2):
        near = rows[-1] + np.rint(numbers.normal(0, 15, ROWS)).astype(np.int64)
        fresh = np.rint(numbers.lognormal(8, 1.2, ROWS)).astype(np.int64)
        rows.append(np.where(kind == "steady", near, fresh).clip(1))
    names = ("first", "second", "third")
    columns = dict(zip(names, rows, strict=True)) | {"kind": kind}
    return described(columns | {"even": numbers.choice(["p", "q"], ROWS)})


@pytest.mark.parametrize(
    ("column", "low", "high"), [("third", 4000, 4060), ("second", 50_000, 90_000)]
)
def test_the_other_columns_are_those_of_the_rows_that_meet_a_rare_condition(
    bills, column, low, high
):
    sampler = sampler_of(bills)
    beside = [each.name for each in sampler.codec.columns if isinstance(each, RelativeNumeric)]
    assert column in beside
    values = bills[column].to_numpy()
    met = (values >= low) & (values <= high)
    assert 0.0005 < met.mean() < LEAST_SHARE
    given = Condition(column=column, low=str(low), high=str(high))
    made = sampler.records(800, seed=3, index=0, given=(given,))
    values = made[column].to_numpy()
    assert values.min() >= low
    assert values.max() <= high
    real = bills.filter(met)
    shares = [np.mean(np.array(t["kind"].to_pylist()) == "steady") for t in (real, made)]
    assert shares[0] > 0.5
    assert shares[1] == pytest.approx(shares[0], abs=0.09)
    near = [
        np.mean(np.abs(t["second"].to_numpy() - t["third"].to_numpy()) < 60) for t in (real, made)
    ]
    assert near[1] == pytest.approx(near[0], abs=0.09)
    again = sampler.records(800, seed=3, index=0, given=(given,))
    assert again.equals(made)


def test_a_class_that_is_asked_for_comes_with_a_rare_condition(bills):
    sampler = sampler_of(bills, "kind")
    given = Condition(column="third", low="4000", high="4060")
    made = sampler.records((("other", 40), ("steady", 300)), seed=1, index=0, given=(given,))
    kinds = made["kind"].to_pylist()
    assert (kinds.count("other"), kinds.count("steady")) == (40, 300)
    third, second = (made[name].to_numpy() for name in ("third", "second"))
    assert third.min() >= 4000
    assert third.max() <= 4060
    assert np.mean(np.abs(third - second)[np.array(kinds) == "steady"] < 60) > 0.95


def test_a_condition_that_no_row_meets_is_refused_in_a_sentence(bills, monkeypatch):
    monkeypatch.setattr("gan.selection.MOST_PILOT", 65_536)
    sampler = sampler_of(bills)
    given = (
        Condition(column="third", low="4000", high="4010"),
        Condition(column="second", low="20000", high="90000"),
        Condition(column="kind", values=("steady",)),
    )
    with pytest.raises(ConfigError, match=r"none of 65,536 records .* widen its conditions"):
        sampler.records(10, seed=1, index=0, given=given)


def test_every_row_that_meets_a_condition_is_in_one_stratum():
    numbers = np.random.default_rng(32)
    base = numbers.integers(0, 100_000, 3000)
    columns = {f"c{i}": base + numbers.integers(-3, 4, 3000) for i in range(5)}
    columns["c4"] = np.where(numbers.random(3000) < 0.2, columns["c4"][::-1], columns["c4"])
    records = described(columns)
    codec = TableCodec.fit(records, None)
    cells_ND = codec.encode(records).values
    seen = set()
    for low in range(0, 100_000, 20_000):
        given = tuple(
            Condition(column=name, low=str(low), high=str(low + width))
            for name, width in (("c0", 9_000), ("c3", 10_000))
        )
        met_N = codec.classes_of(cells_ND, given, per_class=False) == 0
        strata = ConditionStrata.of(codec.columns, codec.cell_masks(given), ["c0", "c3"])
        assert len(strata.masks) <= MOST_STRATA
        found_N = strata.of_rows(cells_ND)[met_N]
        assert met_N.sum() > 50
        assert (found_N >= 0).all()
        seen |= {len(strata.masks), *np.unique(found_N).tolist()}
        for number, masks in enumerate(strata.masks):
            here_MD = cells_ND[met_N][found_N == number]
            for mask, cells_M in zip(masks, here_MD.T, strict=True):
                assert mask[cells_M].all()
    assert len(seen) > 3
