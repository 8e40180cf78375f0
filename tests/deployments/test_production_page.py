"""What docs/production.md shows: policies do what it says, its commands name what there is."""

import fnmatch
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from storage.lake import layout

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "production.md").read_text()
COMPOSE = ROOT / "deployments" / "compose"
TEMPLATE = json.loads((ROOT / "deployments" / "kubernetes" / "base-job-template.json").read_text())
ROLE, BUCKET = (
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
)
VERSION = "20261120T020000Z-3f9ac2d1"
RUN = "3f9ac2d1" * 8
CHECKPOINT = f"{layout.checkpoint_folder(RUN, 5000)}/index.json"
CREATED = (
    layout.plan_key(RUN),
    CHECKPOINT,
    layout.meta_key("digits", VERSION, "manifest.json"),
    layout.announced_key("digits", VERSION),
    f"{layout.version_folder('digits', VERSION)}/train-00000-of-00016.parquet",
    f"{layout.generator_folder('digits')}/{VERSION}/generator.safetensors",
)
HINT = layout.latest_key("digits")


def as_list(value):
    return value if isinstance(value, list) else [value]


def matches(statement, action, resource, conditions):
    """Whether a statement is about a request; conditions are those that the page uses."""
    if not any(fnmatch.fnmatchcase(action, one) for one in as_list(statement["Action"])):
        return False
    inside = "Resource" in statement
    patterns = as_list(statement["Resource" if inside else "NotResource"])
    if any(fnmatch.fnmatchcase(resource, one) for one in patterns) != inside:
        return False
    for kind, said in statement.get("Condition", {}).items():
        for key, value in said.items():
            found = conditions.get(key)
            if kind == "Null" and (found is None) != (value == "true"):
                return False
            if kind == "Bool" and found != value:
                return False
    return True


def is_allowed(action, key="", *, conditional=True):
    """Whether the role may do this in the bucket: allowed by one statement, denied by none."""
    conditions = {"s3:ObjectCreationOperation": "true"} if action == "s3:PutObject" else {}
    if conditional:
        conditions["s3:if-none-match"] = "*"
    resource = f"arn:aws:s3:::lakes/{key}".removesuffix("/")
    found = [
        one["Effect"]
        for one in (*ROLE["Statement"], *BUCKET["Statement"])
        if matches(one, action, resource, conditions)
    ]
    return "Allow" in found and "Deny" not in found


@pytest.mark.parametrize("key", CREATED)
def test_a_team_creates_below_its_prefix_and_overwrites_nothing(key):
    assert is_allowed("s3:PutObject", f"vision/{key}")
    assert is_allowed("s3:GetObject", f"vision/{key}")
    assert not is_allowed("s3:PutObject", f"vision/{key}", conditional=False)
    for other in ("speech", "vision-two"):
        assert not is_allowed("s3:PutObject", f"{other}/{key}")
        assert not is_allowed("s3:GetObject", f"{other}/{key}")


def test_only_the_hints_are_replaced():
    for hint in (HINT, layout.log_seen_key("digits")):
        assert is_allowed("s3:PutObject", f"vision/{hint}", conditional=False)
        assert not is_allowed("s3:PutObject", f"speech/{hint}", conditional=False)
    card = layout.dataset_readme_key("digits")
    assert is_allowed("s3:PutObject", f"vision/{card}")
    assert not is_allowed("s3:PutObject", f"vision/{card}", conditional=False)


def test_a_team_lists_the_bucket_and_deletes_checkpoints_only():
    assert is_allowed("s3:ListBucket", "")
    assert is_allowed("s3:DeleteObject", f"vision/{CHECKPOINT}")
    for key in {*CREATED, HINT} - {CHECKPOINT}:
        assert not is_allowed("s3:DeleteObject", f"vision/{key}")
    assert not is_allowed("s3:DeleteObject", f"speech/{CHECKPOINT}")


def test_readers_and_internals_are_where_the_page_says():
    assert HINT.startswith("datasets/")
    folder = f"{layout.generator_folder('digits')}/{VERSION}/internal/x"
    assert fnmatch.fnmatchcase(folder, "generators/*/*/internal/*")


def test_the_table_of_job_variables_is_the_template_s():
    said = TEMPLATE["variables"]["properties"]
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", PAGE, re.MULTILINE)
    table = {
        name.strip("`"): default
        for names, defaults in rows
        for name, default in zip(names.split(", "), re.split(r"[,;] ", defaults), strict=True)
    }
    assert len(table) >= 12
    for name, default in table.items():
        expected = said[name]["default"]
        if name == "node_selector":
            assert (default, expected) == ("none", {})
        elif name == "tolerations":
            assert expected[0]["key"] == default.strip("`")
        else:
            assert str(expected) == default.strip("`"), name


def shell_lines():
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


def test_compose_commands_name_what_there_is():
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    lines = [words for words in shell_lines() if words[:2] == ["docker", "compose"]]
    lines += [
        shlex.split(text)
        for text in re.findall(r"`(docker compose [^`]+)`", PAGE.replace("\n", " "))
    ]
    files = {words[i + 1] for words in lines for i, word in enumerate(words) if word == "--file"}
    assert files == {"compose.yaml", "store.yaml"}
    assert all((COMPOSE / file).exists() for file in files)
    (dump,) = [words for words in lines if "pg_dump" in words]
    assert dump[2:4] == ["exec", "database"]
    database = services["database"]["environment"]
    assert f"--username={database['POSTGRES_USER']}" in dump
    assert dump[dump.index(">") - 1] == database["POSTGRES_DB"]


def test_the_store_has_a_port_only_by_its_own_file():
    said = yaml.safe_load((COMPOSE / "store.yaml").read_text())
    assert said == {"services": {"store": {"ports": ["127.0.0.1:9000:9000"]}}}


def test_kubernetes_commands_name_what_there_is():
    text = "\n".join(
        (ROOT / "deployments" / "kubernetes" / name).read_text()
        for name in ("server.yaml", "worker.yaml", "base-job-template.json")
    )
    lines = [words for words in shell_lines() if words[0] in {"kubectl", "prefect"}]
    secrets = {
        words[4]: words[-1] for words in lines if words[:3] == ["kubectl", "create", "secret"]
    }
    assert set(secrets) == set(re.findall(r"ganmill-(?:database|login|lake)\b", text))
    for option in secrets.values():
        if option.startswith("--from-file="):
            assert f"key: {option.partition('=')[2]}" in text
    paths = [word for words in lines for word in words if word.startswith("deployments/")]
    assert len(paths) == 2
    assert all((ROOT / path).exists() for path in paths)
    arguments = re.search(r"`EXTRA=([^`]+)`", PAGE)[1]
    assert arguments in (ROOT / "deployments" / "docker" / "cpu.Dockerfile").read_text()
