r"""Closed forms for one linear layer on fresh unit vectors (chapter matrix_recovery_explained).

The layer learns Phi (M x N) from batches of B inputs x, unit vectors with independent signs and
exchangeable entries, so that E[x x^T] = I/M exactly. Without a bias and without clipping every
quantity below is exact in expectation, whatever Phi; E = W - Phi is the error, and an SNR is
10 log10 of E||y||^2 over what is left of it, for a start at W = 0.
"""

import math

import numpy as np


def contraction(a: float, m: int, batch: int) -> float:
    r"""Return rho(a), by which SGD multiplies E||E||^2 in every step.

    rho(a) = 1 - 2 a B/M + a^2 (B/M) (1 + (B - 1)/M),    a = 2 x learning rate (summed loss)

    A step is E <- E (I - a S) with S = sum_i x_i x_i^T, E[S] = (B/M) I and, as the x_i are unit
    vectors, E[S^2] = (B/M) (1 + (B - 1)/M) I. SGD is stable in mean square iff rho < 1, that is
    a < 2 M / (M + B - 1).

    Examples
    --------
    >>> contraction(best_step(1024, 32), 1024, 32) == 1023 / 1055
    True
    """
    share = batch / m
    return 1 - 2 * a * share + a * a * share * (1 + (batch - 1) / m)


def best_step(m: int, batch: int) -> float:
    r"""Return a* = M / (M + B - 1), the least of rho: there rho = (M - 1)/(M + B - 1).

    Examples
    --------
    >>> round(best_step(1024, 32), 4)
    0.9706
    """
    return m / (m + batch - 1)


def sgd_db(m: int, batch: int, steps: int, a: float | None = None) -> float:
    """Return the SNR in dB of SGD after ``steps`` batches: -10 T log10 rho(a), a* by default.

    Examples
    --------
    >>> round(sgd_db(1024, 32, 500), 1)
    66.9
    """
    step = best_step(m, batch) if a is None else a
    return -10 * steps * math.log10(contraction(step, m, batch))


def kaczmarz_db(m: int, batch: int, steps: int) -> float:
    """Return the SNR in dB of block Kaczmarz: -10 T log10(1 - B/M).

    Every step projects W onto all that satisfy its batch, so E loses its part in the span of B
    inputs. By their symmetry that span holds B/M of it on average. With ``batch`` 1 it is
    Kaczmarz' method. From B = M one step is enough: infinite.

    Examples
    --------
    >>> round(kaczmarz_db(1024, 32, 500), 1), round(kaczmarz_db(1024, 1, 16_000), 1)
    (68.9, 67.9)
    """
    return math.inf if batch >= m else -10 * steps * math.log10(1 - batch / m)


def least_squares_db(m: int, samples: int) -> float:
    """Return the SNR in dB of recursive least squares: the error left is 1 - n/M, then 0.

    Examples
    --------
    >>> round(least_squares_db(1024, 512), 2), least_squares_db(1024, 1024)
    (3.01, inf)
    """
    return math.inf if samples >= m else -10 * math.log10(1 - samples / m)


