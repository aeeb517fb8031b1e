"""Findings of the chapter `adam_intuition`: each conjecture of the notes, and what is seen."""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, above, below, quoted, together
from hdnotes.findings.adam_ratio import RECOVERED
from hdnotes.wording import number

#: A subspace that turned by less than this many degrees did not turn; beyond `TURNED` it did.
STILL, TURNED = 1e-3, 5.0
#: "In the vicinity": the root mean square residual, in units of an entry's.
NEAR = 0.1
#: Sign changes of a residual in 100 steps from which a path goes in and out.
CROSSING = 1.0
#: A path goes in and out of the set if at some looks it is this share of its usual distance away.
INSIDE = 0.1
#: "Slowly": no step takes more than this share of all the rank that is lost.
SLOWLY = 0.05
#: Two paths are one if their errors agree to this factor.
ONE_PATH = 1.5
#: Gaps above which a rotated problem has another path, and below which it is rounding.
BROKEN, ROUNDING = 0.01, 1e-8
#: Methods without element-wise steps, and what a sentence calls them.
KEEPS = {
    "GD": "gradient descent",
    "GroupRMSprop": "GroupRMSprop, which adapts one step length in time",
}


def paths(results: Any, term: str) -> pd.DataFrame:
    """Return the paths under a term; of the penalty alone until W has no more than rank r.

    From then on the leading singular values themselves fall, swap, and with them the subspace.
    """
    table = results.table("path")
    table = table[(table.term == term)]
    if term != "penalty":
        return table
    ordered = table.sort_values("step")
    above = ordered.effective_rank > ordered["rank"] + 0.5
    before = above.groupby([ordered.method, ordered.trial]).cummin()
    return table[before.reindex(table.index)]


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


def under_way(results: Any, term: str, method: str) -> pd.DataFrame:
    """Return a method's path until it first completes the matrix, that look included."""
    table = paths(results, term)
    table = table[table.method == method].sort_values(["trial", "step"])
    done = table.error.lt(RECOVERED).groupby(table.trial).cumsum()
    return table[done.le(1) & table.error.ge(RECOVERED) | done.eq(1)]


def falls(results: Any, method: str) -> pd.Series:
    """Return each trial's share of looks at which the effective rank had fallen, on its way."""
    groups = under_way(results, "both", method).groupby("trial")
    return groups.effective_rank.apply(lambda ranks: (ranks.diff()[1:] < 0).mean())


def steepest(table: pd.DataFrame) -> pd.Series:
    """Return each trial's largest loss of effective rank per step, as a share of all that is lost.

    Between two looks that are several steps apart it is the mean loss.
    """

    def largest(path: pd.DataFrame) -> float:
        ranks = path.effective_rank.to_numpy()
        return float((-np.diff(ranks) / np.diff(path.step)).max() / (ranks[0] - ranks[-1]))

    return table.sort_values("step").groupby("trial")[["step", "effective_rank"]].apply(largest)


def apart(results: Any, method: str) -> tuple[pd.Series, pd.Series]:
    """Return how far the free path's error and that of the held one are apart, as a factor.

    The worst of each trial until the free path completes the matrix, and that at the end.
    """
    both = {}
    for name, term in (("free", "both"), ("held", "held")):
        table = paths(results, term)
        both[name] = table[table.method == method].set_index(["trial", "step"]).error
    wide = np.log10(pd.concat(both, axis=1).dropna().sort_index())
    gap = 10 ** (wide.free - wide.held).abs()
    way = wide.free.ge(np.log10(RECOVERED)).groupby(level="trial").cummin()
    return gap[way].groupby(level="trial").max(), gap.groupby(level="trial").last()


def nearest(results: Any, method: str) -> pd.Series:
    """Return each trial's least distance to the set on its way over its median distance there."""
    table = under_way(results, "both", method)
    distance = table[table.step > 0].set_index("trial").observed_error ** 0.5
    groups = distance.groupby(level="trial")
    return groups.min() / groups.median()


def completed_after(table: pd.DataFrame) -> pd.Series:
    """Return the first step looked at at which each trial is completed; infinite if never."""
    steps = table.step.where(table.error < RECOVERED, np.inf)
    return steps.groupby(table.trial).min()


