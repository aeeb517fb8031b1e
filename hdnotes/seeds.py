"""Random streams seeded from names, never from position.

A stream belongs to what it draws for (experiment, cell, trial, purpose), so a trial draws the same
numbers whatever runs beside it, in whatever order, on whatever device.
"""

import hashlib

import torch
from torch import Tensor


def seed(*names: object) -> int:
    """Return the 63-bit seed of a name.

    Parameters
    ----------
    *names : anything with a stable ``str``
        From the general to the special: experiment, cell, trial, purpose.

    Examples
    --------
    >>> seed("egop", 64, "start") == seed("egop", 64, "start")
    True
    >>> seed("egop", 64, "start") == seed("egop", 6, "4start")
    False
    """
    digest = hashlib.blake2b("\x1f".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*names: object) -> torch.Generator:
    """Return a CPU generator at the start of the stream of this name."""
    return torch.Generator().manual_seed(seed(*names))


def normal(*shape: int, of: tuple[object, ...]) -> Tensor:
    """Draw a float64 standard normal tensor of ``shape`` from the stream named ``of``."""
    return torch.randn(*shape, generator=generator(*of), dtype=torch.float64)
