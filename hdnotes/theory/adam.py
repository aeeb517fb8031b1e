r"""What one move of Adam is: m / sqrt(v), bias correction, noise, and how large it can be.

m = (1 - beta_1) sum_k beta_1^k g_k and v = (1 - beta_2) sum_k beta_2^k g_k^2, k updates ago; moves
are in units of the learning rate, with eps = 0. Used by the chapter adam; Kingma and Ba 2015.
"""

import math

from scipy.stats import foldnorm


def correction(step: int, beta_1: float, beta_2: float) -> float:
    """Return the move without bias correction over the move with it, at update ``step`` >= 1.

    (1 - beta_1^t) / sqrt(1 - beta_2^t): above 1 where the second moment starts more slowly.

    Examples
    --------
    >>> round(correction(1, 0.9, 0.999), 3)
    3.162
    """
    return (1 - beta_1**step) / math.sqrt(1 - beta_2**step)


def correction_matters(beta_2: float, factor: float = 1.5) -> float:
    """Return the updates after which sqrt(1 - beta_2^t) is above 1 / ``factor``.

    Examples
    --------
    >>> round(correction_matters(0.999))
    587
    """
    return math.log(1 - factor**-2) / math.log(beta_2)


def noisy_move(noise: float, beta_1: float) -> float:
    r"""Return E|m| / sqrt(E v) for gradients 1 + noise z, z standard normal.

    m is N(1, noise^2 (1 - beta_1) / (1 + beta_1)) and E v = 1 + noise^2.

    Parameters
    ----------
    noise : standard deviation of a gradient over its mean; infinity is noise alone

    Examples
    --------
    >>> noisy_move(0.0, 0.9), round(noisy_move(math.inf, 0.9), 3)
    (1.0, 0.183)
    """
    share = (1 - beta_1) / (1 + beta_1)
    if math.isinf(noise):
        return math.sqrt(2 / math.pi * share)
    if noise == 0:
        return 1.0
    spread = noise * math.sqrt(share)
    return float(foldnorm.mean(1 / spread, scale=spread)) / math.sqrt(1 + noise**2)


def noisy_progress(noise: float) -> float:
    r"""Return E m / sqrt(E v) for gradients 1 + noise z, 1 / sqrt(1 + noise^2).

    Examples
    --------
    >>> noisy_progress(0.0)
    1.0
    """
    return 1 / math.hypot(1, noise)


def spike(beta_1: float, beta_2: float) -> float:
    """Return the move at one gradient after a long silence, (1 - beta_1) / sqrt(1 - beta_2).

    Examples
    --------
    >>> round(spike(0.9, 0.999), 2)
    3.16
    """
    return (1 - beta_1) / math.sqrt(1 - beta_2)


def largest_move(beta_1: float, beta_2: float) -> float:
    r"""Return the largest |m| / sqrt(v) of all streams, by Cauchy and Schwarz.

    |m| <= (1 - beta_1) sqrt(sum_k (beta_1^2 / beta_2)^k) sqrt(sum_k beta_2^k g_k^2), with equality
    for gradients that grow by beta_2 / beta_1 an update. Finite if beta_1^2 < beta_2.

    Examples
    --------
    >>> round(largest_move(0.9, 0.999), 2)
    7.27
    """
    return spike(beta_1, beta_2) / math.sqrt(1 - beta_1**2 / beta_2)
