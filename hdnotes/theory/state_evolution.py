r"""State evolution: what the best message passing reaches, sample by sample complexity.

A teacher w* of p entries of variance 1 is seen through n = alpha p labels of w* . x, x ~ N(0, I/p).
Let q be the squared overlap of the posterior mean with w*. As p grows, q follows two scalar maps:

    q_hat = alpha E[g(y, omega, V)^2],   omega ~ N(0, q),   V = 1 - q,   w* . x ~ N(omega, V)
    q     = F(q_hat),                    the squared overlap of w* seen in noise of variance 1/q_hat

g = d/d(omega) log P(y | omega, V) is the output function of `hdnotes.theory.gamp`. For a q that
stays as it is, alpha = F^{-1}(q) / E[g^2]: the sample complexity is an explicit function of q, and
thresholds are read off it. Two problems of the chapter `bayes_optimal`:

    absolute label, Gaussian prior               y = |w* . x|            (the square says the same)
    symmetric door, Rademacher prior             y = sign(|w* . x| - K)

Source: J. Barbier, F. Krzakala, N. Macris, L. Miolane, L. Zdeborova, Optimal errors and phase
transitions in high-dimensional generalized linear models, PNAS 116 (2019).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, ndtr

#: Threshold K of the symmetric door: half of all labels are +1 (document 2, Section 4.7).
DOOR = 0.67449
#: The smallest variance V that is told from none.
SMALLEST = 1e-10

Map = Callable[[float], float]


def absolute_information(q: float) -> float:
    r"""Return E[g^2] for y = |w* . x|.

    With t = omega / sqrt(V) ~ N(0, q/V) and u ~ N(0, 1),

        V E[g^2] = 1 - E[(t + u)^2 sech^2(t (t + u))],

    as g = (y tanh(y omega / V) - omega) / V and omega is the posterior mean of y tanh(y omega / V).

    Examples
    --------
    >>> round(absolute_information(1e-6) / 1e-6, 3)  # 2 q to first order
    2.0
    """
    variance = max(1 - q, SMALLEST)
    spread = np.sqrt(max(q, SMALLEST) / variance)
    t, weight = _nodes(0, 10 * min(spread, 1.0))
    z, z_weight = _nodes(-12, 12)
    density = weight * 2 * _normal(t / spread) / spread
    inner = (z / np.cosh(np.outer(t, z))) ** 2 * _normal(z - t[:, None])
    return max(float(1 - density @ inner @ z_weight), 0.0) / variance


def door_information(q: float) -> float:
    r"""Return E[g^2] for y = sign(|w* . x| - K).

    With P = P(|w* . x| < K | omega) and D its derivative in omega, E[g^2] = E[D^2 / (P (1 - P))].
    The integrand is large only where omega is within a few sqrt(V) of K.
    """
    deviation, spread = np.sqrt(max(1 - q, SMALLEST)), np.sqrt(max(q, SMALLEST))
    reach = 12 * deviation
    low, high = max(0.0, DOOR - reach), min(10 * spread, DOOR + reach)
    omega, weight = _nodes(low, high)
    above, below = (DOOR - omega) / deviation, (-DOOR - omega) / deviation
    # The upper tails are added, for 1 - P would cancel.
    inside, outside = ndtr(above) - ndtr(below), ndtr(-above) + ndtr(below)
    slope = (_normal(below) - _normal(above)) / deviation
    ratio = slope**2 / np.maximum(inside * outside, 1e-300)
    return float(2 * weight @ (ratio * _normal(omega / spread) / spread))


def gaussian_overlap(q_hat: float) -> float:
    """Return F(q_hat) = q_hat / (1 + q_hat) of entries N(0, 1)."""
    return q_hat / (1 + q_hat)


def rademacher_overlap(q_hat: float) -> float:
    """Return F(q_hat) = E tanh(q_hat + sqrt(q_hat) zeta), zeta ~ N(0, 1), of entries +-1.

    Examples
    --------
    >>> round(rademacher_overlap(1e-4) / 1e-4, 3), rademacher_overlap(100.0)
    (1.0, 1.0)
    """
    zeta, weight = _nodes(-10, 10)
    wrong = 2 * expit(-2 * (q_hat + np.sqrt(q_hat) * zeta))
    return max(float(1 - weight @ (wrong * _normal(zeta))), 0.0)


@dataclass(frozen=True)
class Problem:
    """A label and a prior, as state evolution sees them.

    Attributes
    ----------
    information : q -> E[g^2]
    overlap : q_hat -> q
    """

    information: Map
    overlap: Map

    def next(self, q: float, alpha: float) -> float:
        """Return the squared overlap after one more iteration."""
        return self.overlap(alpha * self.information(q))

    def sample_complexity(self, q: float) -> float:
        """Return the alpha at which the squared overlap 0 < q < 1 stays as it is."""
        q_hat = brentq(lambda value: self.overlap(value) - q, 0, 1e12, xtol=1e-14, rtol=1e-12)
        return q_hat / self.information(q)


ABSOLUTE = Problem(absolute_information, gaussian_overlap)
SYMMETRIC_DOOR = Problem(door_information, rademacher_overlap)


def path(problem: Problem, alpha: float, steps: int, start: float = 1e-6) -> list[float]:
    """Return the squared overlaps of steps 0 to ``steps``.

    Examples
    --------
    >>> [round(q, 3) for q in path(ABSOLUTE, 1.5, 3, start=0.1)]
    [0.1, 0.199, 0.323, 0.444]
    """
    found = [start]
    for _ in range(steps):
        found.append(problem.next(found[-1], alpha))
    return found


def fixed_point(
    problem: Problem, alpha: float, start: float = 1e-6, tolerance: float = 1e-10
) -> float:
    """Return the squared overlap at which state evolution comes to rest.

    From a ``start`` near 0 it is what message passing reaches, from one near 1 the largest that
    stays as it is.

    Raises
    ------
    ValueError
        If alpha is not above 0.
    """
    if not alpha > 0:
        raise ValueError(f"alpha = {alpha} is not allowed; it is above 0")
    q, change = start, np.inf
    while abs(change) > tolerance * max(q, 1e-6):
        change = problem.next(q, alpha) - q
        q += change
    return q


def weak_recovery(problem: Problem) -> float:
    """Return the alpha above which q = 0 is not stable: the limit of the sample complexity at 0."""
    return problem.sample_complexity(1e-6)


class Threshold(NamedTuple):
    """A sample complexity, and the squared overlap q that becomes unstable there."""

    alpha: float
    q: float


@lru_cache
def full_recovery(problem: Problem) -> Threshold:
    """Return the largest sample complexity of any q: above it message passing reaches q = 1."""
    grid = np.linspace(0.01, 0.99, 99)
    best = grid[np.argmax([problem.sample_complexity(q) for q in grid])]
    found = minimize_scalar(
        lambda q: -problem.sample_complexity(q),
        bounds=(best - 0.01, best + 0.01),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return Threshold(-float(found.fun), float(found.x))


def information_theoretic(problem: Problem) -> float:
    """Return the alpha above which the labels determine the teacher.

    Real labels: q = 1 is stable above the limit of the sample complexity as q goes to 1, and wins
    at once, as the free entropy of an exact solution has no bound. Door: p bits are told by n
    labels of one bit each; the labels are as good as independent up to there, because q = 0 is
    stable beyond it (`weak_recovery`).
    """
    if problem is ABSOLUTE:
        return problem.sample_complexity(1 - 1e-9)
    inside = 2 * ndtr(DOOR) - 1
    entropy = -inside * np.log2(inside) - (1 - inside) * np.log2(1 - inside)
    return float(1 / entropy)


@lru_cache
def _nodes(low: float, high: float, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss-Legendre quadrature on an interval."""
    x, weight = _legendre(count)
    half = (high - low) / 2
    return low + half * (x + 1), half * weight


@lru_cache
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)


def _normal(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
