r"""Matrix recovery without the matrix: a layer's weights one by one (matrix_recovery_explained).

A linear layer p = W x + b learns y = Phi x from batches of B unit vectors x with E[x x^T] = I/M.
Write E = W - Phi. The gradient of the loss summed over the batch is

    G_W = 2 (E S + b s^T),   G_b = 2 (E s + B b),   S = sum_i x_i x_i^T,  s = sum_i x_i,

with E[S] = (B/M) I and E[s] = 0. An element of it is its mean and a sum of many small terms, so:

    g_w = 2 ((B/M) e + sqrt((B/M) ((1 - 1/M) <e^2> + <b^2>)) z)
    g_b = 2 (B b + sqrt(B <e^2>) z),       z ~ N(0, 1), independent,

where < > is the mean over all weights or biases. In the layer a weight's noise comes from the
errors and the bias of its own output; the means stand for those of every output. Summed over the
layer both second moments are exact. What is left out is the dependence between elements. The layer
is then a crowd of independent weights that feel each other through <e^2> and <b^2> alone, and a few
thousand of them stand for all N M. The expected loss of a fresh batch is B N (<e^2> + <b^2>).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.problems.clipped import TINY


@dataclass(frozen=True)
class MeanField:
    """Trials of one layer's crowd; a point is its weights, then its biases if it has any.

    Parameters
    ----------
    target : what the weights should be, one of Phi's elements each (weights,)
    noise : z of every step (steps, parameters), the same for all trials
    m, n : sides of the layer that the crowd stands for
    batch : samples of a batch, B
    clip : norm to which the whole layer's gradient is clipped, or None
    data_of : which crowd each trial is of: all zeros
    """

    target: Tensor
    noise: Tensor
    m: int
    n: int
    batch: int
    clip: float | None
    data_of: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of weights and biases in the crowd."""
        return self.noise.shape[1]

    @property
    def samples(self) -> int:
        """The number of steps that noise was drawn for."""
        return len(self.noise)

    @property
    def data_bytes(self) -> int:
        """Bytes of one step's noise."""
        return self.noise[0].nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's point, gradient and optimizer state."""
        return 8 * self.data_bytes

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return expected losses (trials,) and gradients (trials, parameters).

        ``batch`` (trials, 1) holds the step, as `InOrder` with batches of one gives it; None is a
        batch without noise.
        """
        weights = len(self.target)
        z = torch.zeros_like(self.noise[0]) if batch is None else self.noise[int(batch[0, 0])]
        error, bias = point[:, :weights] - self.target, point[:, weights:]
        error_square = error.square().mean(1, keepdim=True)
        bias_square = bias.square().sum(1, keepdim=True) / max(1, bias.shape[1])
        share = self.batch / self.m
        spread = (share * ((1 - 1 / self.m) * error_square + bias_square)).sqrt()
        slope = torch.cat(
            [
                share * error + spread * z[:weights],
                self.batch * bias + (self.batch * error_square).sqrt() * z[weights:],
            ],
            1,
        ).mul_(2)
        loss = self.batch * self.n * (error_square + bias_square).squeeze(1)
        return loss, slope if self.clip is None else self._clipped(slope, self.clip)

    def _clipped(self, slope: Tensor, norm: float) -> Tensor:
        """Scale the gradients as the norm of the layer that they stand for demands."""
        weights, biases = slope.split([len(self.target), slope.shape[1] - len(self.target)], 1)
        square = self.n * self.m * weights.square().mean(1, keepdim=True)
        if biases.shape[1]:
            square = square + self.n * biases.square().mean(1, keepdim=True)
        return slope * (norm / (square.sqrt() + TINY)).clamp(max=1)


def draw_mean_field(
    m: int,
    n: int,
    *,
    scale: float,
    batch: int,
    steps: int,
    clip: float | None,
    bias: bool,
    trials: int,
    of: tuple[object, ...],
    crowd: int = 8192,
) -> tuple[MeanField, Tensor]:
    """Draw a crowd in float32 and its start, that of torch.nn.Linear.

    Parameters
    ----------
    m, n : sides of the layer
    scale : s of y = s x Phi; Phi's elements have variance 1 / max(M, N)
    batch, steps, clip, bias : as the layer is trained
    trials : how many trials share the crowd
    of : name of the streams
    crowd : weights in it; a quarter as many biases

    Returns
    -------
    MeanField, Tensor
        The problem and one start (parameters,).
    """
    parameters = crowd + (crowd // 4 if bias else 0)
    target = scale / max(m, n) ** 0.5 * seeds.normal(crowd, of=(*of, "Phi")).float()
    stream, draw = seeds.generator(*of, "noise"), seeds.generator(*of, "start")
    noise = torch.randn(steps + 1, parameters, generator=stream, dtype=torch.float32)
    start = (2 * torch.rand(parameters, generator=draw, dtype=torch.float32) - 1) / m**0.5
    return MeanField(target, noise, m, n, batch, clip, (0,) * trials), start
