"""Damaged tables, each made of real rows nobody has seen: blocked, for the right reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.baselines import register
from gan.config import GeneratorConfig, TrainingConfig
from gan.gate import GateConfig, judge
from gan.modalities import load_modality
from gan.protocols import Hooks
from gan.sample import Sampler
from gan.tables.judge import METRICS, build_assess, evaluate
from gan.training.loop import train

full = pytest.mark.full


def replaced(table, name, values):
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(name), values)


def shuffle(rows, rng):
    """Every column is right, no two belong together."""
    columns = [column.take(rng.permutation(rows.unseen.num_rows)) for column in rows.unseen.columns]
    return pa.table(columns, schema=rows.unseen.schema)


def drop_level(rows, rng):
    """Nobody is from the south: what is missing is filled with others."""
    left = rows.unseen.filter(pc.not_equal(rows.unseen["region"], "south"))
    return left.take(rng.integers(0, left.num_rows, rows.unseen.num_rows))


def disguise_level(rows, rng):
    """Who is from the south says north."""
    south = pc.equal(rows.unseen["region"], "south")
    return replaced(rows.unseen, "region", pc.if_else(south, "north", rows.unseen["region"]))


def lose_class(rows, rng):
    left = rows.unseen.filter(pc.equal(rows.unseen[rows.label], rows.unseen[rows.label][0]))
    return left.take(rng.integers(0, left.num_rows, rows.unseen.num_rows))


def copy(rows, rng):
    return rows.train.take(rng.permutation(rows.train.num_rows)[: rows.unseen.num_rows])


def half_copy(rows, rng):
    half = rows.unseen.num_rows // 2
    return pa.concat_tables([copy(rows, rng).slice(0, half), rows.unseen.slice(half)])


def blurred(table, rng, spread):
    """Return numbers with noise of so many standard deviations, inside their own range."""
    for name in table.column_names:
        kind = table.schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            continue
        values = table[name].to_numpy()
        noisy = values + rng.normal(0, spread * values.std(), len(values))
        noisy = np.clip(noisy, values.min(), values.max())
        if pa.types.is_integer(kind):
            noisy = np.round(noisy)
        table = replaced(table, name, pa.array(noisy).cast(kind))
    return table


def noise(rows, rng):
    return blurred(rows.unseen, rng, 0.6)


def near_copy(rows, rng):
    """Training rows with a little noise: no exact copy among them."""
    return blurred(copy(rows, rng), rng, 0.01)


def swap_label(rows, rng):
    values = pc.unique(rows.unseen[rows.label])
    other = pc.if_else(pc.equal(rows.unseen[rows.label], values[0]), values[1], values[0])
    return replaced(rows.unseen, rows.label, other)


def permute_label(rows, rng):
    """The label has its own distribution, and nothing to do with the rest."""
    order = rng.permutation(rows.unseen.num_rows)
    return replaced(rows.unseen, rows.label, rows.unseen[rows.label].take(order))


def collapse(rows, rng):
    return rows.unseen.take(rng.integers(0, 30, rows.unseen.num_rows))


def fill_nulls(rows, rng):
    """Who is not known is given the mean income."""
    mean = pc.mean(rows.unseen["income"]).cast(rows.unseen.schema.field("income").type)
    return replaced(rows.unseen, "income", pc.fill_null(rows.unseen["income"], mean))


EVERYWHERE = {
    "shuffled columns": (shuffle, {"coverage", "c2st", "tstr_gap"}, {"exact_copies", "classes"}),
    "copies": (copy, {"exact_copies"}, {"coverage", "c2st", "two_way", "one_way", "tstr_gap"}),
    "half copies": (half_copy, {"exact_copies"}, {"coverage", "c2st", "two_way", "one_way"}),
    "near copies": (near_copy, {"copies"}, {"exact_copies", "coverage", "two_way"}),
    "label swapped": (swap_label, {"tstr_gap"}, {"exact_copies", "copies", "classes"}),
    "label permuted": (permute_label, {"tstr_gap"}, {"exact_copies", "copies", "classes"}),
    "class lost": (lose_class, {"classes", "one_way", "tstr_gap"}, {"exact_copies", "copies"}),
    "collapse": (collapse, {"c2st", "one_way", "repeats"}, {"exact_copies", "copies"}),
    "noise": (noise, {"coverage"}, {"exact_copies", "copies", "classes"}),
}
"""Name → how it is made, the metrics that must block it, the metrics that must not."""
OF_CUSTOMERS = {
    **EVERYWHERE,
    "level dropped": (drop_level, {"one_way", "c2st"}, {"exact_copies", "copies", "classes"}),
    "level in disguise": (disguise_level, {"one_way"}, {"exact_copies", "copies", "tstr_gap"}),
    "label swapped": (
        swap_label,
        {"one_way", "c2st", "coverage", "tstr_gap"},
        {"exact_copies", "copies", "classes"},
    ),
    "collapse": (collapse, {"c2st", "coverage", "repeats"}, {"exact_copies", "copies"}),
    "noise": (noise, {"c2st"}, {"exact_copies", "copies", "classes"}),
    "nulls filled": (fill_nulls, {"null_rate"}, {"exact_copies", "copies", "two_way"}),
}
REPRESENTATIVE = {
    "shuffled columns",
    "copies",
    "label permuted",
    "class lost",
    "noise",
    "level in disguise",
    "nulls filled",
}
"""One of each kind of damage; `make test-full` judges all. Near copies are of the small table."""


def judged(candidate, reference, log_likelihood=None):
    return judge(
        evaluate(candidate, reference, log_likelihood=log_likelihood), METRICS, GateConfig()
    )


def blocking(judgement):
    return {reason.metric for reason in judgement.reasons if reason.outcome == "block"}


def check(name, rung, rows, reference):
    make, guilty, innocent = rung
    judgement = judged(make(rows, np.random.default_rng(7)), reference)
    assert judgement.verdict == "block"
    assert guilty <= blocking(judgement)
    assert not innocent & blocking(judgement)
    if name.startswith("level"):
        assert "all/region" in {reason.scope for reason in judgement.reasons}


@pytest.mark.parametrize(
    "name",
    [name if name in REPRESENTATIVE else pytest.param(name, marks=full) for name in OF_CUSTOMERS],
)
def test_a_damaged_table_is_blocked_for_the_right_reason(name, customers, customers_reference):
    check(name, OF_CUSTOMERS[name], customers, customers_reference)


@pytest.mark.parametrize(
    "name",
    [name if name == "near copies" else pytest.param(name, marks=full) for name in EVERYWHERE],
)
def test_so_is_a_small_table_of_numbers(name, cancer, cancer_reference):
    check(name, EVERYWHERE[name], cancer, cancer_reference)


@pytest.mark.parametrize("table", ["customers", "cancer"])
def test_other_real_rows_are_not_blocked_and_do_not_pretend(table, request):
    rows, reference = request.getfixturevalue(table), request.getfixturevalue(f"{table}_reference")
    judgement = judged(rows.unseen, reference)
    assert judgement.verdict != "block"
    outcomes = {reason.outcome for reason in judgement.reasons}
    assert outcomes <= {"pass", "unknown"}
    known = {reason.metric for reason in judgement.reasons if reason.outcome == "pass"}
    assert {"two_way", "c2st", "coverage"} <= known


register()


def synthesized(preset, rows, reference, folder: Path, wanted=None, **training):
    """Train a preset as the nightly job does, and return its judgement."""
    modality = load_modality("tables")
    codec = modality.codec.fit(rows.train, rows.label)
    config = modality.resolve(
        GeneratorConfig(preset=preset),
        TrainingConfig(device="cpu", **training),
        codec,
        train_rows=rows.train.num_rows,
        seed=0,
    )
    assess = build_assess(rows.train, rows.validation, label=rows.label, seed=0)
    train(config, codec, rows.train, folder, hooks=Hooks(assess=assess), device="cpu")
    sampler = Sampler.load(folder / "snapshot", "cpu")
    candidate = sampler.records(wanted or reference.wanted, seed=1, index=0)
    return judged(candidate, reference, sampler.log_likelihood)


@pytest.mark.parametrize(
    ("preset", "guilty"),
    [
        ("independent", {"coverage", "c2st", "tstr_gap"}),
        pytest.param("bootstrap", {"copies"}, marks=full),
    ],
)
def test_baselines_are_blocked(preset, guilty, customers, customers_reference, tmp_path):
    budget = {"budget_samples": 40_000}
    judgement = synthesized(preset, customers, customers_reference, tmp_path, **budget)
    assert judgement.verdict == "block"
    assert guilty <= blocking(judgement)


@full
@pytest.mark.parametrize("preset", ["independent", "bootstrap"])
def test_baselines_of_a_small_table_are_blocked(preset, cancer, cancer_reference, tmp_path):
    assert synthesized(preset, cancer, cancer_reference, tmp_path).verdict == "block"


@full
def test_a_good_generator_is_not_blocked(customers, customers_reference, tmp_path):
    judgement = synthesized("autoregressive", customers, customers_reference, tmp_path)
    assert blocking(judgement) == set()


@full
def test_nor_is_one_of_a_small_table(cancer, tmp_path):
    """With 343 training rows, as the demo has them."""
    whole = pa.concat_tables([cancer.train, cancer.unseen])
    rows = replace(cancer, train=whole)
    judgement = synthesized("autoregressive", rows, rows.reference(), tmp_path)
    assert blocking(judgement) == set()
    assert "copies" in judgement.unknown


@full
@pytest.mark.parametrize("table", ["customers", "cancer"])
def test_rows_that_are_asked_for_by_class_are_as_good(table, request, tmp_path):
    """A data set is made by class, so its rows must depend on the class as real ones do."""
    rows, reference = request.getfixturevalue(table), request.getfixturevalue(f"{table}_reference")
    counted = rows.train[rows.label].value_counts().to_pylist()
    wanted = tuple(sorted((item["values"], 2 * item["counts"]) for item in counted))
    judgement = synthesized("autoregressive", rows, reference, tmp_path, wanted)
    assert not {"tstr_gap", "two_way"} & blocking(judgement)
