"""Candidates and the log of promotions."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
import toy

from storage.errors import IntegrityError, ObjectNotFoundError, PromotionConflictError
from storage.lake import promotions, registry
from storage.lake.layout import (
    generator_key,
    numbered_key,
    plan_key,
    promotions_folder,
    snapshot_key,
)

NOW = datetime(2026, 1, 31, 3, tzinfo=UTC)


@pytest.fixture
def candidate(lake, tmp_path):
    """Return a function that stores a candidate of a given hexadecimal letter."""

    def put(run):
        plan = registry.TrainingPlan.propose(toy.NAME, run * 64, NOW, {})
        folder = toy.snapshot_folder(tmp_path / run, weights=run.encode())
        return plan.version, registry.put_candidate(lake, toy.NAME, plan.version, folder)

    return put


def decision(kind, candidate, report="r"):
    version, digest = candidate
    return promotions.PromotionDraft(
        kind=kind,
        version=version,
        snapshot_digest=digest,
        report_digest=report * 64,
        by="gate",
        reason="coverage .97 of the ceiling",
    )


def decide(lake, kind, candidate, read=None, **report):
    read = read or promotions.standing(lake, toy.NAME)
    wanted = decision(kind, candidate, **report)
    return promotions.decide(lake, toy.NAME, wanted, read=read, created=NOW)


class TestTrainingPlan:
    def test_the_first_stands(self, lake):
        first = registry.TrainingPlan.propose(toy.NAME, "a" * 64, NOW, {"batch_size": 64})
        late = registry.TrainingPlan.propose(toy.NAME, "a" * 64, NOW + timedelta(hours=1), {})
        assert registry.agree_training(lake, first) == first
        assert registry.agree_training(lake, late) == first
        assert first.version == "20260131T030000Z-aaaaaaaa"

    @pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": "x"}'])
    def test_what_is_none_is_refused(self, lake, data):
        lake.put_once(plan_key("a" * 64), data)
        proposal = registry.TrainingPlan.propose(toy.NAME, "a" * 64, NOW, {})
        with pytest.raises(IntegrityError, match="no ganmill-training-plan/1 plan"):
            registry.agree_training(lake, proposal)

    def test_another_name_shares_the_plan_of_the_same_training(self, lake):
        other = registry.TrainingPlan.propose("other", "a" * 64, NOW, {})
        registry.agree_training(lake, other)
        late = registry.TrainingPlan.propose(toy.NAME, "a" * 64, NOW + timedelta(hours=1), {})
        assert registry.agree_training(lake, late) == other

    def test_another_trainings_is_refused(self, lake):
        stray = registry.TrainingPlan.propose(toy.NAME, "b" * 64, NOW, {})
        lake.put_once(plan_key("a" * 64), stray.to_json())
        proposal = registry.TrainingPlan.propose(toy.NAME, "a" * 64, NOW, {})
        with pytest.raises(IntegrityError, match="is the plan of training bbbb"):
            registry.agree_training(lake, proposal)


class TestCandidate:
    def test_comes_back_as_it_was(self, lake, candidate, tmp_path):
        version, digest = candidate("a")
        assert registry.fetch(lake, toy.NAME, version, tmp_path / "got") == digest
        for path in (tmp_path / "a").iterdir():
            assert (tmp_path / "got" / path.name).read_bytes() == path.read_bytes()
        assert registry.candidates(lake, toy.NAME) == [version]
        assert registry.list_generators(lake) == [toy.NAME]

    def test_without_its_index_does_not_exist(self, lake, candidate, tmp_path):
        version, _ = candidate("a")
        lake.delete(snapshot_key(toy.NAME, version))
        assert registry.candidates(lake, toy.NAME) == []
        assert registry.list_generators(lake) == []
        with pytest.raises(ObjectNotFoundError):
            registry.fetch(lake, toy.NAME, version, tmp_path / "got")

    def test_of_a_second_trainer_gives_way_to_the_first(self, lake, candidate, tmp_path):
        version, first = candidate("a")
        other = toy.snapshot_folder(tmp_path / "other", weights=b"trained on another machine")
        assert registry.put_candidate(lake, toy.NAME, version, other) == first

    def test_begun_by_one_trainer_is_completed_by_another(self, lake, tmp_path):
        """The weights are the first one's; snapshot.json names what is stored."""
        version = "20260131T030000Z-bbbbbbbb"
        lake.put_once(generator_key(toy.NAME, version, "generator.safetensors"), b"the first")
        folder = toy.snapshot_folder(tmp_path / "second")
        digest = registry.put_candidate(lake, toy.NAME, version, folder)
        assert registry.fetch(lake, toy.NAME, version, tmp_path / "got") == digest
        assert (tmp_path / "got" / "generator.safetensors").read_bytes() == b"the first"

    @pytest.mark.parametrize("file", ["generator.safetensors", "codec.json", "config.json"])
    def test_that_was_tampered_with_is_refused(self, lake, candidate, tmp_path, file):
        version, _ = candidate("a")
        lake.replace(generator_key(toy.NAME, version, file), b"poison")
        with pytest.raises(IntegrityError, match=file):
            registry.fetch(lake, toy.NAME, version, tmp_path / "got")
        assert not (tmp_path / "got").exists()

    def test_whose_folder_is_not_what_it_says_is_refused(self, lake, tmp_path):
        folder = toy.snapshot_folder(tmp_path / "x")
        (folder / "codec.json").write_bytes(b"other")
        with pytest.raises(IntegrityError, match=r"codec\.json is not the file"):
            registry.put_candidate(lake, toy.NAME, "20260131T030000Z-bbbbbbbb", folder)
        assert registry.candidates(lake, toy.NAME) == []

    @pytest.mark.parametrize(
        "index", [b"", b"[]", b"{}", b'{"files": {}}', b'{"files": {"../../x": "d"}}']
    )
    def test_whose_index_is_none_is_refused(self, lake, tmp_path, index):
        version = "20260131T030000Z-bbbbbbbb"
        lake.put_once(snapshot_key(toy.NAME, version), index)
        with pytest.raises(IntegrityError, match="does not name a snapshot's files"):
            registry.fetch(lake, toy.NAME, version, tmp_path / "got")

    def test_whose_stored_index_names_other_files_is_refused(self, lake, tmp_path):
        version = "20260131T030000Z-bbbbbbbb"
        index = {"files": {"generator.safetensors": "0" * 64}}
        lake.put_once(snapshot_key(toy.NAME, version), json.dumps(index).encode())
        folder = toy.snapshot_folder(tmp_path / "x")
        with pytest.raises(IntegrityError, match="does not name the files beside it"):
            registry.put_candidate(lake, toy.NAME, version, folder)

    def test_reports_lie_beside_it(self, lake, candidate):
        version, _ = candidate("a")
        files = {"report.json": b"{}", "report.html": b"<p>"}
        digest = registry.put_report(lake, toy.NAME, version, files)
        folder = f"generators/toy/{version}"
        assert lake.get(f"{folder}/reports/{digest[:16]}/report.html") == b"<p>"
        assert registry.candidates(lake, toy.NAME) == [version]


