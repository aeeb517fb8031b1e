r"""Convex objectives f(theta) = phi(A theta, y) with a data matrix A of decaying singular values.

Three outer functions phi of the predictions z = A theta: least squares 1/2 ||z - y||^2, the
logistic negative log-likelihood sum_i log(1 + e^{z_i}) - y_i z_i, and log-sum-exp
log sum_i e^{(z_i - y_i)^2} (document 4, Section 6 and Eq. 7). The gradient is A^T phi'(A theta):
each data matrix is read twice a step, whatever the number of trials on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hdnotes import devices, seeds

#: Rows and bytes at which the other order of a product is the faster one (measured, float64).
FEW, LARGE = range(8, 33), 4 << 20

Outer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def least_squares(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1/2 ||z - y||^2 over the last axis, and its derivative in z."""
    residual = z - y
    return residual.square().sum(-1) / 2, residual


def logistic(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed logistic loss of labels y in {0, 1}, and its derivative in z."""
    return -(logsigmoid(-z) + y * z).sum(-1), torch.sigmoid(z) - y


def log_sum_exp(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return log sum_i exp((z_i - y_i)^2) (document 4, Eq. 7), and its derivative in z."""
    residual = z - y
    square = residual.square()
    return torch.logsumexp(square, -1), 2 * residual * torch.softmax(square, -1)


@dataclass(frozen=True)
class Convex:
    """Trials of f(theta) = outer(A theta, y); trial t has the data set ``data_of[t]``.

    Parameters
    ----------
    outer : function (z, y) -> (loss, derivative in z), on the last axis
    inputs : data matrices A, each (samples, parameters)
    targets : y of each data set, each (samples,)
    data_of : the data set of each trial
    """

    outer: Outer
    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    data_of: tuple[int, ...]
    _transposes: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def parameters(self) -> int:
        """The number of parameters, d."""
        return self.inputs[0].shape[1]

    @property
    def samples(self) -> int:
        """The number of rows of a data matrix, n."""
        return self.inputs[0].shape[0]

    @property
    def data_bytes(self) -> int:
        """Bytes of one data matrix."""
        return self.inputs[0].nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's predictions and of its point, gradient and optimizer state."""
        return (4 * self.samples + 8 * self.parameters) * self.inputs[0].element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the data are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def rotated(self, bases: Sequence[Tensor]) -> Self:
        """Return f(V t) as a problem in t: one orthonormal V (d, d) a data set turns A into A V."""
        inputs = tuple(a @ v for a, v in zip(self.inputs, bases, strict=True))
        return replace(self, inputs=inputs, _transposes={})

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d); see `Problem.loss_and_gradient`."""
        if batch is not None:
            return self._minibatch(point, batch)
        z = self._products(point, transposed=True)
        loss, slope = self.outer(z, self._targets)
        return loss, self._products(slope, transposed=False)

    def _products(self, left: Tensor, *, transposed: bool) -> Tensor:
        """Return row t of ``left`` times A of trial t's data set, or its transpose."""
        if self._stacked is not None:
            matrices, order = self._stacked
            products = torch.bmm(left[order], matrices.mT if transposed else matrices)
            out = products.new_empty(len(left), products.shape[-1])
            out[order] = products
            return out
        out = left.new_empty(len(left), self.samples if transposed else self.parameters)
        for data, rows in self._groups:
            out[rows] = self._product(left[rows], data, transposed)
        return out

    def _product(self, left: Tensor, data: int, transposed: bool) -> Tensor:
        """Return ``left`` (one row or several) times A of a data set, or its transpose.

        A few rows times a matrix that outgrows the cache is up to twice as fast the other way
        round, with the long rows of the matrix on the left; that takes A^T row by row, too.
        """
        a = self.inputs[data]
        if left.dim() == 1:
            return torch.mv(a if transposed else a.T, left)
        if len(left) in FEW and a.nbytes >= LARGE:
            if not transposed and data not in self._transposes:
                self._transposes[data] = a.T.contiguous()
            return ((a if transposed else self._transposes[data]) @ left.T).T
        return left @ (a.T if transposed else a)

    def _minibatch(self, point: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        pairs = list(zip(self.data_of, batch, strict=True))
        a = torch.stack([self.inputs[data][rows] for data, rows in pairs])
        y = torch.stack([self.targets[data][rows] for data, rows in pairs])
        loss, slope = self.outer((a @ point.unsqueeze(-1)).squeeze(-1), y)
        return loss, (slope.unsqueeze(-2) @ a).squeeze(-2)

    @cached_property
    def _stacked(self) -> tuple[Tensor, Tensor] | None:
        """The data sets as one tensor, and the trials (sets, trials of each) on them.

        One batched product then serves them all: only where they fit in the cache together and
        every one has as many trials as the others; else None.
        """
        rows: dict[int, list[int]] = {}
        for trial, data in enumerate(self.data_of):
            rows.setdefault(data, []).append(trial)
        small = len(rows) * self.data_bytes <= devices.cache_bytes()
        if not small or len(rows) == 1 or len({len(r) for r in rows.values()}) > 1:
            return None
        order = torch.tensor(list(rows.values()), device=self.inputs[0].device)
        return torch.stack([self.inputs[data] for data in rows]), order

    @cached_property
    def _groups(self) -> list[tuple[int, int | slice | Tensor]]:
        """The rows of each data set: one row, a slice (no copy) where they are evenly spaced."""
        rows: dict[int, list[int]] = {}
        for trial, data in enumerate(self.data_of):
            rows.setdefault(data, []).append(trial)
        return [(data, _as_slice(r, self.inputs[0].device)) for data, r in rows.items()]

    @cached_property
    def _targets(self) -> Tensor:
        if len(self.targets) == 1:
            return self.targets[0]
        return torch.stack(self.targets)[list(self.data_of)]


def _as_slice(rows: list[int], device: torch.device) -> int | slice | Tensor:
    if len(rows) == 1:
        return rows[0]
    step = rows[1] - rows[0]
    if rows == list(range(rows[0], rows[-1] + 1, step)):
        return slice(rows[0], rows[-1] + 1, step)
    return torch.tensor(rows, device=device)


def orthonormal(rows: int, columns: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw a Haar matrix (rows, columns) with orthonormal columns from the stream named ``of``."""
    q, r = torch.linalg.qr(seeds.normal(rows, columns, of=of))
    return q * r.diagonal().sign()


def decaying_matrix(samples: int, singular_values: Tensor, *, of: tuple[object, ...]) -> Tensor:
    """Draw A = U diag(singular_values) W^T (samples, d) with Haar U and W (document 4, D.5)."""
    d = len(singular_values)
    u = orthonormal(samples, d, of=(*of, "left"))
    return (u * singular_values) @ orthonormal(d, d, of=(*of, "right")).T
