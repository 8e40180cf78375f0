"""What every stage of one job shares: the recipe, the open lake, this machine, the user's ear."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from flows.cost import Spending
from flows.interrupt import StopSignal
from flows.progress import Reporter, SilentReporter
from flows.recipe import Recipe
from storage.lake.announce import Emit
from storage.stores.counting import CountingStore
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile, load_profile, load_settings


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one recipe. Holds credentials in memory: never a task parameter, never logged."""

    recipe: Recipe
    lake: ObjectStore
    lake_profile: StorageProfile | None
    work: Path
    """Folder of this machine for caches and checkpoints; it may be lost at any time."""
    scheduled: date
    """The night this run belongs to; a retry keeps it."""
    reporter: Reporter = field(default_factory=SilentReporter)
    stop: StopSignal = field(default_factory=StopSignal)
    emit: Emit | None = None
    """Sends events; None when there is nobody to send them to, and they stay pending."""
    spent: Spending = field(default_factory=Spending)
    """What this run has used so far."""
    gpu_slot: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held while training on a GPU; waits until one is free."""

    @property
    def name(self) -> str:
        """Of the generator and the data set."""
        return self.recipe.name

    @property
    def lake_uri(self) -> str:
        """The lake, absolute, so that another process finds it from any folder."""
        uri = self.recipe.output.lake
        return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def open_job(
    recipe: Recipe,
    *,
    scheduled: date | None = None,
    reporter: Reporter | None = None,
    stop: StopSignal | None = None,
) -> Job:
    """Open the lake of a recipe and return the job.

    Raises:
        SettingsError: the storage profile does not exist, or the lake's URI is not served.
    """
    profile = None if recipe.output.storage is None else load_profile(recipe.output.storage)
    spent = Spending()
    return Job(
        recipe=recipe,
        lake=CountingStore(open_store(recipe.output.lake, profile), spent.wrote),
        lake_profile=profile,
        work=load_settings().work_folder,
        scheduled=scheduled or datetime.now(UTC).date(),
        reporter=reporter or SilentReporter(),
        stop=stop or StopSignal(),
        spent=spent,
    )


def now() -> datetime:
    """Return the time, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
