"""What the S3 store sends, and what it makes of every answer."""

import base64
import copy
import hashlib
import pickle

import pytest
from botocore import exceptions as boto
from botocore.loaders import JSONFileLoader

from storage.errors import (
    AccessDeniedError,
    BucketMissingError,
    DeadlineError,
    LakeError,
    LakeFullError,
    ObjectNotFoundError,
    RetryableError,
    ServerFaultError,
    SettingsError,
    ThrottledError,
    UnreachableError,
    WriteConflictError,
)
from storage.stores.open import open_store
from storage.stores.s3 import CODES, STATUSES, translate
from storage.stores.settings import StorageProfile

SIGNER = {"key": "k", "secret": "s"}
HEAD = {"Content-Length": "5", "ETag": '"abc"'}

OPERATIONS = {
    "get": lambda store: store.get("key"),
    "open": lambda store: store.open("key"),
    "put_once": lambda store: store.put_once("key", b"data"),
    "replace": lambda store: store.replace("key", b"data"),
    "stat": lambda store: store.stat("key"),
    "list": lambda store: list(store.list("folder/")),
    "delete": lambda store: store.delete("key"),
}
WITH_BODY = [name for name in OPERATIONS if name not in ("open", "stat")]


def bare(scripted_s3, **changes):
    """The store below the retry layer."""
    return scripted_s3.store(**changes).inner


class TestWhoAsks:
    def test_anonymous_requests_are_not_signed(self, scripted_s3, answer):
        scripted_s3.script(answer(body=b"data"))
        assert bare(scripted_s3, anonymous=True, key=None, secret=None).get("key") == b"data"
        (request,) = scripted_s3.requests
        assert "authorization" not in request.headers
        assert bare(scripted_s3).get("key") == b"data"
        assert "authorization" in scripted_s3.requests[-1].headers

    def test_who_pays_says_so_in_every_request_that_reads(self, scripted_s3, answer):
        store = bare(scripted_s3, requester_pays=True)
        listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        for name, given in (
            ("get", answer(body=b"data")),
            ("stat", answer(headers=HEAD)),
            ("list", answer(body=listing)),
        ):
            scripted_s3.script(given)
            OPERATIONS[name](store)
            (request,) = scripted_s3.requests
            assert request.headers["x-amz-request-payer"] == "requester", name

    def test_a_store_for_reading_reads_odd_keys_and_writes_none(self, scripted_s3, answer):
        store = open_store("s3://bucket/prefix", scripted_s3.profile(), read_only=True)
        scripted_s3.script(answer(body=b"data"))
        assert store.get("a//b") == b"data"
        assert scripted_s3.requests[0].path == "/bucket/prefix/a//b"
        with pytest.raises(LakeError, match="plain relative path"):
            store.get("a/../b")
        with pytest.raises(LakeError, match="plain relative path"):
            bare(scripted_s3).put_once("a//b", b"")


