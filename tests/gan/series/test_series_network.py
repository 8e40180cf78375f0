"""The default network: what it draws step by step has the likelihood that it gives whole series."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_series import autoregression, make_series, sticky

from gan.config import GeneratorConfig, TrainingConfig
from gan.modalities import load_modality
from gan.randomness import stream
from gan.series.columns.variables import Coder
from gan.series.networks import sampling
from gan.series.networks.backbone import CHUNK, Backbone
from gan.series.networks.randoms import uniform_numbers
from gan.series.networks.step_network import RUNS
from gan.series.networks.whole import take_apart
from gan.series.presets import WARM_UP, WINDOW

ENTITIES, STEPS = 60, 12


def retail(irregular=False):
    numbers = np.random.default_rng(4)
    lengths = numbers.integers(5, STEPS + 1, ENTITIES)
    inside = np.arange(STEPS) < lengths[:, None]
    sold = numbers.poisson(5, (ENTITIES, STEPS))
    stock = 300 + np.cumsum(30 * (numbers.random((ENTITIES, STEPS)) < 0.2) - sold, axis=1)
    price = sticky(numbers, ENTITIES, STEPS)
    moments, step = None, {}
    if irregular:
        gaps = numbers.integers(60, 90_000, (ENTITIES, STEPS)).cumsum(1) * 1_000_000
        moments = pa.array(gaps[inside] + 1_760_000_000_000_000, pa.timestamp("us"))
        step = {"step": None}
    holes = numbers.random(int(lengths.sum())) < 0.1
    variables = {
        "sold": sold[inside],
        "price": pa.array(price[inside], mask=holes),
        "stock": stock[inside],
        "heat": pa.array(
            autoregression(numbers, ENTITIES, STEPS, 0.97)[inside].round(3), mask=holes[::-1]
        ),
        "open": numbers.choice(["yes", "no"], int(lengths.sum())),
    }
    statics = {"kind": np.where(np.arange(ENTITIES) % 2, "mall", "city")}
    return make_series(variables, lengths, moments, statics=statics, **step)


def build(records, **numbers):
    module = load_modality("series")
    codec = module.codec.fit(records, "kind" if "kind" in records.column_names else None)
    config = module.resolve(
        GeneratorConfig(width=32), TrainingConfig(device="cpu"), codec, train_rows=60, seed=0
    )
    config = config.model_copy(update={"network": {**config.network, **numbers}})
    generator = module.build(config, codec, stream(0, "weights")).generator
    with torch.no_grad():
        for each in (generator.outputs_BU, generator.supply_U, *generator.runs_TU.values()):
            each.normal_(std=0.1, generator=stream(0, "outputs"))
    return codec, generator


@pytest.mark.parametrize("irregular", [False, True])
def test_drawn_codes_have_the_likelihood_of_whole_series(irregular, monkeypatch):
    codec, generator = build(retail(irregular))
    logs, drawn = [], []

    def record(logits_NK, uniform_N):
        codes_N, position_N = inverted(logits_NK, uniform_N)
        logs.append(logits_NK.log_softmax(1).gather(1, codes_N[:, None])[:, 0])
        drawn.append(codes_N)
        return codes_N, position_N

    inverted = sampling.invert
    monkeypatch.setattr(sampling, "invert", record)
    rows = generator(generator.latents(50, stream(0, "z")), torch.zeros(50).long())
    D = len(codec.variables)
    logs_LDN, drawn_LDN = (torch.stack(each).reshape(-1, D, 50) for each in (logs, drawn))
    within_LN = torch.arange(len(logs_LDN))[:, None] < rows[:, 0]
    if irregular:
        logs_LDN[0, 0] = 0  # a first step has no gap
    expected_N = (logs_LDN.sum(1) * within_LN).sum(0).double()
    monkeypatch.setattr(Coder, "encode", lambda self, *_: drawn_LDN[:, self.index].T[within_LN.T])
    samples = codec.to_samples(torch.from_numpy(codec.to_values(rows)))
    codes_NE = take_apart(samples, codec).codes_NE
    found_N = generator.log_likelihood(samples) - generator.whole.log_likelihood(codes_NE)
    torch.testing.assert_close(found_N, expected_N, rtol=1e-4, atol=1e-3)


def test_a_row_is_the_same_in_any_company():
    _, generator = build(retail())
    z_NZ, labels_N = generator.latents(9, stream(0, "z")), torch.zeros(9).long()
    alone = torch.cat([generator(z_NZ[i : i + 1], labels_N[:1]) for i in range(9)])
    together = generator(z_NZ, labels_N)
    spans = slice(0, 4)
    torch.testing.assert_close(alone[:, spans].floor(), together[:, spans].floor())
    assert (alone == together).double().mean() > 0.99


def test_nothing_is_the_same_as_before_the_first_step():
    codec, generator = build(retail())
    with torch.no_grad():
        generator.bias_K += 1.0  # logits are compared, so relations are no less likely
    rows = generator(generator.latents(40, stream(1, "z")), torch.zeros(40).long())
    records = codec.decode(codec.to_values(rows), np.zeros(40, dtype=np.int64))
    assert all(price[0] is None or price[0] > 0 for price in records["price"].to_pylist())
    pairs = zip(records["stock"].to_pylist(), records["sold"].to_pylist(), strict=True)
    assert all(sold[t] <= stock[t - 1] for stock, sold in pairs for t in range(1, len(stock)))


def test_states_and_what_stays_know_how_long_they_have_lasted():
    codec, generator = build(retail())
    names = [each.name for each in codec.variables]
    told = {names[int(index)]: len(table_TU) for index, table_TU in generator.runs_TU.items()}
    assert told == {"open": 2 * RUNS, "price": RUNS}


def test_averages_of_chunks_are_those_of_whole_series():
    network = Backbone(5, 16, 2)
    network.draw(stream(0, "weights"))
    inputs_NLI = torch.randn(2, CHUNK + 40, 5, generator=stream(0, "inputs"))
    whole_NLH = network(inputs_NLI)
    sums = network.start(2)
    for step in range(CHUNK + 40):
        state_NH, sums = network.one(inputs_NLI[:, step], sums, step)
        torch.testing.assert_close(state_NH, whole_NLH[:, step], rtol=1e-3, atol=1e-4)


def test_windows_of_long_series_weigh_every_step_alike():
    numbers = np.random.default_rng(0)
    length = 2 * WINDOW + WARM_UP
    records = make_series({"load": numbers.normal(size=40 * length).round(2)}, [length] * 40)
    codec, generator = build(records)
    samples = codec.to_samples(torch.from_numpy(codec.encode(records).values))
    whole = -float(generator.log_likelihood(samples).mean())
    losses = [
        generator.loss(samples, torch.zeros(40).long(), stream(0, "step", i)).item()
        for i in range(4)
    ]
    assert np.mean(losses) == pytest.approx(whole, rel=0.03)


def test_uniform_numbers_are_uniform_and_do_not_repeat():
    seeds_N = torch.randint(2**53, (4_000,), generator=stream(0, "seeds"))
    numbers = torch.stack([uniform_numbers(seeds_N, step, 1) for step in range(5)])
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
    assert torch.histc(numbers, 10, 0, 1).std() < 3 * (0.1 * 0.9 * 20_000) ** 0.5
    correlations = torch.corrcoef(numbers) - torch.eye(5)
    assert correlations.abs().max() < 4 / 4_000**0.5
    assert not torch.equal(uniform_numbers(seeds_N, 0, 0), uniform_numbers(seeds_N, 0, 1))
