"""`ganmill presets`: every name that a recipe's generator may have, with source and numbers."""

import json

from flows.cli.app import execute
from flows.errors import DONE
from gan.modalities import load_modality
from gan.training.augment import AUGMENTATIONS
from gan.training.catalog import UNNAMED
from gan.training.losses import ADVERSARIAL
from gan.training.optimizers import OPTIMIZERS
from gan.training.parts import GAMMAS
from gan.training.regularizers import PENALTIES
from gan.training.techniques import TECHNIQUES
from storage.records.modalities import MODALITIES


def listed(capsys):
    assert execute(["presets", "--json"]) == DONE
    return json.loads(capsys.readouterr().out)


def test_every_name_is_listed_with_its_source(capsys):
    rows = listed(capsys)
    assert {(row["part"], row["modality"], row["name"]) for row in rows} == {
        *(("preset", one, name) for one in MODALITIES for name in load_modality(one).presets),
        *(("loss", None, name) for name in ADVERSARIAL),
        *(("penalty", None, name) for name in PENALTIES),
        *(("terms", None, name) for name in TECHNIQUES),
        *(("optimizer", None, name) for name in OPTIMIZERS),
        *(("augment", None, name) for name in AUGMENTATIONS),
        *((entry.part, None, entry.name) for entry in UNNAMED),
    }
    assert all(row["source"] and row["description"] for row in rows)


def test_every_preset_says_its_sizes_and_defaults(capsys):
    presets = [row for row in listed(capsys) if row["part"] == "preset"]
    for row in presets:
        assert row["example"], row["name"]
        assert row["defaults"]["network"]["kind"], row["name"]
        assert {"batch_size", "learning_rate", "optimizer", "latent"} <= row["defaults"].keys()
        assert row["modality"] != "images" or row["sizes"].startswith("8 to 128 pixels"), row[
            "name"
        ]
    by_name = {(row["modality"], row["name"]): row["defaults"] for row in presets}
    assert by_name["tables", "autoregressive"]["network"]["width"] > 0
    assert by_name["tables", "mlp-gan"]["loss"] == "non-saturating"
    assert by_name["images", "wgan-gp"]["discriminator_steps"] == 5


def test_parts_say_their_own_numbers(capsys):
    parts = {(row["part"], row["name"]): row["defaults"] for row in listed(capsys)}
    assert parts["penalty", "interpolated"] == {"gamma": GAMMAS["interpolated"]}
    assert parts["penalty", "weight-clipping"] == {"clip": 0.01}
    assert parts["optimizer", "adamw"] == {"weight_decay": 0.01}
    assert parts["optimizer", "sgd"] == {"momentum": 0.9}
    assert parts["optimizer", "rmsprop"] == {"smoothing": 0.99}
    assert parts["terms", "label-smoothing"] == {"strength": 0.1}
    assert parts["always", "adaptive augmentation"]["most"] == 0.8
