"""Every modality brings a judge, found by its name."""

import inspect

import pytest

from gan.errors import ConfigError
from gan.modalities import MODALITIES, Judge, load_judge


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_modalitys_judge_answers_what_is_asked(modality):
    judge = load_judge(modality)
    for name in ("build_reference", "evaluate", "build_assess", "pictures"):
        wanted = list(inspect.signature(getattr(Judge, name)).parameters)[1:]
        assert list(inspect.signature(getattr(judge, name)).parameters) == wanted, name


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_figure_of_a_metric_is_there(modality):
    judge = load_judge(modality)
    named = {figure for entry in judge.METRICS for figure in entry.figures}
    assert named == {group.id for group in judge.BARS}
    curves = {entry.curve for entry in judge.METRICS if entry.curve}
    assert curves == {group.id for group in judge.CURVES}


def test_an_unknown_modality_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown modality 'smells': choose one of images, tab"):
        load_judge("smells")
