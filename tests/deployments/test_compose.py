"""The stack in containers: names lead somewhere, nobody is root, no secret is written down."""

import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from flows.cockpit.recipes import find_recipes
from storage.stores.settings import StorageProfile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "compose"
STACK = yaml.safe_load((FOLDER / "compose.yaml").read_text())
GPU = yaml.safe_load((FOLDER / "gpu.yaml").read_text())
SERVICES = STACK["services"]
README = (FOLDER / "README.md").read_text()

service = pytest.mark.parametrize("name", list(SERVICES))


def secrets(name):
    """Return (source, file name in the container) of every secret of a service."""
    found = SERVICES[name].get("secrets", [])
    return [(one, one) if isinstance(one, str) else (one["source"], one["target"]) for one in found]


def is_once(name):
    """Whether a service does its work and ends."""
    return SERVICES[name]["restart"] == "on-failure"


def dockerfile(name):
    """The text of the Dockerfile that a service is built from, or nothing."""
    build = SERVICES[name].get("build")
    return (FOLDER / build["context"] / build["dockerfile"]).read_text() if build else ""


def shell_blocks():
    return re.findall(r"^```sh\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def test_the_parts_are_there():
    assert set(SERVICES) == {"database", "server", "store", "bucket", "deploy", "worker"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


@service
def test_what_a_service_names_exists(name):
    said = SERVICES[name]
    assert {source for source, _ in secrets(name)} <= set(STACK["secrets"])
    assert set(said["networks"]) <= set(STACK["networks"])
    assert set(said.get("depends_on", {})) <= set(SERVICES)
    for mount in said.get("volumes", []):
        source = mount.split(":")[0]
        assert (FOLDER / source).is_dir() if source.startswith(".") else source in STACK["volumes"]
    if "build" in said:
        assert (FOLDER / said["build"]["context"]).resolve() == ROOT
        assert dockerfile(name)


def test_nothing_is_declared_in_vain():
    used = {source for name in SERVICES for source, _ in secrets(name)}
    assert used == set(STACK["secrets"])
    mounts = {m.split(":")[0] for one in SERVICES.values() for m in one.get("volumes", [])}
    assert set(STACK["volumes"]) <= mounts
    assert {network for one in SERVICES.values() for network in one["networks"]} == set(
        STACK["networks"]
    )


@service
def test_nobody_is_root_or_may_become_it(name):
    said = SERVICES[name]
    user, group = said["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in said
    if "build" in said:
        assert f"USER {said['user']}" in dockerfile(name)


@service
def test_every_service_says_whether_it_is_well_and_comes_back(name):
    said = SERVICES[name]
    if is_once(name):
        assert said["healthcheck"] == {"disable": True}
        return
    assert said["restart"] == "unless-stopped"
    if "healthcheck" in said:
        assert said["healthcheck"]["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= set(said["healthcheck"])
    else:
        assert "HEALTHCHECK" in dockerfile(name)
        assert "command" not in said, "the image's check is for the image's command"


@service
def test_who_is_waited_for_can_become_ready(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        done = "service_completed_successfully"
        assert how["condition"] == (done if is_once(other) else "service_healthy")


@service
def test_no_secret_is_written_down(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|AUTH|TOKEN|_KEY(_|$)", variable):
            assert variable.endswith("_FILE"), variable
            assert value in {f"/run/secrets/{target}" for _, target in secrets(name)}
        assert "@" not in value, f"{variable}: an address with a password"


def test_nothing_is_taken_from_the_environment_of_the_host():
    """Compose would put it in place of a dollar sign, secrets too."""
    for path in FOLDER.glob("*.yaml"):
        assert "$" not in path.read_text(), path.name


def test_every_secret_is_a_file_that_git_does_not_see():
    ignored = (FOLDER / ".gitignore").read_text().split()
    for said in STACK["secrets"].values():
        folder, _ = said["file"].removeprefix("./").split("/")
        assert f"{folder}/" in ignored
        assert set(said) == {"file"}


def test_secrets_arrive_under_the_names_that_are_read():
    """Upper-case names become variables, see deployments/docker/entry.sh."""
    assert dict(secrets("server")) == {
        "database_password": "PREFECT_SERVER_DATABASE_PASSWORD",
        "prefect_login": "PREFECT_SERVER_API_AUTH_STRING",
    }
    for name in ("deploy", "worker"):
        assert ("prefect_login", "PREFECT_API_AUTH_STRING") in secrets(name)
    for name in ("bucket", "worker"):
        names = {**SERVICES[name]["environment"], **{target: "" for _, target in secrets(name)}}
        profile = {
            variable.removeprefix("GANMILL_STORAGE__LAKE__").lower(): value or "secret"
            for variable, value in names.items()
            if variable.startswith("GANMILL_")
        }
        assert set(profile) == {"endpoint_url", "region", "key", "secret"}
        StorageProfile(**profile)


def test_prefect_understands_every_variable(monkeypatch, tmp_path):
    from prefect.settings.models.root import Settings

    said = {}
    for name in ("server", "worker"):
        said |= SERVICES[name]["environment"]
        said |= {target: "user:pa/ss+word" for _, target in secrets(name)}
    said = {name: value for name, value in said.items() if name.startswith("PREFECT_")}
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    heard = settings.to_environment_variables(exclude_unset=True, include_aliases=True)
    assert set(said) <= set(heard)
    assert settings.server.database.connection_url.get_secret_value() == (
        "postgresql+asyncpg://prefect:user%3Apa%2Fss+word@database:5432/prefect"
    )
    assert settings.server.ui.api_url == "/api"
    assert settings.api.url == "http://server:4200/api"
    assert settings.api.auth_string == settings.server.api.auth_string


def test_only_the_ui_has_a_port_and_only_on_this_machine():
    ports = {name: said["ports"] for name, said in SERVICES.items() if "ports" in said}
    assert ports == {"server": ["127.0.0.1:4200:4200"]}
    assert STACK["networks"]["database"] == {"internal": True}
    reach = [name for name, said in SERVICES.items() if "database" in said["networks"]]
    assert reach == ["database", "server"]


def test_addresses_are_those_of_the_services():
    worker = SERVICES["worker"]["environment"]
    assert worker["PREFECT_API_URL"] == "http://server:4200/api"
    assert worker["GANMILL_STORAGE__LAKE__ENDPOINT_URL"] == "http://store:9000"
    assert SERVICES["store"]["environment"]["RUSTFS_ADDRESS"].endswith(":9000")
    assert SERVICES["server"]["environment"]["PREFECT_SERVER_DATABASE_HOST"] == "database"
    words = SERVICES["server"]["command"]
    assert words[words.index("--port") + 1] == "4200"


def test_images_are_pinned():
    for name, said in SERVICES.items():
        tag = said["image"].rpartition(":")[2]
        assert tag not in {"", "latest"}, name


def test_code_in_the_file_is_python():
    """The commands themselves are run by tests/e2e/test_stack.py."""
    commands = [SERVICES["bucket"]["command"], SERVICES["server"]["healthcheck"]["test"][1:]]
    for words in commands:
        assert words[:2] == ["python", "-c"]
        compile(words[2], "compose.yaml", "exec")


def test_the_gpu_file_changes_only_the_worker():
    assert set(GPU) == {"services"}
    assert set(GPU["services"]) == {"worker"}
    build = GPU["services"]["worker"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).exists()
    (device,) = GPU["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_the_recipes_write_into_the_lake_of_the_stack():
    (digits,) = find_recipes(FOLDER / "recipes")
    assert digits.output.lake.startswith("s3://ganmill/")
    assert digits.output.storage == "lake"
    assert "ganmill" in SERVICES["bucket"]["command"][2]


def test_the_secrets_of_the_readme_are_those_of_the_stack(tmp_path):
    make, *_ = shell_blocks()
    place = tmp_path / "deployments" / "compose"
    place.mkdir(parents=True)
    subprocess.run(["sh", "-eu", "-c", make], cwd=tmp_path, check=True)
    for said in STACK["secrets"].values():
        path = place / said["file"]
        assert len(path.read_text().strip()) >= 20
        assert path.stat().st_mode & stat.S_IROTH, "the user of the container reads it"
    assert len({path.read_text() for path in (place / "secrets").iterdir()}) == 4
    assert stat.S_IMODE((place / "secrets").stat().st_mode) == 0o700
    user, _, password = (place / "secrets" / "prefect_login").read_text().strip().partition(":")
    assert user == "ganmill"
    assert len(password) == 40


def test_the_readme_names_what_there_is():
    words = [shlex.split(line) for block in shell_blocks() for line in block.splitlines()]
    docker = [line for line in words if line[:2] == ["docker", "compose"]]
    assert len(docker) >= 5
    for line in docker:
        files = [line[i + 1] for i, word in enumerate(line) if word == "--file"]
        assert all((FOLDER / file).exists() for file in files)
    assert ["docker", "compose", "logs", "--follow", "worker"] in docker
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (FOLDER / target).exists(), target


def test_volumes_of_our_image_belong_to_its_user():
    """A new volume takes the owner of the folder in the image; without one it would be root's."""
    pattern = r"install --directory --owner ganmill .*? (/.*)$"
    made = re.search(pattern, dockerfile("server"), re.MULTILINE)
    for name, said in SERVICES.items():
        for mount in said.get("volumes", []):
            source, target, *_ = mount.split(":")
            if "build" in said and not source.startswith("."):
                assert target in made[1].split(), f"{name}: {target}"
