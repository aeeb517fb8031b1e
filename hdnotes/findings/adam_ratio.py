"""Findings of the chapter `adam_ratio`: who completes the matrix, at which rates, and why."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from hdnotes import reference
from hdnotes.claims import Claim, Verdict, above, below, mostly, quoted, together
from hdnotes.wording import number

#: A matrix counts as completed below this mean squared error on the unobserved entries, whose mean
#: square is 1.
RECOVERED = 0.01
#: Equal within a factor of 10^0.15 = 1.4.
EQUAL = 0.15
#: Errors between which a run is on its way.
UNDER_WAY = (0.02, 0.8)
CONFIGURATION = ["rate", "weight"]
OWN = ("Adam", "ratio", 1)


def ends(results: Any, part: str) -> pd.DataFrame:
    """Return where the runs of a part end; an error that is not finite is infinite."""
    table = results.table("ends")
    table = table[table.part == part].reset_index(drop=True)
    return table.assign(error=table.error.fillna(np.inf))


def best(table: pd.DataFrame, by: Sequence[str] = ("method",)) -> pd.DataFrame:
    """Return each group's rows at the rate and weight of the lowest median error."""
    keys = [*by, *CONFIGURATION]
    medians = table.groupby(keys, as_index=False, sort=False).error.median()
    chosen = medians.loc[medians.groupby(list(by), sort=False).error.idxmin(), keys]
    return chosen.merge(table, on=keys)


def grid(results: Any) -> pd.DataFrame:
    """Return medians over the maps, a row a method, rate and weight."""
    keys = ["method", *CONFIGURATION]
    found = ends(results, "map").groupby(keys)[["error", "effective_rank", "observed_error"]]
    return found.median().reset_index()


def cell_text(error: float, rank: float) -> str:
    """Return what the map writes into a field: the error, and the effective rank below it.

    Examples
    --------
    >>> print(cell_text(2.04e-5, 2.1))
    2e-5
    2.1
    """
    if not np.isfinite(error):
        return f"∞\n{rank:.1f}"
    short = f"{error:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{short if error < 0.01 or error >= 100 else f'{error:.1g}'}\n{rank:.1f}"


def methods(results: Any) -> pd.DataFrame:
    """Return every method at its best rate and the one weight that all have, L-BFGS included."""
    table = ends(results, "map")
    common = table.groupby("method").weight.agg(set)
    (weight,) = set.intersection(*common)
    shown = best(table[table.weight == weight])
    lbfgs = results.table("lbfgs").assign(method="L-BFGS", rate=1.0)
    return pd.concat([shown, lbfgs[lbfgs.weight == weight]], ignore_index=True)


def order(table: pd.DataFrame) -> list[str]:
    """Return the methods by their median error, the best first."""
    return list(table.groupby("method").error.median().sort_values().index)


def method_rows(table: pd.DataFrame) -> list[list[str]]:
    """Return the methods as rows of text: best rate, error and its range, effective rank, angle."""
    rows = []
    for name in order(table):
        runs = table[table.method == name]
        error = runs.error
        rows.append(
            [
                name,
                "line search" if name == "L-BFGS" else number(float(runs.rate.iloc[0])),
                f"{number(error.median())} ({number(error.min())} to {number(error.max())})",
                f"{runs.effective_rank.median():.2f}",
                f"{runs.angle_deg.median():.1f}",
            ]
        )
    return rows


def paces(results: Any) -> pd.DataFrame:
    """Return the maps' paths over the time each method keeps: lr lambda t for GD, lr t for Adam."""
    table = results.table("paths")
    table = table[table.step > 0]
    pace = table.rate * table.weight.where(table.method == "GD", 1.0)
    words = table.weight.map("{:.2g}".format)
    error = table.error.fillna(np.inf)
    return table.assign(time=pace * table.step, error=error, **{"λ": words})


def arrival(results: Any, method: str) -> float:
    """Return the time on its clock at which a method's median error first is below `RECOVERED`.

    The earliest over the map's rates, at the weight at which all methods meet; infinite if none is.
    """
    (weight,) = set(methods(results).weight)
    table = paces(results)
    table = table[(table.method == method) & (table.weight == weight)]
    medians = table.groupby(["rate", "time"], as_index=False).error.median()
    return float(min(medians[medians.error < RECOVERED].time, default=np.inf))


