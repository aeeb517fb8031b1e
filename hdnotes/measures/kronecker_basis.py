r"""The basis that rows and columns of a weight matrix's gradients give, and how good a basis is.

SOAP, Shampoo and GaLore look at E[G G^T] and E[G^T G] of a gradient G (m x n), not at the EGOP of
its entries. Their eigenvectors, as columns of U and Z, turn the entries by V = U kron Z
(document 4, Appendix E; chapter egop_related).
"""

import torch
from torch import Tensor


def product(u: Tensor, z: Tensor) -> Tensor:
    """Return U kron Z, (m n, m n), of any strides: what rows times columns do to vec(W)."""
    return torch.kron(u.contiguous(), z.contiguous())


def kronecker_basis(gradients: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return U kron Z (m n, m n) with the eigenvectors of E[G G^T] and E[G^T G].

    Parameters
    ----------
    gradients : (M, m n), each a matrix row by row
    shape : (m, n)

    Examples
    --------
    >>> kronecker_basis(torch.tensor([[0.0, 0.0, 0.0, 2.0]]), (2, 2)).abs()[:, 0].tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    g = gradients.unflatten(-1, shape)
    u, z = (
        torch.linalg.eigh(torch.tensordot(one, one, dims=([0, 2], [0, 2]))).eigenvectors.flip(1)
        for one in (g, g.mT)
    )
    return product(u, z)


def root_mean_squares(gradients: Tensor) -> Tensor:
    r"""Return the sum over coordinates of the root mean square of the derivative along each.

    In the EGOP's own basis it is sum_k sqrt(lambda_k), and nowhere less: by Schur and Horn the
    mean squares in any basis are majorized by the eigenvalues, and the root is concave.

    Parameters
    ----------
    gradients : (M, d), in the coordinates that are asked about
    """
    return gradients.square().mean(0).sqrt().sum()


def least_root_mean_squares(gradients: Tensor) -> Tensor:
    """Return the least sum that any basis has: sum_k sqrt(lambda_k) of these gradients' EGOP.

    Examples
    --------
    >>> g = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    >>> round(least_root_mean_squares(g).item(), 4), root_mean_squares(g).item()
    (5.0, 7.0)
    """
    return torch.linalg.svdvals(gradients).sum() / len(gradients) ** 0.5
