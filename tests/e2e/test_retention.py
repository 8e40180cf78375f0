"""`ganmill gc`, `pin`, `unpin`, `retract`: what goes, what stays, and who said so."""

import json

import pytest

WHO = ("--by", "ada", "--reason", "asked for")


def versions(place):
    listed = place.run("datasets", "list", "--json")
    return [one["version"] for one in listed.json]


def publish(place, seed):
    words = ("--set", f"synthesis.seed={seed}", "--set", "output.keep_last=1")
    done = place.run("run", "stripes.yaml", "--json", *words)
    assert done.code == 0, done.err
    return done.json["published"]["version"]


@pytest.mark.full
def test_retention_and_a_persons_word(copy):
    (first,) = versions(copy)
    second, third = publish(copy, 1), publish(copy, 2)
    manifest = copy.lake / "datasets" / "stripes" / "_meta" / third / "manifest.json"
    assert json.loads(manifest.read_text())["retention"] == {"keep_last": 1}

    assert copy.run("datasets", "pin", "stripes", first, *WHO).code == 0
    said = copy.run("gc")
    assert said.code == 0, said.err
    assert f"stripes/{second}" in said.out
    assert first not in said.out
    assert "ganmill gc --apply does it" in said.out
    assert "torch" not in said.modules
    assert versions(copy) == [first, second, third]

    done = copy.run("gc", "--apply", "--json")
    steps = [(one["step"], one["version"]) for one in done.json["removals"]]
    assert steps == [("retire", second)]
    assert versions(copy) == [first, third]
    assert (copy.lake / "datasets" / "stripes" / second).is_dir(), "a reader may be at it"
    assert copy.run("datasets", "verify", "stripes", first).code == 0

    refused = copy.run("datasets", "retract", "stripes", first, *WHO)
    assert refused.code == 2
    assert "is pinned" in refused.err
    assert copy.run("datasets", "unpin", "stripes", first, *WHO).code == 0
    assert copy.run("datasets", "retract", "stripes", third, *WHO).code == 0
    assert versions(copy) == [first]
    hint = json.loads((copy.lake / "datasets" / "stripes" / "_latest.json").read_text())
    assert hint["version"] == first
