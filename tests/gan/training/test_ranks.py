"""Several processes train what one trains: the same batches, losses, gradients and weights."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rank_cases import CASES, made, run
from torch.nn.functional import batch_norm

from gan.device import DeviceContext, count_devices, take_place
from gan.errors import ConfigError, SmallerPartsError
from gan.protocols import Hooks
from gan.randomness import stream
from gan.training import ranks
from gan.training.batches import Batches
from gan.training.loop import train
from gan.training.repair import shrink
from gan.training.state import Progress

HERE = Path(__file__).parent
EXACT = [case for case in CASES if case != "ctgan"]


PAIRED = ("r1-r2", "denoising", "one-shot", "series-adversarial")
FREE = ("head", "patches")
"""A loss on differences of logits leaves the last bias free: its gradient is rounding alone, which
Adam makes large."""


def start(folder, cases, ranks=2):
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words += ["--local-addr=127.0.0.1", f"--nproc-per-node={ranks}"]
    words += [str(HERE / "rank_cases.py"), str(folder), *cases]
    subprocess.run(
        words,
        check=True,
        timeout=300,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What every case becomes in two processes: case → rank → numbers."""
    folder = tmp_path_factory.mktemp("together")
    start(folder, CASES)
    return {
        case: [json.loads((folder / f"{case}.{rank}.json").read_text()) for rank in (0, 1)]
        for case in CASES
    }


@pytest.mark.full
@pytest.mark.parametrize("case", EXACT)
def test_two_processes_train_what_one_trains(case, together):
    alone, (found, _) = run(case), together[case]
    assert found["samples_seen"] == alone["samples_seen"]
    losses = [[each for step in one["losses"] for each in step] for one in (found, alone)]
    np.testing.assert_allclose(*losses, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["counts"], alone["counts"], rtol=1e-3)
    assert set(found["sizes"]) == set(alone["sizes"])
    for name, size in alone["sizes"].items():
        if case in PAIRED and "bias" in name and any(part in name for part in FREE):
            continue
        assert found["sizes"][name] == pytest.approx(size, rel=2e-3, abs=1e-5), name


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
def test_both_processes_hold_the_same_bits(case, together):
    one, two = together[case]
    assert one == two


# --- the parts, without a second process ---


@pytest.fixture
def as_rank(monkeypatch):
    """Let this process be one of several, which never meets the others."""

    def be(number, count=2):
        monkeypatch.setattr(ranks, "count", lambda: count)
        monkeypatch.setattr(ranks, "number", lambda: number)

    return be


