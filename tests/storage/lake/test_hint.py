"""What is replaced beside the log: it says what the log says, however others act meanwhile."""

import json
from pathlib import PurePosixPath

import pytest
import toy
import yaml
from meddling import Meddling

from storage.errors import AccessDeniedError
from storage.lake import datasets
from storage.lake.hint import refresh_hint
from storage.lake.layout import dataset_readme_key, latest_key, log_seen_key, version_folder
from storage.lake.log import append_commit
from storage.lake.publish import Publisher, agree
from storage.lake.retention import pin, retract
from storage.lake.verify import verify
from storage.stores.memory import MemoryStore

WHO = {"by": "ada", "reason": "asked for"}


class KilledError(BaseException):
    """Stands for the end of the process."""


def hinted(lake):
    return json.loads(lake.get(latest_key(toy.NAME)))["version"]


def newest(lake):
    found = datasets.latest(lake, toy.NAME)
    return None if found is None else found.version


def problems(lake):
    return {problem.key: problem.what for problem in verify(lake, toy.NAME)}


def commit_only(lake, run):
    """Publish, and be killed right behind the commit record."""

    class Killing(MemoryStore):
        def put_once(self, key, data):
            done = super().put_once(key, data)
            if "/_versions/" in key:
                raise KilledError
            return done

    killing = Killing()
    killing._objects = lake._objects
    with pytest.raises(KilledError):
        toy.publish(killing, run)


class TestAfterAKill:
    def test_the_same_publisher_run_again_brings_it_up(self, lake):
        toy.publish(lake, "a")
        commit_only(lake, "b")
        assert hinted(lake) != newest(lake)
        toy.publish(lake, "b")
        assert hinted(lake) == newest(lake)
        assert problems(lake) == {}

    def test_verify_says_that_it_lags_or_is_missing(self, lake):
        commit_only(lake, "a")
        assert f"is missing, and it is {newest(lake)}" in problems(lake)[latest_key(toy.NAME)]
        first = toy.publish(lake, "a").version
        assert problems(lake) == {}
        commit_only(lake, "b")
        found = problems(lake)
        assert f"names {first}, and it is {newest(lake)}" in found[latest_key(toy.NAME)]
        assert f"it leads readers to {first}" in found[dataset_readme_key(toy.NAME)]
        assert refresh_hint(lake, toy.NAME)
        assert problems(lake) == {}
        assert not refresh_hint(lake, toy.NAME), "nothing is written twice"

    def test_a_hint_that_is_brought_up_while_it_is_verified_is_no_problem(self, lake):
        commit_only(lake, "a")
        late = Meddling(lake, [(12, lambda: refresh_hint(lake, toy.NAME))])
        assert verify(late, toy.NAME) == []
        assert late.count > 12

    def test_something_else_in_its_place_is_named_and_replaced(self, lake):
        toy.publish(lake, "a")
        for data in (b"no json", b"[]", b'{"version": "x"}'):
            lake.replace(latest_key(toy.NAME), data)
            assert latest_key(toy.NAME) in problems(lake)
            refresh_hint(lake, toy.NAME)
            assert problems(lake) == {}


