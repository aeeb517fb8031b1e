r"""Angles between subspaces (chapters `adam_ratio` and `adam_intuition`)."""

import torch
from torch import Tensor


def largest_angle(a: Tensor, b: Tensor) -> Tensor:
    """Return the largest principal angle between two subspaces of one dimension, in degrees.

    The cosines of the principal angles are the singular values of A^T B, their sines those of
    B - A A^T B: below 45 degrees the sine is the one that keeps its digits.

    Parameters
    ----------
    a, b : (..., n, r), orthonormal columns

    Examples
    --------
    >>> x = torch.eye(3)
    >>> largest_angle(x[:, :1], x[:, 1:2]).item(), largest_angle(x[:, :2], x[:, :2]).item()
    (90.0, 0.0)
    """
    overlap = a.mT @ b
    cosine = torch.linalg.svdvals(overlap)[..., -1]
    sine = torch.linalg.svdvals(b - a @ overlap)[..., 0]
    return torch.atan2(sine, cosine).rad2deg()


def leading(w: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return the leading left and right singular vectors of W, each (..., n, rank)."""
    u, _, vh = torch.linalg.svd(w, full_matrices=False)
    return u[..., :rank], vh[..., :rank, :].mT
