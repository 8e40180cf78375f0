"""What looks after the runs, against Prefect's own orchestration: states are looked at, no events.

The runs are of a deployment without a work pool, so that no worker takes them; their states are
set as a process or a person would.
"""

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled

from flows.cockpit import watchdog
from flows.cockpit.watchdog import PAUSE_S, Watchdog, is_watched, lose
from flows.tracked.heartbeat import (
    LABEL,
    LOST,
    STOPPED,
    RunStart,
    beat_label,
    ends_quietly,
    is_own,
)
from flows.tracked.process_lock import held, run_lock
from storage.stores.settings import Settings

BEAT_S = 30
WINDOW_S = 3 * BEAT_S
CRASHED = {"type": "CRASHED", "message": "Process exited with status code: -9."}
SUSPENDED = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}}


class Watched:
    """One run, and a watchdog whose time passes when a test says so."""

    def __init__(self, up, client, run):
        self.up, self.client, self.run = up, client, run
        self.now_s, self.said = 0.0, []
        self.dog = self.another()

    def another(self, **settings):
        """Return a watchdog that has seen nothing yet."""
        found = Settings(heartbeat_s=BEAT_S, **settings)
        return Watchdog(settings=found, by="test", say=self.said.append, clock=lambda: self.now_s)

    def set(self, **state):
        asked = {"state": state, "force": True}
        self.up.client.post(f"/flow_runs/{self.run}/set_state", json=asked).raise_for_status()

    def beat(self, count):
        self.client.update_flow_run_labels(self.run, {LABEL: beat_label(count, BEAT_S)})

    def wait(self, seconds):
        """Let time pass, in rounds."""
        end_s = self.now_s + seconds
        self.dog.look(self.client)
        while self.now_s < end_s:
            self.now_s = min(self.now_s + 2 * self.dog.interval_s, end_s)
            self.dog.look(self.client)

    @property
    def state(self):
        return self.up.flow_run(str(self.run))["state"]

    @property
    def names(self):
        states = self.client.read_flow_run_states(self.run)
        return [one.name for one in sorted(states, key=lambda one: one.timestamp)]


@pytest.fixture
def watched(up):
    """A run that is Running and has sent its first heartbeat."""
    api = up.client
    flow = api.post("/flows/", json={"name": "watched"}).raise_for_status().json()["id"]
    body = {"name": "watched", "flow_id": flow, "tags": ["ganmill"]}
    deployment = api.post("/deployments/", json=body).raise_for_status().json()["id"]
    with (
        temporary_settings({PREFECT_API_URL: str(api.base_url).rstrip("/")}),
        get_client(sync_client=True) as client,
    ):
        later = Scheduled(scheduled_time=None)
        run = client.create_flow_run_from_deployment(deployment, state=later, tags=["ganmill"])
        found = Watched(up, client, run.id)
        found.set(type="RUNNING")
        found.beat(1)
        yield found
        client.delete_flow_run(run.id)


def test_a_run_that_gives_no_sign_for_three_heartbeats_is_crashed_and_not_before(watched):
    watched.wait(WINDOW_S - 1)
    watched.beat(2)
    watched.wait(WINDOW_S - 1)
    assert watched.state["type"] == "RUNNING"
    watched.wait(2)
    assert watched.state["type"] == "CRASHED"
    assert watched.state["message"].startswith(f"no heartbeat for {WINDOW_S} s: its process")
    assert watched.names[-3:] == ["Running", LOST, "Crashed"]
    assert len(watched.said) == 1


def test_a_process_that_holds_its_lock_here_lives_however_late_its_heartbeats(watched, tmp_path):
    watched.dog = watched.another(work_folder=tmp_path)
    lock = run_lock(tmp_path, watched.run)
    with held(lock):
        watched.wait(2 * WINDOW_S)
        assert watched.state["type"] == "RUNNING"
    watched.wait(WINDOW_S)
    assert "Crashed" in watched.names


def test_rounds_in_which_the_server_is_slow_count_for_nothing(watched, monkeypatch):
    leave = watchdog.leave_note

    def slowly(*given):
        leave(*given)
        watched.now_s += watched.dog.interval_s + 1

    monkeypatch.setattr(watchdog, "leave_note", slowly)
    watched.wait(2 * WINDOW_S)
    assert watched.state["type"] == "RUNNING"


def test_the_run_says_how_often_it_beats(watched):
    watched.client.update_flow_run_labels(watched.run, {LABEL: beat_label(2, 3 * BEAT_S)})
    watched.wait(2 * WINDOW_S)
    assert watched.state["type"] == "RUNNING"


def test_a_run_that_waits_for_a_person_is_never_touched(watched):
    watched.wait(WINDOW_S - 1)
    watched.set(**SUSPENDED)
    watched.wait(2 * WINDOW_S)
    assert watched.state["name"] == "Suspended"


def test_what_suspends_between_look_and_deed_stays_suspended(watched):
    watched.set(**SUSPENDED)
    before = watched.state
    assert not lose(watched.client, watched.run, "no heartbeat")
    assert watched.state == before
    watched.up.client.post(f"/flow_runs/{watched.run}/resume").raise_for_status()
    assert watched.state["name"] == "Resuming"


