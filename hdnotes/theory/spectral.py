r"""A spectral start for phase retrieval: the leading eigenvector of sum_mu T(y_mu) x_mu x_mu^T.

For y = (w* . x)^2 and x ~ N(0, I/p), p = |w*|^2, the preprocessing

    T(y) = (y - 1) / (y + sqrt(2 alpha) - 1)

gives an overlap with w* as soon as any method of this kind does, at alpha = 1/2 (M. Mondelli,
A. Montanari, Fundamental limits of weak recovery with applications to phase retrieval, Foundations
of Computational Mathematics 19 (2019)). Used by the chapter `bayes_optimal`.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor


def spectral_start(x: Tensor, weight: Tensor, guess: Tensor, iterations: int = 60) -> Tensor:
    """Return the leading eigenvector of sum_mu weight_mu x_mu x_mu^T, of norm sqrt(features).

    Parameters
    ----------
    x : (..., samples, features), shared by the trials
    weight : T(y), (..., trials, samples)
    guess : where the Krylov space begins (..., trials, features); any vector with some overlap
    iterations : dimension of the Krylov space; each reads ``x`` twice

    Returns
    -------
    Tensor
        (..., trials, features); the sign is arbitrary.
    """
    vector = leading_eigenvector(lambda v: (weight * (v @ x.mT)) @ x, guess, iterations)
    return vector * x.shape[-1] ** 0.5


def optimal_weight(y: Tensor, alpha: float) -> Tensor:
    """Return T(y) of squared labels of mean 1.

    Raises
    ------
    ValueError
        If alpha is not above 1/2: T has a pole, and there is nothing to find.

    Examples
    --------
    >>> optimal_weight(torch.tensor([0.0, 1.0, 3.0]), alpha=2.0)
    tensor([-1.0000,  0.0000,  0.5000])
    """
    if not alpha > 0.5:
        raise ValueError(f"alpha = {alpha} is not allowed; a spectral start needs more than 1/2")
    return (y - 1) / (y + (2 * alpha) ** 0.5 - 1)


def predicted_overlap(alpha: float) -> float:
    r"""Return the overlap of the start by `optimal_weight` with the teacher as p grows.

    With y = s^2, s ~ N(0, 1), and r = T / (lambda - T), lambda > 1 = sup T solves the first of

        E[r (y - 1)] = 1 / alpha,      m^2 = (1 / alpha - E[r^2]) / (1 / alpha + E[r^2 (y - 1)])

    (Y. M. Lu, G. Li, Phase transitions of spectral initialization for high-dimensional non-convex
    estimation, Information and Inference 9 (2020)). At lambda = 1 these are sqrt(2 / alpha) =
    1 / alpha and m^2 = 0, which are both true at alpha = 1/2: there the overlap leaves 0.

    Examples
    --------
    >>> [round(predicted_overlap(alpha), 3) for alpha in (0.4, 0.5, 0.6, 1.0, 2.0)]
    [0.0, 0.0, 0.203, 0.454, 0.697]
    """
    if alpha <= 0.5:
        return 0.0
    s, weight = np.polynomial.hermite_e.hermegauss(120)
    weight, y = weight / weight.sum(), s**2

    def ratio(above: float) -> np.ndarray:
        """Return r at lambda = 1 + above."""
        return (y - 1) / (above * y + (1 + above) * ((2 * alpha) ** 0.5 - 1) + 1)

    r = ratio(brentq(lambda above: weight @ (ratio(above) * (y - 1)) - 1 / alpha, 0, 1e6))
    slope = 1 / alpha - weight @ r**2
    return float((slope / (slope + weight @ (r**2 * y))) ** 0.5)


def leading_eigenvector(
    product: Callable[[Tensor], Tensor], guess: Tensor, iterations: int
) -> Tensor:
    """Return the unit eigenvector of the largest eigenvalue of each of many symmetric matrices.

    Lanczos' iteration with every new direction made orthogonal to all before, twice: in a Krylov
    space of ``iterations`` dimensions the best vector is the Rayleigh-Ritz one.

    Parameters
    ----------
    product : (..., d) -> (..., d), each matrix times its vector
    guess : (..., d)
    """
    basis = guess.new_zeros(*guess.shape[:-1], iterations, guess.shape[-1])
    image = torch.zeros_like(basis)
    vector = guess
    for k in range(iterations):
        basis[..., k, :] = vector / vector.norm(dim=-1, keepdim=True)
        image[..., k, :] = vector = product(basis[..., k, :])
        for _ in range(2):
            along = basis @ vector.unsqueeze(-1)
            vector = vector - (along.mT @ basis).squeeze(-2)
    small = basis @ image.mT
    best = torch.linalg.eigh((small + small.mT) / 2).eigenvectors[..., -1:]
    return (best.mT @ basis).squeeze(-2)
