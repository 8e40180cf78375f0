"""A CUDA device that is none: tensors stay in memory, and it is known of each where it would be.

What a real device refuses is refused here: an operation on tensors of both, numpy on its memory,
a generator of randoms of the processor. So a tensor that is created on the wrong device is found
without any GPU. What CUDA allows is allowed: single numbers and indices of the processor.
"""

import contextlib
import sys
from pathlib import Path
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TORCH = str(Path(torch.__file__).parent)
CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
Tensor = torch.Tensor
BETWEEN = {"copy_", "_to_copy", "set_", "lift_fresh"}
"""Operations that may see both."""
BY_INDEX = {"index", "index_put_", "_index_put_impl_", "_unsafe_index", "index_put"}
"""Operations whose second argument may be of the processor."""


class StrayError(RuntimeError):
    """A tensor is on the wrong device."""


def refuse(why):
    raise StrayError(why)


MADE_BY_HAND = {
    *(torch.zeros, torch.ones, torch.full, torch.empty, torch.eye, torch.tensor, torch.arange),
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.linspace, torch.as_tensor),
}
"""What the program makes tensors with; others are made by torch inside its own operations, where
they would be on the device of what is worked on."""


class Places:
    """Which storages would be on the device; they are kept, so that no address means two."""

    def __init__(self):
        self._there, self._anywhere = {}, {}

    def is_stray(self, tensor):
        known = tensor.untyped_storage()._cdata in self._anywhere
        return tensor.dim() > 0 and tensor not in self and not known

    def let_be(self, result):
        for tensor in tensors_of(result):
            if tensor.device.type != "meta":
                storage = tensor.untyped_storage()
                self._anywhere[storage._cdata] = storage
        return result

    def __contains__(self, tensor):
        return tensor.device.type != "meta" and tensor.untyped_storage()._cdata in self._there

    def put(self, result):
        for tensor in tensors_of(result):
            if tensor.device.type != "meta":
                storage = tensor.untyped_storage()
                self._there[storage._cdata] = storage
        return result

    def take(self, tensor):
        self._there.pop(tensor.untyped_storage()._cdata, None)
        return tensor


def tensors_of(values):
    return [one for one in tree_leaves(values) if isinstance(one, Tensor)]


def in_own_backward():
    """Say whether the program's own code, and not torch's, is at work inside a backward pass."""
    frame, is_own = sys._getframe(2), False
    while frame is not None:
        if frame.f_code.co_name == "_engine_run_backward":
            return is_own
        is_own |= not frame.f_code.co_filename.startswith(TORCH)
        frame = frame.f_back
    return False


class _Operations(TorchDispatchMode):
    """Looks at every operation, those of backward passes too."""

    def __init__(self, places):
        super().__init__()
        self.places, self.seen, self.by_hand = places, 0, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        looked_at = args
        if name in BY_INDEX:
            looked_at = (args[0], *args[2:])
        inputs = tensors_of([looked_at, kwargs])
        there = [one for one in inputs if one in self.places]
        if there and name not in BETWEEN:
            self.seen += 1
            strays = [one for one in inputs if self.places.is_stray(one)]
            if strays:
                shapes = [tuple(one.shape) for one in strays]
                refuse(f"{name} of the device gets {shapes} of the processor")
            if kwargs.get("generator") is not None:
                refuse(f"{name} of the device draws by a generator of the processor")
        result = func(*args, **kwargs)
        if there and name != "copy_":
            self.places.put(result)
        elif not inputs and not self.by_hand and not in_own_backward():
            self.places.let_be(result)
        return result


class ShadowCuda(TorchFunctionMode):
    """Within the block there is one CUDA device."""

    def __init__(self):
        super().__init__()
        self.places = Places()
        self.operations = _Operations(self.places)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        for name, value in {
            "is_available": True,
            "device_count": 1,
            "is_bf16_supported": False,
            "synchronize": None,
            "empty_cache": None,
        }.items():
            patch = mock.patch.object(torch.cuda, name, lambda *_, value=value, **__: value)
            self._stack.enter_context(patch)
        self._stack.enter_context(self.operations)
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        return self._stack.__exit__(*error)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        special = SPECIAL.get(func)
        if special is not None:
            return special(self.places, *args, **kwargs)
        self.operations.by_hand = func in MADE_BY_HAND
        device = kwargs.get("device")
        if device is None or torch.device(device).type != "cuda":
            result = func(*args, **kwargs)
            self.operations.by_hand = False
            if func is Tensor.__deepcopy__ and args[0] in self.places:
                self.places.put(result)
            return result
        if kwargs.get("generator") is not None:
            refuse(f"{func.__name__} on the device draws by the processor's generator")
        return self.places.put(func(*args, **{**kwargs, "device": CPU}))


def _device(places, tensor):
    return CUDA if tensor in places else _real_device(tensor)


_real_device = Tensor.device.__get__


def _to(places, tensor, *args, **kwargs):
    """Copy to the named device, keep it where it is without one."""
    target, rest = kwargs.pop("device", None), list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
        target, kwargs["dtype"] = _device(places, other), other.dtype
    elif rest and isinstance(rest[0], str | int | torch.device) and not isinstance(rest[0], bool):
        target = rest.pop(0)
    kwargs.pop("non_blocking", None)
    moved = tensor.to(*[one for one in rest if not isinstance(one, bool)], **kwargs)
    if target is None or torch.device(target) == _device(places, tensor):
        return moved
    if torch.device(target).type == "meta":
        return tensor.to("meta")
    if torch.device(target).type == "cuda" and tensor in places:
        return moved
    copied = moved.clone()
    places.take(copied)
    return places.put(copied) if torch.device(target).type == "cuda" else copied


def _cpu(places, tensor, *_, **__):
    return _to(places, tensor, CPU)


def _numpy(places, tensor, *args, **kwargs):
    if tensor in places:
        refuse("numpy cannot see the device's memory: use Tensor.cpu() first")
    return tensor.numpy(*args, **kwargs)


def _array(places, tensor, *args, **kwargs):
    if tensor in places:
        refuse("numpy cannot see the device's memory: use Tensor.cpu() first")
    return tensor.__array__(*args, **kwargs)


def _pinned(places, tensor, *_, **__):
    if tensor in places:
        refuse("only the processor's memory can be pinned")
    return tensor


def _parse(places, *args, **kwargs):
    return torch._C._nn._parse_to(*args, **kwargs)


SPECIAL = {
    torch._C._nn._parse_to: _parse,
    Tensor.device.__get__: _device,
    Tensor.is_cuda.__get__: lambda places, tensor: tensor in places,
    Tensor.is_cpu.__get__: lambda places, tensor: tensor not in places,
    Tensor.to: _to,
    Tensor.cpu: _cpu,
    Tensor.numpy: _numpy,
    Tensor.__array__: _array,
    Tensor.pin_memory: _pinned,
}
