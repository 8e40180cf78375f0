"""From an URI to the store that serves it."""

import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.errors import NotWritableError, SchemeError, SettingsError
from storage.masking import check_no_secret
from storage.stores.interface import ObjectStore
from storage.stores.local import LocalStore
from storage.stores.retry import RetryingStore, RetryPolicy
from storage.stores.settings import StorageProfile

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,253}[A-Za-z0-9]")


def open_store(
    uri: str, profile: StorageProfile | None = None, *, read_only: bool = False
) -> ObjectStore:
    """Return the store at `uri`, inside the one retry layer. Nothing is touched or created yet.

    The store may be sent to a spawned process (never use it across a fork), or opened there again
    from the same arguments.

    Args:
        uri: a folder, `file:///folder` or `s3://bucket/prefix`.
        profile: how to reach S3; None is the plain AWS environment.
        read_only: refuse every change with NotWritableError.

    Raises:
        SchemeError: the URI has another scheme.
        SettingsError: the URI is empty, names no bucket, or holds a login or a token.
    """
    profile = profile or StorageProfile()
    policy = RetryPolicy(deadline_s=profile.retry_deadline_s)
    kind = ReadOnlyStore if read_only else RetryingStore
    return kind(_bare_store(uri, profile, foreign=read_only), policy)


def _bare_store(uri: str, profile: StorageProfile, *, foreign: bool) -> ObjectStore:
    scheme = _SCHEME.match(uri)
    try:
        check_no_secret(uri, "The URI")
    except ValueError as error:
        msg = f"{error}."
        raise SettingsError(msg) from None
    if scheme is None:
        return LocalStore(_folder(uri, uri))
    if scheme[1].lower() == "file":
        return LocalStore(_folder(uri, unquote(urlsplit(uri).path)))
    if scheme[1].lower() != "s3":
        msg = (
            f"The URI {uri!r} has the scheme {scheme[1]!r}, which is not served; "
            "use a folder, file:///folder or s3://bucket/prefix."
        )
        raise SchemeError(msg)
    bucket, _, prefix = uri[len(scheme[0]) :].partition("/")
    if not _BUCKET.fullmatch(bucket):
        msg = f"The URI {uri!r} names no valid bucket ({bucket!r}); write s3://bucket/prefix."
        raise SettingsError(msg)
    from storage.stores.s3 import S3Store  # half a second that local lakes need not spend

    return S3Store(bucket, prefix.strip("/"), profile, foreign=foreign)


def _folder(uri: str, path: str) -> Path:
    if not path.strip():
        msg = (
            f"The URI {uri!r} names no folder; write a path, file:///folder or s3://bucket/prefix."
        )
        raise SettingsError(msg)
    return Path(path).expanduser()


class ReadOnlyStore(RetryingStore):
    """A store that refuses every change."""

    def put_once(self, key: str, data: bytes) -> bool:  # noqa: ARG002 - the interface's arguments
        """Refuse."""
        raise self._refusal(key)

    def put_or_adopt(self, key: str, data: bytes) -> bytes:  # noqa: ARG002 - as above
        """Refuse."""
        raise self._refusal(key)

    def replace(self, key: str, data: bytes) -> None:  # noqa: ARG002 - as above
        """Refuse."""
        raise self._refusal(key)

    def delete(self, key: str) -> None:
        """Refuse."""
        raise self._refusal(key)

    def now(self) -> datetime | None:
        """Return None: some stores learn the time from a file that they write."""
        return None

    def _refusal(self, key: str) -> NotWritableError:
        return NotWritableError(
            f"{self.uri} was opened for reading only, so {key!r} cannot be changed; "
            "open it for writing."
        )
