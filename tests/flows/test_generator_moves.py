"""A person moves the champion by hand: the log, the reports, and what is refused."""

from dataclasses import replace

import pytest
from deciding import NEW, OLD, choose, judged, kinds, lake_of_two, promote

from flows.by_hand import newest_report, promote_by_hand, roll_back
from flows.cli.app import execute
from flows.errors import AnswerError, RecipeError
from gan.gate import GateConfig
from storage.digests import sha256_hex
from storage.errors import IntegrityError, PromotionConflictError, SettingsError
from storage.lake import damage, promotions, registry
from storage.lake.layout import numbered_key, promotions_folder, snapshot_key
from storage.stores.open import open_store

SIGNED = {"by": "Ana", "reason": "the shift is known"}
THIRD = "20260103T000000Z-cccccccc"


@pytest.fixture
def job():
    return lake_of_two()


def report(job, told) -> str:
    """Store the report of a judged generator and return its digest."""
    files = {"report.json": told.report.to_json()}
    return registry.put_report(job.lake, "n", told.version, files)


class TestPromote:
    def test_a_candidate_that_passed_is_promoted(self, job):
        digest = report(job, judged(NEW))
        record = promote_by_hand(job.lake, "n", NEW, **SIGNED)
        assert (record.kind, record.by, record.report_digest) == ("promote", "Ana", digest)
        assert choose(job, judged(NEW)).approval.reason == "the shift is known"

    def test_a_block_is_overridden_and_the_next_run_publishes(self, job):
        report(job, judged(NEW, "block"))
        assert choose(job, judged(NEW, "block")).kind == "blocked"
        assert promote_by_hand(job.lake, "n", NEW, **SIGNED).kind == "override"
        choice = choose(job, judged(NEW, "block"))
        assert (choice.kind, choice.override.by) == ("champion", "Ana")

    @pytest.mark.parametrize("on_reject", ["keep-champion", "stop", "ask"])
    def test_what_a_person_chose_publishes_whatever_the_next_report_says(self, job, on_reject):
        """Other seeds, bounds and records make other reports, on which nobody has decided."""
        job.recipe.gate = GateConfig(on_reject=on_reject)
        report(job, judged(OLD, "block"))
        for version in (OLD, NEW):
            choose(job, judged(version, "block"))
        assert promote_by_hand(job.lake, "n", OLD, **SIGNED).kind == "override"
        tonight = judged(OLD, "block", coverage=0.1)
        for choice in (choose(job, tonight), choose(job, judged(NEW, coverage=0.99), tonight)):
            assert (choice.judged.version, choice.override.by) == (OLD, "Ana")
            assert choice.kind in ("champion", "kept")

    def test_a_newer_generator_takes_over_from_what_a_person_chose(self, job):
        report(job, judged(OLD, "block"))
        promote_by_hand(job.lake, "n", OLD, **SIGNED)
        assert choose(job, judged(NEW), judged(OLD, "block")).kind == "promoted"

    def test_what_the_gate_refused_last_is_an_override_also_with_a_newer_report(self, job):
        refused = judged(NEW, "block")
        choose(job, refused)
        report(job, judged(NEW, "warn"))
        record = promote_by_hand(job.lake, "n", NEW, **SIGNED)
        assert (record.kind, record.report_digest) == ("override", refused.report_digest)
        assert choose(job, refused).override.by == "Ana"
        fine = choose(job, judged(NEW, "warn"))
        assert (fine.kind, fine.override, fine.approval.by) == ("champion", None, "Ana")

    def test_a_yes_to_a_pass_does_not_cover_a_later_block(self, job):
        report(job, judged(NEW))
        assert promote_by_hand(job.lake, "n", NEW, **SIGNED).kind == "promote"
        choice = choose(job, judged(NEW, "block"))
        assert choice.kind == "blocked"
        assert "Ana agreed to a report that did not block" in choice.reason
        assert f"ganmill generators promote n {NEW}" in choice.reason

    def test_a_report_on_other_files_is_none(self, job):
        told = judged(NEW)
        other = replace(told.report, snapshot_digest="e" * 64)
        report(job, replace(told, report=other))
        with pytest.raises(RecipeError, match="never evaluated, or with other files"):
            promote_by_hand(job.lake, "n", NEW, **SIGNED)

    def test_other_files_under_a_version_that_was_decided_on_are_not_promoted(self, job):
        promote(job, NEW)
        job.lake.replace(snapshot_key("n", NEW), b"{}")
        told = judged(NEW)
        other = replace(told.report, snapshot_digest=sha256_hex(b"{}"))
        report(job, replace(told, report=other))
        with pytest.raises(IntegrityError, match="which trains it again"):
            promote_by_hand(job.lake, "n", NEW, **SIGNED)

    def test_damaged_files_are_not_promoted(self, job):
        report(job, judged(NEW))
        found = damage.Damage(reason="r", snapshot_digest="", found="")
        damage.set_aside(job.lake, "n", NEW, found)
        with pytest.raises(RecipeError, match="are damaged: run its recipe"):
            promote_by_hand(job.lake, "n", NEW, **SIGNED)

    def test_nobody_rolls_back_to_damaged_files(self, job):
        for version in (OLD, NEW):
            promote(job, version)
        found = damage.Damage(reason="r", snapshot_digest="", found="")
        damage.set_aside(job.lake, "n", OLD, found)
        with pytest.raises(RecipeError, match="are damaged: run its recipe"):
            roll_back(job.lake, "n", None, **SIGNED)

    def test_whoever_lost_against_the_champion_is_overridden_too(self, job):
        promote(job, OLD)
        report(job, judged(NEW, coverage=0.5))
        choose(job, judged(NEW, coverage=0.5), judged(OLD))
        assert promote_by_hand(job.lake, "n", NEW, **SIGNED).kind == "override"
        assert kinds(job)[-2:] == [("reject", NEW), ("override", NEW)]

    def test_a_former_champion_may_come_back(self, job):
        for version in (NEW, OLD):
            promote(job, version)
        report(job, judged(NEW))
        assert promote_by_hand(job.lake, "n", NEW, **SIGNED).number == 3

    def test_twice_is_one_record(self, job):
        report(job, judged(NEW))
        numbers = {promote_by_hand(job.lake, "n", NEW, **SIGNED).number for _ in range(2)}
        assert numbers == {1}

    def test_a_question_that_is_open_is_answered_by_it(self, job):
        job.recipe.gate = GateConfig(on_reject="ask", approval="always")
        report(job, judged(NEW, "warn"))
        assert choose(job, judged(NEW, "warn")).kind == "asked"
        assert promote_by_hand(job.lake, "n", NEW, **SIGNED).kind == "promote"
        assert choose(job, judged(NEW, "warn")).approval.by == "Ana"

    def test_the_newest_report_counts(self, job):
        import dataclasses

        for day, verdict in (("02", "block"), ("03", "warn"), ("01", "pass")):
            told = judged(NEW, verdict)
            dated = dataclasses.replace(told.report, created=f"2026-01-{day}T00:00:00+00:00")
            report(job, dataclasses.replace(told, report=dated))
        assert newest_report(job.lake, "n", NEW)[1].verdict == "warn"

    def test_without_a_report_there_is_nothing_to_decide_on(self, job):
        with pytest.raises(
            RecipeError, match="never evaluated, or with other files: run `ganmill evaluate RECIPE`"
        ):
            promote_by_hand(job.lake, "n", NEW, **SIGNED)

    @pytest.mark.parametrize("version", [THIRD, "latest", ""])
    def test_an_unknown_version_lists_the_known_ones(self, job, version):
        with pytest.raises(RecipeError, match=f"newest are {NEW}, {OLD}"):
            promote_by_hand(job.lake, "n", version, **SIGNED)

    def test_an_unknown_name_lists_the_known_ones(self, job):
        with pytest.raises(RecipeError, match="no generator 'm'; its generators are: n"):
            promote_by_hand(job.lake, "m", NEW, **SIGNED)
        with pytest.raises(SettingsError, match="cannot be used"):
            promote_by_hand(job.lake, "../n", NEW, **SIGNED)

    @pytest.mark.parametrize("change", [{"by": " "}, {"by": "gate"}, {"reason": ""}])
    def test_needs_a_name_and_a_reason(self, job, change):
        report(job, judged(NEW))
        with pytest.raises(AnswerError):
            promote_by_hand(job.lake, "n", NEW, **{**SIGNED, **change})
        assert kinds(job) == []


