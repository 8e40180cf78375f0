"""A secret that somebody writes into a URI is refused, and is in no message and in no file."""

import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from flows.cli.app import execute
from flows.cli.output import Output
from flows.errors import one_line
from flows.progress import LineReporter

SECRET = "hunter2"  # noqa: S105 - nobody's
LAKE = f"s3://AKIA:{SECRET}/x+y@bucket/lake"
WHO = ["--by", "ada", "--reason", "because"]
VERSION = "20260101T000000Z-00000000"
COMMANDS = [
    ["status", "--lake", LAKE],
    ["gc", "--lake", LAKE],
    ["datasets", "list", "--lake", LAKE, "--json"],
    ["datasets", "show", "x", "--lake", LAKE],
    ["datasets", "verify", "x", "--lake", LAKE],
    ["datasets", "pin", "x", VERSION, *WHO, "--lake", LAKE],
    ["datasets", "retract", "x", VERSION, *WHO, "--lake", LAKE],
    ["generators", "list", "--lake", LAKE],
    ["generators", "promote", "x", VERSION, *WHO, "--lake", LAKE],
    ["generators", "rollback", "x", *WHO, "--lake", LAKE],
    ["init", LAKE],
    ["check", LAKE],
    ["check", "r.yaml", LAKE],
    ["check", "r.yaml", f"--no-such={LAKE}"],
    ["check", "r.yaml", "--set", f"source.uri={LAKE}"],
    ["check", "r.yaml", "--set", f"source.csv.delimiter={LAKE}"],
    *([name, "r.yaml", "--set", f"output.lake={LAKE}"] for name in ("run", "train", "evaluate")),
    ["synthesize", "r.yaml", "--set", f"source.split.holdout_uri={LAKE}"],
    ["impute", "r.yaml", LAKE, f"{LAKE}.csv"],
    ["deploy", "--recipes", LAKE, "--write", "p.yaml"],
    ["deploy", "--recipes", "r.yaml", "--lake", LAKE, "--write", "p.yaml"],
    ["deploy", "--recipes", f"git+https://{SECRET}@127.0.0.1:1/none", "--write", "p.yaml"],
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANMILL_LAKE", raising=False)
    (tmp_path / "data.csv").write_text("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(200)))
    recipe = {"name": "x", "source": {"uri": "data.csv", "label": None}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: "-".join(words[:2]))
def test_no_command_shows_or_keeps_it(place, capsys, arguments):
    assert execute(arguments) == 2
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    assert shown.err.strip()
    assert "did not foresee" not in shown.err
    for path in place.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_the_lake_of_the_environment_is_looked_at_too(place, monkeypatch, capsys):
    monkeypatch.setenv("GANMILL_LAKE", LAKE)
    assert execute(["status"]) == 2
    assert SECRET not in "".join(capsys.readouterr())


def test_what_nobody_foresaw_is_told_without_it(place, monkeypatch, capsys):
    def fail(*_arguments, **_options):
        msg = f"no answer from {LAKE}?X-Amz-Signature={SECRET}"
        raise LookupError(msg)

    monkeypatch.setattr("flows.cli.check.show_check", fail)
    monkeypatch.setenv("GANMILL_WORK_FOLDER", str(place / "work"))
    assert execute(["check", "r.yaml"]) == 1
    assert SECRET not in "".join(capsys.readouterr())
    told = (place / "work/last-error.txt").read_text()
    assert SECRET not in told
    assert "LookupError: no answer from s3://***@bucket" in told


def test_every_way_out_hides_it(capsys, tmp_path):
    Output().line(LAKE)
    Output().table(("a", "b"), [(LAKE, "x")])
    Output().json({"lake": LAKE})
    with Path(tmp_path / "log").open("w") as log:
        LineReporter(Console(file=log)).say(LAKE)
    shown = capsys.readouterr().out + (tmp_path / "log").read_text() + one_line(LAKE)
    assert SECRET not in shown
    assert shown.count("s3://***@bucket/lake") == 5
    assert json.loads(shown[shown.index("{") : shown.index("}") + 1])


def test_the_state_of_a_run_does_not_show_it():
    from flows.errors import RecipeError
    from flows.tracked.process import in_a_sentence

    @in_a_sentence
    def work():
        raise RecipeError(LAKE + " x" * 5000)

    message = work().message
    assert SECRET not in message
    assert message.startswith("s3://***@bucket/lake x x")
    assert len(message) < 2100


def test_progress_hides_it_and_is_cut(tmp_path):
    with Path(tmp_path / "log").open("w") as log:
        LineReporter(Console(file=log)).say(LAKE + " x" * 10_000)
    shown = (tmp_path / "log").read_text()
    assert SECRET not in shown
    assert len(shown) < 4100


def test_names_cannot_steer_a_terminal_and_are_cut(capsys):
    steering = "a\x1b]0;x\x07b\x9b2J\u202ec\rd"
    Output().line(f"{steering}\n  second")
    Output().table(("class", "n"), [(steering, "1"), ("x" * 10_000, "2")])
    shown = capsys.readouterr().out + one_line(steering)
    assert not any(sign in shown for sign in "\x1b\x07\x9b\u202e\r")
    assert "\n  second" in shown
    assert len(shown) < 1500
