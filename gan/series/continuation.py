"""What comes after a history: steps drawn behind those that are given.

An entity's statics, moments and values so far are taken as they are; the network sees them as it
sees its own, and goes on. Variables that are known in advance, a price list or a plan, are given
for the steps to come. A variable that is drawn before a known one inside a step does not see that
step's value of it, only the ones before; which come first says the codec (`columns.order`).

Shapes: N entities, L steps of the longest, D variables, E columns of the whole entity, H steps
that are drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gan.errors import ConfigError, DataError
from gan.randomness import stream
from gan.sample import Sampler
from gan.series.codec import SeriesCodec
from gan.series.networks.autoregressive import SeriesAutoregressive
from gan.series.networks.sampling import GivenSteps, draw_steps
from gan.series.networks.whole import LARGEST_SEED, take_apart
from storage.records.series import lengths_of

Array = np.ndarray[Any, Any]


def continue_series(
    sampler: Sampler,
    histories: pa.Table,
    steps: int,
    *,
    seed: int,
    future: pa.Table | None = None,
    known: Sequence[str] = (),
) -> pa.Table:
    """Return what may come after histories: their keys and statics, and the steps to come.

    Entities are taken to end with the last of these steps.

    Args:
        sampler: of an autoregressive generator.
        histories: nested records as they are prepared, each of one step or more.
        steps: how many are drawn, H.
        seed: of the random numbers; another seed, another future.
        future: nested records of the same entities in the same order, of H steps each, of which the
            variables of `known` are read; None where nothing is known.
        known: the variables that are known in advance.

    Raises:
        ConfigError: the generator cannot go on, not so far, or a known variable is none.
        DataError: the records are not those that the generator knows, or the future is not of the
            same entities and steps.
    """
    codec, network = _continuing(sampler)
    lengths_N = lengths_of(histories, codec.metadata)
    _check(codec, lengths_N, steps, known)
    device = next(network.parameters()).device
    samples = codec.to_samples(torch.from_numpy(codec.encode(histories).values)).to(device)
    series = take_apart(samples, codec)
    units_NLD = series.units_NLD.clone()
    is_given_NLD = series.within_NL[..., None].expand_as(units_NLD).clone()
    if known:
        units_NHD = _future_units(codec, histories, future, steps).to(device)
        to_come_NH = series.lengths_N[:, None] + torch.arange(steps, device=device)
        rows_N1 = torch.arange(len(samples), device=device)[:, None]
        for name in known:
            index = [each.name for each in codec.variables].index(name)
            units_NLD[rows_N1, to_come_NH, index] = units_NHD[..., index]
            is_given_NLD[rows_N1, to_come_NH, index] = True
    given = GivenSteps(series.lengths_N + steps, series.start_N, units_NLD, is_given_NLD)
    seeds_N = torch.randint(LARGEST_SEED, (len(samples),), generator=stream(seed, "continue"))
    size = sampler.snapshot.config.sampling_batch
    parts = (each.split(size) for each in (samples[:, codec.cells], seeds_N.to(device), *given))
    drawn = [
        draw_steps(network, packed_BE, seeds_B, GivenSteps(*rest))
        for packed_BE, seeds_B, *rest in zip(*parts, strict=True)
    ]
    rows = codec.to_values(torch.cat(drawn))
    decoded = codec.decode(rows, np.zeros(len(rows), dtype=np.int64))
    return _to_come(codec, histories, decoded, lengths_N)


def _continuing(sampler: Sampler) -> tuple[SeriesCodec, SeriesAutoregressive]:
    """Return codec and network of a generator that can go on."""
    codec, network = sampler.snapshot.codec, sampler.generator
    if not isinstance(codec, SeriesCodec) or not isinstance(network, SeriesAutoregressive):
        msg = (
            "only series are continued, and only by the preset autoregressive, which draws one "
            f"step after the other: this generator is {sampler.snapshot.config.preset} of "
            f"{codec.modality}"
        )
        raise ConfigError(msg)
    if codec.scales:
        names = ", ".join(each.name for each in codec.scales)
        msg = (
            f"{names} of each entity is scaled by all its steps, those to come among them, so that "
            "nothing comes after a history: train on values that are not scaled"
        )
        raise ConfigError(msg)
    return codec, network


def _check(codec: SeriesCodec, lengths_N: Array, steps: int, known: Sequence[str]) -> None:
    """Refuse what cannot be drawn."""
    if steps < 1 or not len(lengths_N) or lengths_N.min() < 1:
        msg = f"continuing takes histories of a step or more, and 1 step to come, not {steps}"
        raise ConfigError(msg)
    if lengths_N.max() + steps > codec.width:
        msg = (
            f"a history of {lengths_N.max()} steps and {steps} to come are more than the "
            f"{codec.width} of the longest entity that the generator has learnt: give the last "
            f"{max(codec.width - steps, 0)} steps of each history"
        )
        raise ConfigError(msg)
    names = [each.name for each in codec.variables if each.name != codec.names.gap]
    for name in known:
        if name not in names:
            msg = f"{name!r} is no variable that is learnt: known may be {', '.join(names)}"
            raise ConfigError(msg)


def _future_units(
    codec: SeriesCodec, histories: pa.Table, future: pa.Table | None, steps: int
) -> torch.Tensor:
    """Return the units of all variables in the steps to come, (N, H, D)."""
    key = codec.metadata.entity.name
    if future is None or not future[key].equals(histories[key]):
        msg = f"known variables need a future of the entities of the histories, by {key!r}"
        raise DataError(msg)
    if (lengths_of(future, codec.metadata) != steps).any():
        msg = f"every entity of the future needs the {steps} steps that are to come"
        raise DataError(msg)
    return torch.from_numpy(codec.units_of(future)[:, :steps])


def _to_come(
    codec: SeriesCodec, histories: pa.Table, decoded: pa.Table, lengths_N: Array
) -> pa.Table:
    """Return the steps behind the histories, under the histories' keys and statics."""
    columns = []
    for field in codec.schema:
        if not pa.types.is_list(field.type):
            columns.append(histories[field.name].cast(field.type))
            continue
        lists = decoded[field.name].to_pylist()
        later = [one[first:] for one, first in zip(lists, lengths_N.tolist(), strict=True)]
        columns.append(pa.array(later, field.type))
    return pa.Table.from_arrays(columns, schema=codec.schema)
