"""Without Prefect nobody can be asked: the command says what to do, and it works."""

import json

import pytest
from lenient import setting

STRICT = (
    f"--set={setting(fd=1e-4)}",
    "--set=gate.on_reject=ask",
    "--set=synthesis.seed=7",
)
"""A gate that nothing passes, and a version that is not there yet."""
SIGNED = ("--by", "Ana", "--reason", "the shift is known", "--lake", "lake")


@pytest.mark.full
def test_a_blocked_champion_publishes_after_a_person_has_overridden_its_report(copy):
    asked = copy.run("run", "stripes.yaml", *STRICT)
    assert asked.code == 3, asked.err
    (version,) = [one["version"] for one in copy.run("generators", "list", "--json").json]
    command = f"ganmill generators promote stripes {version} --by YOU --reason WHY"
    assert command in asked.out
    assert len(copy.run("datasets", "list", "--json").json) == 1
    assert copy.run("synthesize", "stripes.yaml", *STRICT).code == 3

    moved = copy.run("generators", "promote", "stripes", version, *SIGNED)
    assert moved.code == 0, moved.err
    assert "override by Ana, the shift is known" in moved.out
    done = copy.run("run", "stripes.yaml", *STRICT, "--json")
    assert done.code == 0, done.err
    assert (done.json["choice"], done.json["verdict"]) == ("champion", "block")
    assert done.json["generator"] == version

    newest = copy.run("datasets", "show", "stripes", "--json").json
    assert newest["verdict"] == "block"
    assert newest["override"]["by"] == "Ana"
    assert newest["gate"]["override"]["reason"] == "the shift is known"
    shown = copy.run("datasets", "show", "stripes").out
    assert "block (overridden)" in shown
    assert "the shift is known" in shown
    assert "champion (overridden)  Ana" in copy.run("generators", "list").out
    stories = (copy.lake / "generators" / "stripes").glob("*/internal/training.json")
    assert len([json.loads(path.read_bytes()) for path in stories]) == 1
