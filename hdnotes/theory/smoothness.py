r"""Coordinate-wise smoothness of a quadratic, exactly (chapter `egop_theory`).

The constants L of document 4, Eq. 1, are those with -diag(L) <= H <= diag(L) (Lemma 10). For a
positive semidefinite H the smallest possible sum is a semidefinite program and its dual that of
the maximum cut,

    L_f = min { sum_i L_i : diag(L) >= H } = max { <H, X> : X >= 0, X_ii = 1 }.

The dual is solved over X = W W^T with unit rows w_i by turning one row after the other to where it
is best, w_i <- g_i/||g_i||, g_i = sum_j H_ij w_j (the mixing method, Wang, Chang and Kolter 2017);
at the optimum L_i = ||g_i||. Any L is made feasible by adding the most that H exceeds diag(L) by,
so that the answer comes with a proof of how good it is.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hdnotes import seeds


@dataclass(frozen=True)
class Smoothness:
    """The coordinate-wise smoothness of quadratics.

    Attributes
    ----------
    constants : L (..., d), feasible: diag(L) >= H up to rounding
    total : L_f (...,), their sum
    lower : (...,), a value that no feasible sum is below
    """

    constants: Tensor
    total: Tensor
    lower: Tensor


def coordinate_smoothness(
    hessian: Tensor, *, tolerance: float = 1e-3, sweeps: int = 2000
) -> Smoothness:
    """Return the constants of the smallest sum; O(d^2.5) a sweep.

    Parameters
    ----------
    hessian : H (..., d, d), positive semidefinite
    tolerance : of the sum, relative: sweeps end when the proof is this good
    sweeps : at most so many

    Examples
    --------
    >>> dense = torch.ones(2, 2, dtype=torch.float64)
    >>> coordinate_smoothness(dense).constants.tolist()
    [2.0, 2.0]
    """
    d = hessian.shape[-1]
    rank = min(d, math.isqrt(2 * d) + 2)
    rows = seeds.normal(d, rank, of=("smoothness", d)).to(hessian).expand(*hessian.shape[:-1], rank)
    rows = torch.nn.functional.normalize(rows, dim=-1)
    for sweep in range(sweeps):
        for i in range(d):
            pull = hessian[..., i, None, :] @ rows
            rows[..., i : i + 1, :] = torch.nn.functional.normalize(pull, dim=-1)
        if sweep % 10 == 9:
            found = _certified(hessian, rows)
            if bool((found.total - found.lower <= tolerance * found.total).all()):
                break
    return _certified(hessian, rows)


def _certified(hessian: Tensor, rows: Tensor) -> Smoothness:
    """Return feasible constants near the rows' own, and the dual value that bounds them."""
    pulls = hessian @ rows
    constants = pulls.norm(dim=-1)
    excess = torch.linalg.eigvalsh(hessian - torch.diag_embed(constants))[..., -1:].clamp(min=0)
    constants = constants + excess
    return Smoothness(constants, constants.sum(-1), (pulls * rows).sum((-2, -1)))
