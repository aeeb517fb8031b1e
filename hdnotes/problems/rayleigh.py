r"""The Rayleigh quotient, a scale-invariant loss without a network (chapter exponential_lr).

L(theta) = -theta^T C theta / ||theta||^2 with C = (1/n) sum_i x_i x_i^T, the second moment of a
batch: its minimisers are the leading principal component of the data, at any length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rayleigh:
    """Trials on one data set.

    Parameters
    ----------
    inputs : (n, d)
    data_of : one 0 a trial
    """

    inputs: Tensor
    data_of: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of parameters, d."""
        return self.inputs.shape[1]

    @property
    def samples(self) -> int:
        """The number of samples, n."""
        return len(self.inputs)

    @property
    def data_bytes(self) -> int:
        """Bytes of the inputs."""
        return self.inputs.nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's projections over all samples."""
        return 4 * self.samples * self.inputs.element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the data are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def outputs(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Return x . theta / ||theta||, (trials, size), at inputs (trials, size, d)."""
        return (inputs @ (point / point.norm(dim=1, keepdim=True)).unsqueeze(2)).squeeze(2)

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d), -2 (C u - (u^T C u) u) / ||theta||."""
        rows = slice(None) if batch is None else batch
        x = self.inputs[rows].expand(len(point), -1, -1)
        length = point.norm(dim=1, keepdim=True)
        z = self.outputs(point, x)
        loss = -z.square().mean(1)
        moment = torch.bmm(z.unsqueeze(1), x).squeeze(1) / z.shape[1]
        return loss, -2 * (moment + loss.unsqueeze(1) * point / length) / length
