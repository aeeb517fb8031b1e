r"""Convex matrix completion, the control of chapter `adam_ratio`.

Soft-impute (Mazumder, Hastie and Tibshirani, 2010) solves

    min_W  (1/m) sum_{observed} (W_ij - Y_ij)^2 + lambda ||W||_*

by filling the unobserved entries with those of W and shrinking the singular values by lambda m / 2.
As lambda goes to 0 its solution becomes the completion of least nuclear norm, which `least_nuclear`
finds as a semidefinite program.
"""

import warnings

import numpy as np
import torch
from torch import Tensor


def shrink(w: Tensor, by: float) -> Tensor:
    """Return W with its singular values reduced by ``by``, down to zero: the prox of ||W||_*.

    Examples
    --------
    >>> shrink(torch.diag(torch.tensor([3.0, 1.0])), 2.0).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    u, sigma, vh = torch.linalg.svd(w, full_matrices=False)
    return (u * (sigma - by).clamp(min=0).unsqueeze(-2)) @ vh


def soft_impute(
    target: Tensor,
    seen: Tensor,
    weight: float,
    start: Tensor,
    tolerance: float = 1e-5,
    steps: int = 1000,
) -> Tensor:
    """Return the minimiser (..., n, n) of the penalised problem above.

    Each step starts from a point beyond the last (Nesterov's momentum, as in FISTA).

    Parameters
    ----------
    target : (..., n, n), the observed entries, as many in every matrix
    seen : (..., n, n) of bool
    weight : lambda
    start : (..., n, n): a solution for a larger lambda saves steps
    tolerance : steps end when none changes W by more than this part of its norm
    steps : at most so many
    """
    by = weight * float(seen.sum()) / seen[..., 0, 0].numel() / 2
    w = ahead = start
    for step in range(steps):
        new = shrink(torch.where(seen, target, ahead), by)
        moved = torch.linalg.matrix_norm(new - w) / torch.linalg.matrix_norm(new).clamp(min=1e-12)
        w, ahead = new, new + step / (step + 3) * (new - w)
        if moved.max() < tolerance:
            break
    return w


def least_nuclear(target: Tensor, seen: Tensor) -> Tensor:
    """Return the matrix (n, n) of least nuclear norm that has the observed entries.

    To a relative accuracy of about 1e-4, or what 3000 iterations of the solver give.
    """
    import cvxpy

    mask = seen.numpy(force=True).astype(float)
    known = np.where(mask > 0, target.numpy(force=True), 0.0)
    w = cvxpy.Variable(mask.shape)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.normNuc(w)), [cvxpy.multiply(mask, w) == known])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last iterations were not enough
        problem.solve(solver=cvxpy.SCS, eps=1e-4, max_iters=3000)
    return torch.from_numpy(np.asarray(w.value)).to(target)