def clipped_descent(
    m: int,
    n: int,
    *,
    batch: int,
    rates: np.ndarray,
    clip: float,
    bias: bool = True,
    scale: float = 1.0,
) -> np.ndarray:
    r"""Return the expected loss of a fresh batch along clipped SGD, by two coupled moments.

    With u = E||E||^2 and v = E||b||^2, gradients G_W and G_b as in `problems.mean_field`:

        <E, G_W> = 2 (B/M) u                ||G_W||^2 = 4 ((B/M) (1 + (B - 1)/M) u + B v)
        <b, G_b> = 2 B v                    ||G_b||^2 = 4 ((B/M) u + B^2 v)

    are exact means; the recursion puts them in place of their random values, also in the norm that
    is clipped to c. While it is clipped, ||E|| can fall by the learning rate per step and no more.

    Parameters
    ----------
    m, n : sides of the layer, which starts as torch.nn.Linear does
    batch : samples of a batch, B
    rates : learning rate of each step (steps,)
    clip : norm c to which the whole gradient is clipped
    bias : whether the layer has a bias
    scale : s of y = s x Phi

    Returns
    -------
    ndarray
        B (u/M + v) before each step and after the last (steps + 1,).

    Examples
    --------
    >>> flat = clipped_descent(4, 4, batch=32, rates=np.full(3, 1e-9), clip=1.0)
    >>> bool(np.allclose(flat, 32 * (1 + 2 / 3)))
    True
    """
    share, both = batch / m, batch / m * (1 + (batch - 1) / m)
    u = n / 3 + scale**2 * min(m, n)
    v = n / (3 * m) if bias else 0.0
    losses = [batch * (u / m + v)]
    for rate in rates:
        first, second = 4 * (both * u + batch * v), 4 * (share * u + batch**2 * v) * bias
        step = rate * min(1, clip / math.sqrt(first + second))
        u, v = (
            max(0.0, u - 4 * step * share * u + step**2 * first),
            max(0.0, v - 4 * step * batch * v + step**2 * second) * bias,
        )
        losses.append(batch * (u / m + v))
    return np.array(losses)


def alignment(m: int, batch: int) -> float:
    r"""Return the cosine between SGD's step and the error, sqrt(B / (M + B - 1)), without a bias.

    <E, ES> = (B/M) ||E||^2 and ||ES||^2 = (B/M) (1 + (B - 1)/M) ||E||^2 on average.

    Examples
    --------
    >>> round(alignment(1008, 32), 3)
    0.175
    """
    return math.sqrt(batch / (m + batch - 1))


def decay_floor_db(m: int, batch: int, decay: float) -> float:
    r"""Return the true SNR in dB where an L2 decay balances the data, without a bias.

    The loss summed over a batch has mean curvature 2 B/M, so with r = decay M / (2 B) the mean
    gradient vanishes at W = Phi / (1 + r): -20 log10(r / (1 + r)).

    Examples
    --------
    >>> [round(decay_floor_db(m, 32, 0.01), 1) for m in (64, 256, 1024)]
    [40.1, 28.3, 17.2]
    """
    r = decay * m / (2 * batch)
    return -20 * math.log10(r / (1 + r))


def bias_limit(batch: int) -> float:
    """Return the learning rate below which the bias is stable under SGD: 1/B.

    The loss summed over the batch has curvature 2 B along a bias, so a step multiplies it by
    1 - 2 B lr.

    Examples
    --------
    >>> bias_limit(32)
    0.03125
    """
    return 1 / batch


def bias_cycle_db(learning_rate: float) -> float:
    r"""Return the true SNR in dB of the limit cycle of clipped SGD with a bias: -20 log10(lr/2).

    Above `bias_limit` the bias vector cannot come to rest. With the gradient clipped to norm 1 it
    jumps by lr across zero: from length r to lr - r and back. The mean square of the two is least
    at r = lr/2, where the noise of the weights brings it; E||y||^2 is 1.

    Examples
    --------
    >>> round(bias_cycle_db(0.1), 1)
    26.0
    """
    return -20 * math.log10(learning_rate / 2)


def smallest_step_db(n: int, *, bias: bool, step: float = 1e-6) -> float:
    """Return the true SNR in dB where every parameter is off by Rprop's smallest step.

    120 - 10 log10 N for torch's 1e-6: N M weights, each off by it, and E[x x^T] = I/M. As many
    biases as outputs, each off by it, are as much again: 3 dB less.

    Examples
    --------
    >>> round(smallest_step_db(1024, bias=False), 1), round(smallest_step_db(1024, bias=True), 1)
    (89.9, 86.9)
    """
    return -10 * math.log10((1 + bias) * n * step**2)
