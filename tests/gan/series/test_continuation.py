"""Series that go on: histories stay, what is known stays, and what is drawn follows from them."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_series import autoregression, make_series

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError, DataError
from gan.modalities import load_modality
from gan.randomness import stream
from gan.sample import Sampler
from gan.series.continuation import continue_series
from gan.series.networks.sampling import GivenSteps, draw_steps
from gan.series.networks.whole import take_apart
from gan.snapshot import Snapshot

ENTITIES, STEPS, PAST, AHEAD = 60, 16, 10, 4


def build(preset="auto", *, scaled=False):
    """Return records, and a sampler whose weights are drawn, not learnt."""
    numbers = np.random.default_rng(2)
    load = autoregression(numbers, ENTITIES, STEPS, 0.99)
    if scaled:
        load = (load - load.mean(1, keepdims=True)) / load.std(1, keepdims=True)
    variables = {
        "plan": numbers.integers(0, 5, ENTITIES * STEPS),
        "load": load.round(3 if not scaled else 9).ravel(),
    }
    statics = {"kind": np.where(np.arange(ENTITIES) % 2, "a", "b")}
    records = make_series(variables, [STEPS] * ENTITIES, statics=statics)
    module = load_modality("series")
    codec = module.codec.fit(records, None)
    config = module.resolve(
        GeneratorConfig(preset=preset),
        TrainingConfig(device="cpu"),
        codec,
        train_rows=ENTITIES,
        seed=0,
    )
    weights = module.build(config, codec, stream(0, "weights")).generator.state_dict()
    snapshot = Snapshot(config=config, codec=codec, weights=weights, facts={}, digest="")
    return records, Sampler(snapshot)


def cut(records, first, end):
    """Return some steps of every entity."""
    columns = []
    for field in records.schema:
        values = records[field.name].to_pylist()
        if pa.types.is_list(field.type):
            values = [one[first:end] for one in values]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=records.schema)


@pytest.fixture(scope="module")
def made():
    return build()


def test_what_comes_follows_the_history(made):
    records, sampler = made
    history = cut(records, 0, PAST)
    later = continue_series(sampler, history, AHEAD, seed=1)
    assert later["who"].equals(history["who"])
    assert later["kind"].to_pylist() == history["kind"].to_pylist()
    assert later["when"].to_pylist() == cut(records, PAST, PAST + AHEAD)["when"].to_pylist()
    load = np.array(later["load"].to_pylist())
    assert load.shape == (ENTITIES, AHEAD)
    last = np.array(history["load"].to_pylist())[:, -1]
    assert np.corrcoef(load[:, 0], last)[0, 1] > 0.9
    again = continue_series(sampler, history, AHEAD, seed=1)
    assert again.equals(later)
    assert not continue_series(sampler, history, AHEAD, seed=2).equals(later)


def test_what_was_drawn_goes_on_as_it_did(made):
    """Steps of its own, given back under the same random numbers, are followed by the same."""
    _, sampler = made
    codec, network = sampler.snapshot.codec, sampler.generator
    z_NZ = network.latents(8, stream(0, "z"))
    drawn = network(z_NZ, torch.zeros(8).long())
    series = take_apart(drawn, codec)
    is_given_NLD = torch.zeros_like(series.units_NLD, dtype=torch.bool)
    is_given_NLD[:, :PAST] = True
    units_NLD = torch.where(is_given_NLD, series.units_NLD, 0.0)
    given = GivenSteps(series.lengths_N, series.start_N, units_NLD, is_given_NLD)
    again = draw_steps(network, drawn[:, codec.cells], z_NZ[:, -1].long(), given)
    assert torch.equal(again, drawn)
    is_given_NLD[:, PAST - 1] = False
    units_NLD[:, PAST - 2] += 500
    other = draw_steps(network, drawn[:, codec.cells], z_NZ[:, -1].long(), given)
    assert not torch.equal(take_apart(other, codec).units_NLD[:, PAST:], series.units_NLD[:, PAST:])


def test_what_is_known_stays_and_the_rest_is_drawn(made):
    records, sampler = made
    history, future = cut(records, 0, PAST), cut(records, PAST, PAST + AHEAD)
    later = continue_series(sampler, history, AHEAD, seed=1, future=future, known=["plan"])
    assert later["plan"].to_pylist() == future["plan"].to_pylist()
    assert later["load"].to_pylist() != future["load"].to_pylist()


def test_histories_of_different_lengths_go_on_from_their_own_end(made):
    records, sampler = made
    both = pa.concat_tables([cut(records, 0, 3).slice(0, 5), cut(records, 0, PAST).slice(5, 5)])
    together = continue_series(sampler, both, AHEAD, seed=1)
    moments = [one[0] for one in together["when"].to_pylist()]
    expected = [one[3] for one in records["when"].to_pylist()[:5]]
    expected += [one[PAST] for one in records["when"].to_pylist()[5:10]]
    assert moments == expected


def test_what_cannot_go_on_is_refused(made):
    records, sampler = made
    history = cut(records, 0, PAST)
    with pytest.raises(ConfigError, match="give the last 9 steps"):
        continue_series(sampler, history, STEPS - 9, seed=1)
    with pytest.raises(ConfigError, match="'price' is no variable"):
        continue_series(sampler, history, 1, seed=1, known=["price"])
    with pytest.raises(DataError, match="need a future"):
        continue_series(sampler, history, 1, seed=1, known=["plan"])
    with pytest.raises(DataError, match="the 2 steps"):
        continue_series(sampler, history, 2, seed=1, future=history, known=["plan"])
    with pytest.raises(ConfigError, match="not 0"):
        continue_series(sampler, history, 0, seed=1)
    _, adversarial = build("timegan")
    with pytest.raises(ConfigError, match="timegan of series"):
        continue_series(adversarial, history, 1, seed=1)
    _, scaled = build(scaled=True)
    with pytest.raises(ConfigError, match="load of each entity is scaled"):
        continue_series(scaled, history, 1, seed=1)
