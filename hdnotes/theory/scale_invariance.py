r"""Weight decay as a learning rate that grows: the exact dictionary for scale-invariant losses.

SGD is v <- g v + grad L(theta) + lambda theta, theta <- theta - eta v (torch's convention), with
momentum g, weight decay lambda and learning rates eta_t. If L(c theta) = L(theta) for every c > 0,
the same functions are visited without weight decay, at other rates eta~_t: theta~_t = P_t theta_t.
Used by the chapter exponential_lr; Li and Arora 2019 (arXiv 1910.07454).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


def growth(momentum: float, decay_rate: float) -> float:
    r"""Return a, the larger root of x^2 - (1 + g - lambda eta) x + g = 0.

    A constant rate eta becomes eta a^(-2t-1), and theta~_t = a^(-t) theta_t.

    Parameters
    ----------
    momentum : g
    decay_rate : lambda eta, at most (1 - sqrt g)^2

    Raises
    ------
    ValueError
        If the roots are not real.

    Examples
    --------
    >>> growth(0.0, 0.01)
    0.99
    >>> round(growth(0.9, 0.0005 * 0.1) ** (-2 * 391), 3)  # the paper's nets, an epoch of CIFAR-10
    1.481
    """
    limit = (1 - math.sqrt(momentum)) ** 2
    if not 0 <= decay_rate <= limit:
        raise ValueError(
            f"decay_rate = {decay_rate:g} is not allowed at momentum = {momentum:g}; "
            f"it is 0 to {limit:.3g}"
        )
    middle = (1 + momentum - decay_rate) / 2
    return middle + math.sqrt(max(middle**2 - momentum, 0.0))


def constant_twin(rate: float, decay: float, momentum: float, steps: int) -> Tensor:
    """Return the rates eta a^(-2t-1), (steps,), that replace a constant one with weight decay."""
    a = growth(momentum, decay * rate)
    time = torch.arange(steps, dtype=torch.float64)
    return rate * torch.exp(-(2 * time + 1) * math.log(a))


def first_buffer(start: Tensor, rate: float, decay: float, momentum: float) -> Tensor:
    r"""Return the momentum buffer -(1 - a) / (eta a) theta_0 that `constant_twin` starts with."""
    a = growth(momentum, decay * rate)
    return -(1 - a) / (rate * a) * start


class Twin(NamedTuple):
    """A schedule without weight decay: rates eta~_t and scales P_t, both (steps,)."""

    rates: Tensor
    scales: Tensor


def twin(rates: Tensor, decay: float, momentum: float) -> Twin:
    r"""Return what replaces any schedule with weight decay, both from a buffer of zero.

    a_0 = 1 - eta_0 lambda, a_t = 1 - eta_t lambda + g (eta_t / eta_{t-1}) (1 - 1/a_{t-1}),
    P_t = prod_{i<t} 1/a_i and eta~_t = eta_t P_t^2 / a_t.

    Parameters
    ----------
    rates : eta_t > 0, (steps,)
    decay : lambda
    momentum : g

    Raises
    ------
    ValueError
        If an a_t is not positive: then no rescaling by a positive factor exists.

    Examples
    --------
    >>> twin(torch.tensor([0.1, 0.1]), 0.5, 0.0).rates
    tensor([0.1053, 0.1166])
    """
    factors: list[float] = []
    for step, rate in enumerate(rates.tolist()):
        a = 1 - rate * decay
        if step:
            a += momentum * rate / float(rates[step - 1]) * (1 - 1 / factors[-1])
        if not a > 0:
            raise ValueError(
                f"a_{step} = {a:.3g} is not allowed; weight decay times rate is too large"
            )
        factors.append(a)
    a = torch.tensor(factors, dtype=rates.dtype)
    scales = torch.cat([a.new_ones(1), (1 / a).cumprod(0)[:-1]])
    return Twin(rates * scales**2 / a, scales)


def overflow_step(rate: float, decay: float, momentum: float, largest: float) -> float:
    """Return the step at which eta a^(-2t-1) passes ``largest``."""
    a = growth(momentum, decay * rate)
    return (math.log(largest / rate) / -math.log(a) - 1) / 2


class AdamTwin(NamedTuple):
    """Adam without weight decay that follows AdamW: rates (steps,), its betas, scales (steps,)."""

    rates: Tensor
    betas: tuple[float, float]
    scales: Tensor


def adam_twin(rate: float, decay: float, betas: tuple[float, float], steps: int) -> AdamTwin:
    r"""Return the Adam whose functions are those of AdamW at a constant rate.

    With a = 1 - eta lambda and theta~_t = a^(-t) theta_t gradients shrink by a^t. Moments keep
    their weights if the betas become a beta_1 and a^2 beta_2, and the step their normalizers'
    ratio r_t, so that eta~_t = eta a^(-t-1) / r_t. Exact where Adam's eps is 0.

    Examples
    --------
    >>> adam_twin(0.1, 0.0, (0.9, 0.999), 2).rates
    tensor([0.1000, 0.1000], dtype=torch.float64)
    """
    a = 1 - rate * decay
    time = torch.arange(1, steps + 1, dtype=torch.float64)
    first, second = betas[0] * a, betas[1] * a**2

    def normalizer(beta: float) -> Tensor:
        return (1 - beta) / (1 - beta**time)

    ratio = normalizer(first) / normalizer(betas[0])
    ratio /= (normalizer(second) / normalizer(betas[1])).sqrt()
    scales = torch.exp(-(time - 1) * math.log(a))
    return AdamTwin(rate * scales / a / ratio, (first, second), scales)


def rotation(decay_rate: float, momentum: float = 0.0) -> float:
    r"""Return the angle of an update of SGD in equilibrium, sqrt(2 lambda eta / (1 + g)), in rad.

    There the squared length gains from updates what decay takes. A gradient of length G acts over
    1/(1 - g) updates: with independent ones, ||theta||^2 = eta G^2 / (2 lambda (1 - g)), and an
    update has the length eta G / sqrt(1 - g^2) (Kosson et al. 2024).
    """
    return math.sqrt(2 * decay_rate / (1 + momentum))


def adam_rotation(decay_rate: float, beta: float) -> float:
    r"""Return it for AdamW, sqrt(2 lambda eta (1 - beta_1) / (1 + beta_1)).

    With independent gradients an update has sqrt((1 - beta_1) / (1 + beta_1)) times the length of
    one without momentum, and the same effect in the end (Kosson et al. 2024).
    """
    return math.sqrt(2 * decay_rate * (1 - beta) / (1 + beta))


def settling(decay_rate: float, momentum: float = 0.0) -> float:
    """Return (1 - g) / (4 lambda eta), the updates in which ||theta||^4 comes e times closer.

    From the squared length's recursion x <- (1 - lambda eta)^2 x + (eta G)^2 / x, where G is the
    gradient's length at length 1: with y = x^2, y <- (1 - 4 lambda eta) y + 2 (eta G)^2.
    """
    return (1 - momentum) / (4 * decay_rate)


def adam_settling(decay_rate: float) -> float:
    """Return 1 / (2 lambda eta): AdamW's updates keep their length, so ||theta||^2 relaxes."""
    return 1 / (2 * decay_rate)
