"""The recipe: the whole job as the user writes it, YAML or the run form of the Prefect UI.

The parts live beside their owners; this module composes them and adds the three that belong to the
job itself. Form rules (the Prefect run form is made from the JSON schema): literal defaults, a
title for every field, no unions of models, no free dicts, never a secret.
"""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gan.config import GeneratorConfig, TrainingConfig
from gan.gate import GateConfig
from storage.lake.synthesis import SynthesisConfig
from storage.sources.config import SourceConfig

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
CRON_FIELDS = 5


class PrivacyConfig(BaseModel):
    """What is too rare to be shown."""

    model_config = FROZEN

    min_group: int = Field(10, title="Smallest group", ge=1)
    """A value held by fewer rows than this never leaves the codec, and a class is refused."""


class OutputConfig(BaseModel):
    """Where the data set goes, and how."""

    model_config = FROZEN

    lake: str = Field("./lake", title="Lake", min_length=1)
    """A local folder or `s3://bucket/prefix`."""
    storage: str | None = Field(None, title="Storage profile")
    """Named storage profile with endpoint and credentials; null takes the plain environment."""
    format: Literal["parquet", "parquet-raw", "csv"] = Field("parquet", title="Shard format")
    """`parquet`: tables with the source's own types, or PNG images as Hugging Face stores them.
    `parquet-raw`, images only: pixels, faster to read. `csv`, tables only: written as the source
    writes it."""
    keep_last: Annotated[int, Field(ge=1)] | None = Field(30, title="Versions kept")
    """How many versions stay when the lake is collected: the newest ones, and whatever is pinned.
    null keeps all of them."""


class EngineConfig(BaseModel):
    """What synthesizes the shards; the data are the same whatever is chosen here."""

    model_config = FROZEN

    kind: Literal["local"] = Field("local", title="Engine")
    """`local`: processes of this machine."""
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field("auto", title="Workers")
    """Worker processes; `auto` takes one per core, and none at all for a small job."""


class ReportConfig(BaseModel):
    """What a tracked run shows in the UI."""

    model_config = FROZEN

    artifacts: Literal["full", "numbers"] = Field("full", title="Artifacts")
    """`full`: with synthetic pictures or rows. `numbers`: verdict, metrics and curves alone. The
    report in the lake is the same."""


class ScheduleConfig(BaseModel):
    """When a deployed recipe runs by itself; a command run by hand does not look here."""

    model_config = FROZEN

    cron: str | None = Field(None, title="Cron")
    """Five fields, such as `0 3 * * *` for three o'clock every night; null = only when asked."""
    timezone: str = Field("UTC", title="Time zone", min_length=1)
    """Name of the time zone that the cron fields are meant in, such as `Europe/Berlin`."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str | None) -> str | None:
        if value is not None and len(value.split()) != CRON_FIELDS:
            msg = (
                f"schedule.cron {value!r} has {len(value.split())} fields; write five (minute, "
                "hour, day, month, day of the week), such as '0 3 * * *'"
            )
            raise ValueError(msg)
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = f"schedule.timezone {value!r} is no time zone; write UTC or Europe/Berlin"
            raise ValueError(msg) from error
        return value


class Recipe(BaseModel):
    """One job: from which data, how to train, judge and synthesize, and where to."""

    model_config = FROZEN

    name: str = Field(title="Name", pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)
    """Names the generator and the data set: small letters, digits and hyphens."""
    owner: str | None = Field(
        None, title="Owner", pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63
    )
    """Team that the name belongs to in its lake: small letters, digits and hyphens. The first job
    with an owner claims the name, jobs of others are refused; null = nobody's."""
    source: SourceConfig = Field(title="Source")
    """The real data."""
    generator: GeneratorConfig = Field(GeneratorConfig(), title="Generator")
    """The networks."""
    training: TrainingConfig = Field(TrainingConfig(), title="Training")
    """How long and on what to train."""
    gate: GateConfig = Field(GateConfig(), title="Gate")
    """What the candidate must reach, and what happens when it does not."""
    privacy: PrivacyConfig = Field(PrivacyConfig(), title="Privacy")
    """What is too rare to be shown."""
    synthesis: SynthesisConfig = Field(SynthesisConfig(), title="Synthesis")
    """How much to synthesize, of which classes."""
    output: OutputConfig = Field(OutputConfig(), title="Output")
    """Where the data set goes, and how."""
    engine: EngineConfig = Field(EngineConfig(), title="Engine")
    """What synthesizes the shards."""
    report: ReportConfig = Field(ReportConfig(), title="Report")
    """What a tracked run shows in the UI."""
    schedule: ScheduleConfig = Field(ScheduleConfig(), title="Schedule")
    """When it runs by itself, once it is deployed."""
    seed: int = Field(0, title="Seed", ge=0, lt=2**63)
    """The root of all randomness of training and evaluation."""
