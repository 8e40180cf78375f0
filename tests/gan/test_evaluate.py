import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import TypeAdapter

from gan.bounds import entry_of
from gan.errors import DataError
from gan.gate import GateConfig, judge, real_pass_share
from gan.images.codec import write_images
from gan.images.evaluation.compared import compared_rows, subset_rows
from gan.images.evaluation.evaluate import arrange
from gan.images.judge import METRICS, build_reference, evaluate, foresee
from gan.modalities import Options, Splits
from gan.randomness import numpy_stream
from gan.report import Evaluation

OPTIONS = Options(halves=20, replicates=6)


pytestmark = pytest.mark.usefixtures("quick_nets")


@pytest.fixture(scope="module")
def splits(digits):
    return Splits(
        train=digits.slice(0, 120),
        validation=digits.slice(120, 60),
        holdout=digits.slice(180, 60),
        label="digit",
    )


@pytest.fixture(scope="module")
def reference(splits):
    return build_reference(splits, OPTIONS)


@pytest.fixture(scope="module")
def unseen(digits):
    return digits.slice(240, 60)


def test_every_metric_on_both_nets_with_interval_and_ceiling(reference, unseen):
    evaluation = evaluate(unseen, reference)
    found = {(m.name, m.scope) for m in evaluation.metrics}
    names = {"fd", "kid", "precision", "recall", "density", "coverage", "copies"}
    assert found >= {(name, net) for name in names for net in ("classifier", "random")}
    assert ("label_accuracy", "classifier") in found
    assert found >= {("c2st", "statistics"), ("c2st", "network"), ("tstr_gap", "classes")}
    for metric in evaluation.metrics:
        assert metric.low <= metric.value <= metric.high
        if metric.name in {"trtr", "tstr"}:
            continue
        assert metric.ceiling is not None
        assert metric.ceiling.low <= metric.ceiling.value <= metric.ceiling.high
        entry = entry_of(metric, METRICS)
        assert entry is not None
        assert entry.direction == metric.direction
    assert {fact.name for fact in evaluation.facts} == {
        "finite",
        "classes",
        "exact_copies",
        "overlap",
    }


def test_the_same_input_gives_the_same_evaluation(reference, splits, unseen):
    first, again = evaluate(unseen, reference), evaluate(unseen, build_reference(splits, OPTIONS))
    assert first.measured == again.measured
    assert first.facts == again.facts


def test_the_number_of_threads_changes_no_number(reference, splits, unseen):
    threads = torch.get_num_threads()
    torch.set_num_threads(3 if threads != 3 else 2)
    try:
        again = evaluate(unseen, build_reference(splits, OPTIONS))
    finally:
        torch.set_num_threads(threads)
    assert evaluate(unseen, reference).measured == again.measured


def test_two_candidates_are_paired(reference, unseen, digits):
    one, two = evaluate(unseen, reference), evaluate(digits.slice(0, 60), reference)
    for mine in one.measured:
        theirs = two.find(mine.metric.name, mine.metric.scope)
        assert len(mine.replicates) == len(theirs.replicates)


def test_what_is_wanted_follows_the_holdout(reference, splits):
    counts = dict(reference.wanted)
    real = np.bincount(splits.holdout["digit"].to_numpy(), minlength=10)
    assert counts == {label: 4 * max(1, count) for label, count in enumerate(real)}


def test_what_is_foreseen_is_what_every_candidate_shows(reference, splits, unseen):
    """Numbers of records alone decide it: the same classes, draws of the same distribution."""
    wanted = sum(count for _, count in reference.wanted)
    fakes = unseen.take(np.arange(wanted) % 60)
    seen, evaluation = foresee(splits, OPTIONS), evaluate(fakes, reference)
    assert seen.too_few == evaluation.too_few != ()
    assert {item.metric.scope: item.reals for item in seen.reals} == {
        scope: evaluation.find("c2st", scope).reals for scope in ("statistics", "network")
    }
    (copies,) = seen.sampled
    assert copies.metric.n == wanted
    entry = next(entry for entry in METRICS if entry.name == "copies")
    bounds = entry.bounds(copies.metric.ceiling.value)
    for net in ("classifier", "random"):
        measured = evaluation.find("copies", net)
        assert measured.metric.ceiling.value == copies.metric.ceiling.value
        shares = [real_pass_share(item, bounds) for item in (measured, copies)]
        assert shares[0] == pytest.approx(shares[1], abs=0.1)
        assert 0.5 < shares[0] < 0.95


def test_a_subset_keeps_classes_that_can_be_judged():
    labels_N = np.array([0] * 900 + [1] * 22 + [2] * 15)
    for seed in range(20):
        plain = np.sort(numpy_stream(seed, "subset-holdout").permutation(937)[:600])
        rows = subset_rows(labels_N, 600, seed, "holdout")
        assert len(set(rows.tolist())) == 600
        assert (np.diff(rows) > 0).all()
        counts = np.bincount(labels_N[rows], minlength=3)
        assert counts[1] >= 20
        assert counts[2] == np.bincount(labels_N[plain], minlength=3)[2]
    plenty = np.arange(900) % 3
    expected = np.sort(numpy_stream(1, "subset-holdout").permutation(900)[:600])
    np.testing.assert_array_equal(subset_rows(plenty, 600, 1, "holdout"), expected)


