"""What the docs say is executed: Python blocks run, commands exist, recipes validate, links lead.

Everything runs in a copy of a small project folder in which the quick start's first job was done
with a small budget, so that the blocks find the lake that they talk about.
"""

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import click
import pandas as pd
import pytest
import yaml
from pytest_examples import CodeExample, EvalExample, find_examples
from typer.main import get_command

from flows.cli.app import app, execute
from flows.recipe import Recipe
from storage.lake.layout import is_version

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
)
PAGES = [page for page in PAGES if page.exists()]
COMMANDS = get_command(app)
RECORDS = ("pin", "unpin", "retract", "permit")
CHEAP = {"init", "check", "presets", "status", "generators", "datasets"}
"""Commands that are executed as the docs write them; the others are checked, not run."""


def blocks(*languages):
    """Yield (page and number, text) of the fenced blocks in these languages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
        for match in found:
            if match[1] in languages:
                line = text[: match.start()].count("\n") + 1
                yield pytest.param(match[2], id=f"{page.name}:{line}")


def commands():
    """Yield every `ganmill …` line of the shell blocks, continuation lines joined."""
    for block in blocks("sh"):
        for line in block.values[0].replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["ganmill"]:
                yield pytest.param(words[1:], id=f"{block.id}:{' '.join(words[1:3])}")


def missing_package(text):
    """Return the first imported package that is not installed, or None."""
    for name in re.findall(r"^(?:import|from) (\w+)", text, flags=re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            return name
    return None


def python_examples():
    for example in find_examples(*PAGES):
        if example.prefix == "python":
            yield pytest.param(example, id=f"{example.path.name}:{example.start_line}")


@pytest.mark.parametrize("example", list(python_examples()))
def test_python_blocks_run(example: CodeExample, eval_example: EvalExample, project, monkeypatch):
    package = missing_package(example.source)
    if package:
        pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(project)
    eval_example.run(example)


@pytest.mark.parametrize("text", list(blocks("yaml")))
def test_recipes_validate(text):
    raw = yaml.safe_load(text)
    assert isinstance(raw, dict)
    whole = {"name": "docs", "source": {"uri": "example:digits"}}
    Recipe.model_validate({**whole, **raw})


def resolve(words):
    """Return the command that these words call, and what is left for it."""
    command, rest = COMMANDS, list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in command.commands, f"ganmill has no command {name!r}"
        command = command.commands[name]
    return command, rest


@pytest.mark.parametrize("words", list(commands()))
def test_commands_exist_with_these_arguments(words):
    words = words[: words.index(">")] if ">" in words else words
    command, rest = resolve(words)
    if words not in (["--help"], ["--version"]):
        with click.Context(command) as context:
            command.make_parser(context).parse_args(rest)
            required = [p for p in command.params if p.required and p.nargs == 1]
            assert len([word for word in rest if not word.startswith("-")]) >= len(required)


@pytest.mark.parametrize(
    "words",
    [item for item in commands() if item.values[0][0] in CHEAP and ">" not in item.values[0]],
)
def test_cheap_commands_run(words, project, tmp_path, monkeypatch, capfd):
    """A version that a page names stands for the one that there is; records go to a copy."""
    if words[:1] == ["datasets"] and words[1] in RECORDS:
        project = shutil.copytree(project, tmp_path / "project")
    monkeypatch.chdir(project)
    hint = json.loads(Path("lake/datasets/digits/_latest.json").read_text())
    words = [hint["version"] if is_version(word) else word for word in words]
    if words[:2] == ["datasets", "permit"]:  # only what was retracted is permitted
        assert execute(["datasets", "retract", *words[2:]]) == 0
    assert execute(words) == 0, capfd.readouterr().err


@pytest.mark.full
def test_a_data_set_is_judged_as_the_concepts_say(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "project"))
    lines = [item.values[0] for item in commands() if item.id.startswith("concepts.md")]
    (words,) = [words for words in lines if words[0] == "judge"]
    rows = pd.read_csv("customers.csv", dtype={"zip": str})
    rows.sample(frac=1, random_state=0).drop(columns="customer_id").to_parquet(words[1])
    assert execute(words) == 3
    shown = capsys.readouterr().out
    assert "rows equal a training row in all columns" in shown
    assert Path("customers-judge.html").exists()


def test_pages_name_only_commands_that_exist():
    for page in PAGES:
        for words in re.findall(r"`ganmill ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
            resolve([word for word in words.split() if re.fullmatch(r"[a-z]+", word)][:2])


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, flags=re.MULTILINE))
        assert named <= targets, page.name


def anchor(heading):
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return plain.replace(" ", "-")


def test_links_lead_somewhere():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith(("https://", "mailto:")):
                continue
            path, _, fragment = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}: {target}"
            if fragment:
                headings = re.findall(
                    r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE
                )
                assert fragment in {anchor(heading) for heading in headings}, target


def test_every_page_of_the_docs_is_linked():
    """A page that nobody can reach is not read."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    pages = set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "README.md"}
    for page in pages:
        others = (text for other, text in texts.items() if other != page)
        assert any(f"{page.name})" in t or f"{page.name}#" in t for t in others), page.name
