"""Claims of the sources, each with a test on results and a verdict.

A test compares the median over trials with a threshold. The median carries a distribution-free
interval (two order statistics), so a verdict needs no assumption about the spread and is
*undecided* where there are too few trials to say.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.stats import binom, binomtest

from hdnotes.wording import number

Word = Literal["holds", "partly", "fails", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What a test found.

    Attributes
    ----------
    verdict : one of "holds", "partly", "fails", "undecided"
    evidence : one sentence with the numbers
    """

    verdict: Word
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A sentence that can be true or false.

    Attributes
    ----------
    id : document-section-letter, as in "d4-1-a"
    sentence : the claim, in our own words
    source : its place in the document
    test : results -> Verdict
    """

    id: str
    sentence: str
    source: str
    test: Callable[[Any], Verdict]


class Interval(NamedTuple):
    """A median and an interval that covers the true one with at least the level asked for."""

    low: float
    median: float
    high: float


def median_interval(values: Iterable[float], level: float = 0.9) -> Interval:
    """Return the sample median and its order-statistics interval.

    The interval [x_(k), x_(n+1-k)] covers the median with probability 1 - 2 P(Bin(n, 1/2) < k).
    With fewer than five values no such interval reaches 90 %: it is infinite. What is not a number
    counts as infinite, the place of a run that diverged.

    Examples
    --------
    >>> median_interval([3, 1, 2, 5, 4])
    Interval(low=1.0, median=3.0, high=5.0)
    >>> median_interval([1, 2])
    Interval(low=-inf, median=1.5, high=inf)
    """
    found = np.asarray(list(values), dtype=float)
    ordered = np.sort(np.where(np.isnan(found), np.inf, found))
    n = len(ordered)
    below = int(binom.ppf((1 - level) / 2, n, 0.5)) if n else 0
    if not n or 2 * binom.cdf(below, n, 0.5) > 1 - level:
        below -= 1
    if below < 0:
        return Interval(-np.inf, float(np.median(ordered)) if n else np.nan, np.inf)
    low, high = float(ordered[below]), float(ordered[n - 1 - below])
    return Interval(low, float(np.median(ordered)), high)


def share_interval(count: int, of: int, level: float = 0.9) -> Interval:
    """Return a share and its exact (Clopper-Pearson) binomial interval.

    Examples
    --------
    >>> [round(x, 2) for x in share_interval(9, 10)]
    [0.61, 0.9, 0.99]
    """
    interval = binomtest(count, of).proportion_ci(level)
    return Interval(float(interval.low), count / of, float(interval.high))


def mostly(found: Iterable[bool], share: float = 0.9) -> Word:
    """Say whether at least ``share`` of all trials would be true, by the binomial interval.

    Examples
    --------
    >>> mostly([True] * 40), mostly([True] * 3), mostly([True] * 6 + [False] * 6)
    ('holds', 'undecided', 'fails')
    """
    values = list(found)
    if not values:
        return "undecided"
    interval = share_interval(sum(map(bool, values)), len(values))
    if interval.low >= share:
        return "holds"
    return "fails" if interval.high < share else "undecided"


def quoted(values: Iterable[float], digits: int = 2) -> str:
    """Return a median with its interval in brackets, as a sentence of evidence shows it.

    Examples
    --------
    >>> quoted([1.0, 2.0, 3.0, 4.0, 50.0])
    '3.0 (1.0 to 50)'
    """
    low, middle, high = (number(value, digits) for value in median_interval(values))
    return f"{middle} ({low} to {high})"


def quoted_over(values: Iterable[float], one: str, of: str = "") -> str:
    """Return `quoted` with what the values are; the median alone where there are too few of them.

    Examples
    --------
    >>> quoted_over([1.0, 2.0, 3.0, 4.0, 50.0], "draw", " of the gradients")
    '3.0 (1.0 to 50) over 5 draws of the gradients'
    >>> quoted_over([1.0], "data set")
    '1.0 over 1 data set, too few for an interval'
    """
    found = list(values)
    over = f"over {len(found)} {one}{'s' * (len(found) > 1)}{of}"
    interval = median_interval(found)
    if np.isfinite(interval.low):
        return f"{quoted(found)} {over}"
    return f"{number(interval.median)} {over}, too few for an interval"


def below(values: Iterable[float], threshold: float) -> Word:
    """Say whether the median is below ``threshold``: the whole interval has to be.

    Examples
    --------
    >>> below([1, 2, 3, 4, 5], 6), below([1, 2, 3, 4, 5], 3), below([1, 2], 6)
    ('holds', 'undecided', 'undecided')
    """
    interval = median_interval(values)
    if interval.high < threshold:
        return "holds"
    return "fails" if interval.low >= threshold else "undecided"


def above(values: Iterable[float], threshold: float) -> Word:
    """Say whether the median is above ``threshold``: the whole interval has to be.

    Examples
    --------
    >>> above([1, 2, 3, 4, 5], 0), above([1, 2, 3, 4, 5], 3), above([1, 2], 0)
    ('holds', 'undecided', 'undecided')
    """
    return below([-value for value in values], -threshold)


def within(values: Iterable[float], low: float, high: float) -> Word:
    """Say whether the median lies between ``low`` and ``high``: the whole interval has to.

    Examples
    --------
    >>> within([1, 2, 3, 4, 5], 0, 6), within([1, 2, 3, 4, 5], 7, 9)
    ('holds', 'fails')
    """
    interval = median_interval(values)
    if low <= interval.low and interval.high <= high:
        return "holds"
    return "fails" if interval.high < low or interval.low > high else "undecided"


def together(*words: Word) -> Word:
    """Return the verdict on a claim that needs all of several parts.

    Where one part holds and another fails it is partly true, whatever the undecided ones are.
    Where one fails and none is seen to hold, the claim fails: undecided ones cannot save it.

    Examples
    --------
    >>> together("holds", "holds"), together("holds", "fails"), together("holds", "undecided")
    ('holds', 'partly', 'undecided')
    >>> together("fails", "undecided")
    'fails'
    """
    if {"holds", "fails"} <= set(words) or "partly" in words:
        return "partly"
    if "fails" in words:
        return "fails"
    return "undecided" if "undecided" in words or not words else words[0]
