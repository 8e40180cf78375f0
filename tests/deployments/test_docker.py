"""The images: without an engine, what they are made of exists and nobody in them is root."""

import fnmatch
import json
import os
import re
import shlex
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command

from flows.cli.app import app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRY = FOLDER / "entry.sh"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile."""

    word: str
    text: str

    @property
    def values(self):
        """Its words: a JSON list, or what a shell would see."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)

    def paths(self):
        """The words that are no flags."""
        return [value for value in self.values if not value.startswith("--")]

    def flag(self, name):
        """The value of `--name=value`, or None."""
        found = [value for value in self.values if value.startswith(f"--{name}=")]
        return found[0].partition("=")[2] if found else None


def parse(path):
    """Return the instructions of a Dockerfile, continuation lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [Instruction(word, text.strip()) for word, text in words]


@pytest.fixture(params=["cpu", "gpu"])
def kind(request):
    return request.param


@pytest.fixture
def dockerfile(kind):
    return parse(FOLDER / f"{kind}.Dockerfile")


@pytest.fixture
def last_stage(dockerfile):
    """What the image is, without the stage that builds it."""
    start = max(i for i, one in enumerate(dockerfile) if one.word == "FROM")
    return dockerfile[start:]


def only(instructions, word):
    (found,) = [one for one in instructions if one.word == word]
    return found


def is_sent(path):
    """Whether .dockerignore lets a file into the build; its last matching line decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not pattern or line.startswith("#"):
            continue
        parts = [path, *(str(one) for one in Path(path).parents), Path(path).name]
        if any(fnmatch.fnmatchcase(part, pattern) for part in parts):
            sent = line.startswith("!")
    return sent


def test_what_is_copied_exists_and_is_sent(dockerfile):
    copied = [one for one in dockerfile if one.word in {"COPY", "ADD"} and not one.flag("from")]
    sources = [source for one in copied for source in one.paths()[:-1]]
    assert {"constraints.txt", "pyproject.toml", "flows", "gan", "storage"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source), source


def test_what_is_private_or_large_is_not_sent():
    for path in (".git/config", ".venv/pyvenv.cfg", "lake/x", "deployments/compose/secrets/key"):
        assert not is_sent(path), path


def test_packages_are_found_in_the_image(dockerfile):
    """A new top folder of code would be missing in the image."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {one.rstrip("*") for one in patterns["packages"]["find"]["include"]}
    copied = {one.paths()[0] for one in dockerfile if one.word == "COPY"}
    assert folders <= copied


def test_the_image_does_not_run_as_root(last_stage):
    users = [one for one in last_stage if one.word == "USER"]
    assert users
    user = users[-1].text.split(":")[0]
    assert user.isdigit(), "a number: Kubernetes cannot check that a name is not root"
    assert int(user) > 0
    after = last_stage[last_stage.index(users[-1]) :]
    assert not [one for one in after if one.word in {"RUN", "COPY", "ADD"}]
    made = [one for one in last_stage if f"--uid {user}" in one.text]
    assert made, f"nobody makes the user {user}"


def test_every_version_is_pinned(dockerfile):
    installs = [one for one in dockerfile if one.word == "RUN" and "pip install" in one.text]
    assert len(installs) == 2
    for one in installs:
        assert "--constraint constraints.txt" in one.text
    assert any("torch==$(sed -n 's/^torch==//p' constraints.txt)" in one.text for one in installs)
    assert any('".[jobs]"' in one.text for one in installs)
    assert re.search(r"^torch==[0-9.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_cpu_and_cuda_builds_differ(kind, dockerfile):
    texts = "\n".join(one.text for one in dockerfile)
    assert ("+cpu" in texts) == (kind == "cpu")
    assert ("NVIDIA_VISIBLE_DEVICES" in texts) == (kind == "gpu")
    makefile = (ROOT / "Makefile").read_text()
    default = re.search(r"^TORCH_CPU_INDEX \?= (.*)$", makefile, re.MULTILINE)[1]
    (index,) = [one.text for one in dockerfile if one.text.startswith("TORCH_INDEX")]
    assert index == f"TORCH_INDEX={default if kind == 'cpu' else ''}"


def test_python_is_one_that_the_project_supports(dockerfile):
    least = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    bases = {one.text.split()[0] for one in dockerfile if one.word == "FROM"}
    assert len(bases) == 1, "the environment moves to the same Python"
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim-[a-z]+", bases.pop())
    assert version, "the base image is no python:X.Y-slim of a named Debian"
    assert tuple(map(int, version.groups())) >= least


def test_the_command_and_its_health_check_exist(last_stage):
    entry = only(last_stage, "ENTRYPOINT").values
    copied = {one.paths()[-1] for one in last_stage if one.word == "COPY"}
    assert f"/usr/local/bin/{entry[0]}" in copied
    command = only(last_stage, "CMD").values
    assert command[:2] == ["ganmill", "worker"]
    assert "ganmill" in PROJECT["scripts"]
    get_command(app).commands["worker"].make_context("worker", command[2:])
    assert "--with-healthcheck" in command
    health = only(last_stage, "HEALTHCHECK").text
    test = json.loads(health[health.index("[") :])
    assert test[0] == "python"
    compile(test[2], "HEALTHCHECK", "exec")


def run_entry(folder, *command):
    return subprocess.run(
        [str(ENTRY), *command],
        env={"PATH": os.environ["PATH"], "SECRETS_FOLDER": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_secret_files_become_variables_and_are_not_shown(tmp_path):
    (tmp_path / "GANMILL_STORAGE__LAKE__SECRET").write_text('a b"$(id)\\n\n')
    (tmp_path / "store_secret").write_text("lower case is no variable")
    (tmp_path / "X-Y").write_text("nor is this")
    ran = run_entry(tmp_path, "env")
    assert ran.returncode == 0, ran.stderr
    assert 'GANMILL_STORAGE__LAKE__SECRET=a b"$(id)\\n' in ran.stdout.splitlines()
    assert "no variable" not in ran.stdout
    assert "nor is this" not in ran.stdout
    assert ran.stderr == ""
    quiet = run_entry(tmp_path, "true")
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_without_secrets_the_command_runs_all_the_same(tmp_path):
    ran = run_entry(tmp_path / "none", "sh", "-c", "echo $0 $1; exit 7", "x y")
    assert (ran.returncode, ran.stdout.strip()) == (7, "x y")


def test_a_secret_that_cannot_be_read_stops_it_with_a_sentence(tmp_path):
    (tmp_path / "PREFECT_API_AUTH_STRING").mkdir()
    ran = run_entry(tmp_path, "echo", "started")
    assert ran.returncode == 1
    assert "PREFECT_API_AUTH_STRING cannot be read" in ran.stderr
    assert "started" not in ran.stdout
