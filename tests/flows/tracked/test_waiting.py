"""What waits for a person's answer: found at the API, shown by `status` with where to answer."""

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from prefect.exceptions import PrefectException

from flows.cli import status
from flows.cli.app import execute
from flows.cockpit.local import API, running
from flows.errors import EngineError
from flows.tracked import waiting
from flows.tracked.messages import ANSWER_HERE
from flows.tracked.waiting import read_waiting

SINCE = datetime(2026, 11, 28, 2, 14, tzinfo=UTC)
ASKED = "waits for your answer since 2026-11-28 02:14 UTC: WARN, it passed"
URL = "http://127.0.0.1:4200/api"


def run(number, lake, *, minute=14, recipe="digits", **given):
    whole = {"name": recipe, "output": {"lake": str(lake)}} if lake else recipe
    state = SimpleNamespace(timestamp=SINCE.replace(minute=minute), message=f"{ASKED}{ANSWER_HERE}")
    return SimpleNamespace(
        id=UUID(int=number),
        name=f"run {number}",
        state=state,
        parameters={"recipe": whole, **given},
    )


@pytest.fixture
def api(monkeypatch):
    """The runs that the API lists; an exception in their place is raised."""
    listed = []

    def read(**asked):
        assert asked["flow_run_filter"].tags.all_ == ["ganmill"]
        for one in listed:
            if isinstance(one, Exception):
                raise one
        return listed

    @contextmanager
    def client(**_):
        yield SimpleNamespace(read_flow_runs=read)

    monkeypatch.setattr(waiting, "get_client", client)
    monkeypatch.setattr(waiting, "run_page", lambda run: f"http://127.0.0.1:4200/runs/{run}")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return listed


def test_each_has_its_name_lake_and_page_the_oldest_first(api):
    api += [run(1, "/lake", minute=30), run(2, "/lake", name="trial"), run(3, "", minute=20)]
    found = read_waiting()
    assert [(one.name, one.run_name) for one in found] == [
        ("trial", "run 2"),
        ("digits", "run 3"),
        ("digits", "run 1"),
    ]
    assert found[0].message == ASKED
    assert found[0].page.endswith(str(UUID(int=2)))
    assert found[0].is_of("/lake/")
    assert not found[0].is_of("/other")
    assert found[1].is_of("/other"), "a run that does not say its lake may be about any"


@pytest.mark.parametrize("error", [PrefectException("no"), OSError("gone")])
def test_an_api_that_does_not_answer_is_a_sentence(api, error):
    api.append(error)
    with pytest.raises(EngineError, match="does not say which runs wait for an answer: "):
        read_waiting()


def ask(lake, *words):
    return execute(["status", "--lake", str(lake), "--prefect-api", URL, *words])


def test_status_shows_first_what_waits_for_this_lake(api, tmp_path, capsys):
    api += [run(1, tmp_path), run(2, tmp_path / "other")]
    assert ask(tmp_path) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    page = f"http://127.0.0.1:4200/runs/{UUID(int=1)}"
    assert first.startswith(f"digits: {ASKED} (")
    assert first.endswith(f" ago); press Resume on {page}")
    assert ask(tmp_path, "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["waiting"]
    assert told.pop("age_s") >= 0
    assert told == {
        "name": "digits",
        "run": "run 1",
        "since": "2026-11-28T02:14:00+00:00",
        "question": ASKED,
        "page": page,
    }


def test_status_shows_the_lake_although_the_api_is_away(api, tmp_path, capsys):
    api.append(OSError("gone"))
    assert ask(tmp_path, "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"names": [], "unfinished": [], "waiting": None}
    assert "does not say which runs wait" in said.err


def test_without_an_api_the_cockpit_of_this_folder_is_asked_if_it_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("GANMILL_WORK_FOLDER", str(tmp_path))
    ref = SimpleNamespace(uri="lake")
    assert status.find_waiting(ref, None) is None
    (tmp_path / "cockpit").mkdir()
    (tmp_path / "cockpit" / API).write_text("http://127.0.0.1:9/api")
    assert running(tmp_path / "cockpit") == {}
    assert status.find_waiting(ref, "") is None