class TestRollback:
    def test_goes_to_the_champion_before(self, job):
        for version in (OLD, NEW):
            promote(job, version)
        record = roll_back(job.lake, "n", **SIGNED)
        assert (record.kind, record.version, record.by) == ("rollback", OLD, "Ana")
        with pytest.raises(RecipeError, match=f"{OLD} as only champion"):
            roll_back(job.lake, "n", **SIGNED)

    def test_goes_to_a_named_one(self, job):
        for version in (OLD, NEW, OLD):
            promote(job, version, by="Eva")
        assert roll_back(job.lake, "n", NEW, **SIGNED).version == NEW

    def test_says_what_it_cannot_do(self, job):
        with pytest.raises(RecipeError, match="no champion, so there is nothing"):
            roll_back(job.lake, "n", **SIGNED)
        promote(job, OLD)
        with pytest.raises(RecipeError, match=f"never champion.*champions were: {OLD}"):
            roll_back(job.lake, "n", NEW, **SIGNED)
        with pytest.raises(RecipeError, match="is the champion of 'n' already"):
            roll_back(job.lake, "n", OLD, **SIGNED)
        with pytest.raises(RecipeError, match="its generators are: n"):
            roll_back(job.lake, "m", **SIGNED)

    def test_holds_although_the_gate_blocks(self, job):
        for version in (OLD, NEW):
            promote(job, version)
        report(job, judged(OLD, "block"))
        roll_back(job.lake, "n", **SIGNED)
        choice = choose(job, judged(OLD, "block", coverage=0.1))
        assert (choice.kind, choice.override.kind) == ("champion", "rollback")
        assert choice.override.by == "Ana"

    @pytest.mark.parametrize("on_reject", ["keep-champion", "stop", "ask"])
    def test_holds_against_the_generator_that_it_replaced(self, job, on_reject):
        job.recipe.gate = GateConfig(on_reject=on_reject)
        for version in (OLD, NEW):
            promote(job, version)
        roll_back(job.lake, "n", **SIGNED)
        choice = choose(job, judged(NEW, coverage=0.99), judged(OLD, "block"))
        assert (choice.kind, choice.judged.version, choice.override.by) == ("kept", OLD, "Ana")

    def test_repeated_goes_further_back(self, job):
        job.lake.put_once(snapshot_key("n", THIRD), b"{}")
        numbered = [("promote", OLD), ("reject", THIRD), ("promote", NEW), ("override", THIRD)]
        told = [record_of(kind, version) for kind, version in numbered]
        assert champions(told) == (OLD, NEW, THIRD)
        told.append(record_of("rollback", NEW))
        assert champions(told) == (OLD, NEW)
        told.append(record_of("rollback", OLD))
        assert champions(told) == (OLD,)
        told.append(record_of("rollback", THIRD))
        assert champions(told) == (OLD, THIRD)


