"""What a user may choose about a generator and its training, and what `auto` made of it.

Knows pydantic only, so that a recipe can be read and checked without torch.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

ALGORITHM_VERSION = 12
"""Raised when the same input gives other weights or samples; tests/gan/test_golden.py says when."""


class FrozenModel(BaseModel):
    """Immutable, refuses unknown fields, and takes each field's docstring as its description."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class TermConfig(FrozenModel):
    """A technique beside the adversarial loss."""

    name: str = Field(title="Name")
    """Of those that `ganmill presets` lists as terms, such as `feature-matching`."""
    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = Field("auto", title="Strength")
    """What it is multiplied by, or its parameter; `auto`: what `ganmill presets --json` says."""


class GeneratorConfig(FrozenModel):
    """The recipe's `generator`: which networks, and the few knobs that matter."""

    preset: str = Field("auto", title="Preset")
    """`auto`, or a name that `ganmill presets` lists for the modality of the records, such as
    `mixture`, `modern` or `dcgan` for images, `autoregressive` or `ctgan` for tables."""
    width: Annotated[int, Field(ge=16, le=4096)] | Literal["auto"] = Field("auto", title="Width")
    """Units of a generator's hidden layers; of a `resnet`, channels at its highest resolution."""
    gamma: Annotated[float, Field(ge=0)] | Literal["auto"] = Field("auto", title="Gamma")
    """Strength of the gradient penalties on the discriminator: more is steadier, less is sharper.
    Presets that train by likelihood have no discriminator and refuse it."""
    learning_rate: Annotated[float, Field(gt=0, le=0.1)] | Literal["auto"] = Field(
        "auto", title="Learning rate"
    )
    """Adam's step size at the start of training, for every network."""
    loss: str = Field("auto", title="Loss")
    """`auto`, or a loss that `ganmill presets` lists, such as `hinge`: what discriminator and
    generator minimise. Of presets that train by likelihood it is refused, as what follows here."""
    penalty: str = Field("auto", title="Penalty")
    """`auto`, or what keeps the discriminator smooth, such as `spectral-norm`. Pairs of loss and
    penalty that do not train are refused with the reason."""
    optimizer: str = Field("auto", title="Optimizer")
    """`auto`, `adam`, `adamw`, `rmsprop` or `sgd`, for every network."""
    terms: tuple[TermConfig, ...] | Literal["auto"] = Field("auto", title="Terms")
    """`auto`, or techniques and their strengths, such as `{feature-matching: 1}`; `{}`: none."""
    discriminator_steps: Annotated[int, Field(ge=1, le=100)] | Literal["auto"] = Field(
        "auto", title="Discriminator steps"
    )
    """Steps of the discriminator, each on its own batch, for one of the generator."""
    discriminator_rate: Annotated[float, Field(gt=0, le=100)] | Literal["auto"] = Field(
        "auto", title="Discriminator rate"
    )
    """The discriminator's learning rate, in those of the generator: two time scales (Heusel et al.
    2017)."""
    latent: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = Field("auto", title="Latent")
    """Length of the vector that a sample is made from."""
    truncation: Annotated[float, Field(gt=0, le=10)] | None = Field(None, title="Truncation")
    """Largest size of a latent's values when synthesizing (Brock et al., BigGAN, 2019, section
    3.1): smaller is more typical and less varied. Here, not with the synthesis, because what is
    judged must be what is published."""
    augment: tuple[str, ...] | Literal["auto", "off"] = Field("auto", title="Augment")
    """Whether the discriminator sees changed images, which delays copying of real ones: `auto` as
    the preset has it, `off`, or of `translate`, `cutout` and `colour`. Tables are not augmented, so
    that `auto` and `off` are the same for them."""
    depth: Annotated[int, Field(ge=1, le=16)] | Literal["auto"] = Field("auto", title="Depth")
    """Hidden layers of a dense generator; of a `resnet`, blocks at each resolution."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field("auto", title="Dropout")
    """Share of hidden units that are left out of a training step, of presets that leave out any."""
    weight_decay: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto", title="Weight decay"
    )
    """Share of every matrix that a training step takes away, times the learning rate (AdamW)."""

    @field_validator("terms", mode="before")
    @classmethod
    def _terms_by_name(cls, value: object) -> object:
        """Accept `{feature-matching: 1}`, as a person writes it."""
        if isinstance(value, dict):
            return [{"name": name, "strength": strength} for name, strength in value.items()]
        return value

    @field_validator("augment", mode="before")
    @classmethod
    def _augment_by_name(cls, value: object) -> object:
        """Accept `augment: off`, which YAML reads as false, a single name, and none of them."""
        if isinstance(value, str) and value not in ("auto", "off"):
            return (value,)
        return value or "off"


LATER_KNOBS = frozenset(
    {
        *("depth", "dropout", "weight_decay", "loss", "penalty", "optimizer", "terms"),
        *("discriminator_steps", "discriminator_rate", "latent", "truncation"),
    }
)
"""Fields of `GeneratorConfig` that came after the first train keys: in a key only where set."""


class TargetConfig(FrozenModel):
    """What validation reaches before training ends early."""

    metric: str = Field(title="Metric")
    """What the assessment of a training measures, such as `coverage` or `fd_ratio`."""
    value: float = Field(title="Value", ge=0)
    """At least so high, or at most so high where less is better."""


class TrainingConfig(FrozenModel):
    """The recipe's `training`: how long, in what batches, on what device."""

    budget_samples: Annotated[int, Field(ge=1)] | Literal["auto"] | None = Field(
        "auto", title="Budget in samples"
    )
    """Real records shown before training ends; a record shown twice counts twice. `auto`: 400,000
    images, and for tables what the preset takes for so many rows."""
    budget_s: float | None = Field(None, title="Budget in seconds", gt=0)
    """Seconds of wall time before training ends; the first budget to run out ends it. On a busy
    machine they buy less training: the report says what share of the processor was had."""
    budget_cpu_s: float | None = Field(None, title="Budget in CPU seconds", gt=0)
    """Seconds of processor time, over all threads, before training ends: the same amount of work on
    an idle and on a busy machine. On a GPU the processor mostly waits: use `budget_s` there."""
    batch_size: Annotated[int, Field(ge=2, le=65_536)] | Literal["auto"] = Field(
        "auto", title="Batch size"
    )
    """Real records per optimiser step."""
    device: Literal["auto", "cpu", "cuda"] = Field("auto", title="Device")
    """`auto` takes CUDA where there is a device, else the processor."""
    devices: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field("auto", title="Devices")
    """Devices that train together, each on its part of every batch: `auto` takes all GPUs of the
    machine, or one process on the processor. The batch stays the same, whatever their number."""
    when: Literal["changed", "always", "interval"] = Field("changed", title="When")
    """`changed`: when source, split or settings have changed. `interval`: also then not before the
    champion is `interval_days` old, unless it fails on today's records. `always`: every night."""
    interval_days: int = Field(7, title="Interval in days", ge=1)
    """Age at which a champion is due for a successor, with `when: interval` only."""
    tensorboard: bool = Field(False, title="TensorBoard")
    """Write event files for TensorBoard beside the checkpoints while it trains: losses, assessment,
    speed, and for images the same latents at every tick. Takes `ganmill[tensorboard]`."""
    until: tuple[TargetConfig, ...] = Field((), title="Until")
    """Training ends early when validation reaches all of these targets, such as `{coverage: 0.95,
    fd_ratio: 2}`: what is better when it is higher is at least so high, else at most."""

    @field_validator("until", mode="before")
    @classmethod
    def _until_by_name(cls, value: object) -> object:
        """Accept `{coverage: 0.95}`, as a person writes it."""
        if isinstance(value, dict):
            return [{"metric": metric, "value": number} for metric, number in value.items()]
        return value

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        budgets = (self.budget_samples, self.budget_s, self.budget_cpu_s)
        if all(budget is None for budget in budgets):
            msg = (
                "training.budget_samples, training.budget_s and training.budget_cpu_s are all "
                "null: set at least one"
            )
            raise ValueError(msg)
        return self


