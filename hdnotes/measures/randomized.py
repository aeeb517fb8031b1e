r"""The leading eigenvectors of an estimated EGOP, without its other ones.

Randomized SVD: an orthonormal basis Q of G^T (G G^T)^q Omega, with a Gaussian Omega of a few more
columns than vectors are asked for, holds the leading right singular vectors of the gradients G.

Source: N. Halko, P.-G. Martinsson, J. A. Tropp, Finding Structure with Randomness (2011),
Algorithms 4.4 and 5.1; document 4, Section 5, proposes it for the EGOP.
"""

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.measures.egop import Eigenbasis

#: Columns of Omega beyond those asked for, and the power q.
EXTRA, POWER = 10, 2


def leading_eigenvectors(gradients: Tensor, rank: int, *, of: tuple[object, ...]) -> Eigenbasis:
    """Return the ``rank`` leading eigenvectors (d, rank) and values of (1/M) sum_m g_m g_m^T.

    Costs O(M d rank).

    Parameters
    ----------
    gradients : (M, d)
    rank : at most M and d
    of : the name of the stream of Omega

    Examples
    --------
    >>> found = leading_eigenvectors(torch.diag(torch.tensor([1.0, 3.0, 2.0])), 2, of=("doc",))
    >>> [round(value, 2) for value in found.values.tolist()]
    [3.0, 1.33]
    """
    count, d = gradients.shape
    width = min(rank + EXTRA, count, d)
    q = gradients.T @ seeds.normal(count, width, of=of).to(gradients)
    for _ in range(POWER):
        q = torch.linalg.qr(gradients @ torch.linalg.qr(q).Q).Q
        q = gradients.T @ q
    q = torch.linalg.qr(q).Q
    left, singular, _ = torch.linalg.svd((gradients @ q).T, full_matrices=False)
    return Eigenbasis((q @ left)[:, :rank], singular[:rank].square() / count)