def champions(records: list[promotions.Promotion]) -> tuple[str, ...]:
    return promotions.Standing(records=tuple(records)).champion_history


def record_of(kind: str, version: str) -> promotions.Promotion:
    return promotions.Promotion(
        kind=kind,
        version=version,
        snapshot_digest="",
        report_digest="",
        by="x",
        reason="y",
        number=1,
        previous=0,
        created="",
    )


class Interrupting:
    """A lake in which somebody else writes a record just before every move of ours."""

    def __init__(self, job, kind: str, times: int) -> None:
        self.job, self.kind, self.left = job, kind, times

    def __getattr__(self, name):
        return getattr(self.job.lake, name)

    def put_or_adopt(self, key, data):
        self._meddle(key)
        return self.job.lake.put_or_adopt(key, data)

    def put_once(self, key, data):
        self._meddle(key)
        return self.job.lake.put_once(key, data)

    def _meddle(self, key) -> None:
        if key.startswith(promotions_folder("n")) and self.left:
            self.left -= 1
            promote(self.job, OLD, kind=self.kind, report=str(self.left))


class TestConflict:
    def test_a_refusal_meanwhile_does_not_matter(self, job):
        report(job, judged(NEW))
        record = promote_by_hand(Interrupting(job, "reject", 2), "n", NEW, **SIGNED)
        assert (record.version, record.number) == (NEW, 3)

    def test_another_champion_meanwhile_does(self, job):
        report(job, judged(NEW))
        with pytest.raises(PromotionConflictError, match="changed while this was decided"):
            promote_by_hand(Interrupting(job, "promote", 1), "n", NEW, **SIGNED)
        assert kinds(job) == [("promote", OLD)]


