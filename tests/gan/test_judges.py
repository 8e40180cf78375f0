"""Every modality has one row, and gan offers for it what `GanModality` lists."""

import inspect

import pytest

from gan.errors import ConfigError
from gan.modalities import GanModality, load_modality
from storage.records.modalities import MODALITIES, load_code


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize(
    "name", ["resolve", "build", "build_reference", "evaluate", "build_assess", "figures"]
)
def test_a_modalitys_modules_answer_what_is_asked(modality, name):
    row = MODALITIES[modality]
    where = {"resolve": row.presets, "build": row.networks}.get(name, row.judge)
    wanted = list(inspect.signature(getattr(GanModality, name)).parameters)[1:]
    assert list(inspect.signature(getattr(load_code(where), name)).parameters) == wanted


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_figure_of_a_metric_is_there(modality):
    found = load_modality(modality)
    named = {figure for entry in found.metrics for figure in entry.figures}
    assert named == {group.id for group in found.bars}
    curves = {entry.curve for entry in found.metrics if entry.curve}
    assert curves == {group.id for group in found.curves}


def test_an_unknown_modality_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'smells': choose one of images, series, tab"):
        load_modality("smells")
