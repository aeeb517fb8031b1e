"""Findings of the chapter `adam_intuition`: each conjecture of the notes, and what is seen."""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, above, below, quoted, together
from hdnotes.findings.adam_ratio import EQUAL, RECOVERED, UNDER_WAY
from hdnotes.wording import number

#: A subspace that turned by less than this many degrees did not turn; beyond `TURNED` it did.
STILL, TURNED = 1e-3, 5.0
#: "In the vicinity": the root mean square residual, in units of an entry's.
NEAR = 0.1
#: Sign changes of a residual in 100 steps from which a path goes in and out.
CROSSING = 1.0
#: Gaps above which a rotated problem has another path, and below which it is rounding.
BROKEN, ROUNDING = 0.01, 1e-8


def paths(results: Any, term: str) -> pd.DataFrame:
    """Return the paths under a term; of the penalty alone while W has more than rank r.

    Later the leading singular values themselves fall, swap, and with them the subspace.
    """
    table = results.table("path")
    table = table[(table.term == term)]
    return table[table.effective_rank > table["rank"] + 0.5] if term == "penalty" else table


def turned(results: Any, term: str, method: str) -> pd.Series:
    """Return how far each trial's leading subspace has turned from its start, at the last look."""
    table = paths(results, term)
    table = table[table.method == method].sort_values("step")
    return table.groupby("trial").turned_deg.last()


def turn_rows(results: Any, steps: tuple[int, ...] = (1, 10, 100)) -> list[list[str]]:
    """Return medians of the angle turned after so many steps as rows of text, by term and method.

    Of the steps that were looked at the last up to each is taken; where the penalty alone is no
    longer followed there is a dash.
    """
    rows = []
    for term in ("penalty", "data", "both"):
        for method, table in paths(results, term).groupby("method", sort=False):
            medians = table.groupby("step").turned_deg.median()
            until = [medians[medians.index <= step] for step in steps]
            shown = [
                number(one.iloc[-1]) if medians.index.max() >= step else "–"
                for one, step in zip(until, steps, strict=True)
            ]
            rows.append([term, str(method), *shown])
    return rows


def ends(results: Any, term: str, method: str, column: str = "error") -> pd.Series:
    """Return each trial's measure at the end."""
    table = paths(results, term)
    table = table[table.method == method].sort_values("step")
    return table.groupby("trial")[column].last()


def farthest(results: Any, method: str) -> pd.Series:
    """Return each trial's largest root mean square residual on observed entries, both terms on."""
    table = paths(results, "both")
    return table[table.method == method].groupby("trial").observed_error.max() ** 0.5


def falls(results: Any, method: str) -> pd.Series:
    """Return each trial's share of looks at which the effective rank had fallen, on its way."""
    table = paths(results, "both")
    table = table[(table.method == method) & (table.error > UNDER_WAY[0])].sort_values("step")
    return table.groupby("trial").effective_rank.apply(lambda ranks: (ranks.diff()[1:] < 0).mean())


def apart(results: Any, method: str) -> list[float]:
    """Return |log10| of the free path's error over that of the held one, at looks on their way."""
    tables = {name: paths(results, term) for name, term in (("free", "both"), ("held", "held"))}
    both = {
        name: table[table.method == method].set_index(["trial", "step"]).error
        for name, table in tables.items()
    }
    wide = pd.concat(both, axis=1).dropna()
    wide = wide[(wide.min(axis=1) > UNDER_WAY[0]) & (wide.max(axis=1) < UNDER_WAY[1])]
    return list(np.log10(wide.free / wide.held).abs())


def errors(results: Any) -> pd.DataFrame:
    """Return hidden and observed errors of all paths beside those of alternating projections."""
    shown = []
    for term, words in (("both", "{}"), ("projections", ""), ("held", "{}, entries held")):
        if term == "projections":
            shown.append(results.table("projections").assign(line="alternating projections"))
            continue
        for method, table in paths(results, term).groupby("method", sort=False):
            if method in ("GD", "Adam"):
                shown.append(table.assign(line=words.format(method)))
    columns = ["line", "trial", "step", "error", "observed_error", "effective_rank"]
    table = pd.concat([one[columns] for one in shown], ignore_index=True)
    return table[table.step > 0]


def start_rows(results: Any) -> list[list[str]]:
    """Return the zero-filled start as rows of text, a row a number of entries."""
    table = results.table("start").groupby("observed")
    medians = table[["angle_deg", "error", "effective_rank"]].median()
    return [
        [f"{observed:,}", f"{row.angle_deg:.0f}", f"{row.error:.2f}", f"{row.effective_rank:.1f}"]
        for observed, row in medians.iterrows()
    ]


def final_gap(results: Any, method: str) -> pd.Series:
    """Return the relative gap between a path and its rotated twin, a number a trial, at the end."""
    table = results.table("rotated")
    table = table[table.method == method].sort_values("step")
    return table.groupby("trial").gap.last()


# --- the claims ----------------------------------------------------------------------------------


def _invariances(results: Any) -> Verdict:
    """Test a: by GD, the penalty turns nothing, both keep observed entries, both turn nothing."""
    alone, both = (turned(results, term, "GD") for term in ("penalty", "both"))
    far = farthest(results, "GD")
    return Verdict(
        together(below(alone, STILL), below(far, NEAR), below(both, TURNED)),
        f"Gradient descent. Under the penalty alone the leading subspace turns by {quoted(alone)} "
        f"degrees. Under both terms observed entries are off by at most {quoted(far)} (root mean "
        f"square), and the subspace turns by {quoted(both, 3)} degrees.",
    )


