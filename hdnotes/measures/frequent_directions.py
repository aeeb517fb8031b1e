r"""A sketch of gradients that stream by: few rows B with B^T B close to the sum of g g^T.

Frequent Directions keeps ``size`` rows. Whenever more have come, all squared singular values are
lowered by the first one that does not fit, so that what was seen again and again stays. With G the
rows seen so far,

    0 <= G^T G - B^T B <= (||G||_F^2 / (size + 1)) I.

Source: M. Ghashami, E. Liberty, J. Phillips, D. Woodruff, Frequent Directions: Simple and
Deterministic Matrix Sketching (2016). Used in `egop_scalability` for an EGOP whose gradients are
never held together.
"""

import torch
from torch import Tensor


def absorbed(rows: Tensor, part: Tensor, size: int) -> Tensor:
    """Return the sketch (at most ``size``, d) of what a sketch stands for and of further rows.

    Costs O((size + part)^2 d), so that parts of about ``size`` rows are the cheapest.

    Parameters
    ----------
    rows : the sketch so far (at most ``size``, d); (0, d) at first
    part : further gradients (some, d)
    size : rows that are kept

    Examples
    --------
    >>> b = absorbed(torch.eye(2), torch.tensor([[2.0, 0.0]]), 2)
    >>> (b.T @ b).round(decimals=4).tolist()
    [[5.0, 0.0], [0.0, 1.0]]
    """
    rows = torch.cat([rows, part])
    if len(rows) <= size:
        return rows
    squares, left = torch.linalg.eigh((rows @ rows.T).double())
    squares, left = squares.flip(0).clamp(min=0), left.flip(1)[:, :size]
    kept = squares[:size].clamp(min=torch.finfo(squares.dtype).tiny)
    scale = (1 - squares[size] / kept).clamp(min=0).sqrt()
    return (scale * left).T.to(rows) @ rows


def leading_directions(rows: Tensor, rank: int) -> Tensor:
    """Return the ``rank`` leading right singular vectors (d, rank) of a sketch."""
    _, left = torch.linalg.eigh((rows @ rows.T).double())
    span = rows.T @ left.flip(1)[:, :rank].to(rows)
    return torch.linalg.qr(span).Q
