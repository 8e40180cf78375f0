"""A holdout that is too small says so, and only where that is the truth."""

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.evaluation.promotion import Contender, compare
from gan.gate import GateConfig, judge
from gan.images.codec import write_images
from gan.images.judge import METRICS, build_reference, evaluate
from gan.modalities import Options, Splits

OPTIONS = Options(halves=20, replicates=20)


def _parts(digits, defects: int, total: int):
    """Good parts are the digit 0 to 4, defects the digit 8; 40 % train, 20 % each of the rest."""
    rng = np.random.default_rng(3)
    good = rng.choice(np.flatnonzero(digits.labels < 5), total - defects, replace=False)
    bad = rng.choice(np.flatnonzero(digits.labels == 8), defects, replace=False)
    cuts = np.cumsum([0.4, 0.2, 0.2])
    parts = [np.split(kind, np.round(cuts * len(kind)).astype(int)) for kind in (good, bad)]
    return [np.concatenate(pair) for pair in zip(*parts, strict=True)]


def _table(digits, rows):
    labels = pa.array(np.where(digits.labels[rows] == 8, "defect", "good"))
    return pa.table({"image": write_images(digits.images[rows]), "kind": labels})


def _judged(digits, defects, total):
    train, validation, holdout, unseen = _parts(digits, defects, total)
    splits = Splits(
        train=_table(digits, train),
        validation=_table(digits, validation),
        holdout=_table(digits, holdout),
        label="kind",
    )
    evaluation = evaluate(_table(digits, unseen), build_reference(splits, OPTIONS))
    return evaluation, judge(evaluation, METRICS, GateConfig())


@pytest.mark.full
def test_35_defects_among_600_cannot_be_known(digits):
    evaluation, judgement = _judged(digits, 35, 600)
    unknown = {reason.scope: reason.text for reason in judgement.reasons}
    assert judgement.verdict == "warn"
    assert unknown["class defect"] == (
        "coverage of class defect cannot be known from 7 holdout records: 20 are needed"
    )
    assert "class good" not in unknown
    challenger = Contender(name="new", evaluation=evaluation, judgement=judgement)
    refused = compare(challenger, None, GateConfig())
    assert not refused.promote
    assert "cannot be known" in refused.reason
    assert compare(challenger, None, GateConfig(accept_unknown=True)).promote


@pytest.mark.full
def test_150_defects_among_600_can_be_known(digits):
    evaluation, judgement = _judged(digits, 150, 600)
    assert not evaluation.too_few
    assert "coverage" not in judgement.unknown
    assert judgement.verdict != "block"


def test_a_tiny_holdout_is_refused(digits):
    table = digits.table(digits.train[:15])
    splits = Splits(train=table, validation=table, holdout=table, label="label")
    with pytest.raises(DataError, match="validation split has 15 records and needs 20") as caught:
        build_reference(splits, OPTIONS)
    assert not caught.value.proposals, "of 30 records no fraction is enough"


def test_a_small_split_of_many_records_proposes_a_larger_one(digits):
    few, many = (digits.table(digits.train[:rows]) for rows in (15, 200))
    splits = Splits(train=many, validation=few, holdout=many, label="label")
    with pytest.raises(DataError) as caught:
        build_reference(splits, OPTIONS)
    [proposal] = caught.value.proposals
    assert proposal.setting == "source.split.validation"
    assert 20 < proposal.value * 215 < 40
