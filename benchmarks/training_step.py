"""The training step against a plain loop of the same networks: images per CPU-second, one thread.

    python -m benchmarks training_step

The plain loop is what a careful person writes after the papers: fakes made anew for each of the
two steps, reals and fakes through the discriminator one after the other, a gradient penalty as two
passes, torch's own dropout and layout of images, its default Adam, an average updated weight by
weight, float32, a DataLoader, the losses read after every step. The mathematics is the same. Both
sides run in turn, and each round is timed by processor seconds, as other work may run beside them.
"""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import process_time
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import in_turn
from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.device import fast_bfloat16, find_device
from gan.images.codec import ImageCodec
from gan.images.networks import build
from gan.images.networks.layers import StreamDropout
from gan.images.presets import resolve
from gan.randomness import numpy_stream, stream
from gan.training.augment import augment
from gan.training.batches import Batches
from gan.training.losses import ADVERSARIAL
from gan.training.objectives import Adversarial
from gan.training.regularizers import PENALTIES
from gan.training.state import TrainState, ema_decay


class Case(NamedTuple):
    """What is trained, and how long a round is."""

    shape: tuple[int, int, int]
    preset: str
    steps: int
    """Of a round; whole turns of the generator."""
    generator: Mapping[str, Any] = MappingProxyType({})
    """What is changed of the preset."""
    batch: int | None = None


CASES = {
    "mlp, 8 x 8 grey": Case((8, 8, 1), "mlp", 100),
    "resnet, 32 x 32 RGB": Case((32, 32, 3), "resnet", 1),
    "dcgan, 32 x 32 RGB": Case((32, 32, 3), "dcgan", 2),
    "sngan, 32 x 32 RGB": Case((32, 32, 3), "sngan", 5),
    "sngan, one step each": Case((32, 32, 3), "sngan", 3, {"discriminator_steps": 1}),
    "sngan, 128 channels, one step each": Case(
        (32, 32, 3), "sngan", 2, {"discriminator_steps": 1, "width": 128}, 16
    ),
}
"""Name → case; the last two as other measurements of this pair have them: as many steps of either
network, and in the last the published width."""

IMAGES, CLASSES, ROUNDS = 4096, 10, 5


def records(shape: tuple[int, int, int], rows: int) -> pa.Table:
    """Return noise with labels: a step's speed does not depend on what is on the images."""
    numbers = numpy_stream(0, "benchmark")
    images = numbers.integers(0, 256, (rows, *shape), dtype=np.uint8)
    labels = numbers.integers(0, CLASSES, rows)
    return pa.table({"image": pa.FixedShapeTensorArray.from_numpy_ndarray(images), "label": labels})


class Ours:
    """The step as the loop does it."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec, table: pa.Table) -> None:
        self.config = config
        self.place = find_device("cpu", precision=config.precision, threads=1)
        self.state = TrainState(config, codec, self.place)
        self.batches = Batches(codec.encode(table), codec, self.place, seed=0)
        self.objective = Adversarial(config, self.place)

    def run(self, steps: int) -> None:
        """Train for some steps."""
        config, state = self.config, self.state
        with self.place.configured():
            for _ in range(steps):
                seen = state.progress.samples_seen
                batch = self.batches.take(seen, config.batch_size, config.latent)
                state.after_step(self.objective.step(state, batch, 0.5), 0.5)


def contiguous(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ARG001 - a hook
    """Return a module's maps in torch's own layout."""
    return (inputs[0].contiguous(), *inputs[1:])


def made_plain(network: nn.Module) -> None:
    """Let a network compute in torch's own layout, and drop units by torch's own dropout."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, StreamDropout):
                setattr(parent, name, nn.Dropout(child.share))
    for name, child in network.named_children():
        first = child[0] if name == "blocks" and isinstance(child, nn.ModuleList) else child
        if name in ("body", "blocks"):
            first.register_forward_pre_hook(contiguous)


