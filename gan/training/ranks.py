"""Training in several processes, one for each device, that see one batch together.

A rank is one of them. Every rank runs the whole loop on its share of every batch, draws its share
of the one stream of randoms, and meets the others where a number depends on the whole batch:

    gradients, losses, statistics of a batch     averaged over the ranks
    clocks, a stop, an assessment, signals       those of rank 0
    checkpoints, statistics, what is told        by rank 0, which then gives all its tensors

So all ranks take the same decisions, and as many ranks as there are, they see the batches that one
process would see. In one process every function here is the identity.

Shapes: N samples of this rank's share of a batch.
"""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from gan.device import take_place
from gan.protocols import Assessment, Hooks, SampleFn

TIMEOUT = timedelta(minutes=30)
"""Longest wait for another rank: as long as an assessment may take. A rank that dies is noticed at
once, by the lost connection and by what started it; this ends the others when one hangs."""


@contextlib.contextmanager
def joined(device: str, ranks: int) -> Iterator[None]:
    """Take part, within the block, as the rank that torchrun's environment says.

    Args:
        device: `cpu` or `cuda`.
        ranks: how many there are.
    """
    place = take_place(device, ranks)
    dist.init_process_group(place.backend, timeout=TIMEOUT, device_id=place.device)
    yield
    dist.destroy_process_group()  # not after an error: it would wait for ranks that wait for this


def count() -> int:
    """Return the number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def number() -> int:
    """Return which of them this process is; 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(rows: int) -> slice:
    """Return which rows of a batch are this rank's."""
    size = rows // count()
    return slice(number() * size, (number() + 1) * size)


Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def by_first(function: Callable[Given, Returned]) -> Callable[Given, Returned | None]:
    """Return the function as one that rank 0 alone does; None elsewhere."""

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Returned | None:
        return function(*args, **kwargs) if number() == 0 else None

    return call


def total(tensor: Tensor) -> Tensor:
    """Return the sum over the ranks, with gradients."""
    return tensor if count() == 1 else _summed(tensor)


def mean(tensor: Tensor) -> Tensor:
    """Return the mean over the ranks, with gradients: what a mean over the whole batch is.

    Each rank's loss then counts with its part of the shared mean, so that the gradients, averaged
    over the ranks, are those of the whole batch; of second order too.
    """
    return tensor if count() == 1 else _summed(tensor) / count()


class _Sum(torch.autograd.Function):
    """The sum over the ranks, whose gradient is that of all of them, and so on."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        """Return the sum."""
        summed = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        """Return the sum of the gradients."""
        return _summed(gradient)


def _summed(tensor: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return summed


def largest(value: int) -> int:
    """Return the largest of the ranks' values."""
    if count() == 1:
        return value
    found = torch.tensor(value)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


@torch.no_grad()
def average_gradients(weights: Iterable[Tensor]) -> None:
    """Replace gradients by their means over the ranks, in one message.

    What has no gradient on any rank keeps none, so that its optimiser leaves it alone.
    """
    if count() == 1:
        return
    weights = list(weights)
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
    there = torch.tensor([one.grad is not None for one in weights], device=weights[0].device)
    flat = torch.cat([there.float(), *(one.flatten() for one in gradients)])
    dist.all_reduce(flat)
    found, *means = flat.split([len(weights), *(one.numel() for one in gradients)])
    for place, (one, gradient, summed) in enumerate(zip(weights, gradients, means, strict=True)):
        gradient.copy_(summed.view(gradient.shape) / count())
        if one.grad is None and found[place] > 0:
            one.grad = gradient


@torch.no_grad()
def align(tensors: Mapping[str, Tensor]) -> None:
    """Give every rank the tensors of rank 0, in place."""
    if count() == 1:
        return
    for name in sorted(tensors):
        sent = tensors[name].contiguous()
        dist.broadcast(sent, 0)
        tensors[name].copy_(sent)


def agreed(data: Any) -> Any:
    """Return the JSON-able data of rank 0, numpy's numbers as plain ones; all have that then."""
    if count() == 1:
        return data
    said = torch.frombuffer(bytearray(json.dumps(data, default=float).encode()), dtype=torch.uint8)
    size = torch.tensor(len(said))
    dist.broadcast(size, 0)
    heard = said if number() == 0 else torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(heard, 0)
    return json.loads(heard.numpy().tobytes())


def shared(hooks: Hooks) -> Hooks:
    """Return hooks by which every rank takes the decisions of rank 0, which alone tells them.

    Processor time is that of all ranks. A stop is heard with the clocks, once per step.
    """
    if count() == 1:
        return hooks
    clocks = _Clocks(hooks)
    first = hooks if number() == 0 else Hooks()
    return dataclasses.replace(
        first,
        assess=None if hooks.assess is None else functools.partial(_assessed, hooks),
        validation=hooks.validation,
        at_once=hooks.at_once,
        should_stop=lambda: clocks.stop,
        wall_s=clocks.wall_s,
        cpu_s=lambda: clocks.cpu,
    )


