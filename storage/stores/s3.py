"""A store in a bucket of S3, or of a server that speaks S3, through s3fs.

Every operation is one request. s3fs and botocore try it once, since the retry layer above is the
only one, and nothing is cached, neither listings nor contents. What the service, or the way to it,
answers is translated by one table to `storage.errors`.
"""

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import Any, BinaryIO, cast
from urllib.parse import quote

import aiohttp
import s3fs
from aiobotocore.session import AioSession
from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from storage.errors import (
    AccessDeniedError,
    BucketMissingError,
    LakeError,
    LakeFullError,
    ObjectNotFoundError,
    ServerFaultError,
    SettingsError,
    StorageError,
    ThrottledError,
    UnreachableError,
    WriteConflictError,
)
from storage.masking import masked
from storage.stores.interface import ObjectInfo, ObjectStore, check_key
from storage.stores.readers import RangeReader
from storage.stores.settings import StorageProfile

LARGEST_OBJECT_BYTES = 5 * 2**30 - 1
"""What one PUT carries; larger objects would need a multipart upload, whose end is not atomic
against other writers on every server."""

_EXISTS = 412
_NOT_FOUND = 404
_CONNECTIONS = 32
_FAULTS = (
    OSError,
    BotoCoreError,
    ClientError,
    ResponseParserError,
    aiohttp.ClientError,
    HTTPError,
)


