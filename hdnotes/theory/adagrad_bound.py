r"""A bound on noiseless Adagrad with all its constants (chapter `egop_theory`).

Adagrad moves coordinate i by -eta g_i/b_i, b_i^2 the sum of the g_i^2 so far. If f has the
coordinate-wise smoothness constants L, then after T gradients g_0 ... g_(T-1)

    (1/T) sum_t ||g_t||_1 <= (1/sqrt T) [Delta/eta + eta/2 sum_i L_i (1 + 2 log(b_i,T / b_i,1))],

Delta = f(theta_0) - inf f. It is the bound that document 4 takes from the literature (Eq. 8), up to
what its O-tilde hides: the logarithm, the factor 1/2 and nothing else.
"""

import math

from torch import Tensor


def adagrad_bound(
    gap: Tensor, rate: Tensor, constants: Tensor, first: Tensor, last: Tensor, steps: int
) -> Tensor:
    """Return the bound on the mean l1 norm of the first ``steps`` gradients.

    Parameters
    ----------
    gap : Delta (...,)
    rate : eta (...,)
    constants : L (..., d)
    first, last : b after one gradient and after all (..., d), above 0

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1)
    >>> adagrad_bound(one, one, torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 2), 4).item()
    1.0
    """
    logs = 1 + 2 * (last / first).log()
    return (gap / rate + rate / 2 * (constants * logs).sum(-1)) / math.sqrt(steps)
