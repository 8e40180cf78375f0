"""Logins and tokens never leave in a text; addresses without them stay as they are."""

import pytest

from storage.errors import SettingsError
from storage.masking import NO_LOGIN, carries_secret, check_no_secret, masked
from storage.sources.config import SourceConfig
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile, load_settings

SECRETS = [
    ("s3://AKIA:hunter2@bucket/x", "s3://***@bucket/x"),
    ("s3://AKIA:hun/te+r2@bucket/x", "s3://***@bucket/x"),
    ("no s3:/AKIA:hunter2@bucket/r.yaml here", "no s3:/***@bucket/r.yaml here"),
    ("https://ada:hun@ter2@host:9000/a", "https://***@host:9000/a"),
    ("git+https://hunter2@host/repo@main#x", "git+https://***@host/repo@main#x"),
    ("postgresql://ada:hunter2@host/db", "postgresql://***@host/db"),
    ("'s3://A:hunter2@b' and 's3://c/d'", "'s3://***@b' and 's3://c/d'"),
    (
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA/x&X-Amz-Signature=hunter2",
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=***&X-Amz-Signature=***",
    ),
    ("https://h/p?x=1&access_token=hunter2#top", "https://h/p?x=1&access_token=***#top"),
    ("s3://b/k?AWSAccessKeyId=AKIA&Signature=hunter2", "s3://b/k?AWSAccessKeyId=***&Signature=***"),
]
HARMLESS = [
    "s3://bucket/at@/x",
    "http://127.0.0.1:9000/bucket/odd@key",
    "git+ssh://git@host/repo@main",
    "file:///home/ada/a@b",
    "/data/x:y@z",
    "C:/Users/ada@home",
    "ada@example.org",
    "https://h/p?design=3&page=2",
    "a = b",
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_what_is_secret_is_hidden_and_nothing_else(text, shown):
    assert masked(text) == shown
    assert masked(shown) == shown
    assert carries_secret(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_not_secret_stays(text):
    assert masked(text) == text
    assert check_no_secret(text, "x") == text


def test_a_store_refuses_a_login_without_showing_it():
    with pytest.raises(SettingsError) as raised:
        open_store("s3://AKIA:hunter2@bucket/x")
    assert "hunter2" not in str(raised.value)
    assert "storage profile" in str(raised.value)


def test_an_endpoint_with_a_login_is_refused_without_showing_it(monkeypatch):
    monkeypatch.setenv("GANMILL_STORAGE__X__ENDPOINT_URL", "https://ada:hunter2@host")
    with pytest.raises(SettingsError, match="endpoint_url holds a login") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("field", ["uri", "holdout"])
def test_a_recipe_takes_no_login(field):
    uri = "s3://AKIA:hunter2@bucket/x"
    said = {"uri": uri} if field == "uri" else {"uri": "x", "split": {"holdout_uri": uri}}
    with pytest.raises(ValueError, match="holds a login or a token"):
        SourceConfig.model_validate(said)


def test_anonymous_goes_with_no_key_and_pays_nothing():
    assert StorageProfile(anonymous=True).key is None
    with pytest.raises(ValueError, match="anonymous goes with no key"):
        StorageProfile(anonymous=True, key="k")
    with pytest.raises(ValueError, match="who pays must sign"):
        StorageProfile(anonymous=True, requester_pays=True)


def test_forms_refuse_the_same():
    import re

    assert re.search(NO_LOGIN, "s3://bucket/a@b")
    assert not re.search(NO_LOGIN, "s3://AKIA:hunter2@bucket")
