"""`mlp-gan` for rows: plain vectors of normal scores, and the classic system that makes them."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_tables import with_meaning

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError
from gan.randomness import stream
from gan.sample import Sampler, fixed_latents
from gan.tables.codec import TableCodec
from gan.tables.networks import build
from gan.tables.presets import resolve
from gan.training.loop import train

MODES = 8


def ring(rows, seed=0):
    draw = np.random.default_rng(seed)
    angle = draw.integers(0, MODES, rows) * (2 * np.pi / MODES)
    x, y = (side + draw.normal(0, 0.05, rows) for side in (np.cos(angle), np.sin(angle)))
    return with_meaning({"x": x, "y": 1_000 + 50 * y})


def mixed(rows=600):
    draw = np.random.default_rng(0)
    kind = draw.integers(0, 3, rows)
    spent = np.where(kind == 0, 0.0, np.round(draw.lognormal(3, 2, rows), 2))
    return with_meaning(
        {"kind": kind.astype(str), "spent": spent, "size": kind + draw.random(rows)}
    )


def prepare(table, label=None, **training):
    codec = TableCodec.fit(table, label)
    config = resolve(
        GeneratorConfig(preset="mlp-gan"),
        TrainingConfig(device="cpu", **training),
        codec,
        train_rows=table.num_rows,
        seed=0,
    )
    return codec, config


def fitted(table, label=None):
    codec, config = prepare(table, label)
    generator = build(config, codec, stream(0, "weights")).generator
    encoded = codec.encode(table)
    generator.fit(encoded, 0)
    return generator, codec, codec.to_samples(torch.from_numpy(encoded.values))


def test_it_is_the_published_system():
    _, config = prepare(mixed(), "kind")
    assert (config.loss, config.penalty, config.optimizer) == ("non-saturating", "none", "adam")
    assert (config.latent, config.discriminator_steps) == (100, 1)
    assert (config.learning_rate, config.beta1, config.beta2) == (2e-4, 0.5, 0.999)
    codec, _ = prepare(mixed(), "kind")
    generator, discriminator = build(config, codec, stream(0, "weights"))

    def widths(network):
        return [m.out_features for m in network.modules() if isinstance(m, torch.nn.Linear)]

    assert widths(generator) == [256, 512, 1024, 3 + 1 + 1]
    assert widths(discriminator) == [1024, 512, 256, 1]


def test_numbers_are_normal_scores_whatever_their_tails_and_atoms():
    generator, _, codes_ND = fitted(mixed(3_000), "kind")
    inside_ND = torch.rand(codes_ND.shape, generator=stream(0, "inside"), dtype=torch.float64)
    vectors_NF = generator.vectors(codes_ND + inside_ND)
    scores_N2 = vectors_NF[:, 3:]
    assert vectors_NF[:, :3].sum(1).eq(1).all()
    assert scores_N2.mean(0).abs().max() < 0.05
    assert (scores_N2.std(0) - 1).abs().max() < 0.05
    back_ND = generator._codes(vectors_NF.double(), torch.full_like(inside_ND, 0.5))
    assert torch.equal(back_ND[:, 1:].long(), codes_ND[:, 1:])
    assert (back_ND - codes_ND - inside_ND)[:, 1:].abs().max() < 1e-3


def test_what_is_given_stays_and_the_rest_is_drawn():
    generator, codec, codes_ND = fitted(mixed(), "kind")
    z_NZ = torch.randn(len(codes_ND), 100, generator=stream(0, "z"))
    reals, fakes, _ = generator.pairs(codes_ND, z_NZ, torch.zeros(600), stream(0, "step"))
    same_N = (reals[:, :3] == fakes[:, :3]).all(1)
    assert 0.7 < same_N.float().mean() < 0.95  # the label is given in three of four rows
    allowed_CK = codec.allowed((), per_class=True)
    draw = generator.conditioned(allowed_CK)
    labels_N = torch.arange(300) % 3
    rows_ND = draw(generator.latents(300, stream(0, "latents")), labels_N)
    assert torch.equal(rows_ND[:, codec.label_column].long(), labels_N)
    assert rows_ND[:, 1:].unique(dim=0).shape[0] > 200


@pytest.mark.full
def test_a_trained_one_finds_the_modes_of_a_ring(tmp_path):
    table = ring(3_000)
    codec, config = prepare(table, budget_samples=64_000)
    result = train(config, codec, table, tmp_path, device="cpu")
    records = Sampler.load(result.snapshot).records(2_000, seed=0, index=0)
    points_N2 = np.stack([records["x"], (records["y"].to_numpy() - 1_000) / 50], axis=1)
    angles = np.arange(MODES) * (2 * np.pi / MODES)
    centres_K2 = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    distance_NK = np.linalg.norm(points_N2[:, None] - centres_K2, axis=2)
    counts_K = np.bincount(distance_NK.argmin(1)[distance_NK.min(1) < 0.25], minlength=MODES)
    assert (counts_K >= 2_000 / MODES / 10).all()
    assert counts_K.sum() > 0.3 * 2_000


def test_truncation_bounds_the_normal_part_of_a_latent_alone():
    generator, _, _ = fitted(mixed(), "kind")
    config = prepare(mixed(), "kind")[1].model_copy(update={"truncation": 0.5})
    latents = fixed_latents(generator, config, 64, stream(0, "latents"))
    free = fixed_latents(
        generator, config.model_copy(update={"truncation": None}), 64, stream(0, "latents")
    )
    assert latents[:, :100].abs().max() <= 0.5
    assert free[:, :100].abs().max() > 2
    assert torch.equal(latents[:, 100:], free[:, 100:])


def test_rows_are_not_augmented():
    codec = TableCodec.fit(mixed(), "kind")
    generator = GeneratorConfig(preset="mlp-gan", augment=("translate",))
    with pytest.raises(ConfigError, match="augment is translate, and rows are not"):
        resolve(generator, TrainingConfig(device="cpu"), codec, train_rows=600, seed=0)


@pytest.mark.parametrize("loss", ["hinge", "least-squares"])
def test_parts_are_changed_by_name(loss, tmp_path):
    table = pa.Table.from_batches(mixed().to_batches())
    codec = TableCodec.fit(table, "kind")
    generator = GeneratorConfig.model_validate(
        {
            "preset": "mlp-gan",
            "loss": loss,
            "penalty": "spectral-norm",
            "optimizer": "rmsprop",
            "terms": {"feature-matching": 0.5},
            "width": 16,
        }
    )
    training = TrainingConfig(device="cpu", budget_samples=512)
    config = resolve(generator, training, codec, train_rows=600, seed=0)
    result = train(config, codec, table, tmp_path, device="cpu")
    assert result.samples_seen == 512
    assert {event.kind for event in result.events} <= {"stop", "choice"}
