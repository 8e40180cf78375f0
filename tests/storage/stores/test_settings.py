"""Settings and storage profiles from the environment."""

import os
from pathlib import Path

import pytest

from storage.errors import SettingsError
from storage.stores.settings import StorageProfile, load_profile, load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("GANMILL_")]:
        monkeypatch.delenv(name)


def test_defaults():
    settings = load_settings()
    assert settings.lake == "./lake"
    assert settings.work_folder == Path(".ganmill")
    assert settings.storage == {}


def test_variables_are_read_when_asked(monkeypatch):
    monkeypatch.setenv("GANMILL_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("GANMILL_WORK_FOLDER", "/scratch")
    assert load_settings().lake == "s3://bucket/lake"
    assert load_settings().work_folder == Path("/scratch")


def test_no_profile_is_the_plain_environment():
    assert load_profile(None) == StorageProfile()


def test_a_named_profile(monkeypatch):
    monkeypatch.setenv("GANMILL_STORAGE__MY_MINIO__ENDPOINT_URL", "https://minio.example:9000")
    monkeypatch.setenv("GANMILL_STORAGE__MY_MINIO__KEY", "ada")
    monkeypatch.setenv("GANMILL_STORAGE__MY_MINIO__SECRET", "hush")
    monkeypatch.setenv("GANMILL_STORAGE__MY_MINIO__READ_TIMEOUT_S", "3.5")
    profile = load_profile("My-MinIO")
    assert profile.endpoint_url == "https://minio.example:9000"
    assert profile.secret.get_secret_value() == "hush"
    assert profile.read_timeout_s == 3.5
    assert "hush" not in repr(profile)
    assert "hush" not in profile.model_dump_json()


def test_an_unknown_profile_names_the_known(monkeypatch):
    monkeypatch.setenv("GANMILL_STORAGE__LAB__REGION", "eu-west-1")
    with pytest.raises(SettingsError, match=r"'prod' \(known: lab\).*GANMILL_STORAGE__PROD__"):
        load_profile("prod")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GANMILL_STORAGE__LAB__SECRT", "hush"),
        ("GANMILL_STORAGE__LAB__READ_TIMEOUT_S", "hush"),
        ("GANMILL_STORAGE__LAB__READ_TIMEOUT_S", "0"),
        ("GANMILL_STORAGE__LAB__ENDPOINT_URL", "minio.example"),
        ("GANMILL_STORAGE__LAB__ADDRESSING_STYLE", "hush"),
        ("GANMILL_STORAGE__LAB__CA_BUNDLE", "/hush.pem"),
    ],
)
def test_what_cannot_be_understood_is_named_and_no_value_is_shown(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=rf"{variable}\b") as raised:
        load_profile("lab")
    assert "hush" not in str(raised.value)


def test_what_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("GANMILL_STORAGE", "hush")
    with pytest.raises(SettingsError, match='field "storage"') as raised:
        load_settings()
    assert "hush" not in str(raised.value)
