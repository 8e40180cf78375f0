"""The discriminator's scores: those of the last checkpoint, in bins that show nobody's alone."""

import numpy as np
import pytest
import torch

from gan.device import find_device
from gan.inside import scores as module
from gan.inside.scores import FEW, ScoredSides, axis_of, histogram, score_figure, score_sides
from gan.training.checkpoint import Checkpoints
from gan.training.loop import train
from gan.training.state import TrainState


@pytest.fixture(scope="module")
def trained(tiny, codec, digits, tmp_path_factory):
    return train(tiny, codec, digits.slice(0, 200), tmp_path_factory.mktemp("t"), device="cpu")


def test_scores_are_those_of_the_last_checkpoint(trained, tiny, codec, digits):
    folder, parts = trained.snapshot.parent, (digits.slice(0, 200), digits.slice(200, 100))
    sides = score_sides(folder, tiny, codec, parts)
    state = TrainState(tiny, codec, find_device("cpu"))
    assert Checkpoints(folder=folder / "checkpoints", config=tiny).restore(state)
    for name, part in zip(("train", "validation"), parts, strict=True):
        encoded = codec.encode(part)
        samples = codec.to_samples(torch.from_numpy(encoded.values.copy()))
        with torch.no_grad():
            expected = state.discriminator(samples, torch.from_numpy(encoded.labels_N))
        np.testing.assert_allclose(sides.scores[name], expected, atol=1e-5)
    assert len(sides.scores["fakes"]) == 100
    again = score_sides(folder, tiny, codec, parts)
    np.testing.assert_array_equal(again.scores["fakes"], sides.scores["fakes"])


def test_no_more_records_at_once_than_training_had(trained, tiny, codec, digits, monkeypatch):
    sizes, real = [], module._logits

    def logits(discriminator, pairs, labels_B):
        sizes.append(len(labels_B))
        return real(discriminator, pairs, labels_B)

    monkeypatch.setattr(module, "_logits", logits)
    parts = (digits.slice(0, 200), digits.slice(200, 100))
    assert score_sides(trained.snapshot.parent, tiny, codec, parts) is not None
    assert max(sizes) == min(tiny.batch_size, module.BATCH)
    assert sum(sizes) == 300


def test_without_a_discriminator_there_are_none(trained, tiny, codec, digits, monkeypatch):
    class Alone(TrainState):
        def __init__(self, *given):
            super().__init__(*given)
            self.discriminator = None

    monkeypatch.setattr(module, "TrainState", Alone)
    assert score_sides(trained.snapshot.parent, tiny, codec, (digits, digits)) is None


def test_no_bin_shows_few_real_records():
    scores = np.random.default_rng(0).standard_t(2, 700)
    sides = ScoredSides(scores={"train": scores, "validation": scores[:90], "fakes": scores + 1})
    ends = axis_of(sides, FEW)
    for side in ("train", "validation"):
        ordered = np.sort(sides.scores[side])
        assert ends[0] <= ordered[FEW]
        assert ordered[-1 - FEW] <= ends[1]
        edges, heights = histogram(sides.scores[side], ends, FEW)
        held = heights * np.diff(edges) * len(ordered)
        assert held.min() >= FEW - 1e-6
        assert held.sum() == pytest.approx(len(ordered))
        assert (edges[0], edges[-1]) == pytest.approx(ends)
    assert ordered[0] < ends[0]  # nobody's extreme is an end of the axis


def test_few_and_equal_scores_have_one_bin():
    sides = ScoredSides(scores={name: np.zeros(4) for name in ("train", "validation", "fakes")})
    edges, heights = histogram(np.zeros(4), axis_of(sides, FEW), FEW)
    assert (edges.tolist(), heights.tolist()) == ([-0.5, 0.5], [1.0])


def test_the_figure_says_what_is_known_by_heart():
    draw = np.random.default_rng(1)
    honest = {"train": draw.normal(2, 1, 900), "validation": draw.normal(2, 1, 900)}
    fakes = {"fakes": draw.normal(-2, 1, 900)}
    learnt = {"train": honest["train"], "validation": fakes["fakes"] + 0.1}
    fair = score_figure(ScoredSides(scores=honest | fakes))
    bad = score_figure(ScoredSides(scores=learnt | fakes))
    assert "validation record in 50% of pairs" in fair.caption.replace("49%", "50%")
    assert "above a fake in 100%" in bad.caption
    assert ScoredSides(scores=honest | fakes).gap == pytest.approx(0, abs=0.03)
    assert ScoredSides(scores=learnt | fakes).gap == pytest.approx(0.97, abs=0.03)
    assert [one["name"] for one in fair.data["series"]] == ["train", "validation", "fakes"]
    assert fair.data["series"][0]["y"][0] == fair.data["series"][0]["y"][-1] == 0


def test_a_gap_needs_fakes_below_train():
    equal = {name: np.zeros(9) for name in ("train", "validation", "fakes")}
    sides = ScoredSides(scores=equal)
    assert sides.gap is None
    assert "mean scores" not in score_figure(sides).caption
