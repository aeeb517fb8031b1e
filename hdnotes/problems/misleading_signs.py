r"""A small classification problem whose gradient signs mislead (Wilson and others 2017).

Sample i with label y_i = +-1 has a first feature y_i, two that are always 1, and five of its own:
the first of them is 1, the other four are 1 if y_i = -1. All else is 0. Least squares is asked for
y. With more positive labels than negative ones A sign(A^T y) = 4 y: a method that moves every
coordinate by the same amount in the sign of its gradient fits the data, but on a new sample its
first three weights are equal, and it always answers +1. (Chapter pseudo_inverse.)
"""

import torch
from torch import Tensor

from hdnotes import seeds

#: Features that all samples have, and those that each has for itself.
SHARED, OWN = 3, 5


def data(labels: Tensor) -> Tensor:
    """Return the inputs (samples, 3 + 5 samples) of labels (samples,), +1 or -1.

    Examples
    --------
    >>> data(torch.tensor([1.0, -1.0])).int().tolist()
    [[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [-1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]]
    """
    n = len(labels)
    own = torch.zeros(n, n, OWN, dtype=labels.dtype, device=labels.device)
    row = torch.arange(n, device=labels.device)
    own[row, row] = (labels < 0).to(labels.dtype).unsqueeze(1)
    own[row, row, 0] = 1.0
    ones = torch.ones(n, 2, dtype=labels.dtype, device=labels.device)
    return torch.cat([labels.unsqueeze(1), ones, own.flatten(1)], 1)


def draw_labels(samples: int, positive: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw labels in a random order, ``positive`` of them +1 and the others -1.

    Raises
    ------
    ValueError
        If the positive ones are not the majority, or there are no others.
    """
    if not samples / 2 < positive < samples:
        raise ValueError(
            f"positive = {positive} is not allowed; it is above half of {samples} and below all"
        )
    order = torch.randperm(samples, generator=seeds.generator(*of))
    return torch.where(order < positive, 1.0, -1.0).double()


def answers(weights: Tensor) -> Tensor:
    """Return what weights (..., features) say of a new positive and a new negative, (..., 2).

    A new sample's own features were never seen, so only the three shared ones count if the weights
    of unseen features are 0, as they are for a start at 0.
    """
    first, others = weights[..., 0], weights[..., 1] + weights[..., 2]
    return torch.stack([others + first, others - first], -1)
