"""Everything that storage raises on purpose.

A message says what is wrong, the value received, and the remedy, in one sentence. The exit code of
an error is that of its children too. A refusal that knows which settings of the recipe remedy it
says them as data too (`proposals`): `ganmill init` applies them, `ganmill check` looks past them.
"""

from collections.abc import Sequence

from storage.records.proposal import Proposal


class StorageError(Exception):
    """Root of all others."""

    def __init__(self, *args: object, proposals: Sequence[Proposal] = ()) -> None:
        super().__init__(*args)
        self.proposals = tuple(proposals)


class LakeError(StorageError):
    """The lake failed (exit 5)."""


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
    """What is stored is not what was committed: digest, rows or schema."""


class SourceError(StorageError):
    """The source cannot be read or is unfit (exit 4)."""


class SettingsError(StorageError):
    """A storage profile or an URI is wrong (exit 2)."""


class SchemeError(SettingsError):
    """An URI scheme that ganmill does not serve."""


class PlanError(StorageError):
    """What was asked for cannot be planned (exit 2)."""


class RetentionError(StorageError):
    """What was asked of a version cannot be done: it is retired, or pinned (exit 2)."""


class AbandonedError(StorageError):
    """The version was given up by another process; a new attempt needs a new version."""


class RetractedError(StorageError):
    """A person retracted what the same run made; it is not published again by itself (exit 3)."""


class OverspentError(StorageError):
    """A training would take more privacy of a source than the recipe allows (exit 3)."""


class SnapshotDamagedError(IntegrityError):
    """The files of a generator are not those that were stored; the next run trains it again."""

    def __init__(
        self, message: str = "", version: str = "", snapshot_digest: str = "", why: str = ""
    ) -> None:
        super().__init__(message)
        self.why = why
        """What was found."""
        self.version = version
        """Of the generator."""
        self.snapshot_digest = snapshot_digest
        """Of what it should be."""


class PromotionConflictError(StorageError):
    """The champion changed since it was read; the gate must decide again."""
