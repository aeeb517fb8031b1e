r"""Numbers that sum up a spectrum or an eigenvector (document 4, Sections 3-4)."""

from torch import Tensor


def stable_rank(values: Tensor) -> Tensor:
    r"""Return sr = sum_k sqrt(lambda_k) / sqrt(lambda_1), from 1 to d (document 4, Eq. 3).

    Parameters
    ----------
    values : EGOP eigenvalues, on the last axis

    Examples
    --------
    >>> import torch
    >>> stable_rank(torch.tensor([4.0, 1.0, 1.0])).item()
    2.0
    """
    roots = values.clamp(min=0).sqrt()
    return roots.sum(-1) / roots.amax(-1)


def density(vectors: Tensor) -> Tensor:
    r"""Return beta_k = ||v_k||_1^2 / d of each unit column (document 4, Section 3).

    A flat vector has 1, a coordinate vector 1/d, a random unit vector about 2/pi.

    Parameters
    ----------
    vectors : (d, columns)

    Examples
    --------
    >>> import torch
    >>> density(torch.eye(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return vectors.abs().sum(0).square() / len(vectors)


def summed_scales(gradients: Tensor, vectors: Tensor) -> Tensor:
    r"""Return sum_k sqrt(mean_m <g_m, v_k>^2): the gradient's size along each axis, summed.

    It rules Adagrad's regret bound, sum_k sqrt(sum_t <g_t, v_k>^2) (Duchi et al. 2011). Of all
    orthonormal bases the eigenvectors of sum_m g_m g_m^T make it smallest, and then it is
    sqrt(lambda_1) times the stable rank.

    Parameters
    ----------
    gradients : (M, d)
    vectors : (d, d), orthonormal columns

    Examples
    --------
    >>> import torch
    >>> diagonal = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5
    >>> gradient = torch.tensor([[1.0, 1.0]])
    >>> [round(summed_scales(gradient, v).item(), 3) for v in (torch.eye(2), diagonal)]
    [2.0, 1.414]
    """
    return (gradients @ vectors).square().mean(0).sqrt().sum()