def test_unlabelled_records_are_judged_by_nets_that_need_no_label(splits, unseen):
    drop = {name: getattr(splits, name).select(["image"]) for name in _NAMES}
    reference = build_reference(Splits(**drop), OPTIONS)
    evaluation = evaluate(unseen.select(["image"]), reference)
    scopes = {m.scope for m in evaluation.metrics if m.name == "coverage"}
    assert scopes == {"self-supervised", "random"}
    assert evaluation.find("c2st", "network") is not None
    assert evaluation.find("label_accuracy", "self-supervised") is None
    assert evaluation.find("tstr_gap", "classes") is None
    assert reference.wanted == 240
    assert evaluation.too_few == ()
    assert evaluation.candidate_class_counts == ()


_NAMES = ("train", "validation", "holdout")


def test_sets_hold_every_class_in_proportion_and_share_no_record(reference):
    labels = np.repeat(np.arange(10), 24)
    sets = arrange(labels, reference)
    assert len(sets.whole) == 4
    together = np.concatenate(sets.whole)
    assert len(set(together.tolist())) == len(together)
    for part in sets.whole:
        assert len(part) == reference.n
        assert np.bincount(labels[part], minlength=10).tolist() == [6] * 10


def test_too_few_records_are_refused(reference, unseen):
    with pytest.raises(DataError, match="has 10 records and is compared with 60"):
        evaluate(unseen.slice(0, 10), reference)


def test_another_shape_is_refused(reference):
    images = np.zeros((60, 9, 8, 1), dtype=np.uint8)
    table = pa.table({"image": write_images(images), "digit": np.zeros(60, dtype=np.int64)})
    with pytest.raises(DataError, match="shape"):
        evaluate(table, reference)


def test_many_images_are_compared_in_part(monkeypatch, splits):
    monkeypatch.setattr("gan.images.evaluation.compared.MOST", 50)
    assert [compared_rows(splits, dataclasses.replace(OPTIONS, cap=cap)) for cap in (40, 70)] == [
        40,
        50,
    ]
    assert foresee(splits, OPTIONS).sampled[0].metric.n == 4 * 50


def test_a_capped_evaluation_says_so(splits, unseen):
    reference = build_reference(splits, dataclasses.replace(OPTIONS, cap=40))
    assert reference.n == 40
    assert reference.sets == 1
    evaluation = evaluate(unseen, reference)
    assert evaluation.n == 40
    assert "compared 40 records on each side; holdout has 60" in evaluation.notes[0]


def test_splits_that_overlap_block_unless_it_is_expected(splits, unseen):
    overlapping = dataclasses.replace(splits, holdout=splits.train.slice(0, 60))
    judgement = judge(
        evaluate(unseen, build_reference(overlapping, OPTIONS)), METRICS, GateConfig()
    )
    texts = [r.text for r in judgement.reasons if r.outcome == "block"]
    assert "60 records are in two splits at once" in texts
    options = dataclasses.replace(OPTIONS, overlap_expected=True)
    judgement = judge(
        evaluate(unseen, build_reference(overlapping, options)), METRICS, GateConfig()
    )
    assert not [r for r in judgement.reasons if r.outcome == "block" and r.metric == "overlap"]


def test_one_exact_copy_blocks_where_nothing_comes_near_anything(reference, splits, unseen):
    mixed = pa.concat_tables([unseen.slice(0, 59), splits.train.slice(0, 1)])
    judgement = judge(evaluate(mixed, reference), METRICS, GateConfig())
    blocking = [r.text for r in judgement.reasons if r.metric == "exact_copies"]
    assert blocking == [
        "1 of 60 records equal a training record exactly (1.67%): 1 of 120 distinct training "
        "records are hit and 0 of 120 unseen ones, but no real record even comes near another "
        "one, so that it is no chance"
    ]


def test_a_class_that_is_rare_by_chance_is_not_missing(reference, unseen):
    few = unseen.filter(np.asarray(unseen["digit"]) != 3)
    table = pa.concat_tables([few, few]).slice(0, 60)
    facts = {fact.name: fact for fact in evaluate(table, reference).facts}
    assert facts["classes"].holds
    long = pa.concat_tables([few] * 4)
    facts = {fact.name: fact for fact in evaluate(long, reference).facts}
    assert facts["classes"].text.startswith("missing class 3: no record among")


def test_an_evaluation_survives_json(reference, unseen):
    evaluation = evaluate(unseen, reference)
    adapter = TypeAdapter(Evaluation)
    text = json.dumps(dataclasses.asdict(evaluation))
    assert adapter.validate_python(json.loads(text)) == evaluation