def test_a_second_store_reads_no_description_of_the_service_again(s3_uri, s3_profile, monkeypatch):
    assert not list(open_store(s3_uri, s3_profile).list())
    read, load = [], JSONFileLoader.load_file

    def load_file(loader, path):
        read.append(path)
        return load(loader, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
    assert not list(open_store(f"{s3_uri}/other", s3_profile).list())
    assert not read


class TestRequests:
    def test_a_put_is_one_conditional_request_whatever_its_size(self, scripted_s3, answer):
        scripted_s3.script(answer())
        for data in (b"", b"x" * 20_000_000):
            scripted_s3.requests.clear()
            assert bare(scripted_s3).put_once("a b/ö", data)
            (request,) = scripted_s3.requests
            assert request.method == "PUT"
            assert request.path == "/bucket/prefix/a%20b/%C3%B6"
            assert request.body == data
            assert request.headers["if-none-match"] == "*"
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            assert request.headers["content-md5"] == base64.b64encode(digest).decode()

    def test_a_replace_has_no_condition(self, scripted_s3, answer):
        scripted_s3.script(answer())
        bare(scripted_s3).replace("key", b"data")
        (request,) = scripted_s3.requests
        assert "if-none-match" not in request.headers

    def test_a_get_is_one_request(self, scripted_s3, answer):
        scripted_s3.script(answer(body=b"data"))
        assert bare(scripted_s3).get("key") == b"data"
        assert [request.method for request in scripted_s3.requests] == ["GET"]

    def test_a_listing_is_a_request_a_page(self, scripted_s3, answer):
        item = "<Contents><Key>prefix/{}</Key><Size>0</Size></Contents>"
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        pages = [f"{item.format('a')}{item.format('drawn/')}{more}", item.format("b")]
        scripted_s3.script(
            *(
                answer(body=f"<ListBucketResult>{page}</ListBucketResult>".encode())
                for page in pages
            )
        )
        assert [info.key for info in bare(scripted_s3).list()] == ["a", "b"]
        first, second = (request.path for request in scripted_s3.requests)
        assert "prefix=prefix%2F" in first
        assert "continuation-token=t" in second

    def test_an_open_file_asks_for_exactly_what_is_read(self, scripted_s3, answer):
        scripted_s3.script(answer(headers=HEAD), answer(206, body=b"ell"))
        with scripted_s3.store().open("key") as file:
            file.seek(1)
            assert file.read(3) == b"ell"
        assert [request.method for request in scripted_s3.requests] == ["HEAD", "GET"]
        assert scripted_s3.requests[1].headers["range"] == "bytes=1-3"

    def test_objects_are_encrypted_by_the_key_of_the_profile(self, scripted_s3, answer):
        scripted_s3.script(answer(), answer(body=b"data"))
        store = bare(scripted_s3, kms_key_id="my-key")
        store.put_once("key", b"data")
        store.get("key")
        put, get = scripted_s3.requests
        assert put.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert put.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "my-key"
        assert not any("encryption" in name for name in get.headers)

    def test_the_session_token_is_sent(self, scripted_s3, answer):
        scripted_s3.script(answer(body=b"data"))
        changes = {"token": "my-token"}
        bare(scripted_s3, **changes).get("key")
        assert scripted_s3.requests[0].headers["x-amz-security-token"] == "my-token"

    def test_what_one_request_cannot_carry_is_refused(self, scripted_s3, monkeypatch):
        monkeypatch.setattr("storage.stores.s3.LARGEST_OBJECT_BYTES", 3)
        with pytest.raises(LakeError, match="smaller shards"):
            scripted_s3.store().put_once("key", b"data")
        assert scripted_s3.requests == []


class TestAnswers:
    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (400, "ExpiredToken", AccessDeniedError),
            (403, "SignatureDoesNotMatch", AccessDeniedError),
            (403, "QuotaExceeded", LakeFullError),
            (404, "NoSuchBucket", BucketMissingError),
            (409, "OperationAborted", WriteConflictError),
            (500, "InternalError", ServerFaultError),
            (503, "SlowDown", ThrottledError),
            (599, "Strange", ServerFaultError),
            (418, "Strange", LakeError),
        ],
    )
    def test_are_translated_by_one_table(self, scripted_s3, answer, operation, status, code, error):
        scripted_s3.script(answer(status, code))
        with pytest.raises(LakeError) as raised:
            OPERATIONS[operation](bare(scripted_s3))
        assert type(raised.value) is error
        assert str(status) in str(raised.value)
        assert code in str(raised.value)
        assert "s3://bucket/prefix/" in str(raised.value)
        assert len(scripted_s3.requests) == 1

    @pytest.mark.parametrize("operation", ["open", "stat"])
    @pytest.mark.parametrize("status", sorted(set(STATUSES) - {404}))
    def test_without_a_body_speak_by_their_status(self, scripted_s3, answer, operation, status):
        scripted_s3.script(answer(status))
        with pytest.raises(LakeError) as raised:
            OPERATIONS[operation](bare(scripted_s3))
        assert type(raised.value) is STATUSES[status]

    @pytest.mark.parametrize("empty", ["<Message/>", "<Message></Message>", ""])
    def test_an_empty_message_is_none(self, scripted_s3, answer, empty):
        """As Ceph answers to a missing object."""
        body = f"<?xml version='1.0'?><Error><Code>NoSuchKey</Code>{empty}</Error>"
        scripted_s3.script(answer(404, body=body.encode()))
        with pytest.raises(ObjectNotFoundError, match="404 NoSuchKey"):
            bare(scripted_s3).get("key")

    def test_tables_hold_nothing_but_lake_errors(self):
        assert all(issubclass(error, LakeError) for error in [*CODES.values(), *STATUSES.values()])

    def test_412_is_false_and_409_is_open(self, scripted_s3, answer):
        scripted_s3.script(answer(412, "PreconditionFailed"))
        assert bare(scripted_s3).put_once("key", b"data") is False
        scripted_s3.script(answer(409, "ConditionalRequestConflict"))
        with pytest.raises(WriteConflictError):
            bare(scripted_s3).put_once("key", b"data")

    def test_409_then_412_settles_as_not_created(self, scripted_s3, answer):
        store = scripted_s3.store(retry_deadline_s=120)
        scripted_s3.script(
            answer(409, "ConditionalRequestConflict"), answer(412, "PreconditionFailed")
        )
        assert store.put_once("key", b"data") is False

    def test_a_head_of_a_missing_object_tells_a_missing_bucket_apart(self, scripted_s3, answer):
        store = copy.copy(bare(scripted_s3))
        scripted_s3.script(answer(404))
        with pytest.raises(BucketMissingError, match="'bucket'"):
            store.stat("key")
        scripted_s3.script(answer(404), answer(200), answer(404))
        assert store.stat("key") is None
        assert store.stat("key") is None
        assert [request.method for request in scripted_s3.requests] == ["HEAD"] * 3
        with pytest.raises(ObjectNotFoundError):
            store.open("key")

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_hanging_up_is_unreachable(self, scripted_s3, answer, operation):
        scripted_s3.script(answer(hang_up=True))
        with pytest.raises(UnreachableError):
            OPERATIONS[operation](bare(scripted_s3))

    def test_half_a_body_is_unreachable(self, scripted_s3, answer):
        scripted_s3.script(answer(body=b"half", length=8))
        with pytest.raises(UnreachableError):
            bare(scripted_s3).get("key")

    def test_garbage_is_a_passing_fault(self, scripted_s3, answer):
        scripted_s3.script(answer(body=b"<not xml"))
        with pytest.raises(RetryableError):
            list(bare(scripted_s3).list())

    @pytest.mark.parametrize(
        ("error", "ours", "remedy"),
        [
            (boto.NoCredentialsError(), AccessDeniedError, "check key, secret"),
            (
                boto.PartialCredentialsError(provider="env", cred_var="x"),
                AccessDeniedError,
                "check",
            ),
            (PermissionError("credentials file"), AccessDeniedError, "check key, secret"),
            (boto.ProfileNotFound(profile="lab"), SettingsError, "correct the storage profile"),
            (boto.NoRegionError(), SettingsError, "correct the storage profile"),
            (
                boto.SSLError(endpoint_url="x", error="CERTIFICATE_VERIFY_FAILED"),
                LakeError,
                "set ca_bundle",
            ),
            (boto.SSLError(endpoint_url="x", error="EOF occurred"), UnreachableError, "network"),
            (boto.ReadTimeoutError(endpoint_url="x"), UnreachableError, "check the endpoint"),
            (TimeoutError(), UnreachableError, "TimeoutError"),
        ],
    )
    def test_before_any_answer_are_translated_too(self, error, ours, remedy):
        found = translate(error, "get s3://bucket/key")
        assert type(found) is ours
        assert remedy in str(found)
        assert "get s3://bucket/key" in str(found)

    def test_nobody_there_is_unreachable(self):
        profile = StorageProfile(
            endpoint_url="http://127.0.0.1:9", region="us-east-1", **SIGNER, retry_deadline_s=0
        )
        with pytest.raises(DeadlineError, match="check the endpoint"):
            open_store("s3://bucket", profile).get("key")

    def test_an_unknown_aws_profile_is_a_wrong_setting(self):
        with pytest.raises(SettingsError, match="no-such-profile"):
            open_store("s3://bucket", StorageProfile(aws_profile="no-such-profile")).get("key")


