"""What a run is called: as the person typed it, never the name that Prefect made up."""

import pytest
from prefect.utilities.names import generate_slug

from flows.tracked import run_names
from flows.tracked.run_names import given_name, is_made_up, with_outcome

OURS = "digits, seed 0, 2026-11-28"


@pytest.fixture
def named(monkeypatch):
    """Return a function that names a run that is called so far as it is told."""

    def name(known):
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", known)
        return given_name(OURS)

    return name


def test_a_name_that_the_server_made_up_gives_way(named):
    made_up = [generate_slug(2) for _ in range(200)]
    assert {named(name) for name in made_up} == {OURS}


@pytest.mark.parametrize(
    "typed", ["monday check", "my-run", "digits-trial", "After the fix: 2", "x"]
)
def test_a_name_that_was_typed_stays_to_the_end(named, typed):
    assert named(typed) == typed
    assert with_outcome(typed, "PASS, published") == typed
    assert not is_made_up(typed)


@pytest.mark.parametrize("star", ["rho-cancri-b", "phi38-selek-p", "alpha-canis-majoris"])
def test_the_star_of_the_run_form_stays_in_brackets_as_a_person_may_have_meant_it(named, star):
    assert named(star) == f"{OURS} ({star})"
    assert with_outcome(named(star), "PASS") == f"{OURS} ({star}): PASS"


def test_a_run_that_starts_again_loses_what_it_said_before(named):
    waits = with_outcome(OURS, "waits for your answer")
    assert waits == f"{OURS}: waits for your answer"
    assert named(waits) == OURS
    assert with_outcome(waits, "PASS, published") == f"{OURS}: PASS, published"
    assert with_outcome(waits, "") == OURS


def test_without_the_words_every_name_stays(named, monkeypatch):
    monkeypatch.setattr(run_names, "_words", frozenset)
    assert named("purring-malamute") == "purring-malamute"