LATER = (
    "private",
    "budget_cpu_s",
    "optimizer",
    "discriminator_steps",
    "discriminator_rate",
    "truncation",
    "augment_share",
    "until",
    "ranks",
    "regularized",
)
"""Fields that came after the first snapshots: written only where they are not the default."""


class PhaseConfig(FrozenModel):
    """One stretch of training under one objective."""

    objective: Literal["adversarial", "likelihood", "denoising", "fitted", "private"]
    """Name in `gan.training.objectives.OBJECTIVES`."""
    fraction: float = Field(gt=0, le=1)
    """Share of the budget; the fractions of all phases sum to 1."""
    most_samples: int | None = Field(None, gt=0)
    """After so many the next phase begins, however large the budget is."""
    learning_rate: float | None = Field(None, gt=0)
    """Step size at its start, where it is not the configuration's."""
    beta1: float | None = Field(None, ge=0, lt=1)
    """Adam's decay of the mean, where it is not the configuration's."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not set: digests of earlier configurations stay."""
        data: dict[str, Any] = serialize(self)
        return {name: value for name, value in data.items() if value is not None}


class PrivateConfig(FrozenModel):
    """What a differentially private training takes and gives: see `gan.accounting`."""

    epsilon: float = Field(gt=0)
    """Of codec and training together."""
    delta: float = Field(gt=0, lt=1)
    """Of both."""
    noise: float = Field(gt=0)
    """Standard deviation of the noise on a step's summed gradients, in longest gradients."""
    clip: float = Field(gt=0)
    """Length of the longest gradient of one record."""
    sample_rate: float = Field(gt=0, le=1)
    """Probability with which a record takes part in a step."""
    steps: int = Field(ge=1)
    """Of the whole training."""
    count_noise: float = Field(gt=0)
    """Standard deviation of the noise on the codec's counts."""
    questions: int = Field(ge=1)
    """Histograms that the codec counts."""


