"""Trained feature nets in a folder of this machine: a night on unchanged data reads them.

    <folder>/<key>.safetensors       weights, and the key again in the file's JSON header

The key is a digest of everything that decides the weights: images, classes, seed, effort, what the
processor computes with, and `NETS_VERSION`. A file that is damaged or not as expected is made anew.
What is read or not read changes no number, and a folder that cannot be written is no error.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gan.device import fast_bfloat16
from gan.images.evaluation.feature_nets import TrainedNet
from gan.images.evaluation.trained import Effort
from storage.records.durable import create_file

Array = np.ndarray[Any, Any]

NETS_VERSION = 2
"""Raised when the same images give other nets."""
KEPT = 40
"""Files in the folder; the oldest go first."""

Ingredients = tuple[Array, Array | None, int, Effort]
"""Images, classes, seed, effort."""


def cached(
    net: TrainedNet, learn: Callable[[], None], ingredients: Ingredients, folder: Path | None
) -> None:
    """Give the net its weights: from the folder, or by learning, and then keep them there."""
    if folder is None:
        learn()
        return
    key = net_key(ingredients)
    path = folder / f"{key}.safetensors"
    known = _read(path, key)
    if known is not None and _fits(net, known):
        net.load_state_dict(known)
        net.eval()
        return
    learn()
    with contextlib.suppress(OSError):  # a full or read-only disk costs time, not the night
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        state = {name: value.contiguous() for name, value in net.state_dict().items()}
        create_file(path, save(state, {"key": key}))
        _prune(folder)


def net_key(ingredients: Ingredients) -> str:
    """Return the digest of everything that decides the weights."""
    images_NHWC, classes_N, seed, effort = ingredients
    what = (
        NETS_VERSION,
        torch.__version__,
        fast_bfloat16("cpu"),
        torch.backends.cpu.get_cpu_capability(),
        images_NHWC.shape,
        seed,
        dataclasses.astuple(effort),
        classes_N is None,
    )
    digest = hashlib.blake2b(repr(what).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(images_NHWC).data)
    if classes_N is not None:
        digest.update(np.ascontiguousarray(classes_N, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _read(path: Path, key: str) -> dict[str, Tensor] | None:
    """Return what a file holds; None where there is none, or it is damaged or another's."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError):
        return None


def _fits(net: TrainedNet, state: dict[str, Tensor]) -> bool:
    """Say whether a state is one of this net: names, shapes, finite numbers."""
    expected = net.state_dict()
    return state.keys() == expected.keys() and all(
        value.shape == state[name].shape
        and value.dtype == state[name].dtype
        and bool(torch.isfinite(state[name]).all())
        for name, value in expected.items()
    )


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT]:
        path.unlink(missing_ok=True)
