r"""How good a basis is for gradients: the root mean squares of the derivatives along its columns.

Methods that divide each coordinate by a root mean square gain where few coordinates have nearly all
of it. Their sum, over the least that any basis has, is 1 for the EGOP's own basis (chapter
egop_related).
"""

import torch
from torch import Tensor


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
