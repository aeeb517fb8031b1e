r"""The loop for optimizers that see a network's matrices as matrices: one trial by itself.

A point is still one vector; an optimizer of torch.optim or pytorch_optimizer sees parts of it,
each with its own shape, a weight matrix as a matrix. The loop can also turn the coordinates of a
method that acts element by element, which then starts anew or carries over what it remembers
(chapter egop_related).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hdnotes.batches import Shuffled
from hdnotes.optimizers import Method, find
from hdnotes.problems.rotated import Block, Rotated

#: (step, point, gradient), both in original coordinates -> the blocks of new ones, or None.
Turn = Callable[[int, Tensor, Tensor], tuple[Block, ...] | None]
#: A loss so many times the first is given up.
HOPELESS = 1e6
#: What methods of torch.optim call their running means, and their means or sums of squares.
MEANS, SQUARES = ("exp_avg", "momentum_buffer"), ("exp_avg_sq", "sum")


class Part(NamedTuple):
    """The parameters ``at``, seen by an optimizer of ``method`` as a tensor of ``shape``."""

    at: slice
    shape: tuple[int, ...]
    method: Method


@dataclass(frozen=True)
class Trained:
    """What a trial leaves behind.

    Attributes
    ----------
    seen : what ``look`` returned at the recorded steps (records, ...); infinite from where the run
        was given up
    point : where it ended, in original coordinates (parameters,)
    states : what the optimizer remembers of each part
    """

    seen: Tensor
    point: Tensor
    states: list[dict[str, Any]]


def train_parts(
    problem: Rotated,
    start: Tensor,
    parts: Sequence[Part],
    rates: Tensor,
    *,
    batches: Shuffled,
    record: Sequence[int],
    look: Callable[[Tensor], Tensor],
    turn: Turn | None = None,
    carry: bool = False,
) -> Trained:
    """Train one trial.

    Parameters
    ----------
    problem : one trial, in the coordinates in which it starts
    start : (parameters,), in original coordinates; not changed
    parts : what the optimizers see; together all parameters
    rates : learning rate of each update (steps,)
    batches : what each step sees
    record : steps at which ``look`` sees the point (parameters,) in original coordinates, ascending
    turn : asked before every update for new coordinates; for methods that act element by element
    carry : whether a method takes along what it remembers when its coordinates turn; else it
        starts anew
    """
    point = problem.coordinates(start.unsqueeze(0)).clone()
    views = [torch.nn.Parameter(point[0, part.at].view(part.shape)) for part in parts]
    optimizers = _optimizers(parts, views)
    seen: list[Tensor] = []
    limit = float("inf")
    for step in range(len(rates) + 1):
        if step in record:
            seen.append(look(problem.original(point)[0]))
        if step == len(rates):
            break
        loss, gradient = problem.loss_and_gradient(point, batches.at(step))
        limit = limit if step else HOPELESS * float(loss)
        if not float(loss) < limit:
            break
        if turn is not None:
            blocks = turn(step, problem.original(point)[0], problem.original(gradient)[0])
            if blocks is not None:
                turned = replace(problem, bases=(blocks,))
                for optimizer in optimizers:
                    for state in optimizer.state.values():
                        if carry:
                            _carry(state, problem.bases[0], blocks)
                        else:
                            _forget(state)
                gradient = turned.coordinates(problem.original(gradient))
                point.copy_(turned.coordinates(problem.original(point)))
                problem = turned
        for part, view in zip(parts, views, strict=True):
            view.grad = gradient[0, part.at].view(part.shape)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = float(rates[step])
            try:
                optimizer.step()
            except torch.linalg.LinAlgError:
                point.fill_(torch.nan)
    seen += [torch.full_like(look(start), torch.inf)] * (len(record) - len(seen))
    states = [dict(one.state[view]) for view in views for one in optimizers if view in one.state]
    return Trained(
        torch.stack(seen) if seen else start.new_empty(0), problem.original(point)[0], states
    )


def _optimizers(parts: Sequence[Part], views: Sequence[Tensor]) -> list[torch.optim.Optimizer]:
    """Return one optimizer a method, over the parts that it trains."""
    groups: dict[str, tuple[Method, list[Tensor]]] = {}
    for part, view in zip(parts, views, strict=True):
        groups.setdefault(repr(part.method), (part.method, []))[1].append(view)
    made = []
    for method, members in groups.values():
        kind: Any = find(method.optimizer)
        made.append(kind(members, lr=1.0, **method.settings))
    return made


def _forget(state: dict[str, Any]) -> None:
    """Set all that a method remembers to zero, the number of its steps as well."""
    for value in state.values():
        if isinstance(value, Tensor):
            value.zero_()


def _carry(state: dict[str, Any], old: Sequence[Block], new: Sequence[Block]) -> None:
    """Turn what a method remembers of a vector: means as vectors, squares as of unrelated ones.

    The variance of sum_i r_i x_i is sum_i r_i^2 var x_i where the x_i are not correlated, which
    is what the old coordinates were chosen for.
    """
    for (at, before), (_, after) in zip(old, new, strict=True):
        overlap = before.mT @ after
        for name in MEANS:
            if state.get(name) is not None:
                state[name][at] = state[name][at] @ overlap
        for name in SQUARES:
            if name in state:
                state[name][at] = state[name][at] @ overlap.square()
