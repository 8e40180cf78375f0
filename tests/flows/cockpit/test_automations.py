"""The automations as they are wanted: windows and bounds by the settings."""

from datetime import timedelta

from prefect.events.schemas.automations import AutomationCore

from flows.cockpit.automations import HEARTBEAT, _content, wanted_automations


def test_the_window_is_three_heartbeats(monkeypatch):
    monkeypatch.setenv("GANMILL_HEARTBEAT_S", "60")
    zombies, *_ = wanted_automations()
    assert zombies.trigger.within == timedelta(seconds=180)
    assert zombies.trigger.after == {HEARTBEAT} < zombies.trigger.expect
    assert "prefect.flow-run.Suspended" in zombies.trigger.expect


def test_a_run_starts_again_as_often_as_the_settings_say(monkeypatch):
    monkeypatch.setenv("GANMILL_RESCHEDULES", "3")
    *_, again = wanted_automations()
    assert again.trigger.match["prefect.run-count"] == ["1", "2", "3"]
    monkeypatch.setenv("GANMILL_RESCHEDULES", "0")
    assert len(wanted_automations()) == 2


def test_what_came_back_from_the_server_is_the_same():
    for one in wanted_automations():
        back = AutomationCore.model_validate_json(one.model_dump_json())
        assert _content(back) == _content(one)
        assert one.name.startswith("ganmill: ")
