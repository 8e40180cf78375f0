"""A few seconds of training teach what series have: memory, prices that stay, statics."""

import numpy as np
import pyarrow as pa
import pytest
from small_series import autoregression, make_series, sticky

from gan.config import GeneratorConfig, TrainingConfig
from gan.modalities import load_modality
from gan.sample import Sampler
from gan.training.loop import train
from storage.records.schema import Condition

ENTITIES, STEPS, SHARE = 240, 20, 0.8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sampler trained on prices that stay and a load that remembers, whose level kinds differ."""
    numbers = np.random.default_rng(8)
    kind = np.arange(ENTITIES) % 3
    load = autoregression(numbers, ENTITIES, STEPS, SHARE) + 3 * kind[:, None]
    variables = {
        "price": sticky(numbers, ENTITIES, STEPS).ravel(),
        "load": load.round(3).ravel(),
    }
    statics = {"kind": np.array(["low", "mid", "high"])[kind], "size": kind + 1}
    records = make_series(variables, [STEPS] * ENTITIES, statics=statics)
    module = load_modality("series")
    codec = module.codec.fit(records, "kind")
    config = module.resolve(
        GeneratorConfig(),
        TrainingConfig(budget_samples=6_000, batch_size=16, device="cpu"),
        codec,
        train_rows=ENTITIES,
        seed=0,
    )
    folder = tmp_path_factory.mktemp("series")
    return Sampler.load(train(config, codec, records, folder, device="cpu").snapshot)


def values(records: pa.Table, name: str) -> np.ndarray:
    return np.array(records[name].to_pylist())


@pytest.mark.full
def test_what_stays_stays_and_what_remembers_remembers(trained):
    records = trained.records(400, seed=1, index=0)
    price, load = values(records, "price"), values(records, "load")
    assert np.mean(price[:, 1:] == price[:, :-1]) == pytest.approx(0.9, abs=0.03)
    level = np.array([{"low": 0, "mid": 3, "high": 6}[one] for one in records["kind"].to_pylist()])
    inner = load - level[:, None]
    lagged = np.corrcoef(inner[:, 1:].ravel(), inner[:, :-1].ravel())[0, 1]
    assert lagged == pytest.approx(SHARE, abs=0.08)


@pytest.mark.full
def test_conditions_and_classes_hold_and_are_followed(trained):
    asked = (("high", 60), ("low", 60), ("mid", 0))
    records = trained.records(asked, seed=2, index=0)
    kinds = np.array(records["kind"].to_pylist())
    assert {one: int((kinds == one).sum()) for one in ("high", "low")} == {"high": 60, "low": 60}
    load = values(records, "load").mean(1)
    assert load[kinds == "high"].mean() - load[kinds == "low"].mean() == pytest.approx(6, abs=0.7)
    given = (Condition(column="size", low="2"),)
    sizes = trained.records(80, seed=3, index=0, given=given)["size"].to_pylist()
    assert set(sizes) == {2, 3}
