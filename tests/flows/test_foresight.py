"""What a run will not be able to know or publish is said before it trains."""

from datetime import date
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest

from flows.cli.app import execute
from flows.errors import BlockedError
from flows.foresight import check_outlook, look_ahead
from flows.job import Job
from flows.recipe import parse_recipe
from flows.train import train
from gan.errors import DataError
from gan.evaluation.foresight import Foreseen, foresee, real_as_candidate
from gan.gate import GateConfig, judge
from gan.images.codec import write_images
from gan.images.judge import METRICS
from gan.report import Ceiling, Evaluation
from storage.errors import UnreachableError
from storage.lake import promotions
from storage.records.modalities import MODALITIES
from storage.records.schema import Column, count_classes
from storage.records.table_metadata import TableMetadata, with_table_metadata
from storage.sources.prepared import Prepared
from storage.stores.memory import MemoryStore
from storage.stores.retry import RetryingStore, RetryPolicy


class Told:
    """A reporter that keeps what it was told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def images(good, defect):
    pixels = np.random.default_rng(good).integers(0, 256, (good + defect, 8, 8, 1), np.uint8)
    return pa.table({"image": write_images(pixels), "kind": ["good"] * good + ["defect"] * defect})


def rows(good, defect):
    table = pa.table(
        {
            "size": np.random.default_rng(good).random(good + defect),
            "kind": ["good"] * good + ["defect"] * defect,
        }
    )
    columns = (Column(name="size", kind="float"), Column(name="kind", kind="category"))
    metadata = TableMetadata(columns=columns, constraints=(), min_group=10)
    return table.cast(with_table_metadata(table.schema, metadata))


def prepared(make, modality, **parts):
    records = {name: make(*counts) for name, counts in parts.items()}
    return Prepared(
        modality=modality,
        folder=None,
        source_digest="s",
        split_rule=MappingProxyType(
            {"by": "content", "rows": "distinct", "holdout_uri_digest": None}
        ),
        split_digest="p",
        records=records,
        label="kind",
        schema=records["train"].schema,
        class_counts={name: count_classes(part["kind"]) for name, part in records.items()},
        rows={name: part.num_rows for name, part in records.items()},
        skipped=(),
        ignored_files=0,
        notes=(),
    )


def job(**changes):
    raw = {"name": "mine", "source": {"uri": "x", "label": "kind"}} | changes
    return Job(
        recipe=parse_recipe(raw),
        lake=RetryingStore(MemoryStore(), RetryPolicy()),
        lake_profile=None,
        work=None,
        scheduled=date(2026, 1, 1),
        reporter=Told(),
    )


PLATES = {"train": (360, 21), "validation": (1200, 7), "holdout": (1200, 7)}
"""So many good ones that only the small class cannot be judged."""
TEXT = "coverage of class defect cannot be known from 7 holdout records: 20 are needed"


@pytest.fixture
def plates():
    return prepared(images, "images", **PLATES)


def test_a_recipe_that_can_never_publish_is_refused_before_training(plates):
    one = job()
    with pytest.raises(BlockedError) as caught:
        train(one, plates)
    text = str(caught.value)
    assert TEXT in text
    assert "raise source.split.holdout" not in text, "20 of 35 would leave nothing to train on"
    assert "of 'defect' about 60 instead of 35" in text
    assert "gate.accept_unknown: true" in text
    assert "copies" not in text
    assert list(one.lake.list("")) == []


def test_the_fraction_that_would_do_is_named():
    more = {"train": (360, 36), "validation": (1200, 12), "holdout": (1200, 12)}
    found = look_ahead(job(), prepared(images, "images", **more))
    assert "raise source.split.holdout to 0.4," in found.obstacle
    own = {"source": {"uri": "x", "label": "kind", "split": {"column": "part"}}}
    found = look_ahead(job(**own), prepared(images, "images", **more))
    assert "source.split.holdout" not in found.obstacle
    assert "hold out more records" in found.obstacle


@pytest.mark.parametrize("gate", [{"accept_unknown": True}, {"on_reject": "ask"}])
def test_who_accepts_it_or_asks_a_person_is_told(gate, plates):
    one = job(gate=gate)
    assert look_ahead(one, plates).obstacle is None
    check_outlook(one, plates)
    assert one.reporter.said == [f"  {TEXT}"]


def test_a_champion_goes_on_publishing(plates, monkeypatch):
    monkeypatch.setattr(promotions, "champion", lambda *_: object())
    assert look_ahead(job(), plates).obstacle is None
    assert look_ahead(job(gate={"on_reject": "stop"}), plates).obstacle is not None


def test_a_lake_that_does_not_answer_may_hold_one(plates, monkeypatch):
    def fail(*_):
        raise UnreachableError

    monkeypatch.setattr(promotions, "champion", fail)
    assert look_ahead(job(), plates) == look_ahead(job(gate={"on_reject": "ask"}), plates)


def test_it_is_what_the_gate_says_of_every_candidate(plates):
    """The same numbers and sentences, not a second copy of them."""
    needed = MODALITIES["images"].judged_class.holdout
    enough = PLATES | {"holdout": (1200, needed)}
    assert look_ahead(job(), prepared(images, "images", **enough)).notes == ()
    few = PLATES | {"holdout": (1200, needed - 1)}
    (note,) = look_ahead(job(), prepared(images, "images", **few)).notes
    assert note.endswith(f"from {needed - 1} holdout records: {needed} are needed")


def test_a_small_holdout_hides_copies_by_its_numbers_alone():
    small = {"train": (60, 60), "validation": (30, 30), "holdout": (30, 30)}
    found = look_ahead(job(), prepared(images, "images", **small))
    assert any(note.startswith("copies cannot be known from 60 holdout") for note in found.notes)
    assert "without knowing copies" in found.obstacle
    assert "raise source.split.holdout, bring more records" in found.obstacle
    lenient = {"bounds": [{"metric": "copies", "pass": 9, "block": 9}]}
    assert look_ahead(job(gate=lenient), prepared(images, "images", **small)).notes == ()


def test_tables_tell_classes_that_are_not_scored_and_metrics_that_swing():
    table = {"train": (600, 30), "validation": (190, 8), "holdout": (190, 7)}
    found = look_ahead(job(), prepared(rows, "tables", **table))
    assert (
        "tstr_gap of class defect cannot be known from 7 holdout records: 10 are needed"
        in found.notes
    )
    small = {"train": (90, 30), "validation": (30, 15), "holdout": (30, 15)}
    found = look_ahead(job(), prepared(rows, "tables", **small))
    assert any(note.startswith("c2st cannot be known from 45") for note in found.notes)
    large = {"train": (9000, 900), "validation": (6000, 600), "holdout": (6000, 600)}
    assert look_ahead(job(), prepared(rows, "tables", **large)).notes == ()


def test_too_few_to_compare_are_refused_at_once():
    none = {"train": (90, 30), "validation": (30, 15), "holdout": (10, 5)}
    for make, modality in ((images, "images"), (rows, "tables")):
        with pytest.raises(DataError, match=r"holdout split has 15 .* needs 20"):
            look_ahead(job(), prepared(make, modality, **none))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    from PIL import Image

    numbers = np.random.default_rng(0)
    for name, count in (("good", 120), ("defect", 14)):
        (tmp_path / "plates" / name).mkdir(parents=True)
        for i in range(count):
            pixels = numbers.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "plates" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plates.yaml"
    path.write_text("name: plates\nsource: {uri: plates, label: label}\n")
    return path


def test_check_and_run_end_with_3_and_init_writes_what_check_accepts(recipe, capsys):
    assert execute(["check", str(recipe)]) == 3
    told = capsys.readouterr()
    assert "coverage of class defect cannot be known" in told.out
    assert "ganmill run" not in told.out
    assert "nothing would be published" in told.err
    assert execute(["check", str(recipe), "--json"]) == 3
    assert '"obstacle": "no generator' in capsys.readouterr().out
    assert execute(["run", str(recipe)]) == 3
    assert "nothing would be published" in capsys.readouterr().err
    assert execute(["init", "plates"]) == 0
    recipe.write_text(capsys.readouterr().out)
    assert "accept_unknown: true" in recipe.read_text()
    assert execute(["check", str(recipe)]) == 0


def test_judging_says_the_same_sentence(plates):
    from gan.report import TooFew

    few = TooFew(label="defect", n=7, needed=20)
    evaluation = Evaluation(
        measured=(),
        facts=(),
        too_few=(few,),
        n=1207,
        holdout_rows=1207,
        candidate_rows=1,
        candidate_class_counts=(),
        seed=0,
    )
    (reason,) = judge(evaluation, METRICS, GateConfig()).reasons
    assert look_ahead(job(), plates).notes == (reason.text,)


def test_what_draws_alone_would_decide_is_not_foreseen():
    """Other draws of the same distribution may lie on the other side of what is asked for."""
    entry = next(entry for entry in METRICS if entry.name == "copies")
    ceiling = Ceiling(value=0.05, low=0.05, high=0.05)
    for passing, said in ((374, 0), (340, 1)):
        draws = [0.0] * passing + [1.0] * (400 - passing)
        item = real_as_candidate("copies", 400, ceiling, draws)
        sampled = foresee(Foreseen(holdout_rows=9, sampled=(item,)), (entry,), GateConfig())
        assert len(sampled.reasons) == said
        exact = foresee(Foreseen(holdout_rows=9, reals=(item,)), (entry,), GateConfig())
        assert len(exact.reasons) == 1


def test_metrics_of_one_name_are_told_apart():
    entry = next(entry for entry in METRICS if entry.name == "copies")
    ceiling, draws = Ceiling(value=0.05, low=0.05, high=0.05), [0.0, 1.0]
    both = tuple(real_as_candidate("copies", 2, ceiling, draws, scope=s) for s in ("a", "b"))
    found = foresee(Foreseen(holdout_rows=9, reals=both), (entry,), GateConfig())
    starts = [one.text.partition(" cannot")[0] for one in found.reasons]
    assert starts == ["copies (a)", "copies (b)"]
