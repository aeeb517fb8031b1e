"""What a method makes of a given stream of gradients: the real class of torch.optim, no problem.

The point has no influence on the gradients, so every move can be set beside a formula. Used by the
chapter adam.
"""

from typing import Any

import torch
from torch import Tensor

from hdnotes.optimizers import Method, find


def moves(method: Method, gradients: Tensor, rate: float = 1.0) -> Tensor:
    """Return what the method subtracts from its point for each gradient, over the rate.

    Parameters
    ----------
    method : class and settings
    gradients : (steps, ...)

    Examples
    --------
    >>> moves(Method("SGD", {"momentum": 0.5}), torch.tensor([[1.0], [1.0]])).flatten()
    tensor([1.0000, 1.5000])
    """
    point = torch.zeros_like(gradients[0])
    kind: Any = find(method.optimizer)
    optimizer = kind([point], lr=rate, **method.settings)
    path = torch.empty_like(gradients)
    for step, gradient in enumerate(gradients):
        point.zero_()
        point.grad = gradient
        optimizer.step()
        path[step] = -point / rate
    return path
