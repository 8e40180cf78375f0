"""Logins and tokens in text: hidden in everything that is shown, logged or stored.

A URI may carry them before an `@` (`s3://KEY:SECRET@bucket`) or in its query (`?X-Amz-Signature=`).
Recipes and stores refuse such a URI, and every message passes `masked` on its way out, as libraries
write URIs into theirs.
"""

import re
from typing import Final

MASK: Final = "***"

_LOGIN: Final = re.compile(
    r"(?P<lead>[A-Za-z][A-Za-z0-9+.-]*:///?|(?:s3a?|https?):/)"  # a path makes `s3:/` of `s3://`
    r"(?!git@)"  # the user that git+ssh addresses name, who is nobody
    r"(?:[^\s/@:'\"<>]*:(?!\d{1,5}(?:/|\s|$))[^\s'\"<>]*|[^\s/@'\"<>]+)@"
)
_TOKEN: Final = re.compile(
    r"(?P<lead>[?&;](?:X-(?:Amz|Goog)-[\w-]+|AWSAccessKeyId|sig|auth|key"
    r"|[\w.-]*(?:token|secret|signature|credential|passw(?:or)?d|api[_-]?key)[\w.-]*)=)"
    r"[^\s&'\"<>#]+",
    re.IGNORECASE,
)

NO_LOGIN: Final = r"^(?![A-Za-z][A-Za-z0-9+.-]*:/{1,3}[^/]*@)"
"""What forms check of a URI before it is sent anywhere."""


def masked(text: str) -> str:
    """Return the text with `***` in place of every login and token of a URI."""
    if ":/" in text:
        text = _LOGIN.sub(rf"\g<lead>{MASK}@", text)
    return _TOKEN.sub(rf"\g<lead>{MASK}", text) if "=" in text else text


def carries_secret(uri: str) -> bool:
    """Say whether a URI holds a login or a token."""
    return masked(uri) != uri


def check_no_secret(uri: str, place: str) -> str:
    """Return the URI if it holds no login and no token.

    Args:
        uri: a folder, a file or an address.
        place: where it is said, such as `source.uri`.

    Raises:
        ValueError: it does; the message does not show them.
    """
    if carries_secret(uri):
        message = (
            f"{place} holds a login or a token ({masked(uri)}), which would be stored and shown; "
            "take it out and name a storage profile, whose GANMILL_STORAGE__NAME__KEY and "
            "…__SECRET are variables of the environment"
        )
        raise ValueError(message)
    return uri