class Plain:
    """The same networks in a plain loop."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec, table: pa.Table) -> None:
        self.config, self.codec = config, codec
        self.generator, discriminator = build(config, codec, stream(0, "weights"))
        if discriminator is None or config.penalty not in ("none", "r1-r2", "spectral-norm"):
            raise ValueError(config.preset)
        self.discriminator: nn.Module = discriminator
        for network in (self.generator, self.discriminator):
            made_plain(network)
        if config.penalty == "spectral-norm":
            for layer in list(self.discriminator.modules()):
                if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
                    nn.utils.parametrizations.spectral_norm(layer)
        self.loss = ADVERSARIAL[config.loss]
        self.average = copy.deepcopy(self.generator)
        betas = (config.beta1, config.beta2)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), config.learning_rate, betas)
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), config.learning_rate, betas)
        encoded = codec.encode(table)
        data = TensorDataset(
            torch.from_numpy(np.array(encoded.values)), torch.from_numpy(encoded.labels_N)
        )
        self.loader = DataLoader(data, config.batch_size, shuffle=True, drop_last=True)
        self.numbers = stream(0, "plain")
        self.seen = 0
        self.losses: list[float] = []

    def batches(self) -> Iterator[list[Tensor]]:
        """Yield batches for ever."""
        while True:
            yield from self.loader

    def fakes(self, labels_N: Tensor) -> Tensor:
        """Return augmented fakes of fresh latents."""
        z_NZ = torch.randn(len(labels_N), self.config.latent, generator=self.numbers)
        fakes: Tensor = augment(
            self.generator(z_NZ, labels_N),
            self.config.augment,
            self.config.augment_share,
            self.numbers,
        )
        return fakes

    def penalty(self, images: Tensor, logits_N: Tensor) -> Tensor:
        """Return E ||∇ D||² of one side."""
        (gradients,) = torch.autograd.grad(logits_N.sum(), images, create_graph=True)
        return gradients.square().sum() / len(images)

    def run(self, steps: int) -> None:
        """Train for some steps of the discriminator."""
        batches = self.batches()
        for step in range(steps):
            values, labels_N = next(batches)
            plain_reals = self.codec.to_samples(values)
            self.step_discriminator(plain_reals, labels_N)
            if (step + 1) % self.config.discriminator_steps == 0:
                self.step_generator(plain_reals, labels_N)
            self.step_average(len(labels_N))

    def step_discriminator(self, plain_reals: Tensor, labels_N: Tensor) -> None:
        """Pull the discriminator once."""
        penalised = PENALTIES[self.config.penalty].gradient is not None
        reals = augment(
            plain_reals, self.config.augment, self.config.augment_share, self.numbers
        ).requires_grad_(penalised)
        fakes = self.fakes(labels_N).detach().requires_grad_(penalised)
        real_logits_N = self.discriminator(reals, labels_N)
        fake_logits_N = self.discriminator(fakes, labels_N)
        loss = self.loss.discriminator(real_logits_N, fake_logits_N)
        total = loss
        if penalised:
            penalties = self.penalty(reals, real_logits_N) + self.penalty(fakes, fake_logits_N)
            total = loss + self.config.gamma / 2 * penalties
        self.adam_d.zero_grad()
        total.backward()
        self.adam_d.step()
        self.losses.append(loss.item())

    def step_generator(self, plain_reals: Tensor, labels_N: Tensor) -> None:
        """Pull the generator once."""
        real_logits_N = torch.zeros(0)
        if self.loss.pairwise:
            reals = augment(
                plain_reals, self.config.augment, self.config.augment_share, self.numbers
            )
            real_logits_N = self.discriminator(reals, labels_N)
        fake_logits_N = self.discriminator(self.fakes(labels_N), labels_N)
        loss = self.loss.generator(real_logits_N, fake_logits_N)
        self.adam_g.zero_grad()
        loss.backward()
        self.adam_g.step()
        self.losses.append(loss.item())

    @torch.no_grad()
    def step_average(self, count: int) -> None:
        """Move the average."""
        self.seen += count
        config = self.config
        decay = ema_decay(
            self.seen, count, half_life_samples=config.ema_half_life_samples, ramp=config.ema_ramp
        )
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for average, current in pairs:
            average.lerp_(current, 1 - decay)


def main() -> dict[str, dict[str, float]]:
    """Time both loops in turn and return images per processor second."""
    return measure(CASES, images=IMAGES, rounds=ROUNDS)


def tiny(_: Path) -> dict[str, dict[str, float]]:
    """Do one turn of every case."""
    cases = {name: case._replace(steps=min(case.steps, 5)) for name, case in CASES.items()}
    return measure(cases, images=512, rounds=1)


def measure(cases: dict[str, Case], *, images: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return images per processor second of both loops, on so many images, over so many rounds.

    Where the processor multiplies bfloat16, ours is timed without it, too.
    """
    torch.set_num_threads(1)
    results = {}
    for name, case in cases.items():
        table = records(case.shape, images)
        codec = ImageCodec.fit(table, "label")
        config = resolve(
            GeneratorConfig.model_validate({"preset": case.preset, **case.generator}),
            TrainingConfig(batch_size=case.batch or "auto", device="cpu"),
            codec,
            train_rows=images,
            seed=0,
        ).model_copy(update={"threads": 1})
        plain = Plain(config, codec, table)
        seen = case.steps * config.batch_size
        results[name] = {"batch_size": config.batch_size}
        precisions = {"": config.precision}
        if config.precision != "float32" and fast_bfloat16("cpu"):
            precisions["_float32"] = "float32"
        for suffix, precision in precisions.items():
            ours = Ours(config.model_copy(update={"precision": precision}), codec, table)
            compared = in_turn(
                lambda: ours.run(case.steps),  # noqa: B023
                lambda: plain.run(case.steps),  # noqa: B023
                rounds=rounds,
                clock=process_time,
            )
            results[name] |= {
                f"ours_images_per_s{suffix}": seen / compared.ours_median_s,
                f"plain_images_per_s{suffix}": seen / compared.theirs_median_s,
                f"ratio{suffix}": compared.ratio,
            }
    return results
