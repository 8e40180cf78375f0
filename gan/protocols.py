"""The seams of training: networks that a modality brings, and what the loop calls back.

Shapes: N records or samples, Z latent; a modality's own letters are explained in its files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from gan.codecs import Encoded
from gan.errors import ConfigError
from gan.report import Event
from storage.records.schema import ClassCounts


class PresetEntry(NamedTuple):
    """One line of a modality's `PRESETS`."""

    summary: str
    source: str
    """Paper and section."""
    example: Callable[[], object] | None = None
    """Its numbers for records of a usual size; None where they all follow the records."""
    example_of: str = ""
    """What that size is."""
    sizes: str = ""
    """Of which records it takes; empty: of all that its modality has."""


class Pairs(NamedTuple):
    """What a discriminator compares in one step: as many reals as fakes."""

    reals: Tensor
    fakes: Tensor
    loss: Tensor | None = None
    """What the generator minimises of its own, beside the loss on the logits."""


Draw = Callable[[Tensor, Tensor], Tensor]
"""From `z_NZ` and `labels_N` to samples in tensor form."""


class Generator(nn.Module):
    """Maps latents and classes to samples."""

    settled: bool = False
    """Whether training is in its last part, in which no units are dropped."""
    has_likelihood: bool = False
    """Whether `log_likelihood` can be asked."""
    described: int | None = None
    """How many of the latent's first values `first_features` depends on; None: all."""
    complete_when_fitted: bool = False
    """Whether `fit` leaves what may be shipped, so that no training makes it worse."""
    choosing: int = 0
    """How many of the latent's first values choose, such as the component of a mixture: with these
    a sample jumps, with all others it changes little by little."""

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return samples in tensor form; `labels_N` is ignored by an unconditional generator."""
        raise NotImplementedError

    def pairs(
        self,
        reals: Tensor,
        z_NZ: Tensor,
        labels_N: Tensor,
        stream: torch.Generator,  # noqa: ARG002 - for those that draw
    ) -> Pairs:
        """Return what a discriminator sees in training: the reals and fakes of their classes.

        Where samples are not differentiable, such as categories, both are in a form that is.
        """
        return Pairs(reals, self(z_NZ, labels_N))

    def fit(self, encoded: Encoded, seed: int) -> None:
        """Learn from all training records at once, before the first step.

        Args:
            encoded: the records of split train.
            seed: root of every random stream.
        """
        del encoded, seed

    def latents(self, rows: int, numbers: torch.Generator) -> Tensor | None:
        """Return `z_NZ` on the processor; None leaves it to the sampler: normal, of its spread.

        Where there is a discriminator the first `config.latent` numbers of a row are normal: these
        are truncated.

        Args:
            rows: N.
            numbers: the stream that they are drawn from.
        """
        del rows, numbers
        return None

    def first_features(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor | None:
        """Return what comes first of latents, (N, …), in which main directions are sought.

        None leaves it to be found: the output of the first layer that depends on the latent.
        """
        del z_NZ, labels_N
        return None

    def conditioned(self, allowed_CK: np.ndarray[Any, np.dtype[np.bool_]] | None) -> Draw:
        """Return what draws samples under conditions.

        Args:
            allowed_CK: which of all K codes of a record are allowed, as `ConditionalCodec.allowed`
                returns it. Record i meets row `labels_N[i]`; every record meets row 0 when there
                is only one. None: no conditions but the classes in `labels_N`.

        Raises:
            ConfigError: this generator takes no conditions.
        """
        if allowed_CK is not None:
            msg = (
                "synthesis.given asks for conditions and this generator takes none: remove them, "
                "or choose another generator.preset"
            )
            raise ConfigError(msg)
        return self

    def log_likelihood(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return the log-likelihood of each sample in nats, the same at every call, shape (N,).

        Args:
            samples: as networks see them.
            labels_N: their classes, for generators to which these are given.
        """
        raise NotImplementedError

    def loss(self, samples: Tensor, labels_N: Tensor, stream: torch.Generator) -> Tensor:
        """Return what training without a discriminator minimises, with gradients.

        Mean nats per sample by likelihood, the mean error of a pixel by denoising.
        """
        raise NotImplementedError

    def add_clipped(
        self, samples: Tensor, labels_N: Tensor, stream: torch.Generator, longest: float
    ) -> None:
        """Add to the gradients what those of the samples sum to, each scaled to at most a length.

        Args:
            samples: in tensor form.
            labels_N: their classes.
            stream: of this step, on the processor.
            longest: length of a sample's gradient over all weights, at most.

        Raises:
            ConfigError: this generator cannot be trained with differential privacy.
        """
        del samples, labels_N, stream, longest
        msg = (
            f"{type(self).__name__} knows no gradients of single records, which privacy.epsilon "
            "takes: choose another generator.preset, or set privacy.epsilon to null"
        )
        raise ConfigError(msg)

    def finish(self, samples: Callable[[], Tensor], seed: int, most: int) -> bool:
        """Change the weights that were chosen a last time, in place; return whether it did.

        Training ships them, unless its assessment finds them worse than they were. What comes out
        depends on the weights and the arguments alone.

        Args:
            samples: returns all training samples, in tensor form.
            seed: of the training.
            most: samples that may be learnt from, counted as often as they are.
        """
        del samples, seed, most
        return False

    def begin(self, objective: str) -> None:
        """Change what has to be changed before the first step of a phase with this objective."""
        del objective

    def seen(self, samples: Tensor) -> Tensor:
        """Return samples as the discriminator sees them."""
        return samples


