r"""Least squares exactly: where (S)GD ends and how fast it gets there (chapter pseudo_inverse).

f(theta) = 1/2 ||A theta - y||^2 with singular values sigma_1 >= ... >= sigma_min > 0 of A, those
that are zero left out, and the condition number kappa = sigma_1 / sigma_min.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor


def projection(a: Tensor, y: Tensor, start: Tensor) -> Tensor:
    r"""Return theta_0 + A^+ (y - A theta_0): of all minimisers of f the one nearest to a start.

    Parameters
    ----------
    a : (..., samples, features)
    y : (..., samples)
    start : theta_0 (..., features); at 0 the result is A^+ y, the minimiser of least norm

    Examples
    --------
    >>> projection(torch.tensor([[1.0, 1.0]]), torch.tensor([2.0]), torch.tensor([3.0, 0.0]))
    tensor([ 2.5000, -0.5000])
    """
    residual = y - (a @ start.unsqueeze(-1)).squeeze(-1)
    return start + (torch.linalg.pinv(a) @ residual.unsqueeze(-1)).squeeze(-1)


def off_rows(a: Tensor, vector: Tensor) -> Tensor:
    """Return the part of vectors (..., features) that no row of A (..., samples, features) sees."""
    return vector - (torch.linalg.pinv(a) @ (a @ vector.unsqueeze(-1))).squeeze(-1)


def best_step(largest: float, smallest: float) -> float:
    """Return GD's best learning rate 2 / (sigma_1^2 + sigma_min^2).

    Examples
    --------
    >>> best_step(2.0, 1.0)
    0.4
    """
    return 2 / (largest**2 + smallest**2)


def gd_factor(condition: float) -> float:
    """Return what GD at its best learning rate multiplies the error by: (k^2 - 1)/(k^2 + 1).

    Examples
    --------
    >>> gd_factor(2.0)
    0.6
    """
    return (condition**2 - 1) / (condition**2 + 1)


def heavy_ball(largest: float, smallest: float) -> tuple[float, float]:
    """Return Polyak's learning rate 4/(sigma_1 + sigma_min)^2 and momentum ((k - 1)/(k + 1))^2.

    Examples
    --------
    >>> heavy_ball(3.0, 1.0)
    (0.25, 0.25)
    """
    condition = largest / smallest
    return 4 / (largest + smallest) ** 2, ((condition - 1) / (condition + 1)) ** 2


def heavy_ball_factor(condition: float) -> float:
    """Return what the heavy ball multiplies the error by in the long run: (k - 1)/(k + 1).

    Examples
    --------
    >>> heavy_ball_factor(3.0)
    0.5
    """
    return (condition - 1) / (condition + 1)


def kaczmarz_factor(a: Tensor) -> float:
    r"""Return the bound 1 - sigma_min^2 / ||A||_F^2 on what Kaczmarz multiplies E||e||^2 by.

    Each step projects onto one row's solutions, row i drawn in proportion to its squared length
    (Strohmer and Vershynin 2009, Theorem 2). With equal singular values it is exact.
    """
    values = torch.linalg.svdvals(a)
    return float(1 - values[-1].square() / values.square().sum())


def row_descent(
    a: Tensor,
    y: Tensor,
    start: Tensor,
    rate: float,
    rows: Callable[[int], Tensor],
    steps: int,
) -> Iterator[Tensor]:
    r"""Yield the points of SGD, theta <- theta - eta (a_i^T theta - y_i) a_i, the start first.

    On unit rows eta = 1 is Kaczmarz' method: each step goes to the nearest point that solves row i.

    Parameters
    ----------
    a, y : (samples, features), (samples,)
    start : (runs, features); not changed
    rate : eta
    rows : step -> the row of each run (runs, 1)
    steps : updates
    """
    point = start.clone()
    yield point
    for step in range(steps):
        chosen = rows(step).flatten().to(a.device)
        row = a[chosen]
        slope = (row * point).sum(1) - y[chosen]
        point = point - rate * slope.unsqueeze(1) * row
        yield point


def _moments(
    a: Tensor, residual: Tensor, error: Tensor, rate: float, steps: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield m = E e, S = E e e^T and each row's mean squared slope, before each step and after."""
    n = len(a)
    gram, mean, second = a.T @ a / n, error, error.outer(error)
    for step in range(steps + 1):
        seen = ((a @ second) * a).sum(1) + residual.square() - 2 * residual * (a @ mean)
        yield mean, second, seen
        if step < steps:
            product = second @ gram
            second = second - rate * (product + product.T) + rate**2 / n * (a.T * seen) @ a
            mean = mean - rate * gram @ mean


def sgd_mean_square(
    a: Tensor, residual: Tensor, error: Tensor, rate: float, steps: int
) -> np.ndarray:
    r"""Return E||theta_t - theta*||^2 of SGD on one sample a step, drawn with replacement.

    With e = theta - theta*, m = E e, S = E e e^T, H = A^T A / n and rho the residuals at theta*,

        S <- S - eta (S H + H S) + eta^2/n A^T diag(a_i^T S a_i + rho_i^2 - 2 rho_i a_i^T m) A

    exactly. On unit rows and without residuals, eta = 1 is Kaczmarz' method.

    Parameters
    ----------
    a : (samples, features)
    residual : y - A theta* at a minimiser theta* (samples,)
    error : theta_0 - theta* (features,)
    rate : eta
    steps : updates

    Returns
    -------
    ndarray
        Before each step and after the last (steps + 1,).
    """
    moments = _moments(a, residual, error, rate, steps)
    return np.array([float(second.trace()) for _, second, _ in moments])


def averaged_mean_square(
    a: Tensor, residual: Tensor, error: Tensor, rate: float, steps: int
) -> np.ndarray:
    r"""Return the mean squared error of the mean of the first t points of SGD, for long runs.

    tr(H^-1 C H^-1) / t + ||1/t sum_{s<t} (I - eta H)^s e_0||^2

    C is the covariance of one sample's gradient once SGD has settled. The first term is what noise
    leaves, and for small steps does not depend on the step (Polyak and Juditsky 1992); the second
    is what is left of the start.

    Parameters
    ----------
    a : (samples, features), of full column rank
    residual, error, rate, steps : as in `sgd_mean_square`; long enough to settle

    Returns
    -------
    ndarray
        For t = 1, ..., steps + 1.
    """
    means = []
    for moments in _moments(a, residual, error, rate, steps):
        means.append(moments[0])
    _, second, seen = moments
    gram = a.T @ a / len(a)
    inverse = torch.linalg.inv(gram)
    noise = (a.T * seen) @ a / len(a) - gram @ second @ gram
    count = torch.arange(1, steps + 2, dtype=a.dtype)
    bias = (torch.stack(means).cumsum(0) / count.unsqueeze(1)).square().sum(1)
    return ((inverse @ noise @ inverse).trace() / count + bias).numpy()