class TestCommands:
    @pytest.fixture
    def lake(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        source = lake_of_two()
        report(source, judged(OLD))
        report(source, judged(NEW, "block"))
        lake = open_store("lake")
        for info in list(source.lake.list("generators/")):
            lake.put_once(info.key, source.lake.get(info.key))
        return lake

    def test_promote_and_roll_back(self, lake, capsys):
        words = ["--by", "Ana", "--reason", "the shift is known"]
        assert execute(["generators", "promote", "n", OLD, *words]) == 0
        assert execute(["generators", "promote", "n", NEW, *words]) == 0
        said = capsys.readouterr().out
        assert f"Champion  n/{NEW}" in said
        assert "2: override by Ana, the shift is known" in said
        assert execute(["generators", "list", "--lake", "lake"]) == 0
        listed = capsys.readouterr().out
        assert "champion (overridden)  Ana  the shift is known" in listed
        assert execute(["generators", "rollback", "n", *words]) == 0
        kinds_now = [(r.kind, r.version) for r in promotions.standing(lake, "n").records]
        assert kinds_now == [("promote", OLD), ("override", NEW), ("rollback", OLD)]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["promote", "n", THIRD, "--by", "A", "--reason", "r"], f"newest are {NEW}, {OLD}"),
            (["promote", "m", NEW, "--by", "A", "--reason", "r"], "its generators are: n"),
            (["promote", "n", NEW, "--by", "A", "--reason", " "], "the reason has 0 characters"),
            (["promote", "n", NEW, "--by", "", "--reason", "r"], "the name of the person"),
            (["promote", "n", NEW, "--by", "A"], "--reason"),
            (["rollback", "n", "--by", "A", "--reason", "r"], "nothing to roll back to"),
            (["rollback", "n", "--reason", "r"], "--by"),
        ],
    )
    def test_bad_input_is_one_sentence(self, lake, capsys, words, said):
        assert execute(["generators", *words]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert "Traceback" not in err
        assert lake.stat(numbered_key(promotions_folder("n"), 1)) is None

    def test_a_lake_that_is_not_there_is_not_made(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        words = ["--by", "A", "--reason", "r", "--lake", "nowhere"]
        assert execute(["generators", "promote", "n", NEW, *words]) == 2
        assert "its generators are: none" in capsys.readouterr().err
        assert not (tmp_path / "nowhere").exists()


class TestSignature:
    def test_name_and_reason_are_one_line_without_what_cannot_be_seen(self, job):
        report(job, judged(NEW))
        by, reason = " Ana\n# \x1b[31mBo\u202e ", "see\r\n\thttps://ada:hunter2@h/x\0"
        record = promote_by_hand(job.lake, "n", NEW, by=by, reason=reason)
        assert (record.by, record.reason) == ("Ana # [31mBo", "see https://***@h/x")

    @pytest.mark.parametrize(
        ("by", "reason", "said"),
        [
            ("\x07\u200b", "x", "write the name of the person"),
            ("a" * 201, "x", "has 201 characters"),
            ("Ana", "\n\x00", "has 0 characters"),
            ("Ana", "x" * 2001, "has 2001 characters"),
        ],
    )
    def test_what_is_no_name_or_no_reason_is_refused(self, job, by, reason, said):
        report(job, judged(NEW))
        with pytest.raises(AnswerError, match=said):
            promote_by_hand(job.lake, "n", NEW, by=by, reason=reason)
        assert kinds(job) == []
