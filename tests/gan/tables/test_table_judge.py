import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from judged_tables import OPTIONS, cut, replaced, shop
from pydantic import TypeAdapter

from gan.bounds import entry_of
from gan.errors import DataError
from gan.gate import GateConfig, judge
from gan.report import Evaluation
from gan.tables.judge import METRICS, build_reference, evaluate

LABEL = "back"


@pytest.fixture(scope="module")
def splits_and_unseen():
    return cut(shop(1600), (600, 300, 300), LABEL)


@pytest.fixture(scope="module")
def splits(splits_and_unseen):
    return splits_and_unseen[0]


@pytest.fixture(scope="module")
def unseen(splits_and_unseen):
    return splits_and_unseen[1]


@pytest.fixture(scope="module")
def reference(splits):
    return build_reference(splits, OPTIONS)


@pytest.fixture(scope="module")
def evaluation(unseen, reference):
    return evaluate(unseen, reference)


def values(evaluation):
    return {(m.name, m.scope): m.value for m in evaluation.metrics}


def reasons(candidate, reference):
    return judge(evaluate(candidate, reference), METRICS, GateConfig()).reasons


def blocked(candidate, reference):
    return {r.metric for r in reasons(candidate, reference) if r.outcome == "block"}


def test_every_metric_with_interval(evaluation, reference):
    found = values(evaluation)
    assert set(found) >= {
        ("one_way", "all"),
        ("one_way", "all/price"),
        ("two_way", "all"),
        ("coverage", "all"),
        ("density", "all"),
        ("dcr_share", "few rows"),
        ("copies", "all"),
        ("c2st", "all"),
        ("tstr_gap", LABEL),
        ("tstr", LABEL),
        ("trtr", LABEL),
        ("null_rate", "all/note"),
    }
    assert not {scope for _, scope in found} & {"all/id", "all/shop"}
    for metric in evaluation.metrics:
        assert metric.low <= metric.value <= metric.high, metric
        assert np.isfinite([metric.low, metric.high]).all()
        entry = entry_of(metric, METRICS)
        assert entry is not None
        assert entry.direction == metric.direction
    assert {fact.name for fact in evaluation.facts} == {
        "validity",
        "constraints",
        "classes",
        "exact_copies",
        "overlap",
    }
    assert all(fact.holds for fact in evaluation.facts)
    assert evaluation.n == reference.n == 300


def test_unseen_real_rows_are_like_real_rows(evaluation):
    judgement = judge(evaluation, METRICS, GateConfig())
    assert judgement.verdict != "block"
    found = values(evaluation)
    assert found["c2st", "all"] < 0.58
    assert abs(found["dcr_share", "few rows"] - 0.5) < 0.12
    ratios = {m.name: m.ratio for m in evaluation.metrics if m.scope == "all" and m.ceiling}
    assert ratios["one_way"] == pytest.approx(1, abs=0.5)
    assert ratios["two_way"] == pytest.approx(1, abs=0.2)
    assert ratios["coverage"] == pytest.approx(1, abs=0.06)


def test_equal_input_gives_equal_numbers_whatever_the_threads(unseen, splits, evaluation):
    threads = torch.get_num_threads()
    torch.set_num_threads(3 if threads != 3 else 2)
    try:
        again = evaluate(unseen, build_reference(splits, OPTIONS))
    finally:
        torch.set_num_threads(threads)
    assert again.measured == evaluation.measured
    assert again.facts == evaluation.facts


def test_two_candidates_are_paired(evaluation, splits, reference):
    other = evaluate(splits.train, reference)
    for mine in evaluation.measured:
        theirs = other.find(mine.metric.name, mine.metric.scope)
        if theirs is not None:
            assert len(mine.replicates) == len(theirs.replicates)


def test_rows_are_wanted_as_they_come(reference, splits):
    """Not so many of each class: how often classes come is measured, too."""
    assert reference.wanted == 4 * 300
    long = dataclasses.replace(OPTIONS, cap=100)
    assert build_reference(splits, long).wanted == 600


def test_shuffled_columns_are_found_though_each_alone_is_right(unseen, reference):
    shuffled = unseen
    for seed, name in enumerate(("region", "size", "price", "back")):
        order = np.random.default_rng(seed).permutation(unseen.num_rows)
        shuffled = replaced(shuffled, name, unseen[name].to_pylist())
        place = shuffled.column_names.index(name)
        shuffled = shuffled.set_column(place, unseen.schema.field(name), unseen[name].take(order))
    texts = [r.text for r in reasons(shuffled, reference) if r.outcome == "block"]
    assert {"tstr_gap"} <= blocked(shuffled, reference)
    assert not any("one_way" in text for text in texts)
    found = values(evaluate(shuffled, reference))
    assert found["c2st", "all"] > 0.7


def test_the_worst_column_is_named_with_its_error(unseen, reference):
    cheap = replaced(unseen, "price", np.full(unseen.num_rows, 2.5))
    worst = next(r for r in reasons(cheap, reference) if r.metric == "one_way")
    assert worst.outcome == "block"
    assert worst.text.startswith("one_way of column 'price' is ")
    assert worst.text.partition(" is ")[2].startswith("0.")


