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


def test_an_unknown_modality_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown modality 'smells': choose one of images, tab"):
        load_judge("smells")
