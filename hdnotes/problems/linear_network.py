r"""Linear networks: N matrices without bias whose product W = W_N ... W_1 is all the loss sees.

f(W_1, ..., W_N) = phi(W A, Y) with data A (inputs x samples), a sample a column. A point is the
factors one after the other, first W_1, each (out x in) row by row. As the data meet the product
only, a step multiplies them with one small matrix, whatever the widths between, and the gradient of
each factor follows from that of W by products of the others (chapters linear_networks and
egop_linear_networks).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise
from math import prod
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hdnotes import devices, seeds
from hdnotes.problems.convex import orthonormal

Outer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def mean_squares(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return ||z - y||^2 over samples (the last axis), 1/n of the sum, and its derivative in z."""
    residual = z - y
    return residual.square().sum((-2, -1)) / y.shape[-1], 2 / y.shape[-1] * residual


def observed_squares(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1/2 the sum of (z - y)^2 over observed entries: those of y that are not NaN.

    With A = I this is matrix completion.
    """
    residual = (z - y).nan_to_num(0.0)
    return residual.square().sum((-2, -1)) / 2, residual


def logistic(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed logistic loss log(1 + exp(-sign(y) z)), and its derivative."""
    sign = y.sign()
    return softplus(-sign * z).sum((-2, -1)), -sign * torch.sigmoid(-sign * z)


def pseudo_huber(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of sqrt(1 + (z - y)^2) - 1, and its derivative."""
    residual = z - y
    root = (1 + residual.square()).sqrt()
    return (root - 1).sum((-2, -1)), residual / root


def linear(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of z y: its gradient is the same everywhere."""
    return (z * y).sum((-2, -1)), y.expand_as(z)


def cosines(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of 1 - cos(z - y), which is not convex, and its derivative."""
    return (1 - (z - y).cos()).sum((-2, -1)), (z - y).sin()


@dataclass(frozen=True)
class LinearNetwork:
    """Trials of one linear network; trial t has the data set ``data_of[t]``.

    Parameters
    ----------
    widths : inputs, hidden widths, outputs
    outer : function (z, y) -> (loss, derivative in z) on the last two axes, outputs x samples
    inputs : A of each data set, each (inputs, samples)
    targets : Y of each data set, each (outputs, samples)
    data_of : the data set of each trial

    Raises
    ------
    ValueError
        If there are fewer than two widths, or the data do not have the outer ones.
    """

    widths: tuple[int, ...]
    outer: Outer
    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    data_of: tuple[int, ...]

    def __post_init__(self) -> None:
        ends = [(len(a), len(y)) for a, y in zip(self.inputs, self.targets, strict=True)]
        if len(self.widths) < 2 or any(e != (self.widths[0], self.widths[-1]) for e in ends):
            raise ValueError(
                f"widths = {self.widths} are not allowed; they are at least two, the first and "
                f"the last those of the data, {ends[0]}"
            )

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(prod(shape) for shape in shapes(self.widths))

    @property
    def samples(self) -> int:
        """The number of samples in one data set."""
        return self.inputs[0].shape[1]

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set."""
        return self.inputs[0].nbytes + self.targets[0].nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's predictions and of its point, gradient and optimizer state."""
        return (3 * self.targets[0].numel() + 8 * self.parameters) * self.inputs[0].element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the data are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d); see `Problem.loss_and_gradient`."""
        factors = unpack(point, self.widths)
        loss, gradient = self.of_product(end_to_end(factors), batch)
        return loss, pack(factor_gradients(factors, gradient))

    def of_product(self, matrix: Tensor, batch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and their gradients in W, of products (trials, out, in)."""
        own = self._stacked if batch is None else self._minibatch(batch)
        if own is not None:
            a, y = own
            loss, slope = self.outer(matrix @ a, y)
            return loss, slope @ a.mT
        loss, gradient = matrix.new_empty(len(matrix)), torch.empty_like(matrix)
        for data, rows in self._groups.items():
            a, chosen = self.inputs[data], matrix[rows]
            z = (chosen.flatten(0, 1) @ a).view(len(chosen), -1, a.shape[1])
            loss[rows], slope = self.outer(z, self.targets[data])
            gradient[rows] = (slope.flatten(0, 1) @ a.T).view_as(chosen)
        return loss, gradient

    def _minibatch(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of each trial's samples, (trials, ..., size)."""
        pairs = list(zip(self.data_of, batch, strict=True))
        a, y = (
            torch.stack([of[data][:, rows] for data, rows in pairs])
            for of in (self.inputs, self.targets)
        )
        return a, y

    @cached_property
    def _stacked(self) -> tuple[Tensor, Tensor] | None:
        """Inputs and targets trial by trial, where no two share them and the cache holds all."""
        alone = len({*self.data_of}) == len(self.data_of)
        if not alone or len(self.data_of) * self.data_bytes > devices.cache_bytes():
            return None
        a, y = (
            torch.stack([of[data] for data in self.data_of]) for of in (self.inputs, self.targets)
        )
        return a, y

    @cached_property
    def _groups(self) -> dict[int, Tensor]:
        """The rows of each data set's trials."""
        rows: dict[int, list[int]] = {}
        for trial, data in enumerate(self.data_of):
            rows.setdefault(data, []).append(trial)
        return {data: torch.tensor(trials) for data, trials in rows.items()}


class CondensedNetwork(LinearNetwork):
    r"""Trials on one data set without noise, Y = M A, that mostly all see the same minibatch.

    Then it is condensed to as many columns as A has rows, if it has more: with A_b^T = Q R the
    mean of squares over its samples is that over R^T and Y_b Q, scaled as in `condensed`.
    """

    def _minibatch(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        if not batch.eq(batch[0]).all():
            return super()._minibatch(batch)
        (data,) = {*self.data_of}
        a, y = (of[data][:, batch[0]] for of in (self.inputs, self.targets))
        q, triangle = torch.linalg.qr(a.T)
        scale = (len(triangle) / a.shape[1]) ** 0.5
        return triangle.T * scale, y @ q * scale


def shapes(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Return the shape (out, in) of every factor, W_1 first.

    Examples
    --------
    >>> shapes((10, 50, 3))
    [(50, 10), (3, 50)]
    """
    return [(after, before) for before, after in pairwise(widths)]


def unpack(point: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Return the factors (..., out, in) of points (..., parameters), W_1 first."""
    of = shapes(widths)
    parts = point.split([prod(shape) for shape in of], -1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, of, strict=True)]


def pack(factors: Sequence[Tensor]) -> Tensor:
    """Return the points (..., parameters) of factors: the inverse of `unpack`."""
    return torch.cat([factor.flatten(-2) for factor in factors], -1)


def end_to_end(factors: Sequence[Tensor]) -> Tensor:
    """Return the product W_N ... W_1 (..., out, in)."""
    return reduce(lambda below, factor: factor @ below, factors)


def factor_gradients(factors: Sequence[Tensor], gradient: Tensor) -> list[Tensor]:
    """Return the gradient of each factor, (W_N ... W_{j+1})^T G (W_{j-1} ... W_1)^T.

    Parameters
    ----------
    factors : W_1 first, each (..., out, in)
    gradient : G, that of the loss in the product (..., out, in)
    """
    below = [factors[0]]
    for factor in factors[1:-1]:
        below.append(factor @ below[-1])
    result, above = [], gradient
    for j in range(len(factors) - 1, 0, -1):
        result.append(above @ below[j - 1].mT)
        above = factors[j].mT @ above
    return [above, *reversed(result)]


def imbalance(factors: Sequence[Tensor]) -> Tensor:
    r"""Return the largest ||W_{j+1}^T W_{j+1} - W_j W_j^T||_F over the layers, (...,).

    Gradient flow keeps each of these differences as it is (Arora, Cohen and Hazan 2018).
    """
    gaps = [
        torch.linalg.matrix_norm(above.mT @ above - below @ below.mT)
        for below, above in pairwise(factors)
    ]
    return torch.stack(gaps).amax(0)


def balanced_factors(
    matrix: Tensor, widths: Sequence[int], *, of: tuple[object, ...]
) -> list[Tensor]:
    r"""Draw factors of a given product whose neighbours are balanced.

    With W = U S V^T, W_j = Q_j S^(1/N) Q_{j-1}^T with Q_0 = V, Q_N = U, and Haar Q_j between.

    Parameters
    ----------
    matrix : the product W (out, in)
    widths : inputs, hidden widths, outputs
    of : the stream of the draw

    Raises
    ------
    ValueError
        If the widths are not those of the matrix, or a hidden one is below its smaller side.
    """
    rank, depth = min(matrix.shape), len(widths) - 1
    if (widths[-1], widths[0]) != tuple(matrix.shape) or min(widths) < rank:
        raise ValueError(
            f"widths = {tuple(widths)} do not fit a product of shape {tuple(matrix.shape)}; the "
            f"outer ones are its sides, and the hidden ones at least {rank}"
        )
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    frames = [
        orthonormal(width, rank, of=(*of, j)).to(matrix) for j, width in enumerate(widths[1:-1])
    ]
    frames, root = [vh.mT, *frames, u], values ** (1 / depth)
    return [(above * root) @ below.mT for below, above in pairwise(frames)]


def gaussian_factors(
    widths: Sequence[int], deviations: Sequence[float], *, of: tuple[object, ...]
) -> list[Tensor]:
    """Draw factors with independent N(0, deviation^2) entries, one deviation a layer."""
    return [
        deviation * seeds.normal(*shape, of=(*of, j))
        for j, (shape, deviation) in enumerate(zip(shapes(widths), deviations, strict=True))
    ]


def xavier_points(widths: Sequence[int], count: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw points (count, parameters) with N(0, 2 / (in + out)) entries: Xavier's normal law."""
    return pack(
        [
            (2 / sum(shape)) ** 0.5 * seeds.normal(count, *shape, of=(*of, j))
            for j, shape in enumerate(shapes(widths))
        ]
    )


def condensed(inputs: Tensor) -> Tensor:
    r"""Return A' (features, features) with A' A'^T / features = A A^T / samples.

    Of noiseless targets Y = M A the mean of squares sees no more than that: with A^T = Q R it is
    ||(W - M) R^T||_F^2 / samples, whatever the number of samples.

    Parameters
    ----------
    inputs : A (features, samples), no fewer samples than features
    """
    triangle = torch.linalg.qr(inputs.T, mode="r").R
    return triangle.T * (len(inputs) / inputs.shape[1]) ** 0.5
