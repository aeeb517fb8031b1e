"""Findings of the chapter `precision`: the same students, trained with other arithmetic.

A pair is one student, that is one data set and start, trained twice. Shares are compared data set
by data set, as starts on one are not independent.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import pandas as pd

from hdnotes.claims import Claim, Verdict, above, median_interval, quoted, share_interval, within
from hdnotes.findings.success import runs
from hdnotes.wording import number

#: The arithmetic that others are compared with.
USUAL = {"products": "float32", "machine": "cpu"}
STUDENT = ["method", "alpha", "set", "start"]
#: Shares nearer than this are called equal.
CLOSE = 0.05
#: A floor is this much higher, as a factor, to be called one.
FLOOR = 100.0
#: Share of pairs that end differently from which on rounding is called to decide.
PARTED = 0.1


def students(results: Any) -> pd.DataFrame:
    """Return all runs with their ``success`` and what their arithmetic is called."""
    return _named(runs(results))


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(arithmetic=table.products + " on " + table.machine.map(str.upper))


def shares(results: Any) -> pd.DataFrame:
    """Return success with its interval, a row an arithmetic, method and alpha."""
    table = students(results)
    groups = table.groupby(["method", "alpha", "arithmetic"], sort=False).success
    found = groups.agg(["sum", "size", "mean"]).reset_index()
    counts = zip(found["sum"], found["size"], strict=True)
    limits = [share_interval(count, of) for count, of in counts]
    low, _, high = zip(*limits, strict=True)
    return found.rename(columns={"mean": "share"}).assign(low=low, high=high)


def pairs(results: Any, **other: str) -> pd.DataFrame:
    """Return each student twice, a row a student: with float32 on a CPU, and with what differs.

    ``other`` names products or machine; the columns that end in ``_other`` are its.
    """
    table = students(results)
    one, two = (_with(table, values) for values in (USUAL, USUAL | other))
    return one.merge(two, on=STUDENT, suffixes=("", "_other"), validate="1:1")


def success_words(table: pd.DataFrame) -> str:
    """Say what the figure of shares shows, for a reader who cannot see it."""
    names = table.arithmetic.unique()
    if len(names) < 2 or table.alpha.nunique() < 2:
        return f"Two panels with the shares of {', '.join(names)}."
    return (
        "Two panels with rising curves. In each the curves of the ways to multiply lie within each "
        "other's bars."
    )


def floor_words(table: pd.DataFrame) -> str:
    """Say the same of the figure of errors along the way."""
    if not len(table):
        return "An empty figure: no student finds its teacher with every arithmetic."
    last = table[table.epoch.eq(table.epoch.max())]
    ends = last.groupby("arithmetic", sort=False).test_error.median()
    if ends.get("TF32 on CPU", 0) > FLOOR * ends.get("float32 on CPU", inf):
        return (
            "Curves of both ways to multiply fall together, then the one in TF32 levels off, "
            "orders of magnitude above the other."
        )
    said = ", ".join(f"{name} {number(error)}" for name, error in ends.items())
    return f"Falling curves. Their medians at the end: {said}."


def _with(table: pd.DataFrame, values: dict[str, str]) -> pd.DataFrame:
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def differences(found: pd.DataFrame) -> pd.Series:
    """Return the other's share of successes minus the usual, a number a data set."""
    gap = found.success_other.astype(float) - found.success.astype(float)
    return gap.groupby(found["set"]).mean()


def floors(found: pd.DataFrame) -> pd.DataFrame:
    """Return the test errors where both found the teacher: medians, a row a data set."""
    both = found[found.success & found.success_other]
    return both.groupby("set")[["test_error", "test_error_other"]].median()


def along(results: Any, alpha: float) -> pd.DataFrame:
    """Return the curves at an alpha of the students that every arithmetic leads to the teacher."""
    table = students(results)
    found = table[table.alpha == alpha].groupby(STUDENT).success.all().rename("always")
    curves = results.table("curves")
    curves = curves[curves.alpha == alpha].merge(found[found].reset_index(), on=STUDENT)
    return _named(curves)[[*STUDENT, "arithmetic", "epoch", "test_error"]]


def _of_pairs(test: Callable[[pd.DataFrame], Verdict], **other: str) -> Callable[[Any], Verdict]:
    """Return a test of `pairs`, undecided where one of the two was not computed."""

    def guarded(results: Any) -> Verdict:
        table = students(results)
        asked = [*USUAL.items(), *other.items()]
        missing = [value for name, value in asked if value not in set(table[name])]
        if missing:
            return Verdict("undecided", f"Nothing was computed with {' and '.join(missing)}.")
        return test(pairs(results, **other))

    return guarded


def _same_shares(found: pd.DataFrame) -> Verdict:
    gaps, parted = differences(found), found[found.success != found.success_other]
    whose = ", ".join(f"{count} of {name}" for name, count in parted.method.value_counts().items())
    return Verdict(
        within(gaps, -CLOSE, CLOSE),
        f"{found.success.sum()} of {len(found)} succeed and {found.success_other.sum()} do; "
        f"{len(parted)} pairs end differently{f' ({whose})' if whose else ''}. Difference of the "
        f"shares, data set by data set: {quoted(gaps)} (asked: within {CLOSE} of 0).",
    )


def _parted(found: pd.DataFrame) -> Verdict:
    """Test that rounding alone decides single runs, where either end is in reach."""
    shares = found.groupby(["method", "alpha"]).success.transform("mean")
    open_ = found[shares.between(0.1, 0.9)]
    if open_.empty:
        return Verdict("undecided", "At no sample complexity is either end in reach.")
    parted = (open_.success != open_.success_other).groupby(open_["set"]).mean()
    chance = (2 * shares * (1 - shares))[open_.index].mean()
    return Verdict(
        above(parted, PARTED),
        f"Where 10 to 90 % succeed, {quoted(parted)} of a data set's pairs end differently, "
        f"{len(open_)} pairs in all (asked: above {PARTED:g}); of runs that have nothing in common "
        f"but method and alpha {number(chance)} of the pairs would.",
    )


def _floor(both: pd.DataFrame) -> Verdict:
    """Test that products in TF32 leave a larger error where the teacher is found."""
    found = floors(both)
    if found.empty:
        return Verdict("undecided", "Nowhere do both find the teacher.")
    ratio = found.test_error_other / found.test_error
    return Verdict(
        above(ratio, FLOOR),
        f"Where both find the teacher the test error ends at {quoted(found.test_error)} with "
        f"float32 and at {quoted(found.test_error_other)} with TF32, "
        f"{number(median_interval(ratio).median)} times as high (asked: above {FLOOR:g} times).",
    )


CLAIMS = (
    Claim(
        "hd-ma-a",
        "Matrix products in TF32 change no share of success.",
        "our question",
        _of_pairs(_same_shares, products="TF32"),
    ),
    Claim(
        "hd-ma-b",
        "Which of the runs near the limit succeed is a matter of rounding.",
        "our question",
        _of_pairs(_parted, products="TF32"),
    ),
    Claim(
        "hd-ma-c",
        "TF32 puts a floor under the error, far above that of float32.",
        "our question",
        _of_pairs(_floor, products="TF32"),
    ),
    Claim(
        "hd-ma-d",
        "A GPU finds the shares of success that a CPU finds.",
        "our question",
        _of_pairs(_same_shares, machine="cuda"),
    ),
)
