r"""Closed forms of document 4: the EGOP of least squares, and the rate factors of Theorem 3."""

import torch
from torch import Tensor


def least_squares_egop(a: Tensor, y: Tensor) -> Tensor:
    r"""Return EGOP(f) for f = 1/2 ||A theta - y||^2 and rho = N(0, I).

    (A^T A)^2 + (A^T y)(A^T y)^T   (document 4, Lemma 19)

    Parameters
    ----------
    a : (n, d)
    y : (n,)

    Returns
    -------
    Tensor
        (d, d), symmetric.
    """
    gram, moment = a.T @ a, a.T @ y
    return gram @ gram + moment.outer(moment)


def rate_factor(stable_rank: float, density: float, d: int) -> float:
    r"""Return sr / (beta d), what Theorem 3 multiplies L_f by.

    With the best step size the bound on the mean l1 norm of the gradient improves by the square
    root of it and the best step grows by one over that root; with a large step size the bound
    improves by the factor itself (document 4, Section 3).

    Examples
    --------
    >>> rate_factor(stable_rank=2.0, density=0.5, d=100)
    0.04
    """
    return stable_rank / (density * d)


def quadratic_root(hessian: Tensor, optimum: Tensor, scale: float) -> Tensor:
    r"""Return B with B^T B = EGOP(f) for f = 1/2 (theta - theta*)^T H (theta - theta*).

    EGOP = H (c^2 I + theta* theta*^T) H, rho isotropic with mean 0 and covariance c^2 I
    (document 4, Lemma 11). The singular values of B are exact where the product would lose them.

    Parameters
    ----------
    hessian : H (d, d)
    optimum : theta* (d,)
    scale : c

    Returns
    -------
    Tensor
        (d + 1, d).
    """
    return torch.cat([scale * hessian, (hessian @ optimum).unsqueeze(0)])


def smoothness_guides(values: Tensor, vectors: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    r"""Return what Theorem 5 says of a quadratic: L_f is at least, L_f~ at most.

    sqrt(lambda_1) ||v_1||_1^2 / (2 c)   and   sum_k sqrt(lambda_k) / c

    Parameters
    ----------
    values, vectors : of the EGOP, by decreasing eigenvalue
    scale : c >= ||theta*||
    """
    least = values[0].sqrt() * vectors[:, 0].abs().sum().square() / (2 * scale)
    return least, values.clamp(min=0).sqrt().sum() / scale
