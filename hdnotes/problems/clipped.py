"""A problem whose gradients are clipped to a norm, trial by trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from hdnotes.problems.problem import Problem

#: What torch.nn.utils.clip_grad_norm_ adds to the norm.
TINY = 1e-6


@dataclass(frozen=True)
class Clipped:
    """``problem`` with each trial's gradient g scaled by min(1, norm / (||g|| + 1e-6)).

    All parameters of a trial are clipped jointly, as torch.nn.utils.clip_grad_norm_ does.

    Parameters
    ----------
    problem : any problem
    norm : the largest norm a gradient keeps
    """

    problem: Problem
    norm: float

    @property
    def data_of(self) -> Sequence[int]:
        """The data set of each trial."""
        return self.problem.data_of

    @property
    def parameters(self) -> int:
        """The number of parameters of one trial."""
        return self.problem.parameters

    @property
    def samples(self) -> int:
        """The number of samples in one data set."""
        return self.problem.samples

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set."""
        return self.problem.data_bytes

    @property
    def trial_bytes(self) -> int:
        """Bytes that one trial alone reads and writes."""
        return self.problem.trial_bytes

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only."""
        return replace(self, problem=self.problem.take(trials))

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, and the gradients after clipping."""
        loss, gradient = self.problem.loss_and_gradient(point, batch)
        scale = self.norm / (gradient.norm(dim=1, keepdim=True) + TINY)
        return loss, gradient.mul_(scale.clamp_(max=1))
