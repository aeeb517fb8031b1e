r"""Generalized approximate message passing (GAMP) on phase retrieval, many trials at once.

The reference algorithm of the chapter `bayes_optimal`: it knows the law of the teacher, and
`hdnotes.theory.state_evolution` follows it as the dimension grows. It holds a Gaussian belief about
every h = w* . x, of mean omega and variance V, and one about every entry of w*, of mean a:

    omega  = X a - V g_previous       g = d/d(omega) log P(y | omega, V)
    Lambda = alpha mean(-g')          R = a + X^T g / Lambda
    a, V   = posterior mean, and mean variance, of entries seen as R in noise of variance 1/Lambda

At the optimum mean(-g') = mean(g^2), which state evolution uses. Away from it, as after a start
that is not a posterior mean, the first keeps the iteration on course and the second does not.

Source: S. Rangan, Generalized approximate message passing for estimation with random linear mixing,
ISIT 2011; J. Barbier et al., PNAS 116 (2019).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hdnotes.theory.state_evolution import DOOR

Output = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
#: The smallest precision Lambda of an observation, and the smallest probability of a label.
TINY = 1e-20


def absolute_output(y: Tensor, omega: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return g and -g' for y = |h|: h is +-y with the odds exp(2 y omega / V)."""
    sign = torch.tanh(y * omega / variance)
    spread = y.square() * (1 - sign.square())
    return (y * sign - omega) / variance, (1 - spread / variance) / variance


def door_output(y: Tensor, omega: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return g = P'/P and -g' = g^2 - P''/P, where P is the probability of y = sign(|h| - K)."""
    deviation = variance.sqrt()
    above, below = (DOOR - omega) / deviation, (-DOOR - omega) / deviation
    # Of the two tails the smaller ones are added, for 1 - P would cancel.
    inside = torch.special.ndtr(above) - torch.special.ndtr(below)
    outside = torch.special.ndtr(-above) + torch.special.ndtr(below)
    probability = torch.where(y > 0, outside, inside).clamp(min=TINY)
    high, low = _normal(above), _normal(below)
    g = y * (high - low) / deviation / probability
    curvature = y * (above * high - below * low) / variance
    return g, g.square() - curvature / probability


def gaussian_denoiser(observed: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Return the posterior mean of entries N(0, 1), and the mean of their variances."""
    return precision * observed / (1 + precision), 1 / (1 + precision)


def rademacher_denoiser(observed: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Return the posterior mean of entries +-1, and the mean of their variances."""
    mean = torch.tanh(precision * observed)
    return mean, 1 - mean.square().mean(-1, keepdim=True)


@dataclass(frozen=True)
class Model:
    """A label and a prior, as GAMP sees them.

    Attributes
    ----------
    output : (y, omega, V) -> g and -g'
    denoiser : (R, Lambda) -> a and the mean variance
    """

    output: Output
    denoiser: Denoiser


ABSOLUTE = Model(absolute_output, gaussian_denoiser)
SYMMETRIC_DOOR = Model(door_output, rademacher_denoiser)


def gamp(
    x: Tensor, y: Tensor, model: Model, start: Tensor, damping: float = 1.0
) -> Iterator[Tensor]:
    """Yield the posterior mean after each iteration, without end; one reads ``x`` twice.

    Parameters
    ----------
    x : (..., samples, features), entries of variance 1/features; shared by the trials
    y : (..., trials, samples)
    model : label and prior
    start : first posterior mean (..., trials, features), of variance 1 - |start|^2 / features;
        0 stays 0
    damping : share of the new value in each update, above 0 and at most 1. State evolution holds
        step by step at 1; a smaller share stops the oscillations of small systems.

    Yields
    ------
    Tensor
        (..., trials, features)

    Raises
    ------
    ValueError
        If ``damping`` is not above 0 and at most 1.
    """
    if not 0 < damping <= 1:
        raise ValueError(f"damping = {damping} is not allowed; it is above 0 and at most 1")
    alpha = x.shape[-2] / x.shape[-1]
    mean, variance = start, 1 - start.square().mean(-1, keepdim=True)
    g, precision = torch.zeros_like(y), torch.zeros_like(variance)
    # At a smaller deviation no label of a door is near enough to its edge to tell anything.
    least = (4 / x.shape[-2]) ** 2
    share = 1.0  # nothing to mix the first output with
    while True:
        variance = variance.clamp(min=least)
        new, slope = model.output(y, mean @ x.mT - variance * g, variance)
        g = torch.lerp(g, new, share)
        seen = alpha * slope.mean(-1, keepdim=True)
        precision = torch.lerp(precision, seen.clamp(min=TINY), share)
        new_mean, new_variance = model.denoiser(mean + g @ x / precision, precision)
        mean = torch.lerp(mean, new_mean, damping)
        variance = torch.lerp(variance, new_variance, damping)
        share = damping
        yield mean


def _normal(x: Tensor) -> Tensor:
    return (-x.square() / 2).exp() / (2 * torch.pi) ** 0.5
