"""What is seen of a training when it has ended."""

from types import SimpleNamespace

import pytest

from flows import train_view
from flows.train_view import final_figures, say_trained
from gan.report import Figure

STRIP = Figure(id="strip", section="inside", caption="c", alt="a", kind="lines", data={})


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("can't allocate memory")])
def test_a_figure_that_needs_too_much_memory_is_left_out(tmp_path, monkeypatch, error):
    assert ended_with(error, tmp_path, monkeypatch) == (
        (STRIP,),
        [
            f"Note: out of memory while the discriminator scored records ({error}): the report "
            "has no figure of its scores"
        ],
    )


def test_any_other_error_is_one(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="shapes differ"):
        ended_with(RuntimeError("shapes differ"), tmp_path, monkeypatch)


def test_why_a_training_ended_is_said():
    said = []
    events = [
        SimpleNamespace(kind="overfit", text="augmentation changes more"),
        SimpleNamespace(kind="stop", text="training stopped: no better snapshot for 9 samples"),
        SimpleNamespace(kind="choice", text="the snapshot of 4 samples is kept"),
    ]
    took = {"threads": 1, "ranks": 1, "device": "cpu", "samples_seen": 9, "cpu_s": 1, "seconds": 2}
    job = SimpleNamespace(reporter=SimpleNamespace(say=said.append))
    say_trained(job, SimpleNamespace(events=events, **took))
    assert said[1:] == [
        "Training stopped: no better snapshot for 9 samples; the snapshot of 4 samples is kept"
    ]


def ended_with(error, folder, monkeypatch):
    """Return the figures, and what is said, where scoring ends with an error."""

    def fail(*_, **__):
        raise error

    said = []
    modality = SimpleNamespace(strip_figure=lambda *_: STRIP)
    monkeypatch.setattr("gan.modalities.load_modality", lambda _: modality)
    monkeypatch.setattr("gan.inside.scores.score_sides", fail)
    monkeypatch.setattr(train_view, "class_names_of", lambda _: {})
    records = {"train": None, "validation": None}
    figures = final_figures(
        SimpleNamespace(reporter=SimpleNamespace(say=said.append)),
        SimpleNamespace(records=records, modality="images"),
        SimpleNamespace(classes=()),
        None,
        SimpleNamespace(strip=None, snapshot=folder / "snapshot", device="cpu"),
    )
    return figures, said