def test_copied_rows_block_and_other_rows_do_not(splits, unseen, reference):
    copied = pa.concat_tables([splits.train.slice(0, 300), unseen])
    assert "exact_copies" in blocked(copied, reference)
    assert "exact_copies" not in blocked(unseen, reference)


def test_near_copies_block(splits, reference):
    price = splits.train["price"].to_numpy() + 0.01
    near = replaced(splits.train, "price", price)
    assert blocked(near, reference) == {"copies", "dcr_share", "inference", "linkability"}


def test_likelihoods_that_know_train_are_told(splits, unseen, reference):
    known = {tuple(row) for row in zip(*splits.train.select(["id"]).columns, strict=True)}

    def memory(records):
        rng = np.random.default_rng(0)
        seen = [(row,) in known for row in records["id"]]
        return rng.normal(size=records.num_rows) + np.array(seen)

    found = evaluate(unseen, reference, log_likelihood=memory)
    attack = found.find("membership", "all").metric
    assert attack.low < 0.76 < attack.high
    assert "tells training rows from unseen ones with an AUC of 0." in found.notes[-1]
    assert evaluate(unseen, reference, log_likelihood=lambda _: None).find("membership", "all") is (
        None
    )


def test_what_constraints_took_is_reported(unseen, reference):
    counts = {"rows": 400, "redrawn": 20, "changed": 4}
    metadata = {**unseen.schema.metadata, b"ganmill-changed": json.dumps(counts).encode()}
    found = values(evaluate(unseen.replace_schema_metadata(metadata), reference))
    assert found["changed", "all"] == 0.01
    assert found["redrawn", "all"] == 0.05


def test_without_a_label_targets_are_chosen_and_named(splits, unseen):
    plain = dataclasses.replace(splits, label=None)
    reference = build_reference(plain, OPTIONS)
    found = evaluate(unseen, reference)
    gap = next(m for m in found.metrics if m.name == "tstr_gap")
    assert gap.scope == "region+size+price+day+back"
    assert "'region', 'size', 'price', 'day', 'back'" in found.notes[-1]
    assert found.candidate_class_counts == ()


def test_a_number_as_the_label_is_judged_by_r_squared(splits, unseen):
    reference = build_reference(dataclasses.replace(splits, label="price"), OPTIONS)
    gap = next(m for m in evaluate(unseen, reference).metrics if m.name == "tstr_gap_r2")
    assert gap.scope == "price"
    assert gap.low <= 0.1
    order = np.random.default_rng(0).permutation(unseen.num_rows)
    wrong = replaced(unseen, "price", unseen["price"].to_numpy()[order])
    assert "tstr_gap_r2" in blocked(wrong, reference)


def test_class_counts_follow_the_label(evaluation, unseen):
    true = sum(unseen[LABEL].to_pylist())
    assert evaluation.candidate_class_counts == ((False, unseen.num_rows - true), (True, true))


def test_an_evaluation_survives_json(evaluation):
    adapter = TypeAdapter(Evaluation)
    text = json.dumps(dataclasses.asdict(evaluation))
    assert adapter.validate_python(json.loads(text)) == evaluation


def test_few_rows_are_told(evaluation):
    assert evaluation.notes[0] == (
        "with 300 rows on each side, numbers are compared in 15 quantile bins, in pairs in 5"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.slice(0, 100), "the candidate has 100 records and is compared with 300"),
        (lambda t: t.drop_columns(["size"]), "the candidate has no column 'size'"),
        (
            lambda t: t.set_column(1, "size", t["size"].cast(pa.string())),
            "column 'size' of the candidate is string and of train int64",
        ),
    ],
)
def test_another_kind_of_records_is_refused(unseen, reference, change, sentence):
    with pytest.raises(DataError, match=sentence):
        evaluate(change(unseen), reference)


def test_a_table_of_keys_alone_is_refused(splits):
    from small_tables import with_meaning

    rows = with_meaning(
        {"id": [f"A{i}" for i in range(30)]}, kinds={"id": "key"}, forms={"id": "A99"}
    )
    alone = dataclasses.replace(splits, train=rows, validation=rows, holdout=rows, label=None)
    with pytest.raises(DataError, match="none of the 1 columns can be compared"):
        build_reference(alone, OPTIONS)


def test_few_rows_are_blocked_by_their_dcr_share_only_beyond_doubt(splits, unseen, reference):
    near = pa.concat_tables([splits.train.slice(0, 300)] * 2)
    price = near["price"].to_numpy() + 0.01
    day = pa.array(near["day"].to_numpy() + np.timedelta64(1, "D"))
    far = replaced(replaced(near, "price", price), "day", day)
    (item,) = [m for m in evaluate(far, reference).metrics if m.name == "dcr_share"]
    assert item.scope == "few rows"
    assert item.low > 0.55
    assert "dcr_share" in blocked(far, reference)
    assert "dcr_share" in {r.metric for r in reasons(unseen, reference) if r.outcome == "pass"}
