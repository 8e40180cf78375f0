"""Sources on S3: the same records, the ETag as content tag, the store's own errors."""

import pyarrow as pa
import pytest

from storage.errors import BucketMissingError, SourceError
from storage.sources.config import SourceConfig
from storage.sources.open import open_source
from storage.stores.open import open_store
from storage.stores.s3 import S3Store
from storage.stores.settings import StorageProfile


@pytest.fixture
def upload(s3_uri: str, s3_profile: StorageProfile):
    """Put a local folder under an URI of its own."""
    store = open_store(s3_uri, s3_profile)

    def run(root) -> str:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                store.put_once(path.relative_to(root).as_posix(), path.read_bytes())
        return s3_uri

    return run


def test_a_folder_on_s3(
    upload, s3_profile, prepared, pixels_of, make_folder, pictures, encode
) -> None:
    root = make_folder([encode(picture) for picture in pictures])
    uri = upload(root)
    remote, local = prepared(uri, profile=s3_profile), prepared(root)
    for split in local.records:
        assert remote.records[split].equals(local.records[split])
    assert remote.source_digest != local.source_digest
    assert prepared(f"{uri}/*/*.png", profile=s3_profile).source_digest == remote.source_digest


@pytest.mark.parametrize("address", ["", "/*.parquet", "/images.parquet"])
def test_parquet_on_s3(
    address, upload, s3_profile, prepared, make_parquet, pictures, encode
) -> None:
    labels = pa.array([i % 3 for i in range(120)])
    path = make_parquet([encode(p) for p in pictures], label=labels, name="p/images.parquet")
    uri = upload(path.parent) + address
    remote, local = prepared(uri, profile=s3_profile), prepared(path)
    for split in local.records:
        assert remote.records[split].equals(local.records[split])


@pytest.mark.parametrize("name", ["people.parquet", "people.csv"])
def test_a_table_on_s3(name, upload, s3_profile, prepared, people, write_table) -> None:
    path = write_table(people(300), f"t/{name}")
    uri = upload(path.parent)
    remote = prepared(f"{uri}/{name}", label="churned", profile=s3_profile)
    local = prepared(path, label="churned")
    for split in local.records:
        assert remote.records[split].equals(local.records[split], check_metadata=True)
    assert prepared(uri, label="churned", profile=s3_profile).source_digest == remote.source_digest


@pytest.mark.full
@pytest.mark.parametrize("name", ["people.parquet", "people.csv"])
def test_a_sample_of_a_table_on_s3(name, upload, s3_profile, prepared, people, write_table) -> None:
    path = write_table(people(1500), f"t/{name}")
    uri, settings = upload(path.parent), {"label": "churned", "max_rows": 1000}
    remote = prepared(f"{uri}/{name}", profile=s3_profile, **settings)
    local = prepared(path, **settings)
    assert remote.seen == local.seen
    assert remote.seen["rows"] == 1500
    for split in local.records:
        assert remote.records[split].equals(local.records[split], check_metadata=True)


def test_a_profile_is_found_by_name(
    upload, s3_profile, make_folder, pictures, encode, monkeypatch
) -> None:
    uri = upload(make_folder([encode(picture) for picture in pictures[:3]]))
    prefix = "GANMILL_STORAGE__CAMERA__"
    monkeypatch.setenv(f"{prefix}ENDPOINT_URL", s3_profile.endpoint_url)
    monkeypatch.setenv(f"{prefix}REGION", s3_profile.region)
    monkeypatch.setenv(f"{prefix}KEY", s3_profile.key)
    monkeypatch.setenv(f"{prefix}SECRET", s3_profile.secret.get_secret_value())
    assert open_source(SourceConfig(uri=uri, storage="camera")).description.rows == 3


def test_nothing_there(s3_uri: str, s3_profile: StorageProfile) -> None:
    with pytest.raises(SourceError, match="missing or empty"):
        open_source(SourceConfig(uri=s3_uri), s3_profile)
    with pytest.raises(SourceError, match="missing or empty"):
        open_source(SourceConfig(uri=f"{s3_uri}/x.parquet"), s3_profile)


def test_no_such_bucket(s3_profile: StorageProfile) -> None:
    with pytest.raises(BucketMissingError):
        open_source(SourceConfig(uri="s3://no-such-bucket-here/x"), s3_profile)


def test_wrong_credentials_are_the_stores_error(scripted_s3, answer) -> None:
    from storage.errors import AccessDeniedError

    scripted_s3.script(answer(status=403, code="InvalidAccessKeyId"))
    with pytest.raises(AccessDeniedError):
        open_source(SourceConfig(uri="s3://bucket/prefix"), scripted_s3.profile())


def test_odd_keys_of_others_are_read(upload, s3_profile, prepared, s3_server, people, write_table):
    path = write_table(people(300), "t/people.csv")
    uri = upload(path.parent)
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    client = S3Store(bucket, prefix, s3_profile)._fs()
    for name in ("/more//people.csv", "/", "more//", "./x.csv", "a/../b.csv"):
        body = path.read_bytes() if name.endswith("people.csv") else b""
        client.call_s3("put_object", Bucket=bucket, Key=f"{prefix}/{name}", Body=body)
    found = prepared(uri, label="churned", profile=s3_profile)
    assert sum(found.rows.values()) == 600
    assert found.ignored_files == 2  # those with a dot for a folder; markers of folders are none