def _assessed(hooks: Hooks, sample: SampleFn, samples_seen: int) -> Assessment:
    """Return the assessment that rank 0 makes; the others wait for it."""
    found: dict[str, Any] = {}
    if number() == 0 and hooks.assess is not None:
        found = dataclasses.asdict(hooks.assess(sample, samples_seen))
    return Assessment(**agreed(found))


class _Clocks:
    """Wall time and stop of rank 0 and the processor time of all, asked for at once."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self.cpu, self.stop = 0.0, False

    def wall_s(self) -> float:
        """Return the time of rank 0, and find the others'."""
        mine = [0.0, self._hooks.cpu_s(), 0.0]
        if number() == 0:
            mine[0], mine[2] = self._hooks.wall_s(), float(self._hooks.should_stop())
        times = torch.tensor(mine, dtype=torch.float64)
        dist.all_reduce(times)
        wall_s, self.cpu, stop = times.tolist()
        self.stop = stop > 0
        return float(wall_s)


def whole_batch(rows: int, *, pack: int = 1, halves: bool = False) -> AbstractContextManager[Any]:
    """Return a context in which draws, and statistics of a batch, are those of the whole batch.

    Args:
        rows: of this rank that the block sees.
        pack: so many rows may be drawn for together.
        halves: whether these rows are reals, then fakes, rather than rows of one kind.
    """
    return nullcontext() if count() == 1 else _WholeBatch(rows // pack, 2 if halves else 1)


class _WholeBatch(TorchFunctionMode):
    """Draws for all ranks and takes this rank's rows, so that every rank's stream stays the same.

    A draw whose first dimension is no multiple of the rows is one for the whole batch; one whose
    rows come later is refused, for it would be another one on every number of ranks. Batch
    normalisation takes mean and variance over all ranks (Peng et al., "MegDet", 2018, section
    3.3), here for every device and with gradients of second order.
    """

    def __init__(self, unit: int, blocks: int) -> None:
        super().__init__()
        self._unit, self._blocks = unit, blocks

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call what torch was asked to call."""
        del types
        kwargs = kwargs or {}
        if func is batch_norm:
            return _normalized(*args, **kwargs)
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        if func is torch.randperm:  # of the rows of a rank: every rank has its own
            return [func(*args, **kwargs) for _ in range(count())][number()]
        if func is torch.multinomial:
            return self._choice(*args, **kwargs)
        if func not in (torch.rand, torch.randn, torch.randint):
            msg = f"torch.{func.__name__} draws in a step, and no rank knows its rows of that"
            raise NotImplementedError(msg)
        return self._rows_of(functools.partial(func, **kwargs), args)

    def _rows_of(self, draw: Callable[..., Tensor], args: tuple[Any, ...]) -> Tensor:
        """Return this rank's rows of a draw whose shape comes last."""
        before, shape = args[:-1], args[-1]
        if isinstance(shape, int):
            before, shape = (), args
        if not shape or shape[0] % self._unit:
            if shape and shape[0] > 1 and self._unit in shape[1:]:
                msg = f"a draw of shape {tuple(shape)} has rows, and they do not come first"
                raise NotImplementedError(msg)
            return draw(*before, tuple(shape))
        rows, *rest = shape
        drawn = draw(*before, (rows * count(), *rest))
        blocks = drawn.view(self._blocks, count(), rows // self._blocks, *rest)
        return blocks[:, number()].reshape(rows, *rest)

    def _choice(self, shares_NK: Tensor, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return one of K per row as torch does it: the largest share over an exponential draw."""
        if samples != 1:
            raise NotImplementedError
        every = torch.empty(count() * len(shares_NK), shares_NK.shape[1], dtype=shares_NK.dtype)
        every.exponential_(1, generator=generator)
        return (shares_NK / every[share(len(every))]).argmax(1, keepdim=True)


def _normalized(  # noqa: PLR0913 - torch's signature
    inputs: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,  # noqa: FBT001, FBT002
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return what `batch_norm` returns of the whole batch, and remember its statistics."""
    if not training:
        return batch_norm(inputs, running_mean, running_var, weight, bias, training, momentum, eps)
    values = inputs.float()
    dims = [place for place in range(inputs.dim()) if place != 1]
    shape = [1, -1, *[1] * (inputs.dim() - 2)]
    mean_C = mean(values.mean(dims))
    centred = values - mean_C.view(shape)
    variance_C = mean(centred.square().mean(dims))
    if running_mean is not None and running_var is not None:
        seen = count() * inputs.numel() / inputs.shape[1]
        with torch.no_grad():
            running_mean.lerp_(mean_C, momentum)
            running_var.lerp_(variance_C * (seen / (seen - 1)), momentum)
    scaled = centred * (variance_C + eps).rsqrt().view(shape)
    if weight is not None:
        scaled = scaled * weight.view(shape)
    if bias is not None:
        scaled = scaled + bias.view(shape)
    return scaled.to(inputs.dtype)
