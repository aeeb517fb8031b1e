r"""The expected gradient outer product and the coordinates it gives.

    EGOP(f) = E_rho[grad f(theta) grad f(theta)^T] = V diag(lambda) V^T

estimated from M gradients g_m = grad f(theta_m), theta_m ~ rho, as P = (1/M) sum_m g_m g_m^T; then
f is minimised as f~(t) = f(V t) from t_0 = V^T theta_0 (document 4, Section 2, Algorithm 1). The
eigenvectors come from the singular value decomposition of the M gradients themselves: forming P
first squares the condition number and loses every direction with lambda_k < 1e-16 lambda_1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hdnotes import devices
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.problem import Problem, chunks


def sample_gradients(
    problem: Problem,
    points: Tensor,
    batches: Tensor | None = None,
    *,
    data: int = 0,
    chunk_bytes: int | None = None,
) -> Tensor:
    """Return the gradients (M, parameters) of one data set's objective at M points.

    Parameters
    ----------
    problem : supplies the data set
    points : (M, parameters), draws of rho
    batches : the samples (M, size) of each gradient; None is all of them
    data : a trial of ``problem``: whose data set to take
    chunk_bytes : work done at once; default: what the cache holds on a CPU, all on a GPU
    """
    on_cpu = points.device.type == "cpu"
    budget = chunk_bytes or (devices.cache_bytes() if on_cpu else devices.UNLIMITED)
    copies = problem.take([data] * len(points))
    if batches is not None:
        budget = budget * problem.samples // batches.shape[1]
    gradients = torch.empty_like(points)
    for rows in chunks(copies, budget):
        at = slice(rows[0], rows[-1] + 1)
        batch = None if batches is None else batches[at]
        gradients[at] = copies.take(rows).loss_and_gradient(points[at], batch)[1]
    return gradients


@dataclass(frozen=True)
class Eigenbasis:
    """Eigenvectors and eigenvalues of an estimated EGOP.

    Attributes
    ----------
    vectors : V (d, d), orthonormal columns v_k by decreasing eigenvalue
    values : lambda (d,), zeros where M < d left none
    """

    vectors: Tensor
    values: Tensor


def eigenbasis(gradients: Tensor) -> Eigenbasis:
    """Return the eigenbasis of (1/M) sum_m g_m g_m^T; costs O(M d^2 + d^3).

    Parameters
    ----------
    gradients : (M, d); with M < d the basis is completed to d orthonormal columns

    Examples
    --------
    >>> basis = eigenbasis(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    >>> basis.values.tolist(), basis.vectors[:, 0].abs().tolist()
    ([2.0, 0.0], [0.0, 1.0])
    """
    count, d = gradients.shape
    square = torch.linalg.qr(gradients, mode="r").R if count > d else gradients
    _, singular, right = torch.linalg.svd(square, full_matrices=True)
    values = gradients.new_zeros(d)
    values[: len(singular)] = singular.square() / count
    return Eigenbasis(right.T.contiguous(), values)


def block_basis(gradients: Tensor, blocks: Sequence[slice]) -> Tensor:
    """Return the block-diagonal V (d, d) of each block's own EGOP (document 4, Eq. 5).

    Parameters outside every block keep their coordinates.

    Parameters
    ----------
    gradients : (M, d)
    blocks : where each block stands in the parameter vector
    """
    d = gradients.shape[1]
    basis = torch.eye(d, dtype=gradients.dtype, device=gradients.device)
    for block in blocks:
        basis[block, block] = eigenbasis(gradients[:, block]).vectors
    return basis


def random_basis(d: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw a Haar rotation (d, d), the control, from the stream named ``of``."""
    return orthonormal(d, d, of=of)
