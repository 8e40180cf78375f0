"""Recipes with epsilon: what they may not have, what is in the key, what is promised in words."""

from datetime import date
from types import MappingProxyType, SimpleNamespace

import pytest

from flows.errors import RecipeError, exit_code
from flows.guarantee import Guarantee
from flows.keys import train_key
from flows.private import NO_STRUCTURE, resolve
from flows.recipe import parse_recipe
from flows.report.summary import EXPOSURE, NO_PROMISE, answers
from flows.report.verdict import COPIES, GUARANTEE, verdict_view
from flows.tune import tune
from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.report import Reason, Report
from storage.errors import OverspentError
from storage.sources.prepared import Prepared


def raw(**changes):
    recipe = {
        "name": "n",
        "source": {"uri": "example:breast-cancer", "structure": "off"},
        "privacy": {"epsilon": 2.0},
    }
    for path, value in changes.items():
        section, _, key = path.partition("__")
        recipe.setdefault(section, {})[key] = value
    return recipe


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source__structure": "found"}, "learnt from the rows: set source.structure to off"),
        ({"training__budget_cpu_s": 60}, "a budget in time.*give budget_samples alone"),
        ({"training__until": {"two_way": 1.0}}, "training.until looks at validation records"),
        ({"synthesis__labels": "teacher"}, "learns from the rows without noise"),
        ({"synthesis__balance": "fill"}, "publishes exact counts"),
        ({"privacy__epsilon": 0}, "greater than 0"),
        ({"privacy__epsilon": None, "privacy__total_epsilon": 3}, "nothing is spent; set it"),
    ],
)
def test_what_epsilon_does_not_go_with(changes, said):
    with pytest.raises(RecipeError, match=said):
        parse_recipe(raw(**changes))


PREPARED = Prepared(
    modality="tables",
    folder=None,
    source_digest="s",
    split_rule=MappingProxyType({"by": "content"}),
    split_digest="p",
    records={},
    label=None,
    schema=None,
    class_counts={"train": ()},
    rows={"train": 20},
    skipped=(),
    ignored_files=0,
    notes=(),
)


NIGHT = date(2026, 1, 1)


def key(**changes):
    return train_key(parse_recipe(raw(**changes)), PREPARED, NIGHT)


def test_epsilon_and_delta_make_another_training_and_what_is_left_does_not():
    assert key() != key(privacy__epsilon=3.0) != key(privacy__epsilon=None)
    assert key() != key(privacy__delta=1e-7)
    assert key() == key(privacy__total_epsilon=10.0)


def test_tuning_would_spend_with_every_trial():
    job = SimpleNamespace(recipe=parse_recipe(raw()))
    with pytest.raises(ConfigError, match="every trial of a tuning would spend it once more"):
        tune(job, PREPARED, None)


def test_structure_is_off_where_nobody_names_it_and_epsilon_is_set():
    quick = raw(source__uri="x.csv")
    quick["source"].pop("structure")
    assert parse_recipe(quick).source.structure == "off"
    assert parse_recipe(quick | {"privacy": {}}).source.structure == "found"
    assert train_key(parse_recipe(quick), PREPARED, NIGHT) == key(source__uri="x.csv")
    assert parse_recipe(raw(source__structure="named")).source.structure == "named"
    found = {"source": {"uri": "x.csv", "structure": "found"}}
    with pytest.raises(RecipeError, match="learnt from the rows"):
        parse_recipe(quick | found)


@pytest.mark.parametrize("structure", ["off", "named"])
def test_check_and_report_say_that_structure_is_off(monkeypatch, structure):
    """Both say the notes of the configuration."""
    config = ResolvedConfig.model_construct(notes=("first",))
    modality = SimpleNamespace(resolve_private=lambda *_, **__: config)
    monkeypatch.setattr("gan.modalities.load_modality", lambda _: modality)
    monkeypatch.setattr("gan.accounting.plan_training", lambda *args: args[3])
    found = resolve(parse_recipe(raw(source__structure=structure)), PREPARED, None, None).notes
    assert found == (("first", NO_STRUCTURE) if structure == "off" else ("first",))


def test_overspending_is_a_block():
    assert exit_code(OverspentError("too much")) == 3


class TestWords:
    PROMISE = Guarantee(epsilon=2.0, delta=1e-6, unit="row")

    def test_what_is_promised_and_what_not(self):
        covered, unit, left = self.PROMISE.sentences
        assert "ε 2 and δ 1e-06" in covered
        assert "at most 7.39 times (e^ε) as probable" in covered
        assert "a person of several" in unit
        assert "Not covered: the verdict, the lift, every number and figure" in left

    def test_of_a_training_without_privacy_there_is_none(self):
        assert Guarantee.of({"seed": 1}, "tables") is None
        found = Guarantee.of({"private": {"epsilon": 2.0, "delta": 1e-6}}, "tables")
        assert found == self.PROMISE

    @staticmethod
    def exposure(*reasons, **facts):
        report = Report(
            name="n",
            generator="g",
            snapshot_digest="d",
            created="2026-01-01T00:00:00+00:00",
            modality="tables",
            metrics=(),
            verdict="pass",
            reasons=reasons,
            facts=facts,
        )
        lift = SimpleNamespace(word="no", outcome=None, text="")
        found = {one.question: one for one in answers(verdict_view(report), lift)}
        return found[EXPOSURE]

    def test_who_tells_members_is_in_the_first_answer_whatever_else_warns(self):
        """The attack that succeeds on everybody is a headline, not the last line of the page."""
        member = "membership (all) is 1: whoever has the generator can tell who was trained on"
        found = self.exposure(
            Reason(metric="dcr_share", scope="all", outcome="warn", text="dcr_share (all) .53",
                   aspect="privacy"),
            Reason(metric="membership", scope="all", outcome="alarm", text=member,
                   aspect="privacy"),
        )  # fmt: skip
        assert member in found.text
        assert found.outcome == "warn"
        assert NO_PROMISE in found.text

    def test_epsilon_and_published_copies_are_in_the_first_answer(self):
        copies = {"equal": 3, "equal_unseen": 2, "records": 9_000, "text": "t", "holds": True}
        reason = Reason(metric="copies", scope="all", outcome="pass", text="x", aspect="privacy")
        promise = {**self.PROMISE.to_json(), "short": self.PROMISE.short, "spent": "1 training"}
        found = self.exposure(reason, **{GUARANTEE: promise, COPIES: copies})
        assert "3 of all 9,000 published equal a training record, 2 one that was not" in found.text
        assert "Differentially private per row: ε 2, δ 1e-06" in found.text
