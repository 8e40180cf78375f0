"""Everything that storage raises on purpose.

StorageError
├── LakeError                    the lake failed (exit 5)
│   ├── ObjectNotFoundError      a key that had to exist does not
│   ├── AccessDeniedError        wrong or insufficient credentials
│   ├── BucketMissingError       the bucket of the URI does not exist
│   ├── LakeFullError            the disk or quota is full
│   ├── NotWritableError         a local folder cannot be written
│   ├── RetryableError           a passing fault; the retry layer tries again until its deadline
│   │   ├── ThrottledError       429, 503 SlowDown
│   │   ├── UnreachableError     no connection, a broken connection, a time-out
│   │   ├── ServerFaultError     500, 502, 504
│   │   └── WriteConflictError   409 or a vanished read-back: two writers met, the outcome is open
│   ├── DeadlineError            a retryable fault lasted longer than the deadline
│   └── IntegrityError           what is stored is not what was committed (digest, rows, schema)
├── SourceError                  the source cannot be read or is unfit (exit 4)
├── SettingsError                a storage profile or an URI is wrong (exit 2)
│   └── SchemeError              an URI scheme that ganmill does not serve
├── PlanError                    what was asked for cannot be planned (exit 2)
├── RetentionError               a version cannot be pinned, unpinned or retracted (exit 2)
├── AbandonedError               the version was given up by another process; start a new attempt
└── PromotionConflictError       the champion changed since it was read; gate again

A message says what is wrong, the value received, and the remedy, in one sentence; `listed` names a
few of many things in it.
"""

from collections.abc import Sequence


class StorageError(Exception):
    """Root of the tree."""


class LakeError(StorageError):
    """The lake failed."""


class ObjectNotFoundError(LakeError):
    """A key that had to exist does not."""


class AccessDeniedError(LakeError):
    """Credentials are wrong or do not suffice."""


class BucketMissingError(LakeError):
    """The bucket of the URI does not exist."""


class LakeFullError(LakeError):
    """The disk or the quota is full."""


class NotWritableError(LakeError):
    """A local folder cannot be written."""


class RetryableError(LakeError):
    """A passing fault; the retry layer tries again until its deadline."""


class ThrottledError(RetryableError):
    """The store asked to slow down (429, 503)."""


class UnreachableError(RetryableError):
    """No connection, a broken connection, or a time-out."""


class ServerFaultError(RetryableError):
    """The store failed inside (500, 502, 504)."""


class WriteConflictError(RetryableError):
    """Two writers met and the outcome is open (409, or 404 at the read-back)."""


class DeadlineError(LakeError):
    """A retryable fault lasted longer than the deadline."""


class IntegrityError(LakeError):
    """What is stored is not what was committed."""


class SourceError(StorageError):
    """The source cannot be read or is unfit."""


class SettingsError(StorageError):
    """A storage profile or an URI is wrong."""


class SchemeError(SettingsError):
    """An URI scheme that ganmill does not serve."""


class PlanError(StorageError):
    """What was asked for cannot be planned."""


class RetentionError(StorageError):
    """What was asked of a version cannot be done: it is retired, or pinned."""


class AbandonedError(StorageError):
    """The version was given up by another process; a new attempt needs a new version."""


class PromotionConflictError(StorageError):
    """The champion changed since it was read; the gate must be asked again."""


def listed(names: Sequence[object]) -> str:
    """Return the first three names, quoted, and how many more there are."""
    return first_few([repr(name) for name in names])


def first_few(texts: Sequence[str], between: str = ", ") -> str:
    """Return the first three texts, and how many more there are."""
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return between.join(texts[:3]) + more
