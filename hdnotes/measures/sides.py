r"""Bases for the two sides of a weight matrix, and how near an EGOP is to having such a basis.

A gradient of W (rows x columns) is a matrix G. The eigenvectors U of E[G G^T] and Z of E[G^T G]
turn the two sides: vec W has the coordinates (U kron Z)^T vec W. With U = I the turn can be made on
the layer's inputs, once and for all. Each eigenvector of an EGOP, seen as a rows x columns matrix,
says whether such a product could hold it: those of U kron Z have rank one, those of I kron Z have a
single row (`theory.kronecker_columns` has the first share). Used in `egop_scalability`.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Sums of G G^T (rows, rows) and of G^T G (columns, columns)."""

    left: Tensor
    right: Tensor


def side_moments(gradients: Tensor, rows: int) -> Moments:
    """Return the moments of gradients (M, rows * columns); those of parts add up."""
    g = gradients.unflatten(1, (rows, -1))
    flat = g.transpose(0, 1).flatten(1)
    return Moments(flat @ flat.T, g.flatten(0, 1).T @ g.flatten(0, 1))


def added(one: Moments, other: Moments) -> Moments:
    """Return the moments of the gradients of both."""
    return Moments(one.left + other.left, one.right + other.right)


def side_bases(moments: Moments) -> tuple[Tensor, Tensor]:
    """Return U (rows, rows) and Z (columns, columns), by decreasing eigenvalue."""
    left, right = (torch.linalg.eigh(moment).eigenvectors.flip(1) for moment in moments)
    return left, right


def single_row_share(vectors: Tensor, rows: int) -> Tensor:
    """Return the largest share of a column's square in one row of its matrix (k,).

    Examples
    --------
    >>> single_row_share(torch.tensor([[1.0], [1.0], [0.0], [0.0]]), 2).tolist()
    [1.0]
    """
    square = vectors.T.unflatten(1, (rows, -1)).square().sum(-1)
    return square.amax(1) / square.sum(1)


def input_share(vectors: Tensor, rows: int, direction: Tensor) -> Tensor:
    """Return the share of a column's square along one direction of the inputs (k,).

    Parameters
    ----------
    direction : (columns,), of length 1

    Examples
    --------
    >>> axis = torch.tensor([1.0, 0.0])
    >>> input_share(torch.tensor([[1.0], [0.0], [1.0], [0.0]]), 2, axis).tolist()
    [1.0]
    """
    square = vectors.square().sum(0)
    return (vectors.T.unflatten(1, (rows, -1)) @ direction).square().sum(1) / square


def off_diagonal_share(coordinates: Tensor) -> Tensor:
    """Return the share of an EGOP's square off its diagonal, from gradients V^T g (M, d)."""
    square = (coordinates.T @ coordinates).square()
    return 1 - square.diagonal().sum() / square.sum()