def test_only_a_run_that_is_running_can_be_lost(watched):
    for type_ in ("SCHEDULED", "COMPLETED", "FAILED", "CANCELLED", "CANCELLING"):
        watched.set(type=type_)
        before = watched.state
        assert not lose(watched.client, watched.run, "no heartbeat")
        assert watched.state == before


def test_what_one_watcher_began_the_next_one_ends(watched):
    assert lose(watched.client, watched.run, "no heartbeat for 30 s")
    watched.dog = watched.another()
    watched.dog.look(watched.client)
    assert (watched.state["type"], watched.state["message"]) == ("CRASHED", "no heartbeat for 30 s")


def test_a_crashed_run_starts_again_twice_and_then_fails_with_a_sentence(watched):
    for time in (1, 2):
        watched.set(**CRASHED)
        watched.wait(PAUSE_S - 1)
        assert watched.state["type"] == "CRASHED", "a crash may be reported twice"
        watched.wait(2)
        assert watched.state["name"] == "AwaitingRetry"
        assert f"starts again by itself, {time} of 2 times" in watched.state["message"]
        watched.set(type="RUNNING")
        watched.set(**SUSPENDED)  # a person's answer is no crash
        watched.set(type="RUNNING")
    watched.set(**CRASHED)
    watched.wait(PAUSE_S + 1)
    assert watched.state["type"] == "FAILED"
    assert watched.state["message"].startswith("crashed 3 times, at last: Process exited with")
    assert watched.state["message"].endswith("look into its log and press Retry")

    watched.set(type="RUNNING")  # as a person has it run again
    watched.set(**CRASHED)
    watched.wait(PAUSE_S + 1)
    assert "1 of 2 times" in watched.state["message"]


def test_where_nothing_is_to_start_again_a_crash_stays(watched):
    watched.dog = watched.another(reschedules=0)
    watched.set(**CRASHED)
    watched.wait(2 * PAUSE_S)
    assert watched.state["type"] == "CRASHED"


def test_a_run_that_no_process_begins_is_crashed(watched, monkeypatch):
    monkeypatch.setattr(watchdog, "START_S", {"process": BEAT_S})
    monkeypatch.setattr(watchdog, "LONGEST_START_S", WINDOW_S)
    watched.set(type="PENDING")
    watched.wait(WINDOW_S - 1)
    assert watched.state["type"] == "PENDING"
    watched.wait(2)
    assert watched.state["message"].startswith(f"no process has started for {WINDOW_S} s")


def test_time_in_which_the_api_was_away_or_nobody_looked_counts_for_nothing(watched, monkeypatch):
    watched.wait(WINDOW_S - BEAT_S)
    watched.now_s += 1000  # this machine slept
    watched.dog.look(watched.client)
    assert watched.state["type"] == "RUNNING"
    with monkeypatch.context() as away:
        away.setattr(watchdog, "leave_note", broken)
        with pytest.raises(httpx.ConnectError):
            watched.dog.look(watched.client)
    watched.now_s += 1000  # the server did
    watched.dog.look(watched.client)
    assert watched.state["type"] == "RUNNING"
    watched.wait(BEAT_S)
    assert watched.state["type"] == "CRASHED"


def broken(*_):
    message = "away"
    raise httpx.ConnectError(message)


def test_that_somebody_watches_is_known_at_the_api(watched, monkeypatch):
    watched.dog.look(watched.client)
    assert is_watched()
    monkeypatch.setattr(watchdog, "NOTE_AGE", -watchdog.NOTE_AGE)
    assert not is_watched()


def attempt(watched, *, older=0):
    return RunStart(
        run=watched.run, number=watched.client.read_flow_run(watched.run).run_count - older
    )


def test_a_run_that_is_stopped_goes_back_to_the_workers(watched):
    assert ends_quietly(attempt(watched))
    assert (watched.state["type"], watched.state["message"]) == ("SCHEDULED", STOPPED)


def test_a_stop_leaves_a_run_alone_that_waits_for_a_person_or_runs_elsewhere(watched):
    elsewhere = attempt(watched, older=1)
    assert ends_quietly(elsewhere)
    assert watched.state["type"] == "RUNNING"
    watched.set(**SUSPENDED)
    assert ends_quietly(attempt(watched))
    assert watched.state["name"] == "Suspended"


def test_the_end_of_a_cancelled_run_is_prefects_business(watched):
    watched.set(type="CANCELLING")
    assert not ends_quietly(attempt(watched))
    assert watched.state["type"] == "CANCELLING"
    assert not ends_quietly(None)


def test_a_process_knows_when_its_run_was_given_to_another(watched):
    mine, older = attempt(watched), attempt(watched, older=1)

    def asked(by):
        return is_own(watched.client.read_flow_run(watched.run), by)

    assert asked(mine)
    assert not asked(older)
    watched.set(type="CANCELLING")
    assert asked(mine)
    watched.set(**SUSPENDED)
    assert asked(mine)
    watched.set(type="PAUSED", name=LOST)
    assert not asked(mine)
    watched.set(**CRASHED)
    assert not asked(mine)