def spectra(results: Any) -> pd.DataFrame:
    """Return the power of the watched residuals by period, as a share; medians over the entries."""
    rows = []
    for (method, entry), path in results.table("residuals").groupby(
        ["method", "entry"], sort=False
    ):
        values = path.sort_values("step").residual.to_numpy()
        power = np.abs(np.fft.rfft(values - values.mean()))[1:] ** 2
        period = len(values) / np.arange(1, len(power) + 1)
        share = power / max(power.sum(), 1e-300)
        rows += [(method, entry, *row) for row in zip(period, share, strict=True)]
    return pd.DataFrame(rows, columns=["method", "entry", "period", "share"])


def bands(results: Any, per_octave: int = 3) -> pd.DataFrame:
    """Return the power of `spectra` by bands of so many to an octave of the period."""
    table = spectra(results)
    band = np.floor(np.log2(table.period / 2) * per_octave + 1e-9)
    table = table.assign(period=2 * 2 ** ((band + 0.5) / per_octave))
    return table.groupby(["method", "entry", "period"], sort=False, as_index=False).share.sum()


def fast_share(results: Any, method: str, period: float = 4.0) -> float:
    """Return the share of the power at periods up to so many steps, the median of the entries."""
    table = spectra(results)
    table = table[(table.method == method) & (table.period <= period)]
    return float(table.groupby("entry").share.sum().median())


def held_words(results: Any) -> str:
    """Say where paths with the observed entries held end, over where the free ones do."""
    told = []
    for method in ("GD", "Adam"):
        ratio = ends(results, "held", method) / ends(results, "both", method)
        told.append(f"{quoted(ratio)} times that of the free one with {method}")
    return f"At the end its error is {' and '.join(told)}."


def freed_words(results: Any) -> str:
    """Say what becomes of the first observation: under the penalty alone, and with the data."""
    alone, both = (turned(results, term, "GD").median() for term in ("penalty", "both"))
    path = paths(results, "both").query("method == 'GD' and step == 0")
    nearer = ends(results, "both", "GD", "angle_deg").median() < path.angle_deg.median()
    told = []
    if alone < STILL:
        told.append("So the observation about the penalty is right, for the penalty alone.")
    if both > TURNED and nearer:
        told.append(
            "In the problem as posed, the data term frees gradient descent, at no cost and in the "
            "right direction."
        )
    return " ".join(told)


def structure_words(results: Any) -> str:
    """Say whether methods that keep the structure complete the matrix, as Adam breaks it."""
    told = []
    if final_gap(results, "Adam").median() > BROKEN:
        told.append(
            "Adam does break the structure, and the notes are right that the neat analysis of "
            "singular values ends there."
        )
    done = [
        KEEPS[method]
        for method in keeping(results)
        if ends(results, "both", method).median() < RECOVERED
    ]
    told.append(
        "But the completion does not come from it. Methods that keep the structure can complete "
        f"the matrix, too: {', and '.join(done)}. What Adam brings to this problem, from a start "
        "that is not near zero, is its clock."
        if done
        else "Whether the completion comes from it is not seen here: in these steps no method that "
        "keeps the structure completes the matrix."
    )
    return " ".join(told)


def keeping(results: Any) -> list[str]:
    """Return which of `KEEPS` were run, and take the rotated path of a rotated problem."""
    run = set(results.table("path").method)
    return [name for name in KEEPS if name in run and final_gap(results, name).max() < ROUNDING]


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
        f"degrees (asked: below {STILL:g}). Under both terms observed entries are off by at most "
        f"{quoted(far)} (root mean square; asked: below {NEAR}), and the subspace turns by "
        f"{quoted(both, 3)} degrees (asked: below {TURNED:g}).",
    )


def _relaxed(results: Any) -> Verdict:
    """Test b: Adam's penalty turns subspaces; GD with both terms turns none, and fails."""
    adam, descent = turned(results, "penalty", "Adam"), turned(results, "both", "GD")
    end = ends(results, "both", "GD")
    return Verdict(
        together(above(adam, 1), below(descent, TURNED), above(end, RECOVERED)),
        f"Under the penalty alone Adam turns the subspace by {quoted(adam, 3)} degrees (asked: "
        f"above 1). With the data gradient descent turns it too, by {quoted(descent, 3)} degrees "
        f"(asked: below {TURNED:g}), to {quoted(ends(results, 'both', 'GD', 'angle_deg'))} degrees "
        f"from the truth, and ends at error {quoted(end)} (asked: above {RECOVERED}).",
    )


