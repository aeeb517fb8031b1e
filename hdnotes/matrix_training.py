r"""The loop for optimizers that see matrices as matrices: the runs of one trial in lockstep.

A point is still one vector; an optimizer of torch.optim or pytorch_optimizer sees parts of it,
each with its own shape, a weight matrix as a matrix. The runs start from one point and see the same
batches, each at its own learning rate, so they share every product with a basis. The loop can also
turn the coordinates of methods that act element by element, which then start anew or carry over
what they remember (chapter egop_related).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hdnotes.batches import Shuffled
from hdnotes.optimizers import Method, find
from hdnotes.problems.rotated import Block, Rotated

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
class Turning:
    """When the coordinates of each run turn, and to what.

    Parameters
    ----------
    at : steps before whose update they turn
    blocks : (step, point (parameters,), gradients (seen, parameters)), all in original
        coordinates -> the blocks of a run's new ones; the gradients are those since the last turn
    keeps : whether gradients are kept for ``blocks``; else it is given none
    carry : whether a method takes along what it remembers; else it starts anew
    """

    at: Sequence[int]
    blocks: Callable[[int, Tensor, Tensor], tuple[Block, ...]]
    keeps: bool = False
    carry: bool = False


@dataclass(frozen=True)
class Trained:
    """What the runs of a trial leave behind.

    Attributes
    ----------
    seen : what ``look`` returned at the recorded steps (records, runs, ...); infinite from where a
        run was given up
    point : where each ended, in original coordinates (runs, parameters)
    states : what each run's optimizers remember of each part
    """

    seen: Tensor
    point: Tensor
    states: list[list[dict[str, Any]]]


def train_parts(
    problem: Rotated,
    start: Tensor,
    parts: Sequence[Part],
    rates: Tensor,
    *,
    batches: Shuffled,
    record: Sequence[int],
    look: Callable[[Tensor], Tensor],
    turning: Turning | None = None,
) -> Trained:
    """Train one trial once for every row of learning rates.

    A run whose loss exceeds `HOPELESS` times its first, or whose optimizer finds no decomposition,
    stays where it is.

    Parameters
    ----------
    problem : one trial as often as there are runs, in the coordinates in which they start
    start : (parameters,), in original coordinates; not changed
    parts : what the optimizers see; together all parameters
    rates : learning rate of each update (runs, steps)
    batches : what each step sees, one stream
    record : steps at which ``look`` sees the points (runs, parameters) in original coordinates
    turning : new coordinates on the way, for methods that act element by element
    """
    runs, steps = rates.shape
    point = problem.coordinates(start.expand(runs, -1)).clone()
    trainers = [_Trainer(parts, row) for row in point]
    seen: list[Tensor] = []
    kept: list[Tensor] = []
    limits: list[float] = []
    for step in range(steps + 1):
        if step in record:
            values = look(problem.original(point))
            for values_of_run, trainer in zip(values, trainers, strict=True):
                if not trainer.trains:
                    values_of_run.fill_(torch.inf)
            seen.append(values)
        if step == steps:
            break
        batch = batches.at(step).expand(runs, -1)
        loss, gradient = problem.loss_and_gradient(point, batch)
        losses = loss.tolist()
        limits = limits or [HOPELESS * first for first in losses]
        for trainer, now, limit in zip(trainers, losses, limits, strict=True):
            trainer.trains &= now < limit
        if turning is not None:
            if turning.keeps:
                kept.append(gradient)
            if step in turning.at:
                problem, gradient = _turn(step, turning, problem, trainers, point, gradient, kept)
                kept.clear()
        for trainer, slope, path in zip(trainers, gradient, rates, strict=True):
            if trainer.trains:
                trainer.step(slope, float(path[step]))
    states = [trainer.states for trainer in trainers]
    shown = torch.stack(seen) if seen else start.new_empty(0, runs)
    return Trained(shown, problem.original(point), states)


class _Trainer:
    """One run: the optimizers over the parts of its row of the points, one a method."""

    def __init__(self, parts: Sequence[Part], row: Tensor) -> None:
        self.trains = True
        self._parts = parts
        self._views = [torch.nn.Parameter(row[part.at].view(part.shape)) for part in parts]
        groups: dict[str, tuple[Method, list[Tensor]]] = {}
        for part, view in zip(parts, self._views, strict=True):
            groups.setdefault(repr(part.method), (part.method, []))[1].append(view)
        self._optimizers: list[torch.optim.Optimizer] = []
        for method, members in groups.values():
            kind: Any = find(method.optimizer)
            self._optimizers.append(kind(members, lr=1.0, **method.settings))

    @property
    def states(self) -> list[dict[str, Any]]:
        """What is remembered of each part; of those that have not been updated, nothing."""
        found = [(view, one.state) for view in self._views for one in self._optimizers]
        return [state[view] for view, state in found if view in state]

    def step(self, gradient: Tensor, rate: float) -> None:
        """Update the row; a gradient that cannot be decomposed ends the run."""
        for part, view in zip(self._parts, self._views, strict=True):
            view.grad = gradient[part.at].view(part.shape)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            try:
                optimizer.step()
            except torch.linalg.LinAlgError:
                self.trains = False


def _turn(
    step: int,
    turning: Turning,
    problem: Rotated,
    trainers: Sequence[_Trainer],
    point: Tensor,
    gradient: Tensor,
    kept: list[Tensor],
) -> tuple[Rotated, Tensor]:
    """Turn every run that trains; return the problem and the gradients in the new coordinates."""
    none = gradient.new_empty(0, gradient.shape[1])
    bases = [problem.bases[number] for number in problem.basis_of]
    original = problem.original(point)
    for run, trainer in enumerate(trainers):
        if trainer.trains:
            before = bases[run]
            path = torch.stack([seen[run] for seen in kept]) if kept else none
            path = problem.take([run] * len(path)).original(path)
            bases[run] = turning.blocks(step, original[run], path)
            for state in trainer.states:
                if turning.carry:
                    _carry(state, before, bases[run])
                else:
                    _forget(state)
    distinct = {id(basis): basis for basis in bases}
    numbers = {name: number for number, name in enumerate(distinct)}
    basis_of = tuple(numbers[id(basis)] for basis in bases)
    turned = replace(problem, bases=tuple(distinct.values()), basis_of=basis_of)
    slopes = turned.coordinates(problem.original(gradient))
    point.copy_(turned.coordinates(original))
    return turned, slopes


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
