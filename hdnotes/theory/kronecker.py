r"""How far an orthonormal basis is from turning the two sides of a weight matrix.

Rotations of rows and columns act on the entries of W (m x n, row-major) as a Kronecker product,
vec(U W Z^T) = (U kron Z) vec(W). The nearest product to a matrix V in the Frobenius norm is the
nearest matrix of rank one to V rearranged, block by block, into rows (Van Loan and Pitsianis 1993).
"""

from itertools import permutations, product

import torch
from torch import Tensor


def kronecker_distance(matrix: Tensor, rows: int, columns: int) -> Tensor:
    """Return the relative distance to the nearest A kron B, A (rows, rows), B (columns, columns).

    Parameters
    ----------
    matrix : (..., rows * columns, rows * columns)

    Examples
    --------
    >>> round(kronecker_distance(torch.kron(torch.eye(2), torch.ones(3, 3)), 2, 3).item(), 6)
    0.0
    """
    blocks = matrix.unflatten(-1, (rows, columns)).unflatten(-3, (rows, columns))
    rearranged = blocks.transpose(-3, -2).flatten(-4, -3).flatten(-2, -1)
    singular = torch.linalg.svdvals(rearranged)
    left = singular[..., 1:].square().sum(-1) / singular.square().sum(-1)
    return left.sqrt()


def basis_distance(basis: Tensor, rows: int, columns: int) -> Tensor:
    """Return the least distance over every order and sign of the columns of a basis.

    Adam and Adagrad treat coordinates alike whatever their order and sign, so that these make no
    other basis. (rows * columns)! orders: for four columns or so.
    """
    d = len(basis)
    signs = torch.tensor([(1.0, *s) for s in product((1.0, -1.0), repeat=d - 1)]).to(basis)
    orders = torch.tensor(list(permutations(range(d))))
    every = basis[:, orders].movedim(1, 0).unsqueeze(1) * signs.unsqueeze(1)
    return kronecker_distance(every, rows, columns).amin()
