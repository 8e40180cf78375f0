"""The one module that decides device, precision, threads and memory layout."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.errors import ConfigError

Precision = Literal["float32", "bfloat16", "bfloat16-products"]
"""`bfloat16`: activations too (autocast); `bfloat16-products`: inside matrix products only."""

MATMUL = {"float32": "highest", "bfloat16": "high", "bfloat16-products": "medium"}
"""Precision → what torch calls the precision of its float32 matrix products."""
IMAGE_DIMENSIONS = 4
"""Of a batch of images and of a convolution's weights."""


@dataclass(kw_only=True)
class DeviceContext:
    """Where tensors live and how they are computed."""

    device: torch.device
    precision: Precision = "float32"
    threads: int = 1

    @contextlib.contextmanager
    def configured(self) -> Iterator[None]:
        """Set threads and precision for the time of the block; in torch they are global.

        Numbers too small for a normal float count as zero: gradients of saturated units fall
        there, and processors take a hundred times as long for them.
        """
        threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision(MATMUL[self.precision])
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(precision)
            torch.set_flush_denormal(False)

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Inside `configured`: compute as synthesis and evaluation do, for the time of the block.

        Plain float32, and denormal numbers count: without them LAPACK's eigenvalues may not
        converge.
        """
        torch.set_float32_matmul_precision(MATMUL["float32"])
        torch.set_flush_denormal(False)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(MATMUL[self.precision])
            torch.set_flush_denormal(True)

    def compute_fully(self) -> None:
        """Inside `configured`: compute in plain float32 from now on."""
        self.precision = "float32"
        torch.set_float32_matmul_precision(MATMUL[self.precision])

    def autocast(self) -> torch.autocast:
        """Return the context in which forward passes use the chosen precision."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )

    def send(self, tensor: Tensor) -> Tensor:
        """Return the tensor on the device; a copy to CUDA is pinned and does not wait."""
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor

    def wait(self) -> None:
        """Wait until the device has done what was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def move(self, network: nn.Module) -> None:
        """Move a network to the device, channels last, which is what convolutions are fastest in.

        Parameters are changed in place and stay the same objects.
        """
        network.to(device=self.device)
        for parameter in network.parameters():
            if parameter.dim() == IMAGE_DIMENSIONS:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def quick_products(device: str = "cpu") -> torch.autocast:
    """Return a context in which products are of bfloat16 where the device is quick at it."""
    return torch.autocast(device, torch.bfloat16, enabled=fast_bfloat16(device))


def exact_products(values: Tensor) -> torch.autocast:
    """Return a context in which products are of full precision, whatever is around it."""
    return torch.autocast(values.device.type, enabled=False)


Execution = Literal["eager", "compiled", "graphs"]
"""eager: operation by operation. compiled: fused by `torch.compile`. graphs: as one CUDA graph."""
Pass = Callable[[Tensor, Tensor], Tensor]


def executed(call: Pass, how: Execution) -> Pass:
    """Return a pass of a fixed size, executed in one of the ways that torch has.

    Training is eager: `torch.compile` has no gradients of second order, which penalties need, and
    the randoms of a step come from the processor, which no graph can hold. Sampling is eager until
    a measurement on a GPU (`make test-gpu`) shows what another way gains.
    """
    if how == "eager":
        return call
    mode = "reduce-overhead" if how == "graphs" else "default"
    compiled: Pass = torch.compile(call, mode=mode, dynamic=False)
    return compiled


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread for the time of the block (or of the function it decorates).

    What is judged then does not depend on the machine's cores, and two jobs beside each other do
    not slow each other down many times over.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def one_thread_everywhere() -> Iterator[None]:
    """Like `one_thread`, and so for numpy's products and scikit-learn's trees."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # with scikit-learn

    with one_thread(), threadpool_limits(limits=1):
        yield


def choose_device(wanted: str) -> str:
    """Return `cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        msg = "training.device is 'cuda', but torch sees no CUDA device here: use 'auto' or 'cpu'"
        raise ConfigError(msg)
    if wanted not in {"auto", "cpu", "cuda"}:
        msg = f"training.device is {wanted!r}: choose 'auto', 'cpu' or 'cuda'"
        raise ConfigError(msg)
    return ("cuda" if available else "cpu") if wanted == "auto" else wanted


def count_devices(wanted: int | Literal["auto"], device: str) -> int:
    """Return how many processes train, one for each device: `auto` is all GPUs, or one process.

    Raises:
        ConfigError: there are not so many GPUs.
    """
    is_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    there = torch.cuda.device_count() if is_gpu else 1
    if wanted == "auto":
        return max(there, 1)
    if is_gpu and wanted > there:
        msg = (
            f"training.devices is {wanted}, but torch sees {there} CUDA "
            f"device{'s' * (there != 1)} here: use 'auto' or at most {there}"
        )
        raise ConfigError(msg)
    return wanted


class RankPlace(NamedTuple):
    """Where one of several training processes computes, and how they talk."""

    device: torch.device | None
    """A GPU of its own; None: the processor, or a GPU shared with others."""
    backend: str


def take_place(device: str, ranks: int) -> RankPlace:
    """Give this process, one of so many on this machine, its GPU; all of them by turns.

    On fewer GPUs than a training was begun on several processes share one, which NCCL refuses, so
    they talk through the processor. What is on the processor always does.
    """
    if device != "cuda":
        return RankPlace(None, "gloo")
    place, there = dist.get_node_local_rank(), torch.cuda.device_count()
    torch.cuda.set_device(place % there)
    if ranks > there:
        return RankPlace(None, "cpu:gloo,cuda:gloo")
    return RankPlace(torch.device("cuda", place), "cpu:gloo,cuda:nccl")


def find_device(
    wanted: str, *, precision: Precision = "float32", threads: int = 1
) -> DeviceContext:
    """Return where and how tensors are computed on a wanted device.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    return DeviceContext(
        device=torch.device(choose_device(wanted)), precision=precision, threads=threads
    )


def fast_bfloat16(device: str) -> bool:
    """Return whether the device multiplies bfloat16 in hardware, by asking it, not by timing."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


@contextlib.contextmanager
def memory_trouble() -> Iterator[list[str]]:
    """Yield a list that is filled, instead of an error, when the block runs out of memory.

    What the device then holds for nobody is given back, so that smaller parts find it in one piece.
    """
    trouble: list[str] = []
    try:
        yield trouble
    except (RuntimeError, MemoryError) as error:
        if not is_memory_error(error):
            raise
        trouble.append(str(error))
    if trouble and torch.cuda.is_available():
        torch.cuda.empty_cache()  # now that the error no longer holds the frames of its step


def is_memory_error(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the device or in the processor."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "not enough memory" in text
    )
