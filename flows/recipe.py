"""The recipe: the whole job as the user writes it, YAML or the run form of the Prefect UI.

The parts live beside their owners; this module composes them and adds those of the job itself.
Form rules (the Prefect run form is made from the JSON schema): literal defaults, a title for every
field, no unions of models, no free dicts, never a secret. A recipe is read from YAML with `--set`
changes, and every mistake becomes one sentence.

A recipe is read from YAML with `--set` changes, and every mistake becomes one sentence.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from flows.errors import RecipeError, bounded
from flows.recipe_yaml import MOST_LETTERS, parse_yaml
from gan.config import GeneratorConfig, TrainingConfig
from gan.gate import GateConfig
from gan.lift.config import LiftConfig
from storage.lake.synthesis import SynthesisConfig
from storage.masking import MASK, NO_LOGIN, check_no_secret, masked
from storage.records.proposal import Proposal
from storage.sources.config import SourceConfig

NAMED_LISTS = frozenset({"columns"})
"""Settings that are lists of entries with a name."""
FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
CRON_FIELDS = 5
RAY_ADDRESS = r"^(auto|local|ray://[^/@\s]+:[0-9]+)$"
"""Addresses of a Ray cluster; a login has no place in one."""
_SECRET = re.compile(r"secret|token|passw|credential|(^|[_-])key", re.IGNORECASE)
LONGEST_VALUE = 200
"""Letters of a value that a message shows."""


class PrivacyConfig(BaseModel):
    """What is too rare to be shown."""

    model_config = FROZEN

    min_group: int = Field(10, title="Smallest group", ge=1)
    """A value held by fewer rows than this never leaves the codec, and a class is refused."""
    quasi_identifiers: tuple[str, ...] = Field((), title="Quasi-identifiers")
    """Tables: columns by which others may know a person, such as birth date and postcode. The
    attacks of the report know these; empty: they may know any."""
    epsilon: Annotated[float, Field(gt=0, le=1000)] | None = Field(None, title="Epsilon")
    """Tables: ε of differential privacy, for codec and training together; 1 to 10 are usual, less
    protects more and learns less. Takes `ganmill[privacy]`. null: no guarantee."""
    delta: Annotated[float, Field(gt=0, lt=0.1)] | Literal["auto"] = Field("auto", title="Delta")
    """δ beside epsilon; `auto`: 1 / (n log n) for n training records."""
    total_epsilon: Annotated[float, Field(gt=0)] | None = Field(None, title="Total epsilon")
    """All private trainings of this lake on this source take no more than this together: the next
    one is refused. null: what they take is written down all the same."""


class CsvOutputConfig(BaseModel):
    """What is done to CSV besides writing it as the source is written."""

    model_config = FROZEN

    escape_formulas: bool = Field(False, title="Escape formulas")
    """Put an apostrophe before every text that a spreadsheet would take for a formula: what begins
    with `=`, `+`, `-`, `@`, a tab or a line end. Numbers, dates and booleans stay as they are."""


class OutputConfig(BaseModel):
    """Where the data set goes, and how."""

    model_config = FROZEN

    lake: str = Field("./lake", title="Lake", min_length=1, json_schema_extra={"pattern": NO_LOGIN})
    """A local folder or `s3://bucket/prefix`."""
    storage: str | None = Field(None, title="Storage profile")
    """Named storage profile with endpoint and credentials; null takes the plain environment."""
    format: Literal["parquet", "parquet-raw", "csv", "nested", "long"] = Field(
        "parquet", title="Shard format"
    )
    """`parquet`: tables with the source's own types, PNG images as Hugging Face stores them, or
    series as `nested` has them. `parquet-raw`, images only: pixels, faster to read. `csv`, tables
    only: written as the source writes it. Series only: `nested`, one row per entity with lists, or
    `long`, one row per step."""
    csv: CsvOutputConfig = Field(CsvOutputConfig(), title="CSV")
    """What is done to CSV besides writing it as the source is written."""
    keep_last: Annotated[int, Field(ge=1)] | None = Field(30, title="Versions kept")
    """How many versions stay when the lake is collected: the newest ones, and whatever is pinned.
    null keeps all of them."""

    @field_validator("lake")
    @classmethod
    def _lake_without_login(cls, value: str) -> str:
        return check_no_secret(value, "output.lake")


class EngineConfig(BaseModel):
    """What synthesizes the shards; the data are the same whatever is chosen here."""

    model_config = FROZEN

    kind: Literal["local", "ray"] = Field("local", title="Engine")
    """`local`: processes of this machine. `ray`: actors on a Ray cluster, one per processor or GPU
    of it; takes `ganmill[ray]` here and on its nodes."""
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field("auto", title="Workers")
    """Worker processes, or actors of the cluster; `auto` takes one per core, and none at all for a
    small job on this machine."""
    address: str = Field("auto", title="Ray cluster", pattern=RAY_ADDRESS)
    """With `ray`. `auto`: the cluster that this machine is a node of, or what `RAY_ADDRESS` names.
    `local`: a Ray of its own on this machine, ended with the job. `ray://host:10001`: a cluster
    elsewhere."""


class ReportConfig(BaseModel):
    """What the report and a tracked run show."""

    model_config = FROZEN

    artifacts: Literal["full", "numbers"] = Field("full", title="Artifacts")
    """`full`: with synthetic pictures or rows. `numbers`: verdict, metrics and curves alone. The
    report in the lake is the same."""
    groups: tuple[str, ...] = Field((), title="Groups")
    """Tables: columns such as region or sex; the report says of each of their values how like real
    rows its synthetic rows are, and whether they help to predict its rows. A group of fewer than 20
    rows, or than `privacy.min_group`, is too small to say."""


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


NOT_PRIVATE: Mapping[str, tuple[Callable[["Recipe"], bool], str]] = {
    "source.structure is 'found', which is learnt from the rows": (
        lambda recipe: recipe.source.structure == "found",
        "set source.structure to off, or to named",
    ),
    "training has a budget in time, so that nobody knows the number of steps beforehand": (
        lambda recipe: (
            bool(recipe.training.budget_s or recipe.training.budget_cpu_s)
            or recipe.training.budget_samples is None
        ),
        "give budget_samples alone",
    ),
    "training.until looks at validation records": (
        lambda recipe: bool(recipe.training.until),
        "remove it",
    ),
    "synthesis.labels is 'teacher', which learns from the rows without noise": (
        lambda recipe: recipe.synthesis.labels == "teacher",
        "set it to generator",
    ),
    "synthesis.balance is 'fill', which publishes exact counts": (
        lambda recipe: recipe.synthesis.balance == "fill",
        "choose real, equal or fractions",
    ),
}
"""What a recipe with epsilon cannot have → who has it, and the remedy."""


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
    lift: LiftConfig = Field(LiftConfig(), title="Lift")
    """Whether training a downstream model on the synthetic data helps, measured before the gate."""
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

    @model_validator(mode="before")
    @classmethod
    def _private_learns_no_structure(cls, raw: Any) -> Any:
        """Turn `source.structure` off where epsilon is set and nobody names it."""
        if not isinstance(raw, Mapping):
            return raw
        source, privacy = (raw.get(name) for name in ("source", "privacy"))
        if not (isinstance(source, Mapping) and isinstance(privacy, Mapping)):
            return raw
        is_private = privacy.get("epsilon") is not None
        return {**raw, "source": {"structure": "off", **source}} if is_private else raw

    @model_validator(mode="after")
    def _private_as_a_whole(self) -> Self:
        """Refuse what would look at the records beside what epsilon pays for."""
        if self.privacy.epsilon is None:
            if self.privacy.total_epsilon is not None or self.privacy.delta != "auto":
                msg = (
                    "privacy.epsilon is null, so that nothing is spent; set it, or remove "
                    "privacy.delta and privacy.total_epsilon"
                )
                raise ValueError(msg)
            return self
        for setting, (is_wrong, remedy) in NOT_PRIVATE.items():
            if is_wrong(self):
                msg = f"privacy.epsilon (of tables alone) is set, and {setting}: {remedy}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _lift_that_is_required_is_measured(self) -> Self:
        if self.gate.require_lift != "no" and self.lift.when == "never":
            msg = (
                f"gate.require_lift is {self.gate.require_lift!r} and lift.when 'never', so that "
                "no generator could show it; set lift.when to changed, or gate.require_lift to no"
            )
            raise ValueError(msg)
        return self


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a YAML file, with `a.b=c` changes applied in order.

    Raises:
        RecipeError: the file cannot be read, a key is unknown, or a value is out of its range.
    """
    raw = _read_yaml(path)
    for change in changes:
        apply_change(raw, change)
    return parse_recipe(raw, where=str(path))


