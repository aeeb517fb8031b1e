r"""Recovering a matrix from its products: one linear layer, fresh samples every step (document 1).

A trial learns Phi (M x N) from pairs (x, y = s x Phi) by a layer p = x W^T + b with the squared
error summed over outputs and samples, f = sum_i ||p_i - y_i||^2. The bias is the weight of one
more input that is always 1, so a point is the matrix (W, b), N x (M + 1), row by row. Every step
has samples of its own; trials on the same stream share each product with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.problems.convex import orthonormal

#: Draws behind the scale of y: 16 matrices times 32 inputs (document 1, the code of its figures).
SCALE_DRAWS = 16 * 32


@dataclass(frozen=True)
class MatrixRecovery:
    """Trials of one linear layer; trial t reads the stream ``data_of[t]``.

    Parameters
    ----------
    inputs : each stream's inputs, each (steps, batch + test, M), or M + 1 with a last column of
        ones for the bias: at every step first the samples it learns from, then fresh ones
    targets : each stream's y, one sample a column, each (steps, N, batch + test)
    data_of : the stream of each trial
    batch : samples that a step learns from; the loss is that of the others, where there are any
    """

    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    data_of: tuple[int, ...]
    batch: int

    @property
    def parameters(self) -> int:
        """The number of weights and biases, N (M + 1)."""
        return self.targets[0].shape[1] * self.inputs[0].shape[-1]

    @property
    def samples(self) -> int:
        """The number of samples that a whole run learns from."""
        return len(self.inputs[0]) * self.batch

    @property
    def data_bytes(self) -> int:
        """Bytes of what one step reads of a stream."""
        return self.inputs[0][0].nbytes + self.targets[0][0].nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's residuals and of its point, gradient and optimizer state."""
        residuals = self.targets[0][0].numel()
        return (3 * residuals + 6 * self.parameters) * self.inputs[0].element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the streams are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, parameters).

        ``batch`` (trials, size) holds the numbers of one step's samples, as `InOrder` gives them;
        None is all samples that are learned from.
        """
        step = None if batch is None else int(batch[0, 0]) // self.batch
        if len(self._streams) == 1:
            return self._one_stream(self.data_of[0], step, point)
        loss, gradient = point.new_empty(len(point)), torch.empty_like(point)
        for data, rows in self._streams.items():
            loss[rows], gradient[rows] = self._one_stream(data, step, point[rows])
        return loss, gradient

    def _one_stream(self, data: int, step: int | None, point: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and gradients of trials on one stream, by one product each way."""
        if step is None:
            x = self.inputs[data][:, : self.batch].flatten(0, 1)
            y = self.targets[data][..., : self.batch].transpose(0, 1).flatten(1)
            learned = len(x)
        else:
            x, y, learned = self.inputs[data][step], self.targets[data][step], self.batch
        weights = point.reshape(-1, x.shape[1])
        residual = (weights @ x.T).view(len(point), -1, len(x)).sub_(y)
        judged = residual[..., learned:] if len(x) > learned else residual
        slope = 2 * residual[..., :learned].flatten(0, 1)
        return judged.square().sum((1, 2)), (slope @ x[:learned]).view(len(point), -1)

    @cached_property
    def _streams(self) -> dict[int, Tensor]:
        """The rows of each stream's trials."""
        rows: dict[int, list[int]] = {}
        for trial, data in enumerate(self.data_of):
            rows.setdefault(data, []).append(trial)
        return {data: torch.tensor(trials) for data, trials in rows.items()}


def draw_matrix(m: int, n: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw Phi (M, N): the first M rows and N columns of a Haar matrix of size max(M, N).

    Its longer side is orthonormal, which is all that has to be drawn.
    """
    matrix = orthonormal(max(m, n), min(m, n), of=of)
    return matrix if m >= n else matrix.T


def draw_inputs(count: int, m: int, dtype: torch.dtype, *, of: tuple[object, ...]) -> Tensor:
    """Draw unit vectors (count, M): uniform on (-1/2, 1/2)^M, then normalised; E[x x^T] = I/M."""
    x = torch.rand(count, m, generator=seeds.generator(*of), dtype=dtype) - 0.5
    return x / x.norm(dim=1, keepdim=True)


def target_scale(m: int, n: int, *, of: tuple[object, ...]) -> float:
    """Return s, which makes y about as long as x: 1 over the mean length of x Phi, 1 if M = N.

    About 1 for M < N and sqrt(M/N) for M > N. As Phi is Haar, x Phi is as long as the first N
    entries of a random unit vector, whatever x.
    """
    if m <= n:
        return 1.0
    vectors = seeds.normal(SCALE_DRAWS, m, of=of)
    return float(1 / (vectors[:, :n].norm(dim=1) / vectors.norm(dim=1)).mean())


def draw_start(m: int, n: int, bias: bool, *, of: tuple[object, ...]) -> Tensor:
    """Draw the default start of torch.nn.Linear, uniform on +-1/sqrt(M), as a point."""
    width = m + bias
    uniform = torch.rand(n * width, generator=seeds.generator(*of), dtype=torch.float64)
    return (2 * uniform - 1) / m**0.5


def with_ones(x: Tensor) -> Tensor:
    """Append the input that is always 1 (..., M + 1): its weight is the bias."""
    return torch.cat([x, torch.ones_like(x[..., :1])], -1)
