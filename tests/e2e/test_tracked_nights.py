"""A night with nothing to train, as a Prefect flow run: the graph has the watch instead."""

import sqlite3

import pytest


def query(path, sql: str) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.full
def test_a_young_champion_is_watched_instead_of_a_training(copy, tmp_path):
    home = tmp_path / "prefect"
    copy.environment.update(PREFECT_HOME=str(home), PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true")
    changes = [f"--set={change}" for change in ("training.when=interval", "synthesis.seed=night")]
    done = copy.run("run", "stripes.yaml", "--track", "--json", *changes)
    assert done.code == 0, done.err
    assert (done.json["status"], done.json["choice"]) == ("published", "champion")
    names = {name.rpartition("-")[0] for (name,) in query(home / "prefect.db", TASKS)}
    assert names == {"prepare", "watch", "evaluate", "gate", "promote", "synthesize", "publish"}
    told = [message for (message,) in query(home / "prefect.db", "select message from log")]
    (why,) = [text for text in told if text.startswith(f"Champion {done.json['generator']} is ")]
    assert "training is due in" in why


TASKS = "select name from task_run"