def convex(results: Any) -> pd.DataFrame:
    """Return the best convex completion at every number of entries, weight zero included."""
    table = results.table("convex").assign(rate=0.0)
    return best(table.drop(columns="method"), ("rank", "observed"))


def nuclear_rows(results: Any) -> list[list[str]]:
    """Return Adam on the nuclear norm beside soft-impute at the same weights, as rows of text."""
    trained = ends(results, "nuclear")
    solved = results.table("convex")
    solved = solved[(solved.method == "soft-impute") & (solved["rank"] == trained["rank"].iloc[0])]
    solved = solved[solved.observed == trained.observed.iloc[0]]
    rows = []
    for weight, runs in trained.groupby("weight"):
        same = solved[np.isclose(solved.weight, weight)].error
        rows.append([number(weight), number(runs.error.median()), number(same.median())])
    return rows


def lines(results: Any) -> pd.DataFrame:
    """Return errors over the number of entries, a row a trial; ``line`` names the method."""
    table = ends(results, "entries")
    table["line"] = [line_name(*row) for row in table[["method", "penalty", "depth"]].to_numpy()]
    nuclear = convex(results).assign(
        line="nuclear norm", depth=1, penalty="nuclear", method="convex"
    )
    columns = ["rank", "observed", "trial", "line", "method", "penalty", "depth", "error"]
    return pd.concat([table[columns], nuclear[columns]], ignore_index=True)


def line_name(method: str, penalty: str, depth: int) -> str:
    """Name a line.

    Examples
    --------
    >>> line_name("GD", "none", 3), line_name("Adam", "ratio", 1)
    ('GD, depth 3', 'Adam + ratio')
    """
    parts = f"{method} + ratio" if penalty == "ratio" else method
    return parts if depth == 1 else f"{parts}, depth {depth}"


def published(results: Any) -> pd.DataFrame:
    """Return the published errors, where the page has their size; otherwise no rows."""
    table, sizes = reference.points("adam_ratio"), results.table("convex")
    same = bool((sizes.n.eq(100) & sizes["rank"].eq(5)).any())
    return table if same else table.iloc[:0]


def landscape(results: Any) -> pd.DataFrame:
    """Return R along both kinds of lines, less R at the truth of the same trial."""
    table = results.table("landscape")
    truth = table[table.line == "truth"].set_index("trial").least
    table = table[table.line != "truth"]
    at = table.trial.map(truth)
    return table.assign(truth=at, above=table.least - at)


def laws(results: Any) -> pd.DataFrame:
    """Return medians of R, its gradient's length and cosine with W, of cW, a row a scale c."""
    table = results.table("laws")
    table = table.assign(cosine=table.cosine.abs())
    return table.groupby("scale", as_index=False)[["ratio", "gradient_norm", "cosine"]].median()


def law_rows(results: Any) -> list[list[str]]:
    """Return the laws of the gradient as rows of text."""
    return [
        [number(row.scale), f"{row.ratio:.4f}", number(row.gradient_norm, 3), number(row.cosine)]
        for row in laws(results).itertuples()
    ]


def joined(results: Any, rank: int) -> pd.DataFrame:
    """Return Adam's median errors, entries by penalty and depth."""
    table = lines(results)
    table = table[(table.method == "Adam") & (table["rank"] == rank)]
    words = table.penalty.map({"ratio": "ratio", "none": "no penalty"})
    column = words + ", depth " + table.depth.astype(str)
    table = table.assign(column=column).sort_values(["penalty", "depth"], ascending=[False, True])
    names = list(dict.fromkeys(table.column))
    return table.pivot_table(index="observed", columns="column", values="error", aggfunc="median")[
        names
    ]


def joined_rows(table: pd.DataFrame) -> list[list[str]]:
    """Return that table as rows of text."""
    return [[str(m), *map(number, row)] for m, row in table.T.items()]


# --- the claims ----------------------------------------------------------------------------------


def _named(runs: pd.DataFrame) -> str:
    """Name the rate and weight of runs that share them."""
    return f"η = {number(float(runs.rate.iloc[0]))}, λ = {number(float(runs.weight.iloc[0]))}"


def _adam(results: Any) -> Verdict:
    """Test a: at its best rate and weight Adam ends below `RECOVERED`."""
    table = ends(results, "map")
    table = table[table.method == "Adam"]
    runs = best(table)
    medians = table.groupby(CONFIGURATION).error.median()
    return Verdict(
        below(runs.error, RECOVERED),
        f"At the best of {len(medians)} settings ({_named(runs)}) the error is "
        f"{quoted(runs.error)}, the effective rank {quoted(runs.effective_rank, 3)}; "
        f"{(medians < RECOVERED).sum()} of the {len(medians)} settings have a median error below "
        f"{RECOVERED}.",
    )


