r"""Crossings: where a success curve passes one half, with its interval.

Success counts k_j of n_j runs at alpha_j are fitted by P(alpha) = 1 / (1 + exp((c - alpha) / s)).
The interval of c is that of the profile likelihood: every c whose likelihood, at the best s, is
within half a chi-square quantile of the largest. It needs no large counts, and it stands where all
runs fail up to one alpha and all succeed from the next on, where s has no estimate at all.
Used wherever document 2's sample complexities are compared.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, xlogy
from scipy.stats import chi2

#: Values of c, of s from sharp to flat, and times that the grid of c is drawn closer.
CENTRES, WIDTHS, ZOOMS = 201, 40, 3


class Crossing(NamedTuple):
    """Where success reaches 50 %, and an interval that covers it with about the level asked for.

    A side that the data do not bound is infinite.
    """

    low: float
    at: float
    high: float


def crossing(
    alpha: Iterable[float], successes: Iterable[int], runs: Iterable[int], level: float = 0.9
) -> Crossing:
    """Return the 50 % point of a rising success curve by logistic fit.

    Parameters
    ----------
    alpha : sample complexities, at least two different ones
    successes, runs : counts at each
    level : coverage of the interval

    Raises
    ------
    ValueError
        If there are fewer than two sample complexities, or counts that cannot be.

    Examples
    --------
    >>> [round(one, 2) for one in crossing([1.0, 1.2, 1.4, 1.6], [0, 3, 8, 10], [10] * 4)]
    [1.21, 1.28, 1.34]
    >>> crossing([1.0, 2.0], [10, 10], [10, 10]).at
    -inf
    """
    x, k, n = (np.asarray(list(values), float) for values in (alpha, successes, runs))
    if len(np.unique(x)) < 2:
        raise ValueError(f"alpha = {x.tolist()} is not allowed; a crossing needs two values")
    if not (len(x) == len(k) == len(n) and (n > 0).all() and (k >= 0).all() and (k <= n).all()):
        raise ValueError(f"successes = {k.tolist()} of runs = {n.tolist()} are not counts at alpha")
    low, high = x.min(), x.max()
    for _ in range(ZOOMS):
        centres = np.linspace(low, high, CENTRES)
        likelihood = _profile(centres, x, k, n)
        inside = np.flatnonzero(likelihood >= likelihood.max() - chi2.ppf(level, 1) / 2)
        low, high = centres[max(inside[0] - 1, 0)], centres[min(inside[-1] + 1, CENTRES - 1)]
    # Perfect separation leaves a range of equally good centres: the middle one stands for it.
    best = centres[likelihood >= likelihood.max() - 1e-9]
    found = float(best.mean())
    if best[0] == x.min() or best[-1] == x.max():
        found = -np.inf if best[0] == x.min() else np.inf
    return Crossing(
        -np.inf if low == x.min() else float(low), found, np.inf if high == x.max() else float(high)
    )


def _profile(centres: np.ndarray, x: np.ndarray, k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return each centre's log-likelihood at its best width."""
    widths = np.geomspace(1e-3, 1, WIDTHS) * np.ptp(x)
    p = expit((x - centres[:, None, None]) / widths[:, None])
    return (xlogy(k, p) + xlogy(n - k, 1 - p)).sum(-1).max(-1)
