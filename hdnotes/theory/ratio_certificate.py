r"""A proof that W* is a local minimum of R, given its observed entries (chapter `adam_ratio`).

Let W* = U Sigma V^T have rank r, and move hidden entries only, H. To first order R changes by

    phi(H) / ||W*||_F,   phi(H) = <A, H> + ||H'||_*,   A = U V^T - (||W*||_* / ||W*||_F^2) W*,

where H' = (I - U U^T) H (I - V V^T) is the part of H outside the tangent space T of the matrices of
rank r. phi is convex, and never negative if and only if a *certificate* exists: a matrix Y on the
observed entries whose part in T is A and whose other part Y' has a spectral norm of at most 1, for
then phi(H) = phi(H) - <Y, H> = ||H'||_* - <Y', H'> >= 0. If the norm is below 1 and no H lies in T,
phi grows linearly in every direction and W* is a strict local minimum; if every such Y has a norm
above 1, some H lowers R. The same argument for the nuclear norm alone (A = U V^T) is Candes and
Recht's (2009).

The least norm is found by Douglas-Rachford splitting, with bounds on both sides of it.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

#: Eigenvalues of a projection below this are 0.
ROUNDING = 1e-12


class Certificate(NamedTuple):
    """Bounds on the least spectral norm of Y', and how well observed entries determine T.

    ``low`` and ``high`` are infinite if no Y on the observed entries has A as its part in T.
    ``conditioning`` is the least share ||H on observed entries|| / ||H|| of an H in T: 0 if the
    hidden entries can move within T.
    """

    low: float
    high: float
    conditioning: float


def ratio_certificate(
    truth: Tensor, seen: Tensor, rank: int, steps: int = 2000, tolerance: float = 1e-3
) -> Certificate:
    """Return bounds on the least norm of a certificate that W* is a local minimum of R.

    Steps end when the bounds are ``tolerance`` apart, or on the same side of 1.

    Parameters
    ----------
    truth : (n, n), of this rank, in float64
    seen : (n, n) of bool

    Examples
    --------
    >>> truth, seen = torch.ones(4, 4, dtype=torch.float64), ~torch.eye(4, dtype=torch.bool)
    >>> low, high, conditioning = ratio_certificate(truth, seen, 1)
    >>> high < 1, conditioning > 0
    (True, True)
    >>> ratio_certificate(truth, torch.eye(4, dtype=torch.bool), 1).conditioning
    0.0
    """
    u, sigma, vh = torch.linalg.svd(truth)
    norm = sigma[:rank].sum() / sigma[:rank].square().sum()
    tangent = torch.zeros_like(seen)
    tangent[:rank] = tangent[:, :rank] = True
    (i, j), (row, column) = tangent.nonzero().T, seen.nonzero().T
    onto = (u[row][:, i] * vh.mT[column][:, j]).mT  # (r (2n - r), m): an entry's part in T
    wanted = torch.where((i == j) & (i < rank), 1 - norm * sigma[i], 0.0)  # A, in those axes
    gram = onto @ onto.mT
    values, vectors = torch.linalg.eigh(gram)
    kept = values > ROUNDING
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].mT
    conditioning = float(values[0].clamp(min=0).sqrt()) if kept.all() else 0.0
    first = onto.mT @ (inverse @ wanted)
    if (onto @ first - wanted).norm() > 1e-6 * wanted.norm():
        return Certificate(torch.inf, torch.inf, conditioning)

    def spread(y: Tensor) -> Tensor:
        return torch.zeros_like(truth).masked_scatter(seen, y)

    def outside(w: Tensor) -> Tensor:  # w less its part in T
        return u[:, rank:] @ (u[:, rank:].mT @ w @ vh[rank:].mT) @ vh[rank:]

    def free(w: Tensor) -> Tensor:  # the part on observed entries that has none in T
        return spread(w[seen] - onto.mT @ (inverse @ (onto @ w[seen])))

    return Certificate(*_least_norm(outside(spread(first)), free, steps, tolerance), conditioning)


def _least_norm(
    start: Tensor, free: Callable[[Tensor], Tensor], steps: int, tolerance: float
) -> tuple[float, float]:
    """Bound min ||start + N||_2 over the N that the orthogonal projection ``free`` keeps."""
    start = start - free(start)
    scale = float(torch.linalg.matrix_norm(start, 2))
    if scale == 0:
        return 0.0, 0.0
    z, low, high = start, 0.0, scale
    for _ in range(steps):
        x = start + free(z)
        y, dual = _shrink_norm(2 * x - z, scale)
        z = z + y - x
        dual = dual - free(dual)
        high = min(high, float(torch.linalg.matrix_norm(x, 2)))
        low = max(low, float((dual * start).sum() / torch.linalg.matrix_norm(dual, "nuc")))
        if high - low < tolerance or high < 1 - tolerance or low > 1 + tolerance:
            break
    return low, high


def _shrink_norm(w: Tensor, by: float) -> tuple[Tensor, Tensor]:
    """Return the prox of ``by`` times the spectral norm, and the subgradient there that it uses."""
    u, sigma, vh = torch.linalg.svd(w)
    total = (sigma.cumsum(0) - by) / torch.arange(1, len(sigma) + 1, dtype=w.dtype, device=w.device)
    cut = total.max().clamp(min=0)
    kept = sigma.clamp(max=cut)
    return (u * kept) @ vh, (u * ((sigma - kept) / by)) @ vh
