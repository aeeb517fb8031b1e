"""A problem whose gradients are multiplied, row by row or entry by entry (chapter adam)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scaled:
    """The same losses, and gradients times a factor.

    Parameters
    ----------
    problem : T trials
    factors : (trials, 1), or (trials, d) for each parameter its own
    """

    problem: Any
    factors: Tensor

    @property
    def data_of(self) -> Sequence[int]:
        """The data set of each trial."""
        return self.problem.data_of

    @property
    def parameters(self) -> int:
        """The number of parameters, d."""
        return self.problem.parameters

    @property
    def samples(self) -> int:
        """The number of samples, n."""
        return self.problem.samples

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set."""
        return self.problem.data_bytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's step."""
        return self.problem.trial_bytes

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
