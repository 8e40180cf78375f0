"""Knobs: which are open, what a draw means, and the tables they are made from."""

from contextlib import suppress

import pytest

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError
from gan.images.codec import ImageCodec
from gan.images.presets import PRESETS
from gan.modalities import load_modality
from gan.training.losses import ADVERSARIAL
from gan.training.regularizers import PENALTIES
from gan.tuning.knobs import PRESET, FactorKnob, NameKnob, SpanKnob, open_knobs
from storage.records.modalities import MODALITIES

IMAGES = ImageCodec(height=8, width=8, channels=1)


def resolved(modality, codec, generator=None, **training):
    return load_modality(modality).resolve(
        GeneratorConfig(**(generator or {})),
        TrainingConfig(device="cpu", **training),
        codec,
        train_rows=500,
        seed=0,
    )


def nothing(config):
    """Return what a setting is: there is none."""


def test_a_multiple_is_of_what_auto_takes():
    rate = FactorKnob(setting="a.b", low=0.1, high=10, own=nothing)
    assert rate.value(0.003, 1.0) == 0.003
    assert rate.value(0.003, 2.3456) == 0.007
    batch = FactorKnob(setting="a.b", low=0.1, high=10, own=nothing, power=True, least=16)
    assert [batch.value(64, factor) for factor in (0.01, 0.5, 0.8, 1.0, 3.0)] == [
        16, 32, 64, 64, 256,
    ]  # fmt: skip
    width = FactorKnob(setting="a.b", low=0.1, high=10, own=nothing, step=16)
    assert [width.value(100, factor) for factor in (0.01, 1.0, 2.0)] == [16, 96, 192]
    assert isinstance(width.value(100, 1.0), int)
    assert isinstance(batch.value(64, 1.0), int)


def test_what_leaves_a_setting_as_it_is():
    name = NameKnob(setting="a.b", names=("x", "y"), own=nothing)
    assert (name.unchanged("y"), name.unchanged("hidden")) == ("y", None)
    assert FactorKnob(setting="a.b", low=0.1, high=10, own=nothing).unchanged(7) == 1.0
    depth = SpanKnob(setting="a.b", low=1, high=4, own=nothing)
    assert [depth.unchanged(own) for own in (0, 3, 9)] == [1, 3, 4]
    share = SpanKnob(setting="a.b", low=0.0, high=0.4, own=nothing)
    assert (share.unchanged(0.8), share.value(0.1, 0.23456)) == (0.4, 0.23)


def test_open_is_what_the_recipe_leaves_at_auto():
    knobs = load_modality("images").knobs
    settings = [knob.setting for knob in open_knobs(knobs, GeneratorConfig(), TrainingConfig())]
    said = GeneratorConfig(preset="mlp", gamma=2.0), TrainingConfig(batch_size=64)
    left = [knob.setting for knob in open_knobs(knobs, *said)]
    assert set(settings) - set(left) == {PRESET, "generator.gamma", "training.batch_size"}


def test_a_choice_of_one_name_and_a_setting_that_recipes_do_not_have_are_not_open():
    one = NameKnob(setting=PRESET, names=("only",), own=nothing)
    unknown = NameKnob(setting="generator.nowhere", names=("a", "b"), own=nothing)
    assert open_knobs((one, unknown), GeneratorConfig(), TrainingConfig()) == ()


def test_names_are_those_of_the_tables_at_run_time(monkeypatch):
    by_setting = {knob.setting: knob for knob in load_modality("images").knobs}
    monkeypatch.setitem(ADVERSARIAL, "newest", ADVERSARIAL["relativistic"])
    assert list(by_setting["generator.loss"].domain) == list(ADVERSARIAL)
    assert list(by_setting["generator.penalty"].domain) == list(PENALTIES)
    assert list(by_setting[PRESET].domain) == list(PRESETS)


@pytest.mark.parametrize("modality", [name for name, row in MODALITIES.items() if row.knobs])
def test_every_knob_of_every_preset_changes_what_is_trained(modality, tables):
    """What a knob says of a preset is what the preset takes when the setting is said."""
    codec = IMAGES if modality == "images" else tables
    found = set()
    for name in load_modality(modality).presets:
        own = resolved(modality, codec, {"preset": name})
        for knob in load_modality(modality).knobs[1:]:
            has, (section, key) = knob.own(own), knob.setting.split(".")
            fields = (GeneratorConfig if section == "generator" else TrainingConfig).model_fields
            if has is None or key not in fields:
                continue
            for other in tried(knob, has):
                said = {"preset": name, **({key: other} if section == "generator" else {})}
                training = {key: other} if section == "training" else {}
                with suppress(ConfigError):  # a pair that is unsound
                    changed = resolved(modality, codec, said, **training)
                    assert knob.own(changed) in (other, None), (name, knob.setting)
                    same = changed.model_copy(update={"notes": own.notes}) == own
                    assert same is (other == has), (name, knob.setting)
                    found.add(knob.setting)
    assert len(found) > 4


def tried(knob, has):
    if isinstance(knob, NameKnob):
        return list(knob.names)
    if isinstance(knob, SpanKnob):
        return [knob.low, knob.high]
    return [knob.value(has, knob.low), knob.value(has, knob.high)]


def test_what_a_preset_does_not_have_is_not_drawn_and_is_refused_when_it_is_said(tables):
    own = resolved("tables", tables, {"preset": "autoregressive"})
    by_setting = {knob.setting: knob for knob in load_modality("tables").knobs}
    assert by_setting["generator.gamma"].own(own) is None
    assert by_setting["generator.dropout"].own(own) == own.network["dropout"]
    oneshot = resolved("tables", tables, {"preset": "adversarial"})
    assert by_setting["generator.dropout"].own(oneshot) is None
    assert by_setting["generator.weight_decay"].own(oneshot) is None
    with pytest.raises(ConfigError, match=r"generator\.dropout is 0\.1, and preset 'adversarial'"):
        resolved("tables", tables, {"preset": "adversarial", "dropout": 0.1})


def test_depth_dropout_and_decay_are_taken(tables):
    said = {"depth": 3, "dropout": 0.5, "weight_decay": 0.25}
    config = resolved("tables", tables, {"preset": "autoregressive", **said})
    network = config.network
    assert (network["depth"], network["dropout"], config.weight_decay) == (3, 0.5, 0.25)
    assert network["label_dropout"] == 0.5
