r"""Success curves: shares with their intervals, and the crossing where a curve passes one half.

Success counts k of n runs at alpha are fitted by P(alpha) = 1 / (1 + exp((c - log alpha) / s)). The
interval of the crossing e^c is that of the profile likelihood: every c whose likelihood, at the
best s, is within half a chi-square quantile of the largest. It needs no large counts. Where fewer
than two alphas have runs of both kinds s has no estimate, and the fit may put c anywhere between
the last alpha with failures for the most part and the first with successes: then there is no point,
and the interval spans these two as well. Starts on one data set are not independent: where counts
are given a row a data set, the quantile grows by how much more these vary than binomial counts
would.
Used wherever document 2's sample complexities are compared.
"""

from collections.abc import Iterable, Sequence
from math import inf, log, nan
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit
from scipy.stats import chi2

from hdnotes.claims import share_interval
from hdnotes.wording import number

#: Values of c, of s from sharp to flat, and times that the grid of c is drawn closer.
CENTRES, WIDTHS, ZOOMS = 201, 200, 3
#: How far c may lie beyond the sample complexities that were run, in log alpha.
BEYOND = 0.5


class Crossing(NamedTuple):
    """Where success reaches 50 %, and an interval that covers it with about the level asked for.

    A side that the data do not bound is 0 or infinite; so is the middle, if no run lies beyond it.
    The middle is NaN where only the interval is known.

    Examples
    --------
    >>> print(Crossing(1.1, 1.204, inf), Crossing(2.5, inf, inf), Crossing(0, 0, 1.05), sep=", ")
    1.20 (1.10 to ∞), above 2.50, below 1.05
    >>> print(Crossing(3.0, nan, 5.0))
    between 3.00 and 5.00
    """

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        if 0 < self.middle < inf:
            return f"{self.middle:.2f} ({number(self.low, 3)} to {number(self.high, 3)})"
        if self.low > 0:
            bounded = self.high < inf
            return f"{'between' if bounded else 'above'} {self.low:.2f}" + (
                f" and {self.high:.2f}" if bounded else ""
            )
        return f"below {self.high:.2f}" if self.high < inf else "unknown"


def shares(
    table: pd.DataFrame, by: Sequence[str] = ("method",), success: str = "success"
) -> pd.DataFrame:
    """Return the success probability at each alpha with its exact binomial interval (90 %).

    Parameters
    ----------
    table : one row a run, with ``alpha``
    by : the columns that make a curve
    success : the column of truth values

    Returns
    -------
    pd.DataFrame
        One row a curve and alpha, by alpha: successes, runs, share, low, high.
    """
    counts = table.groupby([*by, "alpha"], sort=False)[success].agg(["sum", "size"]).reset_index()
    found = [
        share_interval(int(k), int(n)) for k, n in zip(counts["sum"], counts["size"], strict=True)
    ]
    low, share, high = zip(*found, strict=True) if found else ((), (), ())
    named = counts.rename(columns={"sum": "successes", "size": "runs"})
    return named.assign(share=share, low=low, high=high).sort_values("alpha", kind="stable")


def crossing(
    alpha: Iterable[float],
    successes: Iterable[int],
    runs: Iterable[int],
    *,
    by_data_set: bool = False,
    level: float = 0.9,
) -> Crossing:
    """Return the 50 % point of a rising success curve by logistic fit in log alpha.

    Parameters
    ----------
    alpha : sample complexities, above 0; with fewer than two different ones nothing is known
    successes, runs : counts at each
    by_data_set : whether each count is that of a data set, which widens the interval
    level : coverage of the interval

    Raises
    ------
    ValueError
        If there are counts that cannot be.

    Examples
    --------
    >>> [round(one, 2) for one in crossing([1.0, 1.2, 1.4, 1.6], [0, 3, 8, 10], [10] * 4)]
    [1.21, 1.27, 1.34]
    >>> print(crossing([1.0, 2.0], [10, 10], [10, 10]))
    below 1.00
    >>> print(crossing([2.5, 3.0, 5.0], [0, 0, 19], [20] * 3))
    between 3.00 and 5.00
    """
    at, k, n = (np.asarray(list(values), float) for values in (alpha, successes, runs))
    if not (len(at) == len(k) == len(n) and (n > 0).all() and (k >= 0).all() and (k <= n).all()):
        raise ValueError(f"successes = {k.tolist()} of runs = {n.tolist()} are not counts at alpha")
    if len(np.unique(at)) < 2:
        return Crossing(0.0, nan, inf)
    x, fall = np.log(at), float(chi2.ppf(level, 1)) / 2
    found = _fit(x, k, n, fall)
    if by_data_set:
        found = _fit(x, k, n, fall * _dispersion(x, k, n, found.middle))
    low, middle, high = (float(np.exp(one)) for one in found)
    if not x.min() <= found.middle <= x.max():
        return Crossing(low, inf, inf) if middle > at.max() else Crossing(0.0, 0.0, high)
    last, first, mixed = _bracket(at, k, n)
    if mixed < 2:
        return Crossing(min(low, last), nan, max(high, first))
    return Crossing(low, middle, high)


