"""What every modality must do with every one of its presets, on every device."""

import hashlib
import itertools

import pyarrow.compute as pc
import pytest
import torch

from benchmarks import baselines
from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError, Interrupted
from gan.modalities import load_modality
from gan.protocols import Hooks
from gan.randomness import stream
from gan.sample import Sampler
from gan.snapshot import load_snapshot, snapshot_digest
from gan.training.loop import train
from storage.records.modalities import MODALITIES
from storage.records.schema import Condition

baselines.register()
PRESETS = [(name, preset) for name in sorted(MODALITIES) for preset in load_modality(name).presets]
PRESETS += [("tables", preset) for preset in baselines.BASELINES]
PRESETS += [("vectors", "dense")]
LIKE_ANOTHER = {"modern", "mlp-gan", "lsgan", "wgan", "wgan-gp", "sngan", "gngan", "resnet-gan"}
"""Presets whose networks, optimiser and steps are, each by itself, those of one that CI trains."""
PRESETS = [
    pytest.param(*pair, marks=[pytest.mark.full] if pair[1] in LIKE_ANOTHER else [])
    for pair in PRESETS
]
NAMES = [*MODALITIES, "vectors"]

WIDTHLESS = {"independent", "bootstrap", "mixture"}
"""Presets whose networks have no hidden layer."""

CONDITIONS = {
    "value": ((Condition(column="colour", values=("green",)),), pc.field("colour") == "green"),
    "values": (
        (Condition(column="colour", values=("red", "blue")),),
        pc.field("colour").isin(["red", "blue"]),
    ),
    "range": (
        (Condition(column="size", low="12", high="17.5"),),
        (pc.field("size") >= 12) & (pc.field("size") <= 17.5),
    ),
    "pair": (
        (Condition(column="colour", values=("blue",)), Condition(column="age", low="30")),
        (pc.field("colour") == "blue") & (pc.field("age") >= 30),
    ),
}

COUNTS = (("above", 5), ("below", 8))


@pytest.fixture(params=["kind", None], ids=["labelled", "unlabelled"])
def label(request):
    return request.param


def prepare(modality, preset, records, label, device):
    """Codec and a tiny configuration: twelve steps in three ticks, or one epoch."""
    module = load_modality(modality)
    codec = module.codec.fit(records, label)
    config = module.resolve(
        GeneratorConfig(preset=preset, width="auto" if preset in WIDTHLESS else 16),
        TrainingConfig(budget_samples=12 * 8, batch_size=8, device=device),
        codec,
        train_rows=records.num_rows,
        seed=3,
    )
    return codec, config.model_copy(update={"tick_samples": 32, "threads": 1})


def stop_after(steps):
    """Hooks that ask for a stop after some steps."""
    asked = itertools.count(1)
    return Hooks(should_stop=lambda: next(asked) > steps)


@pytest.mark.parametrize(("modality", "preset"), PRESETS)
def test_trains_samples_and_resumes(modality, preset, label, device, example, tmp_path):
    records = example(modality, 40)
    codec, config = prepare(modality, preset, records, label, device)
    whole = train(config, codec, records, tmp_path / "whole", device=device)
    expected = config.batch_size if config.is_fitted else config.budget_samples
    assert whole.samples_seen == whole.best_samples_seen == expected
    assert whole.device == device

    stop = stop_after(0 if config.is_fitted else 3)
    with pytest.raises(Interrupted):
        train(config, codec, records, tmp_path / "cut", hooks=stop, device=device)
    resumed = train(config, codec, records, tmp_path / "cut", device=device)
    one, other = (load_snapshot(result.snapshot) for result in (whole, resumed))
    for name, tensor in one.weights.items():
        # CUDA adds in no fixed order; the processor repeats every bit.
        tolerance = 0.0 if device == "cpu" else 1e-2
        torch.testing.assert_close(other.weights[name], tensor, rtol=tolerance, atol=tolerance)

    rows = COUNTS if label else 13
    sampler = Sampler.load(whole.snapshot, device)
    table = sampler.records(rows, seed=1, index=0)
    assert table.num_rows == 13
    assert table.schema.equals(records.select(table.column_names).schema)
    assert label is None or label in table.column_names
    if label:
        assert sorted(table["kind"].to_pylist()) == ["above"] * 5 + ["below"] * 8