class Discriminator(nn.Module):
    """Maps samples and classes to one logit each, higher for real."""

    stream: torch.Generator | None = None
    """Randoms of the present step, set by the objective, for those that drop units."""
    compares_batches: bool = False
    """Whether it can see how different neighbours in a batch are (`minibatch-deviation`)."""
    sees_images: bool = False
    """Whether what it sees are whole images, which augmentations change."""

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`; `labels_N` is ignored by an unconditional discriminator."""
        raise NotImplementedError

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return what the last layer makes the logits of, one row per logit.

        Raises:
            ConfigError: this discriminator does not show them.
        """
        del samples, labels_N
        msg = (
            f"{type(self).__name__} shows no features: remove feature-matching from "
            "generator.terms, or choose another generator.preset"
        )
        raise ConfigError(msg)


class Networks(NamedTuple):
    """The networks of one training, freshly initialised."""

    generator: Generator
    discriminator: Discriminator | None
    """None where no phase is adversarial."""


class SampleFn(Protocol):
    """The averaged generator as it stands, as an assessment sees it."""

    def __call__(self, rows: ClassCounts | int) -> pa.Table:
        """Synthesize so many rows of each class, or so many rows when unconditional.

        Every call of one training starts from the same latents, so two ticks are a paired
        comparison.
        """

    def log_likelihood(self, records: pa.Table) -> np.ndarray[Any, Any] | None:
        """Return nats per record, float64 (N,); None for a generator that cannot say."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How good the generator is now, on validation records."""

    metrics: Mapping[str, float]
    """Written to `stats.jsonl` and the training curves."""
    rank: float
    """Lower is better; comparable over the ticks of one training; infinite when unusable."""
    copies: float
    """Share of samples nearer to a training record than the validation threshold allows."""
    full_coverage: bool
    """Whether coverage has reached what the gate asks for."""
    copies_noise: float = 0.0
    """Standard deviation of `copies` by the choice of the validation records alone."""
    gate_rank: float | None = None
    """By the gate's measures alone, where `rank` is by something that not every preset has."""

    @property
    def shared_rank(self) -> float:
        """Lower is better; comparable over trainings of any preset on the same records."""
        return self.rank if self.gate_rank is None else self.gate_rank


class Assess(Protocol):
    """Measures a generator while it trains."""

    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:
        """Return the assessment of the generator behind `sample`."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One line of `stats.jsonl`: progress, losses and assessment at one maintenance."""

    samples_seen: int
    progress: float
    """Share of the budget that is used, 0 to 1."""
    seconds: float
    """Training time so far, over all runs."""
    cpu_s: float
    """Processor time so far, over all threads and runs."""
    samples_per_s: float
    """Rate since the previous tick."""
    metrics: Mapping[str, float]
    """Mean losses since the previous tick, learning rate, gamma, and the assessment's metrics."""


class Frame(NamedTuple):
    """What the strip's latents and classes are at one moment of a training."""

    samples_seen: int
    values: np.ndarray[Any, Any]
    """As the codec stores samples, one per row of the strip."""


class Beat(NamedTuple):
    """How far a training is, between ticks."""

    samples_seen: int
    left_s: float | None
    """How long the budgets of time still last; None where there is none."""
    busy: str | None = None
    """What share of the processor was had, in a few words, where it is much less than asked for."""


def _ignore(_: object) -> None:
    """Do nothing."""


def _never() -> bool:
    """Never stop."""
    return False


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the loop calls: everything a caller may observe or steer."""

    assess: Assess | None = None
    """Chooses the snapshot; without it the last average is the snapshot."""
    validation: pa.Table | None = None
    """Records that training never sees, by which it knows whether a discriminator learns the others
    by heart; without them nothing is done about that."""
    on_tick: Callable[[Tick], None] = _ignore
    on_frame: Callable[[Frame], None] = _ignore
    """Called with the frames of the strip that are kept when a training begins or goes on, then
    after every `on_tick` with the newest; never where records are no pictures."""
    on_event: Callable[[Event], None] = _ignore
    """Called with what the watch did, such as a repair."""
    on_progress: Callable[[Beat], None] = _ignore
    """Called about once a second, however long a tick lasts."""
    on_checkpoint: Callable[[Path], None] = _ignore
    """Called with a complete checkpoint folder, which lives until a newer one exists, that of a
    tick until two newer ticks do; between ticks about once a minute."""
    should_stop: Callable[[], bool] = _never
    """Asked before every step; True writes a checkpoint and raises `Interrupted`."""
    at_once: int | None = None
    """Most samples that go through the networks at once, where an earlier attempt ran out of
    memory."""
    wall_s: Callable[[], float] = perf_counter
    """Measures wall time."""
    cpu_s: Callable[[], float] = process_time
    """Measures processor time."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One number over the training, for the report's training curves."""

    name: str
    samples_seen: Sequence[int] = field(default=())
    values: Sequence[float] = field(default=())