class S3Store(ObjectStore):
    """The objects of one bucket below one prefix. May be sent to a spawned process.

    A `foreign` one is for reading what others put, whose keys may have empty parts (`a//b`).
    """

    def __init__(
        self, bucket: str, prefix: str, profile: StorageProfile, *, foreign: bool = False
    ) -> None:
        self.uri = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._bucket = bucket
        self._prefix = prefix
        self._profile = profile
        self._foreign = foreign
        self._lock = threading.Lock()
        self._connection: s3fs.S3FileSystem | None = None
        self._bucket_was_seen = False

    def __reduce__(self) -> tuple[Any, tuple[str, str, StorageProfile]]:
        """Send the address, not the connection."""
        kind = partial(S3Store, foreign=True) if self._foreign else S3Store
        return (kind, (self._bucket, self._prefix, self._profile))

    def get(self, key: str) -> bytes:
        """Return the whole object."""
        with self._translated("get", key):
            return bytes(self._fs().cat_file(self._path(key)))

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading: each read is one request for exactly its bytes."""
        info = self.stat(key)
        if info is None:
            msg = f"There is no object {self.uri}/{key}; check the name or list the lake."
            raise ObjectNotFoundError(msg)
        path = self._path(key)

        def fetch(start: int, stop: int) -> bytes:
            with self._translated("read", key):
                return bytes(self._fs().cat_file(path, start=start, end=stop))

        return cast(BinaryIO, RangeReader(info.size_bytes, fetch))

    def put_once(self, key: str, data: bytes) -> bool:
        """Create the object with one conditional request (`If-None-Match: *`)."""
        try:
            self._put(key, data, mode="create")
        except _FAULTS as error:
            if status_of(error) == _EXISTS:
                return False
            raise translate(error, self._what("put", key)) from error
        return True

    def replace(self, key: str, data: bytes) -> None:
        """Put the object whatever was there, with one request."""
        with self._translated("replace", key):
            self._put(key, data, mode="overwrite")

    def stat(self, key: str) -> ObjectInfo | None:
        """Return size and ETag of the object, or None."""
        full = self._full(key)
        try:
            head = self._fs().call_s3("head_object", Bucket=self._bucket, Key=full)
        except _FAULTS as error:
            if status_of(error) != _NOT_FOUND:
                raise translate(error, self._what("stat", key)) from error
            self._check_bucket()
            return None
        return _info(key, head, size="ContentLength")

    def link(self, key: str, seconds: int) -> str | None:
        """Return the object's public address where the profile has one, else a presigned one."""
        full = self._full(key)
        if self._profile.public_url is not None:
            base = self._profile.public_url.replace("{bucket}", self._bucket).rstrip("/")
            return f"{base}/{quote(full)}"
        if not seconds:
            return None
        with self._translated("sign a link to", key):
            return str(
                self._fs().url(
                    f"{self._bucket}/{full}",
                    expires=seconds,
                    ResponseContentType="text/html; charset=utf-8",
                )
            )

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, sorted by key, page by page."""
        root = f"{self._prefix}/" if self._prefix else ""
        arguments = {"Bucket": self._bucket, "Prefix": root + prefix}
        while True:
            with self._translated("list", prefix):
                page = self._fs().call_s3("list_objects_v2", **arguments)
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):  # the marker of a folder that some consoles write
                    yield _info(item["Key"][len(root) :], item, size="Size")
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""
        full = self._full(key)
        with self._translated("delete", key):
            self._fs().call_s3("delete_object", Bucket=self._bucket, Key=full)

    def now(self) -> datetime | None:
        """Return the time that the service stamps its answers with."""
        root = f"{self._prefix}/" if self._prefix else ""
        with self._translated("list", ""):
            page = self._fs().call_s3(
                "list_objects_v2", Bucket=self._bucket, Prefix=root, MaxKeys=1
            )
        stamp = page["ResponseMetadata"].get("HTTPHeaders", {}).get("date", "")
        try:
            return parsedate_to_datetime(stamp).astimezone(UTC)
        except ValueError:
            return None

    def _put(self, key: str, data: bytes, *, mode: str) -> None:
        if len(data) > LARGEST_OBJECT_BYTES:
            msg = (
                f"{self._what('put', key)} with {len(data)} bytes is more than one request carries "
                f"({LARGEST_OBJECT_BYTES}); choose smaller shards."
            )
            raise LakeError(msg)
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        self._fs().pipe_file(
            f"{self._bucket}/{self._full(key)}",
            data,
            mode=mode,
            chunksize=max(1, len(data)),
            ContentMD5=digest,
        )

    def _check_bucket(self) -> None:
        """Tell a missing bucket from a missing object, as a HEAD answers 404 to both."""
        if self._bucket_was_seen:
            return
        try:
            self._fs().call_s3("head_bucket", Bucket=self._bucket)
        except _FAULTS as error:
            if status_of(error) == _NOT_FOUND:
                msg = f"There is no bucket {self._bucket!r}; create it or correct {self.uri}."
                raise BucketMissingError(msg) from error
            raise translate(error, f"see the bucket of {self.uri}") from error
        self._bucket_was_seen = True

    def _path(self, key: str) -> str:
        """Return what s3fs calls an object that is to be read."""
        return f"{self._bucket}/{self._full(key)}"

    def _full(self, key: str) -> str:
        check_key(key, foreign=self._foreign)
        return f"{self._prefix}/{key}" if self._prefix else key

    def _what(self, verb: str, key: str) -> str:
        return f"{verb} {self.uri}/{key}"

    @contextmanager
    def _translated(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except _FAULTS as error:
            raise translate(error, self._what(verb, key)) from error

    def _fs(self) -> s3fs.S3FileSystem:
        with self._lock:
            if self._connection is None:
                self._connection = _connect(self._profile)
            return self._connection


def _info(key: str, answer: Mapping[str, Any], *, size: str) -> ObjectInfo:
    etag = answer.get("ETag")
    return ObjectInfo(
        key=key,
        size_bytes=answer[size],
        etag=etag.strip('"') if etag else None,
        stored_at=answer.get("LastModified"),
    )


@cache
def _descriptions() -> Any:
    """Return what reads botocore's descriptions of the services, each once for all stores.

    They are the same for everyone, and reading them is nine tenths of what a client costs.
    """
    return AioSession().get_component("data_loader")


def _connect(profile: StorageProfile) -> s3fs.S3FileSystem:
    """Return a file system of its own: one attempt, no caches, one request per operation."""
    session = AioSession(profile=profile.aws_profile)
    session.register_component("data_loader", _descriptions())
    client: dict[str, Any] = {"region_name": profile.region, "verify": profile.ca_bundle}
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": profile.kms_key_id}
    fs = s3fs.S3FileSystem(
        endpoint_url=profile.endpoint_url,
        anon=profile.anonymous,
        requester_pays=profile.requester_pays,
        key=profile.key,
        secret=profile.secret and profile.secret.get_secret_value(),
        token=profile.token and profile.token.get_secret_value(),
        session=session,
        client_kwargs={name: str(value) for name, value in client.items() if value},
        config_kwargs={
            "connect_timeout": profile.connect_timeout_s,
            "read_timeout": profile.read_timeout_s,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "s3": {"addressing_style": profile.addressing_style},
            "signature_version": "s3v4",  # of presigned links too
            # Content-MD5 is sent instead: servers that are not AWS know no other checksum.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        s3_additional_kwargs=encryption if profile.kms_key_id else {},
        max_concurrency=1,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    fs.retries = 1
    return fs


_CODES_OF: dict[type[LakeError], tuple[str, ...]] = {
    ObjectNotFoundError: ("NoSuchKey",),
    BucketMissingError: ("NoSuchBucket", "InvalidBucketName"),
    AccessDeniedError: (
        "AccessDenied", "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed",
        "ExpiredToken", "InvalidAccessKeyId", "IllegalLocationConstraintException",
        "InvalidSecurity", "InvalidToken", "NotSignedUp", "PermanentRedirect",
        "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
    ),
    ThrottledError: (
        "BandwidthLimitExceeded", "RequestLimitExceeded", "ServiceUnavailable", "SlowDown",
        "Throttling", "ThrottlingException", "TooManyRequests",
    ),
    UnreachableError: (
        "BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch",
    ),
    ServerFaultError: ("InternalError",),
    WriteConflictError: ("ConditionalRequestConflict", "OperationAborted"),
    LakeFullError: (
        "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull",
        "XMinioAdminBucketQuotaExceeded",
    ),
}  # fmt: skip
CODES = {code: error for error, codes in _CODES_OF.items() for code in codes}
"""By the code in the answer's body, which says more than the status."""