@pytest.mark.parametrize(("modality", "preset"), PRESETS)
def test_shards_depend_on_their_index_alone(modality, preset, device, example, tmp_path):
    records = example(modality, 40)
    codec, config = prepare(modality, preset, records, "kind", device)
    snapshot = train(config, codec, records, tmp_path, device=device).snapshot
    forwards, backwards = Sampler.load(snapshot, device), Sampler.load(snapshot, device)
    one = {i: forwards.records(COUNTS, seed=4, index=i) for i in range(3)}
    other = {i: backwards.records(COUNTS, seed=4, index=i) for i in reversed(range(3))}
    assert all(one[i].equals(other[i]) for i in range(3))
    assert not one[0].equals(one[1])
    assert not one[0].equals(forwards.records(COUNTS, seed=5, index=0))
    assert forwards.records(((COUNTS[0][0], 0),), seed=4, index=0).num_rows == 0


KILLED = [
    pytest.param(
        *each.values,
        marks=[] if each.values == ("tables", "autoregressive") else [pytest.mark.full],
    )
    for each in PRESETS
]


@pytest.mark.parametrize("steps", [2, 5])
@pytest.mark.parametrize(("modality", "preset"), KILLED)
def test_a_kill_changes_no_bit(modality, preset, steps, example, tmp_path):
    records = example(modality, 40)
    codec, config = prepare(modality, preset, records, "kind", "cpu")
    whole = train(config, codec, records, tmp_path / "whole", device="cpu")
    asked = itertools.count(1)
    at = 1 if config.is_fitted else steps

    def kill():
        if next(asked) == at:
            raise KeyboardInterrupt
        return False

    hooks = Hooks(should_stop=kill)
    with pytest.raises(KeyboardInterrupt):
        train(config, codec, records, tmp_path / "cut", hooks=hooks, device="cpu")
    resumed = train(config, codec, records, tmp_path / "cut", device="cpu")
    assert snapshot_digest(resumed.snapshot) == snapshot_digest(whole.snapshot)


@pytest.mark.parametrize("preset", [*load_modality("tables").presets, *baselines.BASELINES])
def test_conditions_hold_in_every_row(preset, example, tmp_path):
    records = example("tables", 40)
    codec, config = prepare("tables", preset, records, "kind", "cpu")
    sampler = Sampler.load(train(config, codec, records, tmp_path, device="cpu").snapshot)
    for given, holds in CONDITIONS.values():
        for rows in (COUNTS, 13):
            table = sampler.records(rows, seed=1, index=0, given=given)
            assert table.filter(holds).num_rows == table.num_rows == 13
            again = sampler.records(rows, seed=1, index=0, given=given)
            assert again.equals(table)
        assert (
            sampler.records(COUNTS, seed=1, index=0, given=given)["kind"].to_pylist().count("above")
            == COUNTS[0][1]
        )


def test_images_refuse_conditions(example, tmp_path):
    records = example("images", 40)
    codec, config = prepare("images", "mlp", records, "kind", "cpu")
    sampler = Sampler.load(train(config, codec, records, tmp_path, device="cpu").snapshot)
    with pytest.raises(ConfigError, match="given"):
        sampler.records(
            COUNTS, seed=1, index=0, given=(Condition(column="kind", values=("above",)),)
        )


@pytest.mark.parametrize("modality", NAMES)
def test_configuration_says_what_was_picked(modality, example):
    records = example(modality, 40)
    module = load_modality(modality)
    codec = module.codec.fit(records, "kind")
    config = module.resolve(
        GeneratorConfig(), TrainingConfig(device="cpu"), codec, train_rows=40, seed=0
    )
    assert config.preset in module.presets
    assert any(config.preset in note for note in config.notes)
    assert type(config).model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ConfigError, match="mpl"):
        module.resolve(
            GeneratorConfig(preset="mpl"), TrainingConfig(), codec, train_rows=40, seed=0
        )
    for preset in module.presets:
        asked = GeneratorConfig(preset=preset)
        chosen = module.resolve(asked, TrainingConfig(device="cpu"), codec, train_rows=40, seed=0)
        assert chosen.preset == preset


@pytest.mark.parametrize(("modality", "preset"), PRESETS)
def test_networks_come_from_their_stream_alone(modality, preset, label, example):
    records = example(modality, 40)
    codec, config = prepare(modality, preset, records, label, "cpu")
    before = torch.get_rng_state()
    digests = set()
    for _ in range(2):
        networks = load_modality(modality).build(config, codec, stream(1, "weights"))
        networks = [network for network in networks if network is not None]
        weights = [tensor.numpy().tobytes() for n in networks for tensor in n.state_dict().values()]
        digests.add(hashlib.sha256(b"".join(weights)).hexdigest())
        assert all(tensor.isfinite().all() for n in networks for tensor in n.parameters())
    assert len(digests) == 1
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("modality", NAMES)
def test_a_preview_is_a_png(modality, label, example):
    picture = load_modality(modality).preview(example(modality, 9), label, 4)
    if MODALITIES[modality].preview is None:
        assert picture is None
        return
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