class ResolvedConfig(FrozenModel):
    """A complete set-up: everything `auto` picked, nothing left open, written as `config.json`.

    The device is not part of it; the numbers of threads and of ranks and the precision are, because
    they change the weights in their last bits.
    """

    algorithm_version: int
    """Version of loop, losses and networks that this configuration was made for."""
    modality: str
    """Name in `storage.records.modalities.MODALITIES`."""
    preset: str
    """Name in the modality's `PRESETS`."""
    network: dict[str, int | float | str]
    """Choices of the modality's networks, validated by its `build`."""
    augment: tuple[str, ...]
    """Names in `gan.training.augment.AUGMENTATIONS`, in the order in which they are applied."""
    latent: int = Field(ge=1)
    """Length of the latent `z`, standard normal in training."""
    latent_spread: float = Field(gt=0)
    """Standard deviation of `z` when synthesizing; above 1 it widens what the average narrows."""
    batch_size: int = Field(ge=2)
    """Real samples per optimiser step."""
    learning_rate: float = Field(gt=0)
    """Adam's step size at the start."""
    learning_rate_end: float = Field(gt=0)
    """Adam's step size at the end (cosine in between)."""
    beta1: float = Field(ge=0, lt=1)
    """Adam's decay of the mean."""
    beta2: float = Field(ge=0, lt=1)
    """Adam's decay of the variance."""
    gamma: float = Field(ge=0)
    """Strength of the gradient penalty at the start; half of it weighs the squares."""
    gamma_end: float = Field(ge=0)
    """Strength of the gradient penalty at the end (cosine in between)."""
    penalty_interval: int = Field(ge=1)
    """The penalty is computed every so many steps, that many times as strong."""
    ema_half_life_samples: int = Field(ge=1)
    """Samples after which a weight's share in the average has halved."""
    ema_ramp: float = Field(gt=0)
    """Early on the half-life is at most this share of `samples_seen`."""
    budget_samples: int | None
    """Samples to train on."""
    budget_s: float | None
    """Seconds of wall time to train for."""
    phases: tuple[PhaseConfig, ...]
    """What is optimised, in order."""
    tick_samples: int = Field(ge=1)
    """Samples between two maintenances: assessment, checkpoint, line of `stats.jsonl`."""
    patience_samples: int = Field(ge=1)
    """Training stops early after so many samples without a better snapshot."""
    max_repairs: int = Field(ge=0)
    """How often in a row training may go back after it failed, before it is given up."""
    sampling_batch: int = Field(ge=1)
    """Samples per forward pass when synthesizing; fixed, because a different cut changes pixels."""
    precision: Literal["float32", "bfloat16", "bfloat16-products"]
    """Number format of the networks' products; weights and losses stay float32."""
    threads: int = Field(ge=1)
    """Threads inside one operation on the processor."""
    seed: int
    """Root of every random stream of the training."""
    notes: tuple[str, ...]
    """What `auto` picked and why, one plain sentence each."""
    weight_decay: float = Field(0.0, ge=0)
    """Share of every matrix that is taken away per step, times the learning rate (AdamW)."""
    loss: str = "relativistic"
    """Name in `gan.training.losses.ADVERSARIAL`; of no use to other objectives."""
    penalty: str = "r1-r2"
    """Name in `gan.training.regularizers.PENALTIES`; of no use to other objectives."""
    budget_cpu_s: float | None = None
    """Seconds of processor time to train for, over all threads."""
    terms: dict[str, float] = Field(default_factory=dict)
    """Name in `gan.training.techniques.TECHNIQUES` → strength."""
    optimizer: str = "adam"
    """Name in `gan.training.optimizers.OPTIMIZERS`."""
    discriminator_steps: int = Field(1, ge=1)
    """Steps of the discriminator, each on its own batch, for one of the generator."""
    discriminator_rate: float = Field(1.0, gt=0)
    """The discriminator's learning rate, in learning rates (two time scales)."""
    truncation: float | None = Field(None, gt=0)
    """Largest size of a value of `z` when synthesizing; None: any."""
    augment_share: float = Field(0.3, ge=0, le=1)
    """Share of samples that each augmentation changes at first, and at least."""
    until: dict[str, float] = Field(default_factory=dict)
    """Targets on validation that end training when all are reached."""
    ranks: int = Field(1, ge=1)
    """Processes that train together, one for each device, each on an equal part of every batch."""
    regularized: float = Field(1.0, gt=0, le=1)
    """Share of the budget after which no weights decay and no units are dropped."""
    private: PrivateConfig | None = None
    """How it is differentially private; None: it is not."""

    @property
    def is_fitted(self) -> bool:
        """Whether the generator is complete before the first step."""
        return all(phase.objective == "fitted" for phase in self.phases)

    @property
    def asked_threads(self) -> int:
        """Threads of all ranks together."""
        return self.threads * self.ranks

    @property
    def is_timed(self) -> bool:
        """Whether a budget of time may end the training, so that it depends on the machine."""
        return self.budget_s is not None or self.budget_cpu_s is not None

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not used: digests of earlier configurations stay."""
        data: dict[str, Any] = serialize(self)
        later = {
            name: type(self).model_fields[name].get_default(call_default_factory=True)
            for name in LATER
        }
        return {
            name: value for name, value in data.items() if name not in later or value != later[name]
        }