def _descent(results: Any) -> Verdict:
    """Test b: GD and momentum stay above `RECOVERED` at their best rate and weight."""
    table = ends(results, "map")
    words, told = [], []
    for method in ("GD", "GD + momentum"):
        runs = table[table.method == method]
        words.append(above(best(runs).error, RECOVERED))
        slow = runs[(runs.rate == runs.rate.min()) & (runs.weight == best(runs).weight.iloc[0])]
        told.append(
            f"{method} ends at {quoted(best(runs).error)} ({_named(best(runs))}); at the smallest "
            f"rate of its grid, {number(float(slow.rate.iloc[0]))}, it is still at "
            f"{number(slow.error.median())}"
        )
    return Verdict(together(*words), ". ".join(told) + ".")


def _nuclear(results: Any) -> Verdict:
    """Test c: where only one of the two completes the matrix, it is Adam with the ratio."""
    table = lines(results)
    table = table[table["rank"] == table["rank"].iloc[0]]
    wide = table[table.line.isin(["Adam + ratio", "nuclear norm"])].pivot_table(
        index=["observed", "trial"], columns="line", values="error"
    )
    words, told = [], []
    for observed, rows in wide.groupby(level="observed"):
        ratio, convex = rows["Adam + ratio"], rows["nuclear norm"]
        told.append(
            f"{observed} entries {number(ratio.median())} against {number(convex.median())}"
        )
        if (ratio.median() < RECOVERED) != (convex.median() < RECOVERED):
            words.append(below(np.log(ratio / convex), 0))
    return Verdict(
        together(*words) if words else "undecided",
        f"Median errors, ratio with Adam against nuclear norm at its best λ: {'; '.join(told)}.",
    )


def _deep(results: Any) -> Verdict:
    """Test d: where some deep network without penalty completes, so does one layer with it."""
    table = lines(results)
    done = table.assign(done=table.error < RECOVERED)
    keys = ["rank", "observed", "trial"]
    deep = done[(done.depth > 1) & (done.penalty == "none")].groupby(keys).done.any()
    one = done[done.line == "Adam + ratio"].set_index(keys).done
    both = pd.concat({"deep": deep, "one": one}, axis=1)
    found = both[both.deep].one
    return Verdict(
        mostly(found, 0.8) if len(found) else "undecided",
        f"Of {len(both)} matrices (trials by numbers of entries) {both.deep.sum()} are completed "
        f"by a network of depth 2 or more without penalty; one layer with Adam and the ratio "
        f"completes {found.sum()} of these, and {(both.one & ~both.deep).sum()} others.",
    )


def _product(results: Any) -> Verdict:
    """Test hd-a: GD's errors on its way agree where lr times lambda agrees."""
    table = ends(results, "map")
    table = table[table.method == "GD"]
    pace = (np.log10(table.rate * table.weight)).round(2)
    gaps = []
    for _, rows in table.groupby([pace, "trial"]):
        errors = [e for e in rows.error if UNDER_WAY[0] < e < UNDER_WAY[1]]
        gaps += [abs(np.log10(a / b)) for a, b in combinations(errors, 2)]
    return Verdict(
        below(gaps, EQUAL),
        f"Over {len(gaps)} pairs of runs on their way with the same ηλ and different η and λ, "
        f"errors differ by a factor {quoted(10 ** np.array(gaps or [np.nan]), 3)}.",
    )


def _sign(results: Any) -> Verdict:
    """Test hd-b: Adam's errors on its way agree where lr agrees, whatever lambda."""
    table = paces(results)
    table = table[table.method == "Adam"]
    gaps = []
    for _, rows in table.groupby(["rate", "trial", "step"]):
        if UNDER_WAY[0] < rows.error.min() and rows.error.max() < UNDER_WAY[1]:
            gaps += [abs(np.log10(a / b)) for a, b in combinations(rows.error, 2)]
    spread = table.weight.max() / table.weight.min()
    return Verdict(
        below(gaps, EQUAL),
        f"Over {len(gaps)} pairs of points of paths at the same rate and step, λ up to a factor "
        f"{number(spread)} apart, errors differ by a factor "
        f"{quoted(10 ** np.array(gaps or [np.nan]), 3)}.",
    )


