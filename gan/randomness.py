"""Independent streams of randoms: everything random names its seed, its purpose and its index.

No state is carried: step 700 of a training or shard 12 of a data set draws the same numbers
whatever was drawn before, in whatever order, on however many workers.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, index: int = 0) -> int:
    """Return a 63-bit seed that depends on all three and on nothing else."""
    text = f"{seed}/{purpose}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def stream(seed: int, purpose: str, index: int = 0, device: str = "cpu") -> "torch.Generator":
    """Return a fresh torch generator for (seed, purpose, index)."""
    import torch  # a second and 100 MB, which who only derives seeds does without

    return torch.Generator(device=device).manual_seed(derive(seed, purpose, index))


def numpy_stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return a fresh numpy generator for (seed, purpose, index)."""
    return np.random.default_rng(derive(seed, purpose, index))