class TestRetries:
    def test_there_is_one_layer(self, scripted_s3, answer):
        scripted_s3.script(answer(503, "SlowDown"))
        for operation in OPERATIONS.values():
            scripted_s3.requests.clear()
            with pytest.raises(DeadlineError, match="after 1 attempts"):
                operation(scripted_s3.store())
            assert len(scripted_s3.requests) == 1

    def test_a_passing_fault_is_not_seen(self, scripted_s3, answer):
        store = scripted_s3.store(retry_deadline_s=120)
        scripted_s3.script(answer(503, "SlowDown"), answer(hang_up=True), answer(body=b"data"))
        assert store.get("key") == b"data"
        assert len(scripted_s3.requests) == 3

    def test_a_lost_reply_ends_in_a_read_back(self, scripted_s3, answer):
        store = scripted_s3.store(retry_deadline_s=120)
        scripted_s3.script(
            answer(hang_up=True), answer(412, "PreconditionFailed"), answer(body=b"data")
        )
        assert store.put_or_adopt("key", b"data") == b"data"
        assert [request.method for request in scripted_s3.requests] == ["PUT", "PUT", "GET"]

    def test_a_vanished_read_back_is_put_again(self, scripted_s3, answer):
        store = scripted_s3.store(retry_deadline_s=120)
        scripted_s3.script(answer(412, "PreconditionFailed"), answer(404, "NoSuchKey"), answer(200))
        assert store.put_or_adopt("key", b"data") == b"data"
        assert [request.method for request in scripted_s3.requests] == ["PUT", "GET", "PUT"]

    def test_a_read_of_an_open_file_is_repeated_in_place(self, scripted_s3, answer):
        store = scripted_s3.store(retry_deadline_s=120)
        scripted_s3.script(
            answer(headers=HEAD), answer(body=b"he", length=3, status=206), answer(206, body=b"hel")
        )
        with store.open("key") as file:
            assert file.read(3) == b"hel"
            assert file.tell() == 3


