r"""Any problem on an affine subspace: f(theta_0 + P t), the partial basis of document 4, Section 5.

P (d, k) holds orthonormal columns, t the k coordinates that are trained; what lies outside the
columns of P stays as it was at theta_0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from hdnotes.problems.wrapped import Wrapped


@dataclass(frozen=True)
class Subspace(Wrapped):
    """Trials of ``problem``, each on a subspace through its own origin.

    Parameters
    ----------
    problem : the trials in original coordinates
    origin : theta_0 of each trial (trials, d)
    bases : each P (d, k), the same k for all
    basis_of : the basis of each trial
    """

    origin: Tensor
    bases: tuple[Tensor, ...]
    basis_of: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of coordinates that are trained, k."""
        return self.bases[0].shape[1]

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only, in this order."""
        rows = list(trials)
        basis_of = tuple(self.basis_of[t] for t in rows)
        return replace(
            self, problem=self.problem.take(rows), origin=self.origin[rows], basis_of=basis_of
        )

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients P^T grad f(theta_0 + P t) (trials, k)."""
        loss, gradient = self.problem.loss_and_gradient(self.original(point), batch)
        turned = torch.empty_like(point)
        for number, rows in self._rows():
            turned[rows] = gradient[rows] @ self.bases[number]
        return loss, turned

    def original(self, point: Tensor) -> Tensor:
        """Return theta_0 + P t for points t (trials, k)."""
        theta = self.origin.clone()
        for number, rows in self._rows():
            theta[rows] += point[rows] @ self.bases[number].T
        return theta

    def _rows(self) -> list[tuple[int, Tensor]]:
        """Each basis that is used, and its rows."""
        numbers = torch.tensor(self.basis_of)
        return [(n, (numbers == n).nonzero().flatten()) for n in sorted(set(self.basis_of))]
