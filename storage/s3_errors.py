"""What an S3 service, or the way to it, answers: one table to our errors."""

from typing import Any

from botocore import exceptions as boto

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
    UnsettledError,
)

CODES: dict[str, type[LakeError]] = {
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchBucket": BucketMissingError,
    "InvalidBucketName": BucketMissingError,
    "AccessDenied": AccessDeniedError,
    "AccountProblem": AccessDeniedError,
    "AllAccessDisabled": AccessDeniedError,
    "AuthorizationHeaderMalformed": AccessDeniedError,
    "ExpiredToken": AccessDeniedError,
    "InvalidAccessKeyId": AccessDeniedError,
    "IllegalLocationConstraintException": AccessDeniedError,
    "InvalidSecurity": AccessDeniedError,
    "InvalidToken": AccessDeniedError,
    "NotSignedUp": AccessDeniedError,
    "PermanentRedirect": AccessDeniedError,
    "RequestTimeTooSkewed": AccessDeniedError,
    "SignatureDoesNotMatch": AccessDeniedError,
    "TokenRefreshRequired": AccessDeniedError,
    "BandwidthLimitExceeded": ThrottledError,
    "RequestLimitExceeded": ThrottledError,
    "ServiceUnavailable": ThrottledError,
    "SlowDown": ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "TooManyRequests": ThrottledError,
    "BadDigest": UnreachableError,
    "IncompleteBody": UnreachableError,
    "RequestTimeout": UnreachableError,
    "XAmzContentSHA256Mismatch": UnreachableError,
    "InternalError": ServerFaultError,
    "ConditionalRequestConflict": UnsettledError,
    "OperationAborted": UnsettledError,
    "InsufficientStorage": LakeFullError,
    "QuotaExceeded": LakeFullError,
    "XMinioStorageFull": LakeFullError,
    "XMinioAdminBucketQuotaExceeded": LakeFullError,
}
"""By the code in the answer's body, which says more than the status."""

STATUSES: dict[int, type[LakeError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: ObjectNotFoundError,
    408: UnreachableError,
    409: UnsettledError,
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
    UnsettledError: "another writer met this one, try again",
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
    """Return our error for one of s3fs, botocore or aiohttp.

    Args:
        error: what was raised.
        what: the operation: "put s3://bucket/key".
    """
    response = response_of(error)
    if response is not None:
        return _answered(response, what)
    if isinstance(error, _CREDENTIALS):
        return _sentence(AccessDeniedError, what, f"no usable credentials ({error})")
    if isinstance(error, _SETTINGS):
        msg = f"Cannot {what}: {error}; correct the storage profile or the URI."
        return SettingsError(msg)
    if isinstance(error, boto.SSLError) and "CERTIFICATE" in str(error).upper():
        msg = f"Cannot {what}: the server's certificate is not trusted ({error}); set ca_bundle."
        return LakeError(msg)
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
    said = [str(status), *(part for part in (code, message) if part and part != str(status))]
    return _sentence(kind, what, f"the store answered {' '.join(said)}")


def _sentence(kind: type[LakeError], what: str, reason: str) -> LakeError:
    remedy = _REMEDIES.get(kind, "see the documentation of the store")
    return kind(f"Cannot {what}: {reason}; {remedy}.")