class TestRaces:
    @pytest.mark.parametrize("at", range(1, 12))
    def test_a_newer_commit_meanwhile_is_what_stands(self, at):
        lake = MemoryStore()
        commit_only(lake, "a")
        refresh_hint(Meddling(lake, [(at, lambda: toy.publish(lake, "b"))]), toy.NAME)
        assert hinted(lake) == newest(lake)

    @pytest.mark.parametrize("at", range(1, 12))
    def test_a_retraction_meanwhile_leaves_no_retracted_version(self, at):
        lake = MemoryStore()
        first = toy.publish(lake, "a").version
        commit_only(lake, "b")
        last = newest(lake)

        def retracted():
            retract(lake, toy.NAME, last, **WHO)

        refresh_hint(Meddling(lake, [(at, retracted)]), toy.NAME)
        if newest(lake) == last:
            retracted()
        assert hinted(lake) == newest(lake) == first

    @pytest.mark.parametrize("at", range(1, 12))
    def test_the_last_version_s_retraction_leaves_none(self, at):
        lake = MemoryStore()
        only = toy.publish(lake, "a").version
        lake.delete(latest_key(toy.NAME))
        others = [(at, lambda: retract(lake, toy.NAME, only, **WHO))]
        refresh_hint(Meddling(lake, others), toy.NAME)
        if newest(lake) is not None:
            retract(lake, toy.NAME, only, **WHO)
        assert lake.stat(latest_key(toy.NAME)) is None

    def test_a_slow_writer_of_an_old_hint_does_not_leave_it(self, lake):
        """It read the log, slept, and writes its hint when a newer one is long there."""
        commit_only(lake, "a")

        class Slow(MemoryStore):
            slept = False

            def replace(self, key, data):
                if not self.slept:
                    Slow.slept = True
                    toy.publish(lake, "b")
                super().replace(key, data)

        slow = Slow()
        slow._objects = lake._objects
        refresh_hint(slow, toy.NAME)
        assert Slow.slept
        assert hinted(lake) == newest(lake)
        assert problems(lake) == {}


class TestFrontMatter:
    """Hugging Face reads `configs` of the README: the files of the one split that match `path`."""

    @staticmethod
    def matched(lake):
        head = lake.get(dataset_readme_key(toy.NAME)).decode().split("---")[1]
        ((split,),) = [config["data_files"] for config in yaml.safe_load(head)["configs"]]
        assert split["split"] == "train"
        folder = f"datasets/{toy.NAME}/"
        keys = [info.key.removeprefix(folder) for info in lake.list(folder)]
        return [key for key in keys if PurePosixPath(key).match(split["path"])]

    def shards(self, lake):
        folder = f"{version_folder(toy.NAME, newest(lake))}/"
        return [info.key.removeprefix(f"datasets/{toy.NAME}/") for info in lake.list(folder)]

    def test_names_the_shards_of_the_newest_version_and_nothing_else(self, lake):
        for run in "abc":
            toy.publish(lake, run)
            assert self.matched(lake) == self.shards(lake)
        retract(lake, toy.NAME, newest(lake), **WHO)
        assert self.matched(lake) == self.shards(lake) != []

    def test_names_nothing_before_the_first_commit_and_after_the_last(self, lake):
        plan = agree(lake, toy.proposal("a"))
        Publisher(lake, plan).put_shard(0, toy.records(plan, 0))
        assert self.matched(lake) == []
        only = toy.publish(lake, "a").version
        retract(lake, toy.NAME, only, **WHO)
        assert self.matched(lake) == []

    def test_names_nothing_where_a_policy_lets_nobody_overwrite_it(self):
        class Strict(MemoryStore):
            def replace(self, key, data):
                if key != latest_key(toy.NAME) and self.stat(key) is not None:
                    msg = f"{key} may not be overwritten"
                    raise AccessDeniedError(msg)
                super().replace(key, data)

        strict = Strict()
        for run in "ab":
            toy.publish(strict, run)
            assert self.matched(strict) == []
            assert problems(strict) == {}
        assert hinted(strict) == newest(strict)

    def test_of_an_older_lake_is_added(self, lake):
        toy.publish(lake, "a")
        lake.replace(dataset_readme_key(toy.NAME), b"# toy: synthetic data, in versions\n")
        toy.publish(lake, "a")
        assert self.matched(lake) == self.shards(lake)


def test_every_record_is_seen_at_once(lake):
    version = toy.publish(lake, "a").version
    for number, move in enumerate((None, pin, None), start=1):
        if move is not None:
            move(lake, toy.NAME, version, **WHO)
        if number == 3:
            append_commit(
                lake, toy.NAME, "20260201T000000Z-cccccccc", manifest_sha256="0", created="x"
            )
            refresh_hint(lake, toy.NAME)
        seen = json.loads(lake.get(log_seen_key(toy.NAME)))
        assert seen["last"]["number"] == number