def _alternating(results: Any) -> Verdict:
    """Test c: near the set, with slowly falling rank, on the path of step and projection."""
    words, told = [], []
    for method in ("Adam", "GD"):
        far, fell = farthest(results, method), falls(results, method)
        table = paths(results, "both")
        steep = steepest(table[table.method == method])
        way, end = apart(results, method)
        words += [below(far, NEAR), above(fell, 0.8), below(steep, SLOWLY)]
        words += [below(way, ONE_PATH), below(end, ONE_PATH)]
        told.append(
            f"{method}: residuals at most {quoted(far)}; the rank has fallen at "
            f"{quoted(100 * fell, 3)} % of the looks on the way, a step takes at most "
            f"{quoted(100 * steep)} % of what is lost; from the path whose observed entries are "
            f"put back after every step the error differs at most by a factor {quoted(way, 3)} "
            f"until the matrix is completed, and by {quoted(end)} at the end"
        )
    return Verdict(
        together(*words),
        f"{'. '.join(told)}. (Asked: below {NEAR}, above 80 %, below {100 * SLOWLY:g} %, twice "
        f"below {ONE_PATH}.)",
    )


def _classical(results: Any) -> Verdict:
    """Test hd-a: alternating projections complete the matrix in fewer steps than Adam and GD."""
    classical = completed_after(results.table("projections"))
    table = paths(results, "both")
    words, told = [], []
    for method in ("Adam", "GD"):
        own = completed_after(table[table.method == method])
        words.append(below((classical / own).fillna(1), 1))
        told.append(f"{method} in {quoted(own, 3)}")
    steep = steepest(results.table("projections"))
    return Verdict(
        together(*words),
        f"An error below {RECOVERED} is reached in {quoted(classical, 3)} steps, by "
        f"{' and '.join(told)} (asked: fewer). The first projection takes "
        f"{quoted(100 * steep, 3)} % of the rank that is lost.",
    )


def _in_and_out(results: Any) -> Verdict:
    """Test d: residuals of Adam's change sign, and the whole path comes close to the set."""
    table = results.table("crossings")
    told = [
        f"{method} {quoted(rows.flips)} times, residuals {quoted(rows['size'])} large on average"
        for method, rows in table.groupby("method", sort=False)
    ]
    near = nearest(results, "Adam")
    return Verdict(
        together(above(table[table.method == "Adam"].flips, CROSSING), below(near, INSIDE)),
        f"In 100 steps a single observed entry passes through its value: {'; '.join(told)} (asked "
        f"of Adam: more than {CROSSING:g}). On the way the "
        f"least distance of Adam's path to the set is {quoted(near)} times its median distance "
        f"(asked: below {INSIDE}).",
    )


def _far_start(results: Any) -> Verdict:
    """Test e: the zero-filled start's leading subspace is more than 20 degrees off."""
    table = results.table("start")
    shown = table[table.observed == results.table("path").observed.iloc[0]]
    shown = shown if len(shown) else table
    return Verdict(
        above(shown.angle_deg, 20),
        f"With {shown.observed.iloc[0]:,} entries the leading subspaces are "
        f"{quoted(shown.angle_deg)} degrees apart (asked: above 20) and the error is "
        f"{quoted(shown.error)}.",
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
        f"travelled: {told} (asked: above {BROKEN} with Adam, below {number(ROUNDING)} with GD).",
    )


def _doomed(results: Any) -> Verdict:
    """Test g: with the observed entries held, Adam's errors stay above `RECOVERED`."""
    held = {method: ends(results, "held", method) for method in ("Adam", "GD")}
    free = {method: ends(results, "both", method) for method in held}
    told = [
        f"{method} ends at {quoted(held[method])} held and at {quoted(free[method])} free"
        for method in held
    ]
    return Verdict(
        above(held["Adam"], RECOVERED),
        f"{'; '.join(told)} (asked of Adam, held: above {RECOVERED}).",
    )


def _reason(results: Any) -> Verdict:
    """Test h: the control that keeps the structure stays above `RECOVERED`.

    That is GroupRMSprop, which is Adam's relative in time, and gradient descent where it was not
    run.
    """
    kept = keeping(results)[::-1]
    told = [f"{method} ends at {quoted(ends(results, 'both', method))}" for method in kept]
    return Verdict(
        above(ends(results, "both", kept[0]), RECOVERED) if kept else "undecided",
        f"Methods whose path rotates with the problem: {'; '.join(told)} (asked: above "
        f"{RECOVERED}).",
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
    Claim(
        "hd-ai-a",
        "The classical alternation, which is told the rank, takes fewer steps.",
        "our question",
        _classical,
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
