"""Learning rates that change over a run, as factors of each update (steps,), in float64.

Sign-like methods come to rest only as their steps shrink (chapter pseudo_inverse); document 4
anneals the rates of linear networks (chapter egop_linear_networks).
"""

import math

import torch
from torch import Tensor


def constant(steps: int) -> Tensor:
    """Return ones: the learning rate stays.

    Examples
    --------
    >>> constant(3).tolist()
    [1.0, 1.0, 1.0]
    """
    return torch.ones(steps, dtype=torch.float64)


def linear_decay(steps: int) -> Tensor:
    """Return 1 - step/steps, which falls towards zero.

    Examples
    --------
    >>> linear_decay(4).tolist()
    [1.0, 0.75, 0.5, 0.25]
    """
    return 1 - torch.arange(steps, dtype=torch.float64) / steps


def cosine_annealing(epochs: int, an_epoch: int) -> Tensor:
    """Return the factor (1 + cos(pi epoch / epochs)) / 2 of each update, changed once an epoch.

    Parameters
    ----------
    epochs : of the whole run; the factor would be 0 in the one after the last
    an_epoch : updates in an epoch

    Examples
    --------
    >>> cosine_annealing(2, 2).tolist()
    [1.0, 1.0, 0.5, 0.5]
    """
    angles = math.pi * torch.arange(epochs, dtype=torch.float64) / epochs
    return ((1 + angles.cos()) / 2).repeat_interleave(an_epoch)
