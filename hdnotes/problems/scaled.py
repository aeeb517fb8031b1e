"""A problem whose gradients are multiplied, row by row or entry by entry (chapter adam)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from hdnotes.problems.wrapped import Wrapped


@dataclass(frozen=True)
class Scaled(Wrapped):
    """The same losses, and gradients times a factor.

    Parameters
    ----------
    problem : T trials
    factors : (trials, 1), or (trials, d) for each parameter its own
    """

    factors: Tensor

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only."""
        chosen = torch.as_tensor(trials, device=self.factors.device)
        return replace(self, problem=self.problem.take(trials), factors=self.factors[chosen])

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses (trials,) and the gradients (trials, d) times their factors."""
        loss, gradient = self.problem.loss_and_gradient(point, batch)
        return loss, gradient * self.factors