def parse_recipe(raw: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe of nested plain values.

    Raises:
        RecipeError: one sentence that names the first wrong key by its path.
    """
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        msg = f"{where}: {explain(error)}"
        raise RecipeError(msg) from None


def apply_change(raw: dict[str, Any], change: str) -> None:
    """Set one nested value in place: `training.budget_samples=20000`.

    Raises:
        RecipeError: the text is not `key=value`, or the path leads through a plain value.
    """
    path, equals, text = change.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        msg = f"--set takes key=value such as training.budget_samples=20000, not {_shown(change)}"
        raise RecipeError(msg)
    try:
        value = parse_yaml(text) if text else None
    except RecipeError:
        value = text
    place = raw
    for key in keys[:-1]:
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            msg = f"--set {path}: `{key}` holds a plain value and has no keys below it"
            raise RecipeError(msg)
    place[keys[-1]] = value


def apply_proposal(raw: dict[str, Any], proposal: Proposal) -> None:
    """Set what is proposed in place; an entry of a list is merged with that of its name."""
    *keys, last = proposal.setting.split(".")
    place = raw
    for key in keys:
        place[key] = place.get(key) or {}
        place = place[key]
    if last == "exclude":  # every proposal leaves out more
        place[last] = list(dict.fromkeys([*(place.get(last) or ()), *proposal.value]))
        return
    if last not in NAMED_LISTS:
        place[last] = proposal.value
        return
    entries = list(place.get(last) or [])
    old = next((one for one in entries if one["name"] == proposal.value["name"]), None)
    if old is None:
        place[last] = [*entries, proposal.value]
    else:
        place[last] = [old | proposal.value if one is old else one for one in entries]


def explain(error: ValidationError) -> str:
    """Return one sentence on the first mistake: path, value received, what is allowed."""
    mistakes = error.errors(include_url=False)
    first = mistakes[0]
    if first["type"] == "missing":  # it may be there under a misspelt name
        first = next((one for one in mistakes if one["type"] == "extra_forbidden"), first)
    path, owner = _locate(first["loc"])
    same = [one for one in mistakes if _locate(one["loc"])[0] == path]
    others = len({_locate(one["loc"])[0] for one in mistakes} - {path})
    tail = f" (and {others} more mistake{'s' if others > 1 else ''})" if others else ""
    return f"{_sentence(path, owner, same)}{tail}"


def _sentence(path: str, owner: type[BaseModel], same: Sequence[Any]) -> str:
    first = same[0]
    if first["type"] == "extra_forbidden":
        return f"the key `{path}` is unknown; {_suggest(path, owner)}"
    if first["type"] == "missing":
        return f"the key `{path}` is missing; add it to the recipe"
    rules = " or ".join(dict.fromkeys(_rule(one) for one in same))
    return f"`{path}` is {_shown(first['input'])}, but {rules}" if path else f"the recipe: {rules}"


def _shown(value: object) -> str:
    """Return a value of the recipe for a message: cut, without logins, keys and secrets."""
    return bounded(masked(repr(_hidden(value))), LONGEST_VALUE)


def _hidden(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: MASK if _SECRET.search(str(key)) else _hidden(v) for key, v in value.items()}
    return [_hidden(one) for one in value] if isinstance(value, list) else value


def _rule(mistake: Any) -> str:
    text = str(mistake["msg"])
    for opening in ("Value error, ", "Assertion failed, "):
        text = text.removeprefix(opening)
    if text.startswith(("Input should be ", "String should ", "Tuple should ", "List should ")):
        text = "should " + text.split(" should ", 1)[1]
    return text.replace("should be", "must be").replace("should ", "must ")


_FLAT_BOUND = re.compile(r"_(pass|block|low|high|drop|min)\b")
"""Ends of the names that single bounds had in recipes before `gate.bounds`."""


MOVED = {
    "source.sums": "`source.structure` says it now: found, named or off",
    "synthesis.truncation": (
        "it is `generator.truncation`, because what is judged must be what is published"
    ),
}
"""Keys that people look for elsewhere → where they are."""


def _suggest(path: str, owner: type[BaseModel]) -> str:
    known = [info.alias or name for name, info in owner.model_fields.items()]
    near = difflib.get_close_matches(path.rsplit(".", 1)[-1], known, n=1, cutoff=0.5)
    if owner is GateConfig and _FLAT_BOUND.search(path):
        return "write bounds as a list: bounds: [{metric: fd, pass: 10, block: 50}]"
    if path in MOVED:
        return MOVED[path]
    if near:
        parent = path.rpartition(".")[0]
        return f"did you mean `{f'{parent}.' if parent else ''}{near[0]}`?"
    return f"known here: {', '.join(known)}"


def _locate(loc: Sequence[int | str]) -> tuple[str, type[BaseModel]]:
    """Return the path as the user writes it and the model that owns its last key.

    pydantic appends the tried member of a union to the location; it is no key of the recipe.
    """
    owner: type[BaseModel] = Recipe
    below: type[BaseModel] | None = Recipe
    keys: list[str] = []
    for part in loc:
        if isinstance(part, int) and not keys:  # a number as a key of the recipe itself
            keys.append(str(part))
            below = None
        elif isinstance(part, int):
            keys[-1] += f"[{part}]"
        elif below is not None:
            keys.append(part)
            owner = below
            below = _model_below(owner, part)
    return ".".join(keys), owner


def _model_below(owner: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = owner.model_fields.get(key)
    kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
    models = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(models, None)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            raw = parse_yaml(file.read(MOST_LETTERS + 1))
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        msg = f"the recipe {path} cannot be read ({reason}); `ganmill init` writes one"
        raise RecipeError(msg) from None
    except UnicodeDecodeError:
        msg = f"the recipe {path} is not UTF-8 text; is it the right file?"
        raise RecipeError(msg) from None
    except RecipeError as error:
        msg = f"the recipe {path} {error}"
        raise RecipeError(msg) from None
    if not isinstance(raw, dict):
        msg = f"the recipe {path} holds {type(raw).__name__}, not keys and values"
        raise RecipeError(msg)
    return raw