def draws(rows, pack, halves, share):
    """Every kind of draw of a step, for so many rows; those of packs and of the whole batch too."""
    numbers, blocks = stream(1, "draws"), 2 if halves else 1
    weights = torch.arange(1.0, 1 + rows * 3).reshape(rows, 3) if share is None else share
    with ranks.whole_batch(rows, pack=pack, halves=halves):
        return [
            torch.rand(rows, generator=numbers),
            torch.randn(rows, 3, generator=numbers),
            torch.rand((rows // pack, 2), generator=numbers, dtype=torch.float64),
            torch.randint(0, 9, (rows, 1), generator=numbers),
            torch.rand(1, 5, generator=numbers),
            torch.rand((), generator=numbers),
            torch.multinomial(weights, 1, generator=numbers) if blocks == 1 else torch.zeros(rows),
            torch.randint(7, (rows * 4,), generator=numbers),
        ]


@pytest.mark.parametrize(("pack", "halves"), [(1, False), (1, True), (2, False), (2, True)])
def test_ranks_draw_what_one_process_draws(pack, halves, as_rank):
    whole = draws(16, pack, halves, None)
    weights = torch.arange(1.0, 49).reshape(16, 3)
    found = []
    for number in (0, 1):
        as_rank(number)
        found.append(draws(8, pack, halves, weights[8 * number : 8 * number + 8]))
    for place, (one, *parts) in enumerate(zip(whole, *found, strict=True)):
        if place in (4, 5):  # of no row
            assert all(torch.equal(one, part) for part in parts)
            continue
        blocks = [part.chunk(2 if halves else 1) for part in parts]
        joined = torch.cat([part for pair in zip(*blocks, strict=True) for part in pair])
        assert torch.equal(joined, one), place


def test_a_draw_that_no_rank_knows_its_rows_of_is_refused(as_rank):
    as_rank(1)
    with ranks.whole_batch(8), pytest.raises(NotImplementedError, match="bernoulli"):
        torch.bernoulli(torch.full((8,), 0.5), generator=stream(0, "draws"))


def test_a_draw_whose_rows_do_not_come_first_is_refused(as_rank):
    as_rank(1)
    with ranks.whole_batch(8), pytest.raises(NotImplementedError, match="do not come first"):
        torch.randint(-2, 3, (2, 8), generator=stream(0, "draws"))


def test_ranks_share_one_batch(as_rank):
    config, codec, records = made("r1-r2", devices=2)
    context = DeviceContext(device=torch.device("cpu"))
    batches = Batches(codec.encode(records), codec, context, seed=0)
    whole, parts = batches.next(config, Progress(samples_seen=80)), []
    for number in (0, 1):
        as_rank(number)
        parts.append(batches.next(config, Progress(samples_seen=80)))
    for name in ("reals", "labels_N", "z_NZ"):
        together = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(together, getattr(whole, name)), name
    states = [one.stream.get_state() for one in (whole, *parts)]
    assert all(torch.equal(states[0], state) for state in states)


def test_the_batch_norm_of_ranks_is_torchs_where_they_see_the_same(as_rank, monkeypatch):
    monkeypatch.setattr(ranks, "mean", lambda tensor: tensor)
    as_rank(0, count=2)
    units = torch.randn(8, 3, 4, 4, generator=stream(2, "units"), dtype=torch.float32)
    units.requires_grad_()
    found, expected = [], []
    for results, doubled in ((found, [units]), (expected, [units, units])):
        running = [torch.zeros(3), torch.ones(3)]
        scale, shift = torch.full((3,), 1.5), torch.full((3,), 0.2)
        inputs = (torch.cat(doubled), *running, scale, shift, True, 0.1, 1e-5)
        norm = ranks._normalized if results is found else batch_norm
        outputs = norm(*inputs)[:8]
        (slope,) = torch.autograd.grad(outputs.pow(3).sum(), units, create_graph=True)
        (curve,) = torch.autograd.grad(slope.square().sum(), units, retain_graph=True)
        results += [outputs, *running]
        if results is found:
            assert curve.abs().max() > 0
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_in_one_process_everything_is_the_identity():
    tensor, hooks = torch.ones(3), Hooks()
    assert (ranks.count(), ranks.number(), ranks.share(8)) == (1, 0, slice(0, 8))
    assert all(call(tensor) is tensor for call in (ranks.mean, ranks.total))
    assert ranks.shared(hooks) is hooks
    assert ranks.agreed(hooks) is hooks
    assert ranks.by_first(len)([1]) == 1


# --- how many ---


@pytest.mark.parametrize(
    ("devices", "gpus", "ranks_there"), [("auto", 4, 4), ("auto", 3, 2), (2, 4, 2), ("auto", 1, 1)]
)
def test_a_batch_has_equal_parts(devices, gpus, ranks_there, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    config, _, _ = made("r1-r2", devices=devices, device="auto")
    assert config.ranks == ranks_there
    said = [note for note in config.notes if "devices" in note]
    assert len(said) == (gpus > 1)
    assert ("of 3" in "".join(said)) == (gpus == 3)


def test_what_does_not_part_is_refused_and_one_process_says_nothing():
    with pytest.raises(ConfigError, match=r"3, and a batch of 32 .* choose 1 or 2"):
        made("r1-r2", devices=3)
    config, _, _ = made("r1-r2", devices=1)
    assert "ranks" not in config.model_dump()
    assert made("r1-r2", devices=2)[0].model_dump()["ranks"] == 2


def test_packs_and_compared_neighbours_stay_together():
    for case, together in (("interpolated", 4), ("ctgan", 8)):
        config, _, _ = made(case, devices=2)
        assert config.batch_size // config.ranks % together == 0
        with pytest.raises(ConfigError, match=f"whole packs of {together}"):
            made(case, devices=16)


def test_more_gpus_than_there_are_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="4, but torch sees 1 CUDA device here"):
        count_devices(4, "cuda")
    assert count_devices("auto", "cpu") == 1


@pytest.mark.parametrize(
    ("there", "index", "backend"), [(4, 3, "cpu:gloo,cuda:nccl"), (2, 1, "cpu:gloo,cuda:gloo")]
)
def test_ranks_share_gpus_where_there_are_fewer(there, index, backend, monkeypatch):
    taken = []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert take_place("cuda", 4).backend == backend
    assert taken == [index]
    assert take_place("cpu", 4) == (None, "gloo")


# --- memory ---


def test_memory_that_ends_on_a_rank_starts_all_again_with_less(as_rank, tiny):
    class State:
        progress, config, device = Progress(micro_batch=32), tiny, "cuda"

    as_rank(1)
    with pytest.raises(SmallerPartsError, match="16 samples at once") as raised:
        shrink(State, None)
    assert raised.value.at_once == 16


def test_a_training_that_starts_again_with_less_says_so(tiny, codec, digits, tmp_path):
    told = []
    hooks = Hooks(at_once=8, on_event=told.append)
    config = tiny.model_copy(update={"budget_samples": 160})
    result = train(config, codec, digits, tmp_path, hooks=hooks, device="cpu")
    assert [event.text for event in told if event.kind == "memory"] == [
        "out of memory: 8 samples at once from now on, gradients summed"
    ]
    assert result.ranks == 1
