"""Fifty planted rows that look like nobody: no attack brings them back.

A canary holds random values that no other row has together, ten columns of them. The attacks of the
report are asked about the canaries alone, beside as many that were never planted (Carlini et al.,
"The secret sharer", 2019): their likelihood under the generator, rows of a large
synthetic table that equal or nearly equal them, and predicates, halves and columns of
`gan.tables.evaluation.exposure`.
"""

import numpy as np
import pyarrow as pa
import pytest

from gan.accounting import plan_counting, plan_training
from gan.config import GeneratorConfig, TrainingConfig
from gan.metrics.auc import delong
from gan.metrics.intervals import more_often
from gan.modalities import Options, Splits, load_modality
from gan.sample import Sampler
from gan.tables.evaluation.columns import build_context
from gan.tables.evaluation.exposure import Exposure
from gan.training.loop import train
from tests.gan.tables.small_tables import with_meaning

ROWS, PLANTED, MADE = 4_000, 50, 40_000
pytestmark = pytest.mark.full


def usual(rows, seed):
    """People whose columns follow from a group of theirs."""
    numbers = np.random.default_rng(seed)
    group = numbers.integers(4, size=rows)
    columns = {f"n{i}": numbers.poisson(10 + 8 * group + i) for i in range(6)}
    for i in range(3):
        columns[f"c{i}"] = [f"l{v}" for v in (group + numbers.integers(2, size=rows)) % 4]
    return columns | {"kind": [f"k{v}" for v in group]}


def canaries(seed):
    """Rows of values that others have, each by itself, and nobody together."""
    numbers = np.random.default_rng(seed)
    columns = {f"n{i}": numbers.integers(5, 45, size=PLANTED) for i in range(6)}
    columns |= {f"c{i}": [f"l{v}" for v in numbers.integers(4, size=PLANTED)] for i in range(3)}
    return columns | {"kind": [f"k{v}" for v in numbers.integers(4, size=PLANTED)]}


PLANT, CONTROL = (with_meaning(canaries(seed), min_group=10) for seed in (1, 2))
TRAIN = pa.concat_tables([with_meaning(usual(ROWS, 3), min_group=10), PLANT])


def train_default(folder):
    module = load_modality("tables")
    codec = module.codec.fit(TRAIN, "kind")
    kwargs = {"train_rows": TRAIN.num_rows, "seed": 0}
    training = TrainingConfig(budget_samples=60_000, device="cpu")
    config = module.resolve(GeneratorConfig(), training, codec, **kwargs)
    return train(config, codec, TRAIN, folder, device="cpu")


def train_privately(folder):
    module = load_modality("tables")
    counting = plan_counting(3.0, 1e-5, 60)
    codec = module.fit_privately(TRAIN, "kind", counting)
    kwargs = {"train_rows": TRAIN.num_rows, "seed": 0}
    training = TrainingConfig(budget_samples=60_000, device="cpu")
    config = module.resolve_private(GeneratorConfig(), training, codec, **kwargs)
    config = plan_training(3.0, 1e-5, counting, config, TRAIN.num_rows)
    return train(config, codec, TRAIN, folder, device="cpu")


@pytest.fixture(scope="module", params=[train_default, train_privately], ids=["default", "private"])
def sampler(request, tmp_path_factory):
    return Sampler.load(request.param(tmp_path_factory.mktemp("canaries")).snapshot)


@pytest.fixture(scope="module")
def made(sampler):
    return sampler.records(MADE, seed=0, index=0)


def attacks(candidate):
    splits = Splits(
        train=PLANT,
        validation=with_meaning(usual(100, 5), min_group=10),
        holdout=CONTROL,
        label="kind",
    )
    exposure = Exposure(build_context(splits, Options(seed=0)))
    return {
        one.metric.scope + "/" + one.metric.name: one.metric for one in exposure.measure(candidate)
    }


def test_rows_bring_no_canary_back(made):
    """Singling out, linking and inferring succeed on planted rows no more than on others."""
    found = attacks(made)
    assert {"all/singling_out", "all/linkability", "all/inference"} <= set(found)
    for name in ("singling_out", "linkability", "inference"):
        assert found[f"all/{name}"].low <= 0, found[f"all/{name}"]


def test_no_canary_is_among_the_rows_nor_near_one(made):
    others = pa.concat_tables([CONTROL, with_meaning(usual(100, 5), min_group=10)])
    splits = Splits(train=PLANT, validation=others, holdout=CONTROL, label="kind")
    counter = load_modality("tables").count_copies(splits, made.num_rows)
    counter.add(made)
    counted = counter.result("rows")
    assert counted.equal == 0
    assert not more_often(counted.near, made.num_rows, counted.near_unseen, made.num_rows)


def test_a_private_generator_does_not_tell_who_was_planted(sampler, request):
    found = delong(sampler.log_likelihood(PLANT), sampler.log_likelihood(CONTROL))
    if "private" in request.node.callspec.id:
        assert found.low <= 0.5, found
    else:  # rows are published, the generator is not; the report says it where it does tell
        assert found.value < 0.9, found


def test_the_attacks_do_find_canaries_in_copies():
    """What was never found would be no test: half of the rows are the planted ones."""
    copies = pa.concat_tables([PLANT] * 20 + [with_meaning(usual(1_000, 7), min_group=10)])
    found = attacks(copies)
    assert found["all/singling_out"].low > 0 or found["all/inference"].low > 0.5
    assert found["all/linkability"].low > 0.5
