r"""Closed forms of document 4: the EGOP of least squares, and the rate factors of Theorem 3."""

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
