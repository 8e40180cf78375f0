"""A table's discriminator scores rows, or packs of them; a generator by likelihood has none."""

import numpy as np
import pytest
from small_tables import with_meaning

from gan.config import GeneratorConfig, TrainingConfig
from gan.inside.scores import score_figure, score_sides
from gan.tables.codec import TableCodec
from gan.tables.presets import resolve
from gan.training.loop import train


@pytest.mark.parametrize(("preset", "pack"), [("adversarial", 1), ("ctgan", 10), ("mlp-gan", 1)])
def test_rows_or_packs_have_scores(preset, pack, tmp_path):
    result, sides = scored(preset, tmp_path)
    assert {name: len(one) for name, one in sides.scores.items()} == {
        "train": 250 // pack + 50 // pack,
        "validation": 100 // pack,
        "fakes": 100 // pack,
    }
    assert score_figure(sides).kind == "lines"
    assert result.strip is None  # rows are no pictures


def test_without_a_discriminator_there_are_none(tmp_path):
    assert scored("autoregressive", tmp_path)[1] is None


def scored(preset, folder):
    draw = np.random.default_rng(0)
    kind = draw.integers(0, 3, 400)
    table = with_meaning({"kind": kind.astype(str), "size": kind + draw.normal(size=400)})
    codec = TableCodec.fit(table, "kind")
    config = resolve(
        GeneratorConfig(preset=preset, width=16),
        TrainingConfig(budget_samples=160, batch_size=40, device="cpu"),
        codec,
        train_rows=300,
        seed=1,
    )
    result = train(config, codec, table.slice(0, 300), folder, device="cpu")
    return result, score_sides(folder, config, codec, (table.slice(0, 300), table.slice(300)))