STATUSES: dict[int, type[LakeError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: ObjectNotFoundError,
    408: UnreachableError,
    409: WriteConflictError,
    429: ThrottledError,
    500: ServerFaultError,
    502: ServerFaultError,
    503: ThrottledError,
    504: ServerFaultError,
    507: LakeFullError,
}
"""By HTTP status, for codes that are not in the table and answers without a body (HEAD)."""

_REMEDIES: dict[type[LakeError], str] = {
    ObjectNotFoundError: "check the name or list the lake",
    BucketMissingError: "create the bucket or correct the URI",
    AccessDeniedError: "check key, secret, region and policy of the storage profile",
    LakeFullError: "free space or raise the quota",
    ThrottledError: "the store asks to slow down",
    UnreachableError: "check the endpoint and the network",
    ServerFaultError: "look into the logs of the store",
    WriteConflictError: "another writer met this one, try again",
}
_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
)
_SETTINGS = (
    boto.ProfileNotFound,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.InvalidRegionError,
    boto.NoRegionError,
    boto.ParamValidationError,
)


def response_of(error: BaseException) -> dict[str, Any] | None:
    """Return the service's answer inside an error of s3fs or botocore, or None."""
    for candidate in (error, error.__cause__):
        response = getattr(candidate, "response", None)
        if isinstance(response, dict) and "ResponseMetadata" in response:
            return response
    return None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status inside an error of s3fs or botocore, or None."""
    response = response_of(error)
    return None if response is None else response["ResponseMetadata"].get("HTTPStatusCode")


def translate(error: BaseException, what: str) -> StorageError:
    """Return our error for one of s3fs, botocore or aiohttp; `what` is "put s3://bucket/key"."""
    response = response_of(error)
    if response is not None:
        return _answered(response, what)
    if isinstance(error, _CREDENTIALS):
        return _sentence(AccessDeniedError, what, f"no usable credentials ({error})")
    if isinstance(error, _SETTINGS):
        msg = f"Cannot {what}: {error}; correct the storage profile or the URI."
        return SettingsError(masked(msg))
    if isinstance(error, boto.SSLError) and "CERTIFICATE" in str(error).upper():
        msg = f"Cannot {what}: the server's certificate is not trusted ({error}); set ca_bundle."
        return LakeError(masked(msg))
    if isinstance(error, PermissionError):
        return _sentence(AccessDeniedError, what, str(error))
    return _sentence(
        UnreachableError, what, f"no complete answer ({str(error) or type(error).__name__})"
    )


def _answered(response: dict[str, Any], what: str) -> LakeError:
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    # Some stores, Ceph among them, send the element and nothing in it.
    code = response.get("Error", {}).get("Code") or ""
    message = (response.get("Error", {}).get("Message") or "").rstrip(".")
    kind = CODES.get(code) or STATUSES.get(status)
    if kind is None:
        kind = ServerFaultError if status >= 500 else LakeError
    answer = [str(status), *(part for part in (code, message) if part and part != str(status))]
    return _sentence(kind, what, f"the store answered {' '.join(answer)}")


def _sentence(kind: type[LakeError], what: str, reason: str) -> LakeError:
    remedy = _REMEDIES.get(kind, "see the documentation of the store")
    return kind(masked(f"Cannot {what}: {reason}; {remedy}."))
