"""What private trainings take is written before, once, and never beyond the total."""

import pytest

from storage.errors import OverspentError
from storage.lake import ledger
from storage.lake.ledger import SourceIdentity
from storage.stores.memory import MemoryStore

CUSTOMERS = SourceIdentity.of("s3://data/customers", "d1", "customers")


def take(lake, key, epsilon=1.0, *, who=CUSTOMERS, total=3.0):
    return ledger.spend(lake, who, key, epsilon=epsilon, delta=1e-6, total_epsilon=total)


@pytest.fixture
def lake():
    return MemoryStore()


def test_a_training_takes_once_however_often_it_goes_on(lake):
    assert take(lake, "a").epsilon == 1.0
    assert take(lake, "a").epsilon == 1.0
    assert take(lake, "b").epsilon == 2.0
    assert ledger.balance(lake, CUSTOMERS, 3.0).sentence == (
        "2 trainings on this source took ε 2 of 3 together (δ 2e-06)"
    )


def test_a_finished_training_that_is_done_again_takes_again(lake):
    take(lake, "a")
    ledger.finish(lake, "a")
    ledger.finish(lake, "a")
    assert take(lake, "a").epsilon == 2.0
    assert take(lake, "a").epsilon == 2.0


def test_overspending_is_refused_with_the_numbers(lake):
    take(lake, "a", 2.0)
    with pytest.raises(OverspentError, match=r"would take ε 1\.5, 1 before it .* took 2, .* is 3"):
        take(lake, "b", 1.5)
    assert take(lake, "b", 1.0).epsilon == 3.0
    assert take(lake, "a", 2.0).epsilon == 3.0  # what was taken may go on
    with pytest.raises(OverspentError):
        take(lake, "c", 0.1)


def test_the_same_rows_by_place_content_or_name(lake):
    take(lake, "a")
    grown = SourceIdentity.of("s3://data/customers/", "d2", "other-name")
    assert take(lake, "b", who=grown).epsilon == 2.0
    copied = SourceIdentity.of("./copy.csv", "d2", "third")
    assert take(lake, "c", who=copied).epsilon == 3.0
    elsewhere = SourceIdentity.of("./another.csv", "d9", "another")
    assert take(lake, "d", who=elsewhere).epsilon == 1.0
    assert ledger.balance_of(lake, "third").epsilon == 3.0
    assert ledger.balance_of(lake, "nobody") is None


def test_two_at_once_cannot_both_take_the_last(lake, monkeypatch):
    """While one has read the log, another writes: the first reads again, and is refused."""
    take(lake, "a", 2.0)
    append_at = ledger.AppendLog.append_at
    rival = []

    def slow(log, number, record):
        if not rival:
            rival.append(take)
            take(lake, "rival")
        return append_at(log, number, record)

    monkeypatch.setattr(ledger.AppendLog, "append_at", slow)
    with pytest.raises(OverspentError):
        take(lake, "late")
    assert ledger.balance(lake, CUSTOMERS).epsilon == 3.0


def test_the_ledger_says_nobody_where_the_source_lies(lake):
    take(lake, "a")
    (key,) = [info.key for info in lake.list("privacy/")]
    assert b"s3://data" not in lake.get(key)
