r"""Matrix completion: a product of square layers fitted to some entries of a matrix (document 3).

    L(W) = (1/m) sum_{observed} (W_ij - Y_ij)^2 + lambda P(W),   W = W_N ... W_1,

with m observed entries and a penalty P on the singular values of W (`spectral_penalties`), or none.
A point is the N layers, W_1 first, each n x n, row by row. Chapters `adam_ratio`, `adam_intuition`
and `adam_generalizability`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from hdnotes import seeds

Penalty = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class MatrixCompletion:
    """Trials that complete a matrix; trial t the matrix ``data_of[t]``.

    Parameters
    ----------
    truths : each data set's matrix, (n, n); only measures look at it
    targets : what was observed of it, (n, n), noise included; zero elsewhere
    masks : which entries were observed, (n, n) of bool; none at all leaves the penalty alone
    data_of : the data set of each trial
    penalty : (..., n, n) -> value and gradient, or None
    weights : lambda of each trial
    depth : N, the number of layers
    exact : whether a step changes unobserved entries only (of one layer), so that W never leaves
        the matrices that have the entries observed
    """

    truths: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    data_of: tuple[int, ...]
    penalty: Penalty | None
    weights: tuple[float, ...]
    depth: int = 1
    exact: bool = False

    @property
    def size(self) -> int:
        """The side n of the matrices."""
        return len(self.truths[0])

    @property
    def parameters(self) -> int:
        """The number of entries of all layers, N n^2."""
        return self.depth * self.size**2

    @property
    def samples(self) -> int:
        """The number of observed entries of the first data set."""
        return int(self.masks[0].sum())

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set as a step reads it."""
        return 2 * self.targets[0].nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's factors, layers, products, gradient and optimizer state."""
        return (6 * self.parameters + 6 * self.size**2) * self.targets[0].element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only."""
        return replace(
            self,
            data_of=tuple(self.data_of[t] for t in trials),
            weights=tuple(self.weights[t] for t in trials),
        )

    def layers(self, point: Tensor) -> Tensor:
        """Return the layers (trials, N, n, n) of points (trials, parameters)."""
        return point.view(len(point), self.depth, self.size, self.size)

    def product(self, point: Tensor) -> Tensor:
        """Return W = W_N ... W_1 (trials, n, n)."""
        return _products(self.layers(point))[-1]

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, parameters).

        Where a point is not finite, neither is the loss.
        """
        if batch is not None:
            raise ValueError("batch is not allowed; every step sees all observed entries")
        layers = self.layers(point)
        before = _products(layers)
        w = before[-1]
        residual = (w - self._target) * self._share
        loss = ((w - self._target) * residual).sum((1, 2))
        slope = 2 * residual
        if self.penalty is not None:
            finite = w.isfinite().all(-1).all(-1)
            safe = torch.where(finite[:, None, None], w, torch.ones_like(w))
            value, gradient = self.penalty(safe)
            loss = torch.where(finite, loss + self._weight * value, torch.nan)
            slope = slope + self._weight[:, None, None] * gradient
        if self.exact:
            slope = slope.masked_fill(self.seen, 0)
        return loss, _chain(layers, before, slope).flatten(1)

    @cached_property
    def truth(self) -> Tensor:
        """Each trial's matrix (trials, n, n)."""
        return torch.stack([self.truths[data] for data in self.data_of])

    @cached_property
    def seen(self) -> Tensor:
        """Each trial's observed entries (trials, n, n), of bool."""
        return torch.stack([self.masks[data] for data in self.data_of])

    @cached_property
    def _target(self) -> Tensor:
        return torch.stack([self.targets[data] for data in self.data_of])

    @cached_property
    def _share(self) -> Tensor:
        """1/m on the observed entries, 0 elsewhere."""
        seen = self.seen.to(self._target.dtype)
        return seen / seen.sum((1, 2), keepdim=True).clamp(min=1)

    @cached_property
    def _weight(self) -> Tensor:
        return self._target.new_tensor(self.weights)


def _products(layers: Tensor) -> list[Tensor]:
    """Return W_1, W_2 W_1, ..., W_N ... W_1 (each trials, n, n)."""
    result = [layers[:, 0]]
    for k in range(1, layers.shape[1]):
        result.append(layers[:, k] @ result[-1])
    return result


def _chain(layers: Tensor, before: Sequence[Tensor], slope: Tensor) -> Tensor:
    """Return dL/dW_j = (W_N ... W_{j+1})^T (dL/dW) (W_{j-1} ... W_1)^T for every layer."""
    depth = layers.shape[1]
    gradients = [slope] * depth
    for j in range(depth - 1, 0, -1):
        gradients[j] = slope @ before[j - 1].mT
        slope = layers[:, j].mT @ slope
    gradients[0] = slope
    return torch.stack(gradients, 1)


def draw_low_rank(n: int, rank: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw W* = c U V^T (n, n) with Gaussian U, V (n, rank) and ||W*||_F = n: entries of rms 1.

    Source: document 3, the matrix completion of "Adam + Ratio".
    """
    w = seeds.normal(n, rank, of=(*of, "left")) @ seeds.normal(n, rank, of=(*of, "right")).T
    return w * (n / torch.linalg.matrix_norm(w))


def draw_mask(n: int, observed: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw which of n^2 entries are observed (n, n), uniformly without replacement."""
    chosen = torch.randperm(n * n, generator=seeds.generator(*of))[:observed]
    mask = torch.zeros(n * n, dtype=torch.bool)
    mask[chosen] = True
    return mask.view(n, n)


def draw_layers(n: int, depth: int, scale: float, *, of: tuple[object, ...]) -> Tensor:
    """Draw a point of Gaussian layers with standard deviation scale^(1/depth) / sqrt(n).

    The product of the layers is then about ``scale`` large, whatever the depth.
    """
    return seeds.normal(depth * n * n, of=of) * (scale ** (1 / depth) / n**0.5)