class TestPromotion:
    def test_makes_the_champion(self, lake, candidate):
        assert promotions.champion(lake, toy.NAME) is None
        one = candidate("a")
        record = decide(lake, "promote", one)
        assert record == promotions.champion(lake, toy.NAME)
        assert (record.number, record.previous, record.version) == (1, 0, one[0])

    def test_records_what_the_contract_asks(self, lake, candidate):
        decide(lake, "promote", candidate("a"))
        raw = json.loads(lake.get(numbered_key(promotions_folder(toy.NAME), 1)))
        assert set(raw) == {
            "kind",
            "version",
            "snapshot_digest",
            "previous",
            "report_digest",
            "by",
            "reason",
            "created",
        }

    def test_a_rejection_leaves_the_champion(self, lake, candidate):
        first = decide(lake, "promote", candidate("a"))
        refused = decide(lake, "reject", candidate("b"))
        assert (refused.number, refused.previous) == (2, 1)
        assert promotions.champion(lake, toy.NAME) == first

    def test_the_same_again_returns_the_one_record(self, lake, candidate):
        one, two = candidate("a"), candidate("b")
        assert decide(lake, "promote", one) == decide(lake, "promote", one)
        assert decide(lake, "reject", two) == decide(lake, "reject", two)
        assert promotions.standing(lake, toy.NAME).number == 2

    def test_a_champion_read_too_early_is_a_conflict(self, lake, candidate):
        one, two = candidate("a"), candidate("b")
        read = promotions.standing(lake, toy.NAME)
        decide(lake, "promote", one, read)
        for kind in ("promote", "reject"):
            with pytest.raises(PromotionConflictError, match="gate again"):
                decide(lake, kind, two, read)
        assert promotions.champion(lake, toy.NAME).version == one[0]
        assert decide(lake, "promote", two).previous == 1

    def test_the_same_decision_by_two_at_once_is_one_record(self, lake, candidate):
        one = candidate("a")
        read = promotions.standing(lake, toy.NAME)
        first = decide(lake, "promote", one, read)
        wanted = dataclasses.replace(decision("promote", one), reason="by another process")
        later = NOW + timedelta(seconds=5)
        second = promotions.decide(lake, toy.NAME, wanted, read=read, created=later)
        assert second == first

    def test_a_person_s_yes_to_the_champion_is_a_record_of_its_own(self, lake, candidate):
        one = candidate("a")
        decide(lake, "promote", one)
        yes = dataclasses.replace(decision("promote", one), by="Ana")
        numbers = []
        for _ in range(2):
            read = promotions.standing(lake, toy.NAME)
            record = promotions.decide(lake, toy.NAME, yes, read=read, created=NOW)
            numbers.append((record.number, record.by))
        assert numbers == [(2, "Ana")] * 2

    def test_a_person_s_decision_is_never_taken_for_the_gate_s(self, lake, candidate):
        one = candidate("a")
        read = promotions.standing(lake, toy.NAME)
        decide(lake, "promote", one, read)
        yes = dataclasses.replace(decision("promote", one), by="Ana")
        with pytest.raises(PromotionConflictError):
            promotions.decide(lake, toy.NAME, yes, read=read, created=NOW)

    def test_an_override_holds_for_one_report(self, lake, candidate):
        one = candidate("a")
        first = dataclasses.replace(decision("override", one), by="Ana")
        second = dataclasses.replace(first, report_digest="9" * 64)
        for number, wanted in enumerate((first, second), 1):
            read = promotions.standing(lake, toy.NAME)
            record = promotions.decide(lake, toy.NAME, wanted, read=read, created=NOW)
            assert (record.number, record.report_digest) == (number, wanted.report_digest)

    def test_a_person_s_refusal_is_recorded_beside_the_gate_s(self, lake, candidate):
        decide(lake, "promote", candidate("a"))
        two = candidate("b")
        decide(lake, "reject", two)
        no = dataclasses.replace(decision("reject", two), by="Ana", then="stop")
        read = promotions.standing(lake, toy.NAME)
        record = promotions.decide(lake, toy.NAME, no, read=read, created=NOW)
        assert (record.number, record.then) == (3, "stop")
        assert promotions.standing(lake, toy.NAME).records[-1] == record
        assert "then" not in json.loads(lake.get(numbered_key(promotions_folder(toy.NAME), 2)))

    def test_a_former_champion_returns_by_hand_only(self, lake, candidate):
        one, two = candidate("a"), candidate("b")
        decide(lake, "promote", one)
        decide(lake, "promote", two)
        with pytest.raises(PromotionConflictError, match="was champion before"):
            decide(lake, "promote", one)
        assert decide(lake, "rollback", one).number == 3
        assert promotions.champion(lake, toy.NAME).version == one[0]
        assert decide(lake, "rollback", one).number == 3
        assert decide(lake, "override", two).number == 4

    def test_nobody_rolls_back_to_what_never_was_champion(self, lake, candidate):
        decide(lake, "promote", candidate("a"))
        with pytest.raises(PromotionConflictError, match="never champion"):
            decide(lake, "rollback", candidate("b"))

    def test_a_rejected_candidate_can_be_promoted_later(self, lake, candidate):
        one = candidate("a")
        decide(lake, "reject", one)
        assert decide(lake, "promote", one).number == 2

    def test_only_what_was_judged_is_promoted(self, lake, candidate):
        version, _ = candidate("a")
        with pytest.raises(IntegrityError, match="was judged"):
            decide(lake, "promote", (version, "e" * 64))
        with pytest.raises(ObjectNotFoundError):
            decide(lake, "promote", ("20260131T030000Z-cccccccc", "e" * 64))
        assert promotions.standing(lake, toy.NAME).records == ()

    def test_a_record_that_lacks_a_field_is_refused(self, lake):
        lake.put_once(numbered_key(promotions_folder(toy.NAME), 1), b'{"kind": "promote"}')
        with pytest.raises(IntegrityError, match="promotion record 1 lacks 'version'"):
            promotions.champion(lake, toy.NAME)
