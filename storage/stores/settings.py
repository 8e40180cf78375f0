"""Where we run: the only module that reads the environment.

`GANMILL_LAKE`, `GANMILL_WORK_FOLDER`, and named storage profiles: profile `minio` is made of
`GANMILL_STORAGE__MINIO__ENDPOINT_URL`, `GANMILL_STORAGE__MINIO__KEY`, and so on. Without a profile
S3 is reached as every AWS tool does it: `AWS_*` variables, `~/.aws`, instance role.
"""

from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableError

from storage.errors import SettingsError
from storage.masking import check_no_secret


class StorageProfile(BaseModel):
    """How to reach one object store. Everything left empty is found as AWS tools find it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+.*$")
    """Address of the S3 server, such as `https://minio.example:9000`; empty means AWS."""
    region: str | None = None
    """Region of the bucket, such as `eu-central-1`."""
    key: str | None = None
    """Access key id."""
    secret: SecretStr | None = None
    """Secret access key."""
    token: SecretStr | None = None
    """Session token of temporary credentials."""
    aws_profile: str | None = None
    """Profile of `~/.aws/config`; it may assume a role."""
    ca_bundle: FilePath | None = None
    """PEM file of the authorities that signed the server's certificate."""
    kms_key_id: str | None = None
    """KMS key that encrypts every object put; empty means the bucket's own rule."""
    public_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+.*$")
    """Address under which a browser finds the bucket's objects, such as that of a gateway with its
    own login; `{bucket}` in it is filled in. Empty: links to reports are presigned."""
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket is in the path or in the host name of an address."""
    connect_timeout_s: float = Field(default=5.0, gt=0, le=300)
    """Longest wait for a connection, in seconds."""
    read_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    """Longest wait for the next bytes of an answer, in seconds."""
    retry_deadline_s: float = Field(default=60.0, ge=0, le=86400)
    """How long a passing fault is retried before the operation fails, in seconds."""
    anonymous: bool = False
    """Send requests without a signature, for a public bucket; key and role are not looked for."""
    requester_pays: bool = False
    """Agree to pay for reading, as the owner of the bucket demands it."""

    @field_validator("endpoint_url")
    @classmethod
    def _no_login(cls, value: str | None) -> str | None:
        return value if value is None else check_no_secret(value, "endpoint_url")

    @model_validator(mode="after")
    def _anonymous_or_known(self) -> "StorageProfile":
        if self.anonymous and (self.key or self.secret or self.token or self.aws_profile):
            message = "anonymous goes with no key, secret, token or aws_profile; leave one out"
            raise ValueError(message)
        if self.anonymous and self.requester_pays:
            message = "who pays must sign: set requester_pays without anonymous"
            raise ValueError(message)
        return self


class Settings(BaseSettings):
    """The environment of this process."""

    model_config = SettingsConfigDict(
        env_prefix="GANMILL_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    lake: str = "./lake"
    """The lake of the listings when `--lake` is not given: a folder or `s3://bucket/prefix`."""
    work_folder: Path = Path(".ganmill")
    """The folder for caches and checkpoints of this machine."""
    recipes_storage: str | None = None
    """Storage profile of `--recipes s3://bucket/prefix`; empty takes the plain AWS environment."""
    storage: dict[str, StorageProfile] = Field(default_factory=dict)
    """Storage profiles by name, in lower case."""
    gpu_slot: str = Field(default="ganmill-gpu", min_length=1, max_length=100)
    """Prefect's global concurrency limit of which a training on a GPU holds a lease."""
    gpu_slots: int = Field(default=1, ge=1, le=1000)
    """How many slots that limit has: a training holds one for each GPU that it trains on."""
    gpu_lease_s: int = Field(default=120, ge=60, le=86400)
    """How long the lease of a training that no longer renews it is kept, in seconds."""
    heartbeat_s: int = Field(default=30, ge=1, le=3600)
    """How often a run sends a heartbeat, in seconds; three missed in a row make it crashed."""
    reschedules: int = Field(default=2, ge=0, le=20)
    """How often a crashed run is started again by itself; after one more crash it is Failed."""
    reports_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+.*$")
    """Where the reports of local lakes open in a browser; `ganmill up` serves them and sets it."""
    report_link_s: int = Field(default=604_800, ge=0, le=604_800)
    """How long a presigned link to a report on S3 opens, in seconds; 0 makes none."""


def load_settings() -> Settings:
    """Return what the environment says now.

    Raises:
        SettingsError: a `GANMILL_*` variable cannot be understood.
    """
    try:
        return Settings()
    except UnreadableError as error:
        msg = f"A variable of GANMILL_* cannot be read: {error}; write plain text or JSON."
        raise SettingsError(msg) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = "GANMILL_" + "__".join(str(part) for part in first["loc"]).upper()
        msg = f"The variable {variable} cannot be used: {first['msg']}; correct or unset it."
        raise SettingsError(msg) from None


def load_profile(name: str | None) -> StorageProfile:
    """Return the storage profile called `name`; None is the plain AWS environment.

    Case does not matter, and '-' and '_' are the same, since variables cannot hold a '-'.

    Raises:
        SettingsError: there is no such profile, or one of its variables cannot be understood.
    """
    if name is None:
        return StorageProfile()
    profiles = load_settings().storage
    profile = profiles.get(name.lower().replace("-", "_"))
    if profile is None:
        variable = f"GANMILL_STORAGE__{name.upper().replace('-', '_')}__ENDPOINT_URL"
        known = ", ".join(sorted(profiles)) or "none"
        msg = f"There is no storage profile {name!r} (known: {known}); set {variable} and so on."
        raise SettingsError(msg)
    return profile