class TestOtherProcesses:
    def test_the_address_travels_and_not_the_connection(self, scripted_s3, answer):
        store = scripted_s3.store()
        scripted_s3.script(answer(body=b"data"))
        store.get("key")
        twin = pickle.loads(pickle.dumps(store))  # noqa: S301 - what multiprocessing does
        assert twin.uri == store.uri
        assert twin.get("key") == b"data"


class TestARealServer:
    """What moto cannot show; see tests/conftest.py for how to name a real server."""

    @pytest.mark.parametrize("change", [{"secret": "wrong"}, {"key": "nobody"}])
    def test_wrong_credentials(self, s3_server, s3_uri, change):
        if not s3_server.real:
            pytest.skip("moto accepts every secret")
        store = open_store(s3_uri, StorageProfile(**(_plain(s3_server.profile) | change)))
        for operation in OPERATIONS.values():
            with pytest.raises(AccessDeniedError, match="check key, secret"):
                operation(store)

    def test_a_missing_bucket(self, s3_server):
        store = open_store("s3://ganmill-no-such-bucket/prefix", s3_server.profile)
        for name, operation in OPERATIONS.items():
            if name == "delete" and not s3_server.real:
                continue
            with pytest.raises(BucketMissingError):
                operation(store)

    def test_a_damaged_body(self, s3_server, s3_uri, monkeypatch):
        if not s3_server.real:
            pytest.skip("moto accepts every digest")
        profile = StorageProfile(**(_plain(s3_server.profile) | {"retry_deadline_s": 0}))
        store = open_store(s3_uri, profile)
        monkeypatch.setattr(
            "storage.stores.s3.hashlib.md5", lambda *_, **__: hashlib.sha256(b"other")
        )
        with pytest.raises(LakeError):
            store.put_once("key", b"data")
        assert store.stat("key") is None


def _plain(profile: StorageProfile) -> dict:
    return profile.model_dump() | {"secret": profile.secret.get_secret_value()}
