r"""The loop for learning rates that change at every step: arms of trials side by side.

An arm is a method with a rate for each update; its trials are rows of one point and one parameter
of the real torch.optim class. All arms see the same problem and batches, so two of them can be
compared step by step. A run that leaves the range of its numbers goes on as what it is: not finite.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hdnotes.batches import Shuffled
from hdnotes.optimizers import Method, find
from hdnotes.problems.problem import Problem

Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Arm:
    """How some trials are trained.

    Parameters
    ----------
    method : class of torch.optim and its settings
    rates : learning rate of each update (steps,)
    start : first points (trials, parameters); not changed
    buffer : first momentum buffer (trials, parameters) of torch's SGD; None is zero
    momenta : momentum of each update of torch's SGD (steps,); None leaves it to the settings
    """

    method: Method
    rates: Tensor
    start: Tensor
    buffer: Tensor | None = None
    momenta: Tensor | None = None


@dataclass(frozen=True)
class ScheduledRun:
    """What the arms leave behind; rows are the arms' trials, arm after arm.

    Attributes
    ----------
    loss, squared_norm, squared_gradient : (rows, steps + 1), in float64, at every point before its
        update, of the batch that it sees
    rotation : ||u_{t+1} - u_t|| with u = theta / ||theta||, the angle of every update (rows, steps)
    observed : measure -> (rows, records, ...)
    point : the last points (rows, parameters)
    """

    loss: Tensor
    squared_norm: Tensor
    squared_gradient: Tensor
    rotation: Tensor
    observed: Mapping[str, Tensor]
    point: Tensor


def train_scheduled(
    problem: Problem,
    arms: Sequence[Arm],
    *,
    batches: Shuffled | None = None,
    record: Sequence[int] | Tensor = (),
    observe: Mapping[str, Look] | None = None,
) -> ScheduledRun:
    """Train all arms for as many updates as they have rates.

    Parameters
    ----------
    problem : as many trials as all arms have together
    arms : of equally many updates
    batches : what each step sees, one stream a row; None is all samples
    record : steps at which ``observe`` looks, ascending
    observe : measures of all points (rows, parameters) -> (rows, ...)

    Raises
    ------
    ValueError
        If arms differ in their number of updates, or rows are not the problem's trials.
    """
    lengths = {len(arm.rates) for arm in arms}
    point = torch.cat([arm.start for arm in arms]).clone()
    if len(lengths) != 1 or len(point) != len(problem.data_of):
        raise ValueError(
            f"arms have {sorted(lengths)} rates and {len(point)} rows; "
            f"they need one length and {len(problem.data_of)} rows"
        )
    views = point.split([len(arm.start) for arm in arms])
    optimizers = [_optimizer(arm, view) for arm, view in zip(arms, views, strict=True)]
    places = {int(step) for step in record}
    path: list[Tensor] = []
    unit = torch.full_like(point, torch.nan, dtype=torch.float64)
    looks = observe or {}
    seen: dict[str, list[Tensor]] = {name: [] for name in looks}
    (steps,) = lengths
    for step in range(steps + 1):
        batch = None if batches is None else batches.at(step)
        loss, gradient = problem.loss_and_gradient(point, batch)
        before, squares = unit, [x.double().square().sum(1) for x in (point, gradient)]
        unit = point.double() / squares[0].sqrt().unsqueeze(1)
        path.append(torch.stack([loss.double(), *squares, (unit - before).norm(dim=1)]))
        if step in places:
            for name, look in looks.items():
                seen[name].append(look(point))
        if step < steps:
            for arm, view, optimizer in zip(arms, views, optimizers, strict=True):
                optimizer.param_groups[0]["lr"] = float(arm.rates[step])
                if arm.momenta is not None:
                    optimizer.param_groups[0]["momentum"] = float(arm.momenta[step])
                view.grad = gradient[: len(view)]
                gradient = gradient[len(view) :]
                optimizer.step()
    loss, norm, slope, rotation = torch.stack(path, 2)
    observed = {name: torch.stack(values, 1) for name, values in seen.items()}
    return ScheduledRun(loss, norm, slope, rotation[:, 1:], observed, point)


def _optimizer(arm: Arm, view: Tensor) -> torch.optim.Optimizer:
    kind: Any = find(arm.method.optimizer)
    optimizer: torch.optim.Optimizer = kind([view], lr=1.0, **arm.method.settings)
    if arm.buffer is not None:
        optimizer.state[view]["momentum_buffer"] = arm.buffer.clone()
    return optimizer
