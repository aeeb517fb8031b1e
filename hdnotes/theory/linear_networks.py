r"""The gradient flow of a product of matrices, in closed form (chapter linear_networks).

A network W = W_N ... W_1 is *balanced* if W_{j+1}^T W_{j+1} = W_j W_j^T for all j. Its flow is then
that of a single layer with a preconditioner that depends on W alone (Arora, Cohen and Hazan 2018),
and each singular value of W has an equation of its own (Arora, Cohen, Hu and Luo 2019).
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor


def kernel(factors: Sequence[Tensor]) -> Tensor:
    r"""Return K with d vec(W)/dt = -K vec(G) for any factors, balanced or not.

    K = J J^T = sum_j (A_j A_j^T) x (B_j^T B_j),    A_j = W_N ... W_{j+1},  B_j = W_{j-1} ... W_1

    J is the Jacobian of the product, x Kronecker's product, and vec goes row by row.

    Parameters
    ----------
    factors : W_1 first, each (out, in)

    Returns
    -------
    Tensor
        (out in, out in) of the product's sides; symmetric, positive semi-definite.
    """
    sides = [factors[0].shape[1], *(len(factor) for factor in factors)]
    eyes = [torch.eye(side).to(factors[0]) for side in sides]
    terms = []
    for j in range(len(factors)):
        above = reduce(lambda a, factor: factor @ a, factors[j + 1 :], eyes[j + 1])
        below = reduce(lambda b, factor: factor @ b, factors[:j], eyes[0])
        terms.append(torch.kron(above @ above.T, below.T @ below))
    return torch.stack(terms).sum(0)


def eigenvalues(values: Tensor, shape: tuple[int, int], depth: int) -> Tensor:
    r"""Return the eigenvalues of the preconditioner P_W, entry (r, q) at vec(u_r v_q^T).

    lambda_rq = sum_{j=1}^N sigma_r^{2(N-j)/N} sigma_q^{2(j-1)/N}   (Arora, Cohen, Hazan, Claim 1)

    Parameters
    ----------
    values : singular values of W (..., min(out, in)); those beyond count as 0
    shape : of W (out, in)
    depth : N

    Examples
    --------
    >>> eigenvalues(torch.tensor([4.0, 0.0]), (2, 2), 2).tolist()
    [[8.0, 4.0], [4.0, 0.0]]
    """
    left, right = (torch.nn.functional.pad(values, (0, side - values.shape[-1])) for side in shape)
    return sum(
        left.unsqueeze(-1) ** (2 * (depth - j) / depth)
        * right.unsqueeze(-2) ** (2 * (j - 1) / depth)
        for j in range(1, depth + 1)
    )  # type: ignore[return-value]


def preconditioned(matrix: Tensor, gradient: Tensor, depth: int) -> Tensor:
    r"""Return P_W G = sum_j (W W^T)^((N-j)/N) G (W^T W)^((j-1)/N).

    Computed in the singular vectors of W, where it multiplies entry (r, q) by lambda_rq.

    Parameters
    ----------
    matrix, gradient : W and G, (..., out, in)
    depth : N; at 1 it is G itself

    Source: Arora, Cohen and Hazan (2018), Theorem 1.
    """
    u, values, vh = torch.linalg.svd(matrix)
    shape = (matrix.shape[-2], matrix.shape[-1])
    return u @ (eigenvalues(values, shape, depth) * (u.mT @ gradient @ vh.mT)) @ vh


def loop_integral(depth: int, inner: float, outer: float) -> float:
    r"""Return the line integral of P_w G along the keyhole loop over |G|, for one output.

    2 (R^a - r^a) (N - 1)(N - 2) / (3N - 2),    a = 3 - 2/N

    The loop: along G from -R to -r, half a circle of radius r to +r, on to R, and half a circle of
    radius R back (after Arora, Cohen and Hazan 2018, Theorem 2).

    Examples
    --------
    >>> round(loop_integral(3, 0.1, 1.0), 4), loop_integral(2, 0.1, 1.0)
    (0.5688, 0.0)
    """
    power = 3 - 2 / depth
    size = outer**power - inner**power
    return 2 * size * (depth - 1) * (depth - 2) / (3 * depth - 2)


def singular_value_path(times: Tensor, drive: Tensor, start: Tensor, depth: int) -> Tensor:
    r"""Integrate d sigma/dt = -N sigma^(2-2/N) <grad, u v^T> along a known drive.

    Separated, the drive's integral is that of sigma^(2/N-2): with D = -N int <grad, u v^T> dt,
    sigma = sigma_0 + D (N = 1), sigma_0 e^D (N = 2), (sigma_0^-c - c D)^(-1/c), c = 1 - 2/N (else).

    Parameters
    ----------
    times : (records,)
    drive : -<grad, u_r v_r^T> at these times (..., records)
    start : first singular values (...,)
    depth : N

    Returns
    -------
    Tensor
        (..., records), by the trapezoidal rule.

    Source: Arora, Cohen, Hu and Luo (2019), Theorem 3.
    """
    total = depth * torch.cumulative_trapezoid(drive, times, dim=-1)
    total = torch.cat([torch.zeros_like(total[..., :1]), total], -1)
    first = start.unsqueeze(-1)
    if depth == 1:
        return first + total
    if depth == 2:
        return first * total.exp()
    power = 1 - 2 / depth
    return (first**-power - power * total).clamp(min=1e-300) ** (-1 / power)


def linear_rate(margin: float, depth: int) -> float:
    r"""Return 2 N c^(2-2/N): the loss 1/2 ||W - Phi||^2 falls at least as exp(-rate t).

    Under the condition ||W(0) - Phi||_F <= sigma_min(Phi) - c the flow of a balanced network keeps
    all singular values of W above c. With c = sigma_min(Phi) it is the rate at the end.

    Examples
    --------
    >>> linear_rate(1.0, 3)
    6.0
    """
    return 2 * depth * margin ** (2 - 2 / depth)
