"""Which lake a command looks at: `--lake`, else `GANMILL_LAKE`, else `./lake`."""

from dataclasses import dataclass

from storage.lake.datasets import Version
from storage.lake.layout import version_folder
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import load_profile, load_settings


@dataclass(frozen=True, kw_only=True)
class LakeRef:
    """A lake as the command line names it."""

    lake: str | None = None
    storage: str | None = None

    @property
    def uri(self) -> str:
        """The lake's URI as the user would type it."""
        return self.lake or load_settings().lake

    def open(self) -> ObjectStore:
        """Open the lake for reading.

        Raises:
            SettingsError: the profile does not exist, or the URI is not served.
        """
        return self._open(read_only=True)

    def open_to_write(self) -> ObjectStore:
        """Open the lake for a person's decision, which is one more record of a log.

        Raises:
            SettingsError: the profile does not exist, or the URI is not served.
        """
        return self._open(read_only=False)

    def _open(self, *, read_only: bool) -> ObjectStore:
        profile = None if self.storage is None else load_profile(self.storage)
        return open_store(self.uri, profile, read_only=read_only)

    def path(self, key: str) -> str:
        """Return an object of the lake as the user would type it."""
        return f"{self.uri.rstrip('/').removeprefix('./')}/{key}"

    def shards(self, version: Version) -> str:
        """Return the folder to read a version from."""
        return self.path(version_folder(version.name, version.version)) + "/"
