r"""Any problem in other coordinates: f~(t) = f(V t), with a basis for each trial (document 4).

A basis is block-diagonal: orthonormal columns for each of some blocks of the parameter vector, the
rest keeps its coordinates. Trials with one basis share each product with it: methods and learning
rates tried on the same problem cost little more than one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor

from hdnotes.problems.wrapped import Wrapped


class Block(NamedTuple):
    """Orthonormal columns (size, size) for the parameters ``at``."""

    at: slice
    vectors: Tensor


@dataclass(frozen=True)
class Rotated(Wrapped):
    """Trials of ``problem``, each in the coordinates of one of several bases.

    Parameters
    ----------
    problem : the trials in original coordinates
    bases : each a tuple of blocks; an empty one is the original coordinates
    basis_of : the basis of each trial
    """

    bases: tuple[tuple[Block, ...], ...]
    basis_of: tuple[int, ...]

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only, in this order."""
        basis_of = tuple(self.basis_of[t] for t in trials)
        return replace(self, problem=self.problem.take(trials), basis_of=basis_of)

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients V^T grad f(V t) at ``point`` t."""
        loss, gradient = self.problem.loss_and_gradient(self.original(point), batch)
        return loss, self.coordinates(gradient)

    def original(self, point: Tensor) -> Tensor:
        """Return theta = V t for points t (trials, parameters)."""
        return self._turned(point, back=True)

    def coordinates(self, point: Tensor) -> Tensor:
        """Return t = V^T theta for points or gradients (trials, parameters)."""
        return self._turned(point, back=False)

    def _turned(self, point: Tensor, back: bool) -> Tensor:
        turned = point.clone()
        for number, rows in self._rows:
            for at, vectors in self.bases[number]:
                turned[rows, at] = point[rows, at] @ (vectors.T if back else vectors)
        return turned

    @cached_property
    def _rows(self) -> list[tuple[int, Tensor]]:
        """Each basis that is used, and its rows."""
        numbers = torch.tensor(self.basis_of)
        return [
            (number, (numbers == number).nonzero().flatten())
            for number in sorted(set(self.basis_of))
            if self.bases[number]
        ]
