r"""Orthonormal bases that are never d x d matrices (chapter `egop_scalability`).

Such a basis V stands where `hdnotes.problems.rotated` takes a matrix: it has a transpose ``V.T``
and acts on rows, ``points @ V``. Two kinds:

    V = (I - Y T Y^T) diag(I_k, C)    k given vectors and any complement: Householder's reflections
                                      in compact WY form, C = I or a fast random rotation
    V = U kron Z                      rotations of the rows and columns of a weight matrix

Sources: R. Schreiber, C. Van Loan, A Storage-Efficient WY Representation for Products of
Householder Transformations (1989); document 4, Section 5 and Appendix B, for what they are for.
"""

from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.problems.rotated import Block


@dataclass(frozen=True)
class Completed:
    """Given orthonormal vectors and an orthonormal complement: O(d k) to keep and to apply.

    Attributes
    ----------
    reflectors : Y (d, k)
    factor : T (k, k), upper triangular
    signs : of the mixed complement (d - k,); None for the complement nearest to the axes
    transposed : whether this is V^T
    """

    reflectors: Tensor
    factor: Tensor
    signs: Tensor | None = None
    transposed: bool = False

    @property
    def T(self) -> Self:
        """The transpose."""
        return replace(self, transposed=not self.transposed)

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps."""
        kept = [self.reflectors, self.factor] + ([] if self.signs is None else [self.signs])
        return sum(part.nbytes for part in kept)

    def to(self, *where: Any) -> Self:
        """Return it in another precision or on another device."""
        signs = None if self.signs is None else self.signs.to(*where)
        return replace(
            self, reflectors=self.reflectors.to(*where), factor=self.factor.to(*where), signs=signs
        )

    def __rmatmul__(self, points: Tensor) -> Tensor:
        """Return points V, (..., d)."""
        if self.transposed:
            return self._reflected(self._mixed(points), self.factor.T)
        return self._mixed(self._reflected(points, self.factor))

    def _reflected(self, points: Tensor, factor: Tensor) -> Tensor:
        return points - (points @ self.reflectors @ factor) @ self.reflectors.T

    def _mixed(self, points: Tensor) -> Tensor:
        if self.signs is None:
            return points
        given, rest = points.tensor_split([self.reflectors.shape[1]], dim=-1)
        rest = hartley(rest) * self.signs if self.transposed else hartley(rest * self.signs)
        return torch.cat([given, rest], dim=-1)


def completed(vectors: Tensor, mixed: tuple[object, ...] | None = None) -> Completed:
    """Return an orthonormal basis whose first k columns are ``vectors``, up to their signs.

    With Householder's reflections the remaining columns are unit vectors, corrected by rank k: the
    complement nearest to the original axes. ``mixed`` turns them by random signs and a Hartley
    transform, which spreads each over all of the complement; it costs O(d log d) and d signs.

    Parameters
    ----------
    vectors : (d, k), orthonormal columns; k = 0 leaves the axes, or a random rotation
    mixed : the name of the stream of the signs

    Examples
    --------
    >>> basis = completed(torch.tensor([[0.6], [0.8]]))
    >>> (torch.eye(2) @ basis).abs()
    tensor([[0.6000, 0.8000],
            [0.8000, 0.6000]])
    """
    d, k = vectors.shape
    packed, scales = torch.geqrf(vectors)
    y = packed.tril(-1) + torch.eye(d, k, dtype=vectors.dtype, device=vectors.device)
    y = y * (scales != 0)  # the last reflection of a square is none
    # T^-1 + T^-T = Y^T Y; a column that reflects nothing gets any diagonal.
    inverse = (y.T @ y).triu(1) + torch.diag((y.T @ y).diagonal() / 2 + (scales == 0))
    eye = torch.eye(k, dtype=vectors.dtype, device=vectors.device)
    factor = torch.linalg.solve_triangular(inverse, eye, upper=True)
    if mixed is None or k == d:
        return Completed(y, factor)
    coins = torch.randint(2, (d - k,), generator=seeds.generator(*mixed))
    return Completed(y, factor, (2 * coins - 1).to(vectors))


def hartley(points: Tensor) -> Tensor:
    """Return the discrete Hartley transform of the last axis: orthonormal and its own inverse."""
    turned = torch.fft.fft(points, norm="ortho")
    return turned.real - turned.imag


@dataclass(frozen=True)
class Sides:
    """U kron Z: W (rows x columns, row-major) has the coordinates U^T W Z.

    Attributes
    ----------
    left : U (rows, rows); None leaves the rows as they are
    right : Z (columns, columns)
    """

    left: Tensor | None
    right: Tensor

    @property
    def T(self) -> Self:
        """The transpose."""
        return replace(self, left=None if self.left is None else self.left.T, right=self.right.T)

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps."""
        return self.right.nbytes + (0 if self.left is None else self.left.nbytes)

    def to(self, *where: Any) -> Self:
        """Return it in another precision or on another device."""
        left = None if self.left is None else self.left.to(*where)
        return replace(self, left=left, right=self.right.to(*where))

    def __rmatmul__(self, points: Tensor) -> Tensor:
        """Return points (U kron Z), (..., rows * columns)."""
        turned = points.unflatten(-1, (-1, len(self.right))) @ self.right
        return (turned if self.left is None else self.left.T @ turned).flatten(-2)


Basis = Completed | Sides | Tensor


def block(at: slice, basis: Basis) -> Block:
    """Return a block of `hdnotes.problems.rotated`, which asks for V and V.T only."""
    return Block(at, cast(Tensor, basis))
