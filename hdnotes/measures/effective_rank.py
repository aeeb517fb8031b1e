r"""How many singular values count: the effective rank (chapter `adam_ratio`)."""

import torch
from torch import Tensor


def effective_rank(values: Tensor) -> Tensor:
    r"""Return exp(H(p)) with p_k = sigma_k / sum sigma and H its entropy, from 1 to n.

    Parameters
    ----------
    values : singular values, on the last axis; not all zero

    Examples
    --------
    >>> effective_rank(torch.tensor([1.0, 1.0, 0.0])).item()
    2.0
    """
    share = values / values.sum(-1, keepdim=True)
    return torch.special.entr(share).sum(-1).exp()
