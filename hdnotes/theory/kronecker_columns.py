r"""What the columns of an orthogonal matrix alone say of its being a Kronecker product (Lemma 20).

A column of U kron Z is u_i kron z_j: as an m x n matrix it is u_i z_j^T, of rank one. That asks
nothing of the columns' order and signs, which Adam and Adagrad do not see either (chapter
egop_related).
"""

import torch
from torch import Tensor


def rank_one_share(vectors: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the share of each column's square that lies in its best rank-one matrix (..., k).

    Parameters
    ----------
    vectors : (..., m n, k) columns
    shape : (m, n)

    Examples
    --------
    >>> rank_one_share(torch.eye(4)[:, :1], (2, 2)).tolist()
    [1.0]
    >>> round(rank_one_share(torch.tensor([[0.5], [0.5], [0.5], [-0.5]]), (2, 2)).item(), 4)
    0.5
    """
    squares = torch.linalg.svdvals(vectors.mT.unflatten(-1, shape)).square()
    return squares[..., 0] / squares.sum(-1)


def first_columns_distance(columns: Tensor, shape: tuple[int, int]) -> Tensor:
    r"""Return the least Frobenius distance of k <= n columns to the first k of any U kron Z.

    Those are u_1 kron z_1, ..., u_1 kron z_k, with one u_1: as matrices side by side, m x (k n),
    they have rank one together. A lower bound, as orthonormality of the rest is not asked for.

    Parameters
    ----------
    columns : (m n, k)
    shape : (m, n)

    Examples
    --------
    >>> first_columns_distance(torch.eye(6)[:, :2], (2, 3)).item()
    0.0
    """
    side_by_side = columns.T.unflatten(-1, shape).movedim(0, 1).flatten(1)
    return torch.linalg.svdvals(side_by_side)[1:].square().sum().sqrt()


def text_columns(rows: int, columns: int) -> Tensor:
    """Return the two columns of Lemma 20's proof (rows * columns, 2), unit length.

    The first is flat; the second has its first half of the entries positive, the rest negative.
    An odd number of entries has no such halves.

    Raises
    ------
    ValueError
        If the number of entries is odd.
    """
    d = rows * columns
    if d % 2:
        raise ValueError(f"rows * columns = {d} is not allowed; it must be even")
    flat = torch.full((d,), d**-0.5, dtype=torch.float64)
    signs = torch.ones(d, dtype=torch.float64)
    signs[d // 2 :] = -1
    return torch.stack([flat, flat * signs], 1)
