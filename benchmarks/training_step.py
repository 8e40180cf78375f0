"""The training step against a plain loop of the same networks: images per second, one core.

    python -m benchmarks training_step

The plain loop is what a careful person writes after the papers: fakes made anew for each of the
two steps, reals and fakes through the discriminator one after the other, R1 and R2 as two passes,
torch's default Adam, an average updated weight by weight, float32, a DataLoader, the losses read
after every step. The mathematics is the same.
"""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import in_turn
from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.device import find_device
from gan.images.codec import ImageCodec
from gan.images.networks import build
from gan.images.presets import resolve
from gan.randomness import numpy_stream, stream
from gan.training.augment import augment
from gan.training.batches import Batches
from gan.training.objectives import Adversarial
from gan.training.state import TrainState, ema_decay

CASES = {
    "mlp, 8 x 8 grey": ((8, 8, 1), "mlp", 400),
    "resnet, 32 x 32 RGB": ((32, 32, 3), "resnet", 1),
}
"""What is trained: shape, preset, steps per round."""

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


class Plain:
    """The same networks in a plain loop."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec, table: pa.Table) -> None:
        self.config, self.codec = config, codec
        self.generator, self.discriminator = build(config, codec, stream(0, "weights"))
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
        """Train for some steps."""
        batches = self.batches()
        for _ in range(steps):
            values, labels_N = next(batches)
            plain_reals = self.codec.to_samples(values)
            self.step_discriminator(plain_reals, labels_N)
            self.step_generator(plain_reals, labels_N)
            self.step_average(len(labels_N))

    def step_discriminator(self, plain_reals: Tensor, labels_N: Tensor) -> None:
        """Pull the discriminator once."""
        reals = augment(
            plain_reals, self.config.augment, self.config.augment_share, self.numbers
        ).requires_grad_()
        fakes = self.fakes(labels_N).detach().requires_grad_()
        real_logits_N = self.discriminator(reals, labels_N)
        fake_logits_N = self.discriminator(fakes, labels_N)
        penalties = self.penalty(reals, real_logits_N) + self.penalty(fakes, fake_logits_N)
        loss = softplus(fake_logits_N - real_logits_N).mean()
        self.adam_d.zero_grad()
        (loss + self.config.gamma / 2 * penalties).backward()
        self.adam_d.step()
        self.losses.append(loss.item())

    def step_generator(self, plain_reals: Tensor, labels_N: Tensor) -> None:
        """Pull the generator once."""
        reals = augment(plain_reals, self.config.augment, self.config.augment_share, self.numbers)
        real_logits_N = self.discriminator(reals, labels_N)
        fake_logits_N = self.discriminator(self.fakes(labels_N), labels_N)
        loss = softplus(real_logits_N - fake_logits_N).mean()
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
    """Time both loops in turn and return images per second."""
    return measure(CASES, images=IMAGES, rounds=ROUNDS)


def tiny(_: Path) -> dict[str, dict[str, float]]:
    """Do one step of every case."""
    cases = {name: (shape, preset, 1) for name, (shape, preset, _) in CASES.items()}
    return measure(cases, images=512, rounds=1)


def measure(
    cases: dict[str, tuple[tuple[int, int, int], str, int]], *, images: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Return images per second of both loops, on so many images, over so many rounds."""
    torch.set_num_threads(1)
    results = {}
    for name, (shape, preset, steps) in cases.items():
        table = records(shape, images)
        codec = ImageCodec.fit(table, "label")
        config = resolve(
            GeneratorConfig(preset=preset), TrainingConfig(), codec, train_rows=images, seed=0
        ).model_copy(update={"threads": 1})
        ours, plain = Ours(config, codec, table), Plain(config, codec, table)
        compared = in_turn(lambda: ours.run(steps), lambda: plain.run(steps), rounds=rounds)  # noqa: B023
        seen = steps * config.batch_size
        results[name] = {
            "batch_size": config.batch_size,
            "ours_images_per_s": seen / compared.ours_median_s,
            "plain_images_per_s": seen / compared.theirs_median_s,
            "ratio": compared.ratio,
        }
    return results
