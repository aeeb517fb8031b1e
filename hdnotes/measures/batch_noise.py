"""What a running mean of gradients keeps of the batches' noise, measured along a path.

Used by chapter `adam_dynamics`, beside the closed forms of `hdnotes.theory.batch_noise`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hdnotes.long_training import Source
from hdnotes.optimizers import Lockstep


def carried_noise(
    problem: Any,
    rows: Lockstep,
    batches: Source,
    steps: int,
    *,
    fraction: float,
    beta: float,
    project: Callable[[Tensor], None],
) -> Tensor:
    """Return sum ||m||^2 / sum ||z||^2 over the second half of a path (trials,).

    Here z = g_batch - b g_all is the noise at the path's point, and m = beta m + (1 - beta) z.

    Parameters
    ----------
    problem : T trials
    rows : their points and methods; trained along the way
    batches : what each step sees
    steps : updates
    fraction : b, the mean share of the samples in a batch
    beta : how much of the running mean a step keeps
    project : changes the point in place after each update
    """
    mean = torch.zeros_like(rows.point)
    kept, total = (rows.point.new_zeros(len(rows.point)) for _ in range(2))
    for step in range(steps):
        _, gradient = problem.loss_and_gradient(rows.point, batches.at(step))
        _, whole = problem.loss_and_gradient(rows.point)
        noise = gradient - fraction * whole
        mean = beta * mean + (1 - beta) * noise
        if 2 * step >= steps:
            kept += mean.square().sum(1)
            total += noise.square().sum(1)
        rows.step(gradient)
        project(rows.point)
    return kept / total