def _infimum(results: Any) -> Verdict:
    """Test hd-c: R falls below the truth's far out, towards 1, and rises near the truth."""
    table = landscape(results)
    entry = table[(table.line == "one entry") & (table.reach == table.reach.max())]
    near = table[(table.line == "random direction") & (table.reach == table.reach.min())]
    return Verdict(
        together(below(entry.above, 0), above(near.above, 0)),
        f"R is {quoted(entry.truth, 4)} at W*. With one unobserved entry moved by "
        f"{number(float(entry.reach.iloc[0]))} it is {quoted(entry.least, 4)}. In the lowest of "
        f"the random directions a step of root mean square {number(float(near.reach.iloc[0]))} "
        f"raises it by {quoted(near.above)}.",
    )


def _falling(results: Any) -> Verdict:
    """Test hd-d: at the largest rate and weight of the map the error ends above the start's."""
    table = ends(results, "map")
    words, told = [], []
    for method in ("GD", "Adam"):
        runs = table[(table.method == method) & (table.weight == table.weight.max())]
        runs = runs[runs.rate == runs.rate.max()]
        start = results.table("paths")
        first = start[(start.step == 0) & (start.method == method)].groupby("trial").error.first()
        words.append(above(runs.error.to_numpy() / first[runs.trial].to_numpy(), 1))
        told.append(
            f"{method} ({_named(runs)}) ends at {quoted(runs.error)} with effective rank "
            f"{quoted(runs.effective_rank)}"
        )
    return Verdict(
        together(*words), f"{'; '.join(told)}; the zero-filled start has {number(first.median())}."
    )


def _global(results: Any) -> Verdict:
    """Test hd-e: GroupRMSprop ends below `RECOVERED`."""
    table = methods(results)
    runs = table[table.method == "GroupRMSprop"]
    if runs.empty:
        return Verdict("undecided", "GroupRMSprop was not run.")
    return Verdict(
        below(runs.error, RECOVERED), f"At its best rate ({_named(runs)}): {quoted(runs.error)}."
    )


def _tiny(results: Any) -> Verdict:
    """Test hd-f: Adam from a tiny start at depth 1 stays above `RECOVERED`."""
    runs = ends(results, "start")
    medians = runs.groupby(CONFIGURATION)[["error", "effective_rank"]].median()
    low = medians.loc[medians.effective_rank.idxmin()]
    return Verdict(
        above(best(runs).error, RECOVERED),
        f"At the best of {len(medians)} settings ({_named(best(runs))}) the error is "
        f"{quoted(best(runs).error)} with effective rank {quoted(best(runs).effective_rank, 3)}; "
        f"the lowest effective rank of any setting is {low.effective_rank:.2f}, with error "
        f"{number(float(low.error))}.",
    )


_RATIO = "Adam + Ratio"
CLAIMS = [
    Claim("d3-2-a", "One layer, Adam and the ratio penalty complete the matrix.", _RATIO, _adam),
    Claim(
        "d3-2-b",
        "Gradient descent, even with momentum, does not, over a range of rates.",
        _RATIO,
        _descent,
    ),
    Claim(
        "d3-2-c",
        "With Adam, the ratio does better than the nuclear norm.",
        _RATIO,
        _nuclear,
    ),
    Claim(
        "d3-2-d",
        "Depth 1 works too: with the penalty one layer does what deep linear networks do.",
        "Linear Networks via GD Trajectory",
        _deep,
    ),
    Claim(
        "hd-ar-a",
        "How far gradient descent gets depends on the product of rate, λ and steps alone.",
        "our question",
        _product,
    ),
    Claim(
        "hd-ar-b",
        "How far Adam gets depends on the product of rate and steps, not on λ.",
        "our question",
        _sign,
    ),
    Claim(
        "hd-ar-c",
        "W* is a local but not a global minimum of R among the matrices with its observed entries.",
        "our question",
        _infimum,
    ),
    Claim(
        "hd-ar-d",
        "With too large a rate and λ, both methods end farther from W* than they start.",
        "our question",
        _falling,
    ),
    Claim(
        "hd-ar-e",
        "It takes no element-wise step: one adaptive number for all entries is enough.",
        "our question",
        _global,
    ),
    Claim("hd-ar-f", "At depth 1 a start near zero does not work.", "our question", _tiny),
]
