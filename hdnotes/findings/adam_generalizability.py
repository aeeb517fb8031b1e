"""Findings of the chapter `adam_generalizability`: starts, noise, depth and a nonlinearity."""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, above, below, quoted, together
from hdnotes.findings.adam_ratio import RECOVERED, best
from hdnotes.wording import number

#: On an equal footing: an error at most twice the other's.
EVEN = np.log10(2)
#: Of the error that knowing the subspaces would leave, so many times are close to it.
CLOSE = 3.0


def starts(results: Any) -> pd.DataFrame:
    """Return every method's runs at its best rate, by start."""
    table = results.table("start")
    table = table.assign(error=table.error.fillna(np.inf))
    return best(table, ("method", "start"))


def start_paths(results: Any) -> pd.DataFrame:
    """Return the paths of Adam at these rates."""
    table = results.table("start_paths")
    keys = ["method", "start", "rate", "weight"]
    table = table.merge(starts(results)[keys].drop_duplicates(), on=keys)
    return table[(table.method == "Adam") & (table.step > 0)]


def floor(n: int, rank: int, observed: int, noise: float) -> float:
    """Return the error that noise would leave if the truth's subspaces were known.

    r(2n - r) numbers are then fitted to m entries by least squares: about sd^2 r(2n - r)/m.

    Examples
    --------
    >>> round(floor(30, 2, 300, 0.1), 5)
    0.00387
    """
    return noise**2 * rank * (2 * n - rank) / observed


def noisy(results: Any) -> pd.DataFrame:
    """Return where the runs on noisy entries end, and the least error on their way."""
    table = results.table("noise").sort_values("step")
    table = table.assign(error=table.error.fillna(np.inf))
    keys = ["n", "rank", "observed", "noise", "method", "rate", "weight", "trial"]
    found = table.groupby(keys, as_index=False).agg(least=("error", "min"), error=("error", "last"))
    return found.assign(floor=[floor(*row) for row in found[keys[:4]].to_numpy(object)])


def tuned(results: Any) -> pd.DataFrame:
    """Return the noisy runs at each method's best rate and weight, a row a trial."""
    return best(noisy(results), ("noise", "method"))


def convex(results: Any) -> pd.DataFrame:
    """Return soft-impute on the same entries at its best weight."""
    return best(results.table("soft").assign(rate=0.0), ("noise",))


def by_weight(results: Any, method: str) -> pd.DataFrame:
    """Return a method's errors over its weights, each at its best rate, with noise in words."""
    table = noisy(results)
    table = table[table.method == method]
    medians = table.groupby(["noise", "weight", "rate"], as_index=False).error.median()
    rows = medians.loc[medians.groupby(["noise", "weight"]).error.idxmin()]
    chosen = rows[["noise", "weight", "rate"]].merge(table, on=["noise", "weight", "rate"])
    return chosen.assign(series=[f"noise {sd:g}" for sd in chosen.noise])


def noise_rows(results: Any) -> list[list[str]]:
    """Return the comparison under noise as rows of text, a row a noise."""
    runs, soft = tuned(results), convex(results)
    rows = []
    for noise, group in runs.groupby("noise"):
        of = dict(list(group.groupby("method")))
        rows.append(
            [
                f"{noise:g}",
                *(number(of[method].error.median()) for method in ("Adam", "GD")),
                number(of["Adam"].least.median()),
                number(soft[soft.noise == noise].error.median()),
                number(float(group.floor.iloc[0])),
                f"{of['Adam'].weight.iloc[0]:.2g}",
            ]
        )
    return rows


def footing(results: Any) -> pd.DataFrame:
    """Return every setting's runs at their best rate: Adam's and GD's errors, a row a trial."""
    deep = results.table("deep")
    deep = deep.assign(setting="depth " + deep.depth.astype(str))
    network = results.table("network").assign(setting="ReLU network")
    table = pd.concat([deep, network], ignore_index=True)
    words = table.penalty.map({"none": ", no penalty", "ratio": ", ratio"})
    table = table.assign(error=table.error.fillna(np.inf), setting=table.setting + words)
    return best(table, ("setting", "method"))


def gaps(results: Any) -> dict[str, np.ndarray]:
    """Return log10 of GD's error over Adam's by setting, a number a trial."""
    table = footing(results)
    found = {}
    for setting, runs in table.groupby("setting", sort=False):
        wide = runs.pivot(index="trial", columns="method", values="error")
        found[str(setting)] = np.log10(wide.GD / wide.Adam).to_numpy()
    return found