def _bracket(at: np.ndarray, k: np.ndarray, n: np.ndarray) -> tuple[float, float, int]:
    """Return the last alpha at which no more than half succeed, the first at which half or more do.

    And at how many some succeed and some do not. Without such an alpha the side is open.
    """
    alphas, index = np.unique(at, return_inverse=True)
    share = np.bincount(index, k) / np.bincount(index, n)
    few, many = alphas[share <= 0.5], alphas[share >= 0.5]
    ends = float(few.max()) if len(few) else 0.0, float(many.min()) if len(many) else inf
    return *ends, int(((share > 0) & (share < 1)).sum())


def _fit(x: np.ndarray, k: np.ndarray, n: np.ndarray, fall: float) -> Crossing:
    """Return c and every c whose likelihood falls less, an open side infinite."""
    x, index = np.unique(x, return_inverse=True)
    k, n = np.bincount(index, k), np.bincount(index, n)
    first, last = low, high = x[0] - BEYOND, x[-1] + BEYOND
    for _ in range(ZOOMS):
        centres = np.linspace(low, high, CENTRES)
        likelihood = _likelihood(centres[:, None], x, k, n).max(-1)
        inside = np.flatnonzero(likelihood >= likelihood.max() - fall)
        low, high = centres[max(inside[0] - 1, 0)], centres[min(inside[-1] + 1, CENTRES - 1)]
    # Perfect separation leaves a range of equally good centres: the middle one stands for it.
    middle = centres[likelihood >= likelihood.max() - 1e-6].mean()
    return Crossing(-inf if low == first else low, middle, inf if high == last else high)


def _dispersion(x: np.ndarray, k: np.ndarray, n: np.ndarray, centre: float) -> float:
    """Return how much more counts vary around the fit than binomial ones would, at least 1.

    The sum of squared residuals over that of the variances, which weighs each count by what it
    says of the centre; two fitted parameters take their part of the residuals.
    """
    best = _likelihood(np.array([centre]), x, k, n).argmax()
    share = expit((x - centre) / _widths(x)[best])
    variance = n * share * (1 - share)
    free = 1 - 2 * (variance**2).sum() / max(variance.sum() ** 2, 1e-9)
    if variance.sum() < 0.1 or free <= 0:  # nothing varies, or no more than the fit takes up
        return 1.0
    return max(1.0, float(((k - n * share) ** 2).sum() / variance.sum() / free))


def _likelihood(centres: np.ndarray, x: np.ndarray, k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of centres (..., 1) at every width (..., widths)."""
    z = (x - centres[..., None]) / _widths(x)[:, None]
    return log_expit(z) @ n - z @ (n - k)


def _widths(x: np.ndarray) -> np.ndarray:
    return np.geomspace(1e-3, 1, WIDTHS) * np.ptp(x)


def ratio(a: Crossing, b: Crossing) -> Crossing:
    """Return a/b with its interval, from those of both (squares of the logarithms add).

    Where one of them has no point, or an open side, the ends of the intervals are compared.
    """
    if not all(0 < value < inf for value in (*a, *b)):
        low = a.low / b.high if b.high < inf else 0.0
        return Crossing(
            low, a.middle / b.middle if b.middle else inf, a.high / b.low if b.low else inf
        )
    down = np.hypot(log(a.middle / a.low), log(b.high / b.middle))
    up = np.hypot(log(a.high / a.middle), log(b.middle / b.low))
    middle = a.middle / b.middle
    return Crossing(float(middle * np.exp(-down)), middle, float(middle * np.exp(up)))
