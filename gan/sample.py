"""Synthesis: records from a generator, shard by shard, the same on any number of workers.

A shard's randoms depend on (seed, index) alone. Forward passes have one fixed size, the last one
padded, on one thread: another cut or thread count would change the last bits of some pixels.

Where records are made under conditions, `gan.selection` says how they are drawn.

Shapes: N records, B records of one forward pass, Z latent, C classes (1 where the generator draws
the class too), K codes of a record.
"""

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gan.codecs import Codec, ConditionalCodec, Repaired, ShardRequest
from gan.config import ALGORITHM_VERSION, ResolvedConfig
from gan.device import find_device
from gan.errors import ConfigError, OutdatedError, SnapshotError
from gan.modalities import load_modality
from gan.protocols import Draw, Generator
from gan.randomness import stream
from gan.selection import (
    LEAST_SHARE,
    Drawing,
    Free,
    Labels,
    Selection,
    Shares,
    Strata,
    Stratified,
    Values,
    measure_shares,
    measure_strata,
)
from gan.snapshot import Snapshot, load_snapshot
from storage.records.modalities import words_of
from storage.records.schema import ClassCounts, Condition

Allowed = np.ndarray[Any, np.dtype[np.bool_]]

PURPOSE = "synthesis"
CHANGED = b"ganmill-changed"
"""Key in the metadata of synthesized records: how many were drawn again or altered."""


def expand(rows: ClassCounts | int, codec: Codec) -> Labels:
    """Return one class index per record, in the order of the classes; zeros for a mere number.

    Raises:
        ConfigError: a class the generator does not know.
    """
    if isinstance(rows, int):
        return np.zeros(rows, dtype=np.int64)
    index = {label: number for number, label in enumerate(codec.classes)}
    unknown = [label for label, _ in rows if label not in index]
    if unknown:
        msg = f"the generator does not know class {unknown[0]!r}: it knows {list(index)}"
        raise ConfigError(msg)
    numbers = [index[label] for label, _ in rows]
    return np.repeat(np.array(numbers, dtype=np.int64), [count for _, count in rows])


def allowed_codes(codec: Codec, given: Sequence[Condition], *, per_class: bool) -> Allowed | None:
    """Return `allowed_CK`: which codes of a record are allowed; None when all are.

    Args:
        codec: of the records.
        given: conditions on columns.
        per_class: whether every record's class is asked for; row c then belongs to class c.

    Raises:
        ConfigError: the records take no such condition, or cannot be made without saying how many
            of each class.
    """
    if isinstance(codec, ConditionalCodec):
        return codec.allowed(given, per_class=per_class)
    records = words_of(codec.modality).records
    if given:
        msg = (
            f"synthesis.given names column {given[0].column!r}: {records} take no conditions but "
            "their class; remove it and choose classes with synthesis.class_fractions"
        )
        raise ConfigError(msg)
    if codec.classes and not per_class:
        msg = (
            f"{records} were asked of a generator of {len(codec.classes)} classes: say how many "
            "rows of each class"
        )
        raise ConfigError(msg)
    return None


def check_request(codec: Codec, given: Sequence[Condition], rows: int) -> None:
    """Check that so many records can be made under these conditions.

    Raises:
        ConfigError: they cannot; the sentence says why.
    """
    if isinstance(codec, ConditionalCodec):
        codec.check(given, rows)
    else:
        allowed_codes(codec, given, per_class=True)


def conditions(
    generator: Generator, codec: Codec, rows: ClassCounts | int, given: Sequence[Condition] = ()
) -> Draw:
    """Return what draws samples of the wanted classes under the given conditions.

    Raises:
        ConfigError: the records have no such column or value, cannot be made without saying how
            many of each class, or the generator takes no conditions.
    """
    per_class = bool(codec.classes) and not isinstance(rows, int)
    return generator.conditioned(allowed_codes(codec, given, per_class=per_class))


