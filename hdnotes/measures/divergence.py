r"""A time that diverges, T = tau (alpha - alpha_c)^(-gamma), from runs of which some never end.

Run k converges after T_k steps, or has not when its budget of B_k is spent. Times spread about the
law by a factor, log T = log tau - gamma log(alpha - alpha_c) + sigma e with e standard normal; a
run without an end counts with the probability that it takes longer than its budget, which is one
at or below alpha_c. The four numbers are those of the largest likelihood. Runs on one data set are
not independent: intervals come from a bootstrap that draws whole data sets anew, at each alpha
from those that are there. Used for Table 4.1 of document 2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_ndtr

#: The exponents that are looked at; the threshold lies from 0 to the least alpha that converged.
EXPONENTS = (0.05, 15.0)
#: Least distance of the threshold to that alpha, and the first guesses of it.
NEAREST, GUESSES = 1e-3, (0.05, 0.3, 0.9)


class Divergence(NamedTuple):
    """What was fitted: T = time (alpha - threshold)^(-exponent), times a factor e^(spread e)."""

    threshold: float
    exponent: float
    time: float
    spread: float

    def at(self, alpha: np.ndarray) -> np.ndarray:
        """Return the median time at each alpha; infinite up to the threshold."""
        over = np.maximum(np.asarray(alpha, float) - self.threshold, 0)
        with np.errstate(divide="ignore"):
            return self.time * over**-self.exponent

    def needed(self, budget: np.ndarray) -> np.ndarray:
        """Return the alpha at which half of all runs converge within each budget."""
        return self.threshold + (self.time / np.asarray(budget, float)) ** (1 / self.exponent)


def fit(table: pd.DataFrame, guess: Divergence | None = None) -> Divergence:
    """Fit the law to runs.

    Parameters
    ----------
    table : one row a run: ``alpha``, ``time`` (until it converged, or its budget), ``converged``
    guess : where to begin; by default several places are tried

    Raises
    ------
    ValueError
        If runs converged at fewer than three alphas.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> alpha = np.repeat([1.6, 1.8, 2.0, 2.5, 3.0], 20)
    >>> e = ndtri(np.tile(np.arange(20) + 0.5, 5) / 20)
    >>> time = 300 * (alpha - 1.4) ** -2.0 * np.exp(0.2 * e)
    >>> found = fit(pd.DataFrame({"alpha": alpha, "time": time, "converged": time < 20_000}))
    >>> round(found.threshold, 1), round(found.exponent, 1)
    (1.4, 2.0)
    """
    done = table.converged.to_numpy(bool)
    alpha, log_time = table.alpha.to_numpy(float), np.log(table.time.to_numpy(float))
    at = np.unique(alpha[done])
    if len(at) < 3:
        raise ValueError(f"runs converged at {len(at)} sample complexities; a fit needs 3 or more")
    lowest = at[0]

    def cost(x: np.ndarray) -> float:
        """Return minus the log-likelihood a run, up to a constant."""
        gap, exponent, log_tau, log_spread = x
        over = alpha - (lowest - np.exp(gap))
        seen = over > 0
        median = log_tau - exponent * np.log(over[seen])
        z = (log_time[seen] - median) * np.exp(-log_spread)
        ended = done[seen]
        likelihood = log_ndtr(-z[~ended]).sum() - (z[ended] ** 2 / 2 + log_spread).sum()
        return float(-likelihood / len(alpha))

    bounds = [(np.log(NEAREST), np.log(lowest)), EXPONENTS, (None, None), (-4, 3)]
    found = [minimize(cost, x, method="L-BFGS-B", bounds=bounds) for x in _starts(table, guess)]
    gap, exponent, log_tau, log_spread = min(found, key=lambda one: one.fun).x
    return Divergence(
        float(lowest - np.exp(gap)),
        float(exponent),
        float(np.exp(log_tau)),
        float(np.exp(log_spread)),
    )


def _starts(table: pd.DataFrame, guess: Divergence | None) -> list[list[float]]:
    done = table[table.converged]
    lowest = done.alpha.min()
    if guess is not None:
        gap = min(max(lowest - guess.threshold, 2 * NEAREST), lowest)
        return [[np.log(gap), guess.exponent, np.log(guess.time), np.log(guess.spread)]]
    starts = []
    for share in GUESSES:
        over = np.log(done.alpha - lowest * (1 - share))
        slope, height = np.polyfit(over, np.log(done.time), 1)
        starts.append([np.log(share * lowest), np.clip(-slope, *EXPONENTS), height, -0.5])
    return starts


def bootstrap(table: pd.DataFrame, repeats: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return the fits to data sets drawn anew, a row a repeat with the fields of `Divergence`.

    Parameters
    ----------
    table : as in `fit`, and ``set``, the data set of each run; those of two alphas differ
    repeats, seed : how many, and of which stream; repeats that cannot be fitted are left out
    """
    numbers, first = np.random.default_rng(seed), fit(table)
    groups = [[rows for _, rows in one.groupby("set")] for _, one in table.groupby("alpha")]
    found = []
    for _ in range(repeats):
        drawn = [one[k] for one in groups for k in numbers.integers(len(one), size=len(one))]
        again = pd.concat(drawn)
        if again[again.converged].alpha.nunique() >= 3:
            found.append(fit(again, first))
    return pd.DataFrame(found, columns=Divergence._fields)


def interval(values: Sequence[float], level: float = 0.9) -> tuple[float, float]:
    """Return the quantiles that hold the middle ``level`` of bootstrap values.

    Examples
    --------
    >>> [round(float(end), 6) for end in interval(list(range(101)))]
    [5.0, 95.0]
    """
    low, high = np.quantile(list(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
