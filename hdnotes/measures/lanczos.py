r"""The density of a symmetric matrix's eigenvalues, from products with it (stochastic Lanczos).

For a random unit vector v, E (v . u_k)^2 = 1/N for each of the N eigenvectors, so the density of
eigenvalues is the mean over v of the measure sum_k (v . u_k)^2 delta(lambda - lambda_k). k steps of
Lanczos from v give the Gauss quadrature of that measure: nodes are the eigenvalues of the
tridiagonal matrix, weights the squares of its eigenvectors' first entries. Used in `hidden_units`
for Hessians too large for an exact spectrum.

Sources: G. H. Golub, J. H. Welsch, Calculation of Gauss Quadrature Rules (1969); B. Ghorbani,
S. Krishnan, Y. Xiao, An Investigation into Neural Net Optimization via Hessian Eigenvalue Density
(2019).
"""

from collections.abc import Callable

import torch
from torch import Tensor

#: A remainder this small, against the largest entry so far, is rounding: the space is exhausted.
EXHAUSTED = 1e-10


def quadrature(
    product: Callable[[Tensor], Tensor], probes: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Return nodes and weights, (probes, steps) each; the weights of a probe add up to 1.

    Every new direction is made orthogonal to all before it, twice. Costs ``steps`` products and
    O(steps^2 N) a probe.

    Parameters
    ----------
    product : (probes, N) -> (probes, N), the symmetric matrix times each row
    probes : random directions (probes, N), of any length
    steps : moments of order up to 2 steps - 1 are exact

    Examples
    --------
    >>> nodes, weights = quadrature(lambda v: v * torch.tensor([1.0, 3.0]), torch.ones(1, 2), 2)
    >>> nodes.round(decimals=6).tolist(), weights.round(decimals=6).tolist()
    ([[1.0, 3.0]], [[0.5, 0.5]])
    """
    v = probes / probes.norm(dim=1, keepdim=True)
    basis, t = v.unsqueeze(1), probes.new_zeros(len(v), steps, steps)
    for k in range(steps):
        v = product(v)
        t[:, k, k] = (v * basis[:, k]).sum(1)
        for _ in range(2):
            v = v - ((basis @ v.unsqueeze(2)) * basis).sum(1)
        if k + 1 < steps:
            length = v.norm(dim=1)
            length = length * (length > EXHAUSTED * t.abs().amax((1, 2)))
            t[:, k, k + 1] = t[:, k + 1, k] = length
            v = torch.where(length > 0, 1 / length, 0.0).unsqueeze(1) * v
            basis = torch.cat([basis, v.unsqueeze(1)], 1)
    nodes, vectors = torch.linalg.eigh(t)
    return nodes, vectors[:, 0].square()


def quantiles(nodes: Tensor, weights: Tensor, shares: Tensor) -> Tensor:
    """Return the eigenvalue below which each share of all eigenvalues lies.

    Parameters
    ----------
    nodes, weights : of `quadrature`
    shares : from 0 to 1
    """
    order = nodes.flatten().argsort()
    below = weights.flatten()[order].cumsum(0) / len(nodes)
    at = torch.searchsorted(below, shares.clamp(max=float(below[-1])))
    return nodes.flatten()[order][at.clamp(max=len(order) - 1)]