def footing_rows(results: Any) -> list[list[str]]:
    """Return the settings as rows of text: median errors, their ranges, best rates."""
    rows = []
    for setting, runs in footing(results).groupby("setting", sort=False):
        cells = [str(setting)]
        for method in ("GD", "Adam"):
            part = runs[runs.method == method]
            low, high = number(part.error.min()), number(part.error.max())
            cells += [
                f"{number(part.error.median())} ({low} to {high})",
                number(float(part.rate.iloc[0])),
            ]
        rows.append(cells)
    return rows


# --- the claims ----------------------------------------------------------------------------------


def _fits(results: Any) -> Verdict:
    """Test a: from the zero-filled start Adam ends below `RECOVERED`."""
    runs = starts(results)
    runs = runs[(runs.method == "Adam") & (runs.start == "zero-filled")]
    return Verdict(below(runs.error, RECOVERED), f"Adam ends at {quoted(runs.error)}.")


def _matters(results: Any) -> Verdict:
    """Test hd-a: a start that does not fit ends below `RECOVERED` too, as one that fits does."""
    runs = starts(results)
    told, words = [], []
    for start in ("zero-filled", "filled at random", "random"):
        errors = runs[(runs.method == "Adam") & (runs.start == start)].error
        words.append(below(errors, RECOVERED))
        told.append(f"{start} {quoted(errors)}")
    tiny = runs[(runs.method == "Adam") & (runs.start == "tiny")].error
    return Verdict(
        together(*words),
        f"Adam at the best of its rates: {'; '.join(told)}; near zero {quoted(tiny)}.",
    )


def _noise(results: Any) -> Verdict:
    """Test b: under noise Adam with the ratio, each at its best weight, loses to the convex one."""
    runs, soft = tuned(results), convex(results)
    words, told = [], []
    for noise, rows in runs[runs.method == "Adam"].groupby("noise"):
        other = soft[soft.noise == noise].set_index("trial").error
        own = rows.set_index("trial").error
        words.append(above(np.log10(own / other), 0))
        told.append(f"noise {noise:g}: {quoted(own)} against {quoted(other)}")
    return Verdict(
        together(*words),
        f"Adam with the ratio against the nuclear norm, each at its best λ. {'; '.join(told)}.",
    )


def _fix(results: Any) -> Verdict:
    """Test hd-b: at its best weight the error is within `CLOSE` times the floor."""
    runs = tuned(results)
    runs = runs[runs.method == "Adam"]
    words, told = [], []
    for noise, rows in runs.groupby("noise"):
        words.append(below(rows.error / rows.floor, CLOSE))
        told.append(f"noise {noise:g}: {quoted(rows.error / rows.floor)} times")
    return Verdict(
        together(*words),
        f"Adam's error over that of least squares in the known subspaces. {'; '.join(told)}.",
    )


def _stopping(results: Any) -> Verdict:
    """Test hd-c: at its best weight, Adam's least error on the way is 20 % below the last."""
    runs = tuned(results)
    runs = runs[runs.method == "Adam"]
    words, told = [], []
    for noise, rows in runs.groupby("noise"):
        words.append(below(rows.least / rows.error, 0.8))
        told.append(f"noise {noise:g}: {quoted(rows.least / rows.error)}")
    return Verdict(
        together(*words),
        f"Least error on the way over the last, judged in hindsight. {'; '.join(told)}.",
    )


def _footing(results: Any) -> Verdict:
    """Test c: in every deeper or non-linear setting GD's error is at most twice Adam's."""
    found = gaps(results)
    told = [f"{setting} {quoted(10**values)}" for setting, values in found.items()]
    return Verdict(
        together(*(below(values, EVEN) for values in found.values())),
        f"Gradient descent's error over Adam's, each at its best rate: {'; '.join(told)}.",
    )


_WHERE = "Generalisability"
CLAIMS = [
    Claim("d3-4-a", "To start from a matrix that fits the data exactly is fine.", _WHERE, _fits),
    Claim(
        "hd-ag-a",
        "It is not needed: one layer completes from starts that do not fit as well.",
        "our question",
        _matters,
    ),
    Claim("d3-4-b", "With noise it breaks down.", _WHERE, _noise),
    Claim(
        "hd-ag-b",
        "A simple fix exists: λ chosen for the noise brings the error close to the least possible.",
        _WHERE,
        _fix,
    ),
    Claim(
        "hd-ag-c",
        "Stopping early adds to a well-chosen λ.",
        "our question",
        _stopping,
    ),
    Claim(
        "d3-4-c",
        "In deeper or non-linear settings gradient descent is on an equal footing.",
        _WHERE,
        _footing,
    ),
]
