"""No tensor is made on the wrong device: training, sampling and judging where CUDA would be."""

import pytest
import torch
from rank_cases import CASES, made
from shadow_cuda import ShadowCuda, StrayError

from gan.device import find_device
from gan.inside.scores import score_sides
from gan.modalities import load_modality
from gan.protocols import Assessment, Hooks
from gan.sample import Sampler
from gan.tables.networks.masked import MaskedAutoregressive
from gan.training.loop import train

QUICK = "table-likelihood"


def small(case, **update):
    """A training of two ticks, and how many records are asked of it."""
    config, codec, records = made(case)
    update = {"budget_samples": 192, "tick_samples": 96, **update}
    rows = tuple((label, 3) for label in codec.classes) if codec.classes else 9
    return config.model_copy(update=update), codec, records, rows


def whole_way(case, folder, **update):
    """Train, assess, sample, ask for likelihoods and scores on the device; return its events."""
    config, codec, records, rows = small(case, **update)

    def assess(sample, samples_seen):
        assert sample(rows).num_rows == 9
        sample.log_likelihood(records.slice(0, 10))
        return Assessment(metrics={}, rank=1.0, copies=0.0, full_coverage=False)

    unseen = records.slice(0, 20)
    hooks = Hooks(assess=assess, validation=unseen)
    with ShadowCuda() as shadow:
        result = train(config, codec, records, folder, hooks=hooks, device="cuda")
        assert result.device == "cuda"
        sampler = Sampler.load(result.snapshot, "cuda")
        assert sampler.records(rows, seed=1, index=0).num_rows == 9
        score_sides(folder, config, codec, (records, unseen), device="cuda")
    assert shadow.operations.seen > 1000, "the device did the work"
    return result


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case == QUICK else pytest.mark.full) for case in CASES]
)
def test_the_whole_way_keeps_to_the_device(case, tmp_path):
    result = whole_way(case, tmp_path)
    assert not [event for event in result.events if event.kind == "repair"]


@pytest.mark.full
@pytest.mark.parametrize("case", ["r1-r2", QUICK])
def test_what_judges_keeps_to_the_processor(case, tmp_path):
    config, codec, records, _ = small(case)
    modality = load_modality(codec.modality)
    with ShadowCuda():
        assess = modality.build_assess(
            records.slice(0, 60), records.slice(60), label=codec.label, seed=1
        )
        result = train(config, codec, records, tmp_path, hooks=Hooks(assess=assess), device="cuda")
    assert result.samples_seen == 192


# --- what is planted is found ---


def stray_input(monkeypatch):
    whole = MaskedAutoregressive.loss

    def loss(self, samples, labels_N, stream):
        return (whole(self, samples, labels_N, stream) * torch.ones(3)).mean()

    monkeypatch.setattr(MaskedAutoregressive, "loss", loss)


def stray_noise(monkeypatch):
    whole = MaskedAutoregressive.loss

    def loss(self, samples, labels_N, stream):
        share = torch.rand(len(samples), generator=stream)
        return whole(self, samples, labels_N, stream) + (samples[:, 0] * share).mean() * 0

    monkeypatch.setattr(MaskedAutoregressive, "loss", loss)


def stray_numpy(monkeypatch):
    whole = MaskedAutoregressive.loss

    def loss(self, samples, labels_N, stream):
        samples.numpy()
        return whole(self, samples, labels_N, stream)

    monkeypatch.setattr(MaskedAutoregressive, "loss", loss)


def stray_generator(monkeypatch):
    whole = MaskedAutoregressive.loss

    def loss(self, samples, labels_N, stream):
        torch.rand(3, generator=stream, device=samples.device)
        return whole(self, samples, labels_N, stream)

    monkeypatch.setattr(MaskedAutoregressive, "loss", loss)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (stray_input, r"mul of the device gets \[\(3,\)\] of the processor"),
        (stray_noise, r"mul of the device gets \[\(32,\)\]"),
        (stray_numpy, "numpy cannot see"),
        (stray_generator, "draws by the processor's generator"),
    ],
)
def test_a_planted_stray_is_found(plant, found, tmp_path, monkeypatch):
    plant(monkeypatch)
    with pytest.raises(StrayError, match=found):
        whole_way(QUICK, tmp_path, budget_samples=64)


@pytest.mark.full
def test_a_stray_of_the_backward_pass_is_found():
    class Stray(torch.autograd.Function):
        @staticmethod
        def forward(_, units):
            return units.clone()

        @staticmethod
        def backward(_, gradient):
            return gradient + torch.ones(3)

    with ShadowCuda():
        units = torch.zeros(3, device="cuda", requires_grad=True)
        total = Stray.apply(units).sum()
        with pytest.raises(StrayError, match="add of the device"):
            total.backward()


def test_what_cuda_allows_is_allowed():
    with ShadowCuda():
        there = torch.arange(6.0, device="cuda").view(2, 3)
        assert there.device.type == "cuda"
        assert there.is_cuda
        assert (there * torch.tensor(2.0)).sum().item() == 30
        assert there[torch.tensor([1])].device.type == "cuda"
        assert there.cpu().numpy().sum() == 15
        assert torch.ones_like(there).device.type == "cuda"
        assert torch.nn.functional.one_hot(there.long()).device.type == "cuda"
        moved = torch.ones(3).to("cuda")
        assert (moved + there).device.type == "cuda"
        context = find_device("cuda")
        assert context.send(torch.ones(3)).device.type == "cuda"
        with pytest.raises(StrayError):
            there + torch.ones(3)
    assert not torch.cuda.is_available()
