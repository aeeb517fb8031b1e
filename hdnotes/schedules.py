"""Training with a learning rate that changes: T trials of one method in lockstep, to their ends.

Sign-like methods come to rest only as their steps shrink (chapter pseudo_inverse).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from hdnotes.batches import Shuffled
from hdnotes.optimizers import Setting, find
from hdnotes.problems.problem import Problem


def constant(step: int) -> float:
    """Return 1: the learning rate stays."""
    return 1.0


def linear_decay(steps: int) -> Callable[[int], float]:
    """Return the factor 1 - step/steps, which falls to zero.

    Examples
    --------
    >>> [linear_decay(4)(step) for step in range(5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return lambda step: 1 - step / steps


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


def train_scheduled(
    problem: Problem,
    start: Tensor,
    setting: Setting,
    steps: int,
    factor: Callable[[int], float] = constant,
    *,
    batches: Shuffled | None = None,
) -> Tensor:
    """Train every trial by one method and return where they end, (trials, parameters).

    Parameters
    ----------
    problem : T trials
    start : first points (trials, parameters); not changed
    setting : method and learning rate, which acts element by element
    steps : updates
    factor : step -> what the learning rate is multiplied by
    batches : what each step sees; None is all samples
    """
    point = torch.nn.Parameter(start.detach().clone())
    kind = find(setting.method.optimizer)
    optimizer = kind([point], lr=setting.learning_rate, **setting.method.settings)  # type: ignore[call-arg]
    schedule = LambdaLR(optimizer, factor)
    for step in range(steps):
        batch = None if batches is None else batches.at(step)
        _, point.grad = problem.loss_and_gradient(point.detach(), batch)
        optimizer.step()
        schedule.step()
    return point.detach()