def device_of(generator: Generator) -> torch.device:
    """Return where the generator's tensors are; a generator without any is on the processor."""
    tensors = itertools.chain(generator.parameters(), generator.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


@torch.inference_mode()
def generate(
    draw: Draw,
    codec: Codec,
    config: ResolvedConfig,
    labels_N: Labels,
    latents: Tensor,
    device: torch.device,
) -> Values:
    """Return stored values for class indexes and latents, in passes of the fixed size.

    Args:
        draw: see `conditions`.
        codec: turns its output into stored values.
        config: of the training; its `sampling_batch` is the size of a pass.
        labels_N: one class index per record.
        latents: at least as many rows as records, padded to whole passes.
        device: that `draw` runs on.
    """
    size, rows = config.sampling_batch, len(labels_N)
    padded = torch.full((len(latents),), int(labels_N[0]) if rows else 0)
    padded[:rows] = torch.from_numpy(labels_N)
    passes = [
        codec.to_values(draw(z_BZ.to(device), labels_B.to(device)))
        for z_BZ, labels_B in zip(latents.split(size), padded.split(size), strict=True)
    ]
    return np.concatenate(passes)[:rows]


def truncate(latents: Tensor, config: ResolvedConfig) -> Tensor:
    """Return the same normal numbers as they would be drawn within `config.truncation`."""
    spread, largest = config.latent_spread, config.truncation or math.inf
    inside = torch.tensor(largest / spread, dtype=torch.float64)
    share = torch.special.ndtr(inside) - torch.special.ndtr(-inside)
    chance = torch.special.ndtr(-inside) + share * torch.special.ndtr(latents.double() / spread)
    drawn: Tensor = (torch.special.ndtri(chance) * spread).float()
    return drawn.clamp_(-largest, largest)


def draw_latents(
    generator: Generator, config: ResolvedConfig, rows: int, numbers: torch.Generator
) -> Tensor:
    """Return latents for the records, padded to whole passes (at least one), on the processor."""
    padded = max(-(-rows // config.sampling_batch), 1) * config.sampling_batch
    return fixed_latents(generator, config, padded, numbers)


def fixed_latents(
    generator: Generator, config: ResolvedConfig, rows: int, numbers: torch.Generator
) -> Tensor:
    """Return exactly so many latents as synthesis draws them, on the processor."""
    latents = generator.latents(rows, numbers)
    if latents is None:
        latents = torch.randn(rows, config.latent, generator=numbers) * config.latent_spread
    if config.truncation is not None:
        normal = slice(generator.choosing, config.latent)  # what chooses a mode leaves out none
        latents[:, normal] = truncate(latents[:, normal], config).to(latents.dtype)
    return latents


@torch.inference_mode()
def log_likelihood(
    generator: Generator, codec: Codec, config: ResolvedConfig, records: pa.Table
) -> Values | None:
    """Return nats per record, float64 (N,), in passes of the fixed size.

    None for a generator that has no likelihood.

    Raises:
        DataError: the records do not fit the codec.
    """
    if not generator.has_likelihood:
        return None
    device = device_of(generator)
    encoded = codec.encode(records)
    samples = codec.to_samples(torch.tensor(encoded.values))
    parts = zip(
        samples.split(config.sampling_batch),
        torch.tensor(encoded.labels_N).split(config.sampling_batch),
        strict=True,
    )
    found = [
        generator.log_likelihood(*(each.to(device) for each in part)).double().cpu().numpy()
        for part in parts
    ]
    return np.concatenate(found)


@dataclass(frozen=True)
class AverageSampler:
    """What an assessment gets: the averaged generator as it stands; see `SampleFn`."""

    generator: Generator
    codec: Codec
    config: ResolvedConfig

    def __call__(self, rows: ClassCounts | int) -> pa.Table:
        """Return records; every call starts from the same latents."""
        generator, codec, config = self.generator, self.codec, self.config
        labels_N = expand(rows, codec)
        latents = draw_latents(generator, config, len(labels_N), stream(config.seed, "assess"))
        draw, device = conditions(generator, codec, rows), device_of(generator)
        return codec.decode(generate(draw, codec, config, labels_N, latents, device), labels_N)

    def log_likelihood(self, records: pa.Table) -> Values | None:
        """Return nats per record, float64 (N,); None for a generator that cannot say."""
        return log_likelihood(self.generator, self.codec, self.config, records)


def average_sampler(generator: Generator, codec: Codec, config: ResolvedConfig) -> AverageSampler:
    """Return what an assessment calls."""
    return AverageSampler(generator, codec, config)


class Sampler:
    """Makes records with the generator of a snapshot."""

    def __init__(self, snapshot: Snapshot, device: str = "cpu") -> None:
        """Build the generator and give it the snapshot's weights.

        Raises:
            OutdatedError: the snapshot is of an algorithm version with other networks.
            SnapshotError: the weights do not fit the networks of the configuration.
        """
        self.snapshot = snapshot
        self.context = find_device(device)
        config = snapshot.config
        try:
            networks = load_modality(config.modality).build(
                config, snapshot.codec, stream(0, "weights")
            )
            self.generator = networks.generator.requires_grad_(False).eval()
            self.generator.load_state_dict(dict(snapshot.weights))
        except (KeyError, RuntimeError) as error:
            if config.algorithm_version != ALGORITHM_VERSION:
                msg = (
                    f"the snapshot is of algorithm version {config.algorithm_version}, whose "
                    f"networks version {ALGORITHM_VERSION} does not have: train the generator again"
                )
                raise OutdatedError(msg) from error
            msg = f"the weights do not fit the networks of this version: {error}"
            raise SnapshotError(msg) from error
        self.context.move(self.generator)
        self._shares: dict[tuple[tuple[Condition, ...], bool], Shares] = {}
        self._strata: dict[tuple[tuple[Condition, ...], bool, tuple[int, ...]], Stratified | None]
        self._strata = {}

    @property
    def codec(self) -> Codec:
        """Of the snapshot."""
        return self.snapshot.codec

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """Load a snapshot folder.

        Raises:
            SnapshotError: the folder is incomplete, was changed, or is of another version.
            ConfigError: the device is not there.
        """
        return cls(load_snapshot(folder), device)

    def records(
        self,
        rows: ClassCounts | int,
        *,
        seed: int,
        index: int,
        given: Sequence[Condition] = (),
        first_row: int = 0,
        shards: int = 1,
    ) -> pa.Table:
        """Return shard `index` of a synthesis: so many rows of each class, shuffled.

        Where something holds in every record, the metadata of the schema says under CHANGED what
        that took: `{"rows": ..., "redrawn": ..., "changed": ...}`.

        Args:
            rows: rows of each class, or the number of rows when unconditional or the generator
                shall draw the classes too.
            seed: of the synthesis.
            index: of the shard; equal arguments give equal records.
            given: what every record must have.
            first_row: number of the shard's first record in the data set.
            shards: of the data set; no two share what must be unique.

        Raises:
            ConfigError: the rows do not fit the generator's classes, or conditions and
                constraints cannot be met.
        """
        codec = self.snapshot.codec
        numbers = stream(seed, PURPOSE, index)
        labels_N = expand(rows, codec)
        labels_N = labels_N[torch.randperm(len(labels_N), generator=numbers).numpy()]
        if not isinstance(codec, ConditionalCodec):
            call = conditions(self.generator, codec, rows, given)
            return codec.decode(self.values(labels_N, numbers, call), labels_N)
        draw, exact = self._drawing(codec, rows, tuple(given))

        def resample(rows_M: Labels, turn: int) -> Values:
            return draw(labels_N[rows_M], stream(seed, f"{PURPOSE}/{index}", turn))

        request = ShardRequest(
            labels_N=None if isinstance(rows, int) else labels_N,
            given=tuple(given),
            shard=index,
            shards=shards,
            exact=exact,
        )
        values = draw(labels_N, numbers)
        repaired = codec.repair(values, request, resample)
        if repaired is None:
            return codec.decode(values, labels_N, first_row)
        records = codec.decode(repaired.values, labels_N, first_row)
        return _with_counts(records, repaired)

    def _drawing(
        self, codec: ConditionalCodec, rows: ClassCounts | int, given: tuple[Condition, ...]
    ) -> tuple[Drawing, bool]:
        """Return what draws values for class indexes, and whether they meet `given` exactly."""
        conditioned = partial(self.values, draw=conditions(self.generator, codec, rows, given))
        per_class = bool(codec.classes) and not isinstance(rows, int)
        if not (codec.draws_classes and (given or per_class)):
            return conditioned, False
        unconditional = self.generator.conditioned(None)

        def free(count: int, numbers: torch.Generator) -> Values:
            return self.values(np.zeros(count, dtype=np.int64), numbers, unconditional)

        classes_of = partial(codec.classes_of, given=given, per_class=per_class)
        if (given, per_class) not in self._shares:
            classes = len(codec.classes) if per_class else 1
            measured = measure_shares(free, classes_of, classes, stream(0, "pilot"))
            self._shares[given, per_class] = measured
        shares_C = self._shares[given, per_class]
        asked = np.unique(expand(rows, codec)) if per_class else np.zeros(1, dtype=np.int64)
        if given and (shares_C[asked] < LEAST_SHARE).any():
            stratified = self._stratified(codec, free, given, asked, per_class=per_class)
            return (conditioned, False) if stratified is None else (stratified.values, True)
        selection = Selection(
            free=free, conditioned=conditioned, classes_of=classes_of, shares_C=shares_C
        )
        return selection.values, bool(given)

    def _stratified(
        self,
        codec: ConditionalCodec,
        free: Free,
        given: tuple[Condition, ...],
        asked: Labels,
        *,
        per_class: bool,
    ) -> Stratified | None:
        """Return what draws records under rare conditions; None where one stratum meets them."""
        key = given, per_class, tuple(asked)
        if key not in self._strata:
            strata = Strata(codec, given, per_class=per_class)
            found = None
            if strata.allowed_CSK.shape[1] > 1:
                draw = self.generator.conditioned(strata.places_allowed)
                shares_CS = measure_strata(free, strata, asked, stream(0, "strata"))
                conditioned = partial(self.values, draw=draw)
                found = Stratified(conditioned=conditioned, strata=strata, shares_CS=shares_CS)
            self._strata[key] = found
        return self._strata[key]

    def values(
        self, labels_N: Labels, numbers: torch.Generator, draw: Draw | None = None
    ) -> Values:
        """Return stored values (images: uint8 NHWC) for class indexes, one row each.

        Args:
            labels_N: class indexes, or rows of the conditions that `draw` meets.
            numbers: the stream of the latents.
            draw: the generator under conditions; None: under none but the class.
        """
        config = self.snapshot.config
        latents = draw_latents(self.generator, config, len(labels_N), numbers)
        call, device = draw or self.generator, device_of(self.generator)
        with self.context.configured():
            return generate(call, self.snapshot.codec, config, labels_N, latents, device)

    def log_likelihood(self, records: pa.Table) -> Values | None:
        """Return nats per record, float64 (N,); None for a generator that cannot say.

        Raises:
            DataError: the records do not fit the codec.
        """
        with self.context.configured():
            return log_likelihood(
                self.generator, self.snapshot.codec, self.snapshot.config, records
            )


def _with_counts(records: pa.Table, repaired: Repaired) -> pa.Table:
    """Return the records with what constraints took in their schema's metadata."""
    counts = {
        "rows": records.num_rows,
        "redrawn": repaired.redrawn,
        "changed": repaired.changed,
    }
    metadata = {**(records.schema.metadata or {}), CHANGED: json.dumps(counts).encode()}
    return records.replace_schema_metadata(metadata)