def _relaxed(results: Any) -> Verdict:
    """Test b: Adam's penalty turns subspaces; GD with both terms turns none, and fails."""
    adam, descent = turned(results, "penalty", "Adam"), turned(results, "both", "GD")
    end = ends(results, "both", "GD")
    return Verdict(
        together(above(adam, 1), below(descent, TURNED), above(end, RECOVERED)),
        f"Under the penalty alone Adam turns the subspace by {quoted(adam, 3)} degrees. With the "
        f"data gradient descent turns it too, by {quoted(descent, 3)} degrees, to "
        f"{quoted(ends(results, 'both', 'GD', 'angle_deg'))} degrees from the truth, and ends at "
        f"error {quoted(end)}.",
    )


def _alternating(results: Any) -> Verdict:
    """Test c: near the set, with falling rank, on the path of step and projection."""
    words, told = [], []
    for method in ("Adam", "GD"):
        far, fell, gaps = (f(results, method) for f in (farthest, falls, apart))
        words += [below(far, NEAR), above(fell, 0.8), below(gaps, EQUAL)]
        told.append(
            f"{method}: residuals at most {quoted(far)}, the rank falls from look to look in "
            f"{100 * float(np.median(fell)):.0f} % of them, and where observed entries are put "
            f"back after every step errors differ by a factor {quoted(10 ** np.array(gaps), 3)}"
        )
    return Verdict(together(*words), ". ".join(told) + ".")


def _in_and_out(results: Any) -> Verdict:
    """Test d: a residual of Adam's changes sign more than once in 100 steps."""
    table = results.table("crossings")
    told = [
        f"{method} {quoted(rows.flips)} times, residuals {quoted(rows['size'])} large on average"
        for method, rows in table.groupby("method", sort=False)
    ]
    return Verdict(
        above(table[table.method == "Adam"].flips, CROSSING),
        f"In 100 steps an observed entry passes through its value: {'; '.join(told)}.",
    )


def _far_start(results: Any) -> Verdict:
    """Test e: the zero-filled start's leading subspace is more than 20 degrees off."""
    table = results.table("start")
    shown = table[table.observed == results.table("path").observed.iloc[0]]
    shown = shown if len(shown) else table
    return Verdict(
        above(shown.angle_deg, 20),
        f"With {shown.observed.iloc[0]:,} entries the leading subspaces are "
        f"{quoted(shown.angle_deg)} degrees apart and the error is {quoted(shown.error)}.",
    )


def _broken(results: Any) -> Verdict:
    """Test f: Adam's path of a rotated problem is another path, GD's is the rotated one."""
    gaps = {
        method: final_gap(results, method) for method in results.table("rotated").method.unique()
    }
    told = ", ".join(f"{method} {number(gap.median())}" for method, gap in gaps.items())
    return Verdict(
        together(above(gaps["Adam"], BROKEN), below(gaps["GD"], ROUNDING)),
        f"Gap between the rotated path and the path of the rotated problem, over the distance "
        f"travelled: {told}.",
    )


def _doomed(results: Any) -> Verdict:
    """Test g: with the observed entries held, Adam's errors stay above `RECOVERED`."""
    held = {method: ends(results, "held", method) for method in ("Adam", "GD")}
    free = {method: ends(results, "both", method) for method in held}
    told = [
        f"{method} ends at {quoted(held[method])} held and at {quoted(free[method])} free"
        for method in held
    ]
    return Verdict(above(held["Adam"], RECOVERED), "; ".join(told) + ".")


def _reason(results: Any) -> Verdict:
    """Test h: the control that keeps the structure stays above `RECOVERED`.

    That is GroupRMSprop, which is Adam's relative in time, and gradient descent where it was not
    run.
    """
    run = set(results.table("path").method)
    kept = [
        m for m in ("GroupRMSprop", "GD") if m in run and final_gap(results, m).max() < ROUNDING
    ]
    told = [f"{method} ends at {quoted(ends(results, 'both', method))}" for method in kept]
    return Verdict(
        above(ends(results, "both", kept[0]), RECOVERED) if kept else "undecided",
        f"Methods whose path rotates with the problem: {'; '.join(told)}.",
    )


_INTUITION, _RATIO = "Intuition", "Adam + Ratio"
CLAIMS = [
    Claim(
        "d3-3-a",
        "Two invariances are at work: one term keeps the observed entries, the other the singular "
        "vectors.",
        _RATIO,
        _invariances,
    ),
    Claim(
        "d3-3-b",
        "Adam loosens the invariance of the column space, which is why gradient descent fails.",
        _RATIO,
        _relaxed,
    ),
    Claim(
        "d3-3-c",
        "The method imitates an alternating minimisation: close to the matrices with the observed "
        "entries it reduces the rank slowly.",
        _RATIO,
        _alternating,
    ),
    Claim("d3-3-d", "The path goes in and out of that set.", _INTUITION, _in_and_out),
    Claim(
        "d3-3-e",
        "The singular subspaces of the zero-filled start are far from the truth's.",
        _INTUITION,
        _far_start,
    ),
    Claim(
        "d3-3-f",
        "Adam's element-wise steps break the linear structure, gradient descent's do not.",
        _RATIO,
        _broken,
    ),
    Claim("d3-3-g", "A path held exactly in that set would be doomed.", _INTUITION, _doomed),
    Claim(
        "d3-3-h",
        "Breaking the linear structure is why it works.",
        f"{_RATIO}, footnote",
        _reason,
    ),
]
