"""Findings of the chapter `pseudo_inverse`: which solution, how fast, and what averaging gains."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together, within
from hdnotes.experiments.pseudo_inverse import ADAPTIVE, METHODS, PLAIN, STARTS
from hdnotes.wording import number

#: A run has fitted the data if this share of y is left.
FITTED = 1e-3
#: A run has reached a solution if it is within this share of its length.
REACHED = 1e-4
#: A method ends elsewhere if it is further from the nearest solution than this share of it.
ELSEWHERE = 0.1
#: Factors that a matrix is multiplied by, which changes no condition number.
FACTORS = (1e-3, 1.0, 1e3)
#: Mean squared errors of Kaczmarz' method are compared down to this share of the first: further
#: down rare runs carry the mean.
CARRIED = 0.05


def fitted(results: Any, start: str | None = None) -> pd.DataFrame:
    """Return the runs that fitted their data, a row a run."""
    table = results.table("ends")
    table = table[table.residual < FITTED]
    return table if start is None else table[table.start.eq(start)]


def middle(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs at each method's middle rate."""
    rates = {name: rates[1] for name, (_, rates) in METHODS.items()}
    return table[np.isclose(table.rate, table.method.map(rates).astype(float))]


def ends_table(results: Any, truth: str) -> pd.DataFrame:
    """Return each method's end from zero at its middle rate, for one truth, as text.

    Methods that did not fit their data are left out.
    """
    problems = results.table("ends").query("truth == @truth").drop_duplicates("trial")
    table = middle(fitted(results, "zero"))
    groups = table[table.truth.eq(truth)].groupby("method", sort=False)
    names = {
        "distance": "distance to $A^+y$",
        "length": "length",
        "largest": "largest entry",
        "test_error": "test error",
    }
    found = {name: groups[column].median().map(number) for column, name in names.items()}
    least = float(problems.nearest_error.median())
    table = pd.DataFrame(found, dtype=object).reindex([m for m in METHODS if m in groups.groups])
    table.loc["$A^+y$"] = ["0", "1.0", "1.0", number(least)]
    return table


def test_errors(results: Any) -> pd.DataFrame:
    """Return each fitted run's test error over that of the minimum-norm solution, from zero."""
    table = middle(fitted(results, "zero"))
    return table.assign(ratio=table.test_error / table.nearest_error)


def by_rate(results: Any) -> pd.DataFrame:
    """Return how far apart a method's ends at different rates are in distance, a row a problem.

    The largest difference of the distance to the nearest solution between two rates that fitted.
    """
    groups = fitted(results, "zero").groupby(["truth", "method", "trial"], sort=False)
    spread = groups.distance.max() - groups.distance.min()
    return spread[groups.rate.nunique() > 1].rename("spread").reset_index()


def factors(results: Any) -> pd.DataFrame:
    """Return -log of the measured and the predicted error factor per step, a row a run.

    Measured over the second half of a run; a run of a single step has none.
    """
    table = results.table("rates")
    rows = []
    for key, run in table[table.factor > 0].groupby(["method", "condition", "trial"], sort=False):
        late = run[run.step >= run.step.max() / 2]
        if len(late) < 2:
            continue
        slope = -np.polyfit(late.step, np.log(late.error), 1)[0]
        rows.append((*key, slope, -np.log(run.factor.iloc[0])))
    found = pd.DataFrame(rows, columns=["method", "condition", "trial", "measured", "predicted"])
    return found.assign(ratio=found.measured / found.predicted)


def folds(results: Any) -> pd.DataFrame:
    """Return the steps that an e-folding takes, measured and predicted, medians by condition."""
    table = factors(results)
    table = table.assign(steps=1 / table.measured, said=1 / table.predicted)
    keys = ["method", "condition"]
    return table.groupby(keys, sort=False)[["steps", "said"]].median().reset_index()


def kaczmarz(results: Any) -> pd.DataFrame:
    """Return Kaczmarz' mean squared error beside the exact one and the bound, by condition."""
    table = results.table("kaczmarz")
    return table.assign(matrix=[rf"drawn with $\kappa = {value:g}$" for value in table.condition])


def averaging(results: Any) -> pd.DataFrame:
    """Return the errors of last points and means, a row a rate, point and step after the first."""
    table = results.table("averaging")
    table = table[table.step > 0]
    words = {"last": "last point", "mean": "mean of all"}
    named = [f"{words[row.point]}, rate {row.scale:g}/d" for row in table.itertuples()]
    return table.assign(curve=named)


def late(results: Any, point: str) -> pd.DataFrame:
    """Return the rows of the last tenth of *averaging*."""
    table = results.table("averaging")
    return table[table.point.eq(point) & table.step.gt(0.9 * table.step.max())]


# --- the claims -----------------------------------------------------------------------------------


def _span(rows: pd.DataFrame, column: str, digits: int = 2) -> str:
    """Return the least and the largest median of a column over kinds of truth and rates."""
    medians = rows.groupby(["truth", "rate"])[column].median()
    return f"{number(medians.min(), digits)} to {number(medians.max(), digits)}"


def _judged(words: Sequence[Word], evidence: str) -> Verdict:
    """Return the verdict of several parts; with none the evidence has nothing to tell."""
    if not words:
        return Verdict("undecided", "No such run has fitted its data.")
    return Verdict(together(*words), evidence)


def _reaches(results: Any, start: str) -> Verdict:
    table = fitted(results, start)
    table = table[table.method.isin(PLAIN)]
    groups = table.groupby(["method", "truth", "rate"], sort=False)
    words: list[Word] = [below(rows.distance, REACHED) for _, rows in groups]
    still = table.off_rows.max()
    if words:
        words.append("holds" if still < 1e-10 else "fails")
    return _judged(
        words,
        "Distance to it over its length, medians by kind of truth and learning rate: "
        + ", ".join(
            f"{name} {_span(rows, 'distance', 1)}"
            for name, rows in table.groupby("method", sort=False)
        )
        + f" (asked of each: below {number(REACHED, 1)}). What no row sees has moved by "
        f"{number(still, 1)} at most.",
    )


def _from_zero(results: Any) -> Verdict:
    """Every step is a combination of rows of A, so from 0 the end is A^+ y."""
    return _reaches(results, STARTS[0])


def _from_elsewhere(results: Any) -> Verdict:
    """From another start it is the start's projection onto the solutions."""
    return _reaches(results, STARTS[1])


def _adaptive_elsewhere(results: Any) -> Verdict:
    """Test whether adaptive and sign methods end at the minimum-norm solution."""
    table = fitted(results, "zero")
    table = table[table.method.isin(ADAPTIVE)]
    groups = table.groupby(["method", "truth", "rate"], sort=False)
    words: list[Word] = [above(rows.distance, ELSEWHERE) for _, rows in groups]
    words += [above(rows.length, 1 + ELSEWHERE**2 / 4) for _, rows in groups]
    return _judged(
        words,
        "Distance to $A^+y$, and length, both over its length, medians by kind of truth and "
        "learning rate: "
        + ", ".join(
            f"{name} {_span(rows, 'distance')} and {_span(rows, 'length')}"
            for name, rows in table.groupby("method", sort=False)
        )
        + f" (asked of each: above {ELSEWHERE}, and longer).",
    )


def _rate_decides(results: Any) -> Verdict:
    """Test whether the learning rate decides where a method ends."""
    spread = by_rate(results)
    groups = {name: rows.spread for name, rows in spread.groupby("method", sort=False)}
    adaptive = {name: rows for name, rows in groups.items() if name in ADAPTIVE}
    plain = {name: rows for name, rows in groups.items() if name in PLAIN}
    return _judged(
        [
            *(above(rows, 1e-3) for rows in adaptive.values()),
            *(below(rows, REACHED) for rows in plain.values()),
        ],
        "Between rates the distance to $A^+y$ differs by "
        + ", ".join(f"{name} {quoted(rows)}" for name, rows in adaptive.items())
        + " of its length; with "
        + ", ".join(f"{name} {quoted(rows, 1)}" for name, rows in plain.items())
        + f" (asked: above 0.001 with the former, below {number(REACHED, 1)} with the latter).",
    )


def ratios(results: Any) -> pd.Series:
    """Return the medians of `test_errors`, one for each adaptive method and kind of truth."""
    table = test_errors(results)
    return table[table.method.isin(ADAPTIVE)].groupby(["truth", "method"]).ratio.median()


def right_of_one(results: Any) -> str:
    """Say how many of these medians lie above 1."""
    medians = ratios(results)
    if not len(medians):
        return "No marker: no adaptive method has fitted its data."
    return (
        f"{(medians > 1).sum()} of {len(medians)} markers lie to the right of the dashed line; "
        f"they lie from {number(medians.min(), 3)} to {number(medians.max(), 3)}."
    )


def helped(results: Any) -> str:
    """Say on how many kinds of truth some adaptive method tests better than the minimum norm."""
    medians = ratios(results)
    if not len(medians):
        return "No adaptive method has fitted its data here"
    helps = (medians < 1).groupby("truth").any()
    return (
        f"On {sum(helps) or 'none'} of the {len(helps)} kinds of truth that were tried (at the "
        f"middle rates median test errors are {number(medians.min(), 3)} to "
        f"{number(medians.max(), 3)} times those of $A^+y$)"
    )


def end_words(results: Any) -> str:
    """Say how far from the minimum-norm solution methods end, from zero."""
    medians = middle(fitted(results, "zero")).groupby("method").distance.median()
    told = ", ".join(f"{name} {number(medians[name], 1)}" for name in METHODS if name in medians)
    return f"Median distances: {told}." if told else "No run has fitted its data."


def spread_words(results: Any) -> str:
    """Say what sign descent does with the Gaussian truth."""
    sign = middle(fitted(results, "zero")).query("method == 'sign descent' and truth == 'Gaussian'")
    if not len(sign):
        return "Here sign descent has not fitted its data."
    return (
        f"With the Gaussian truth sign descent's largest entry is {number(sign.largest.median())} "
        f"times that of $A^+y$, though its vector is {number(sign.length.median(), 3)} times as "
        "long."
    )


def _generalises(results: Any) -> Verdict:
    """Test whether the minimum-norm solution has the lowest test error, for each truth."""
    table = test_errors(results)
    table = table[table.method.isin(ADAPTIVE)]
    words, evidence = [], []
    for truth, rows in table.groupby("truth", sort=False):
        words.append(above(rows.groupby("trial").ratio.median(), 1))
        ratio = rows.groupby("trial").ratio.median()
        evidence.append(f"{truth} truth {quoted(ratio, 3)}")
    return _judged(
        words,
        "Test error over that of $A^+y$, a problem's median over the adaptive methods at their "
        f"middle rate (asked: above 1): {', '.join(evidence)}.",
    )


def _misleading(results: Any) -> Verdict:
    """Wilson and others, Lemma 3.1: adaptive methods end at a multiple of sign(A^T y)."""
    table = results.table("signs")
    table = table[table.residual < FITTED]
    adaptive = table[table.method.isin(ADAPTIVE)]
    plain = table[table.method.isin(PLAIN)]
    if not len(adaptive) or not len(plain):
        return _judged([], "")
    groups = adaptive.groupby("method", sort=False)
    words: list[Word] = [below(rows.to_signs, 0.01) for _, rows in groups]
    wrong = (adaptive.of_negative > 0).mean()
    right = ((plain.of_negative < 0) & (plain.of_positive > 0)).mean()
    words += ["holds" if wrong == 1 else "fails", "holds" if right == 1 else "fails"]
    return _judged(
        words,
        "Distance to it: "
        + ", ".join(f"{name} {quoted(rows.to_signs, 1)}" for name, rows in groups)
        + f" of its length. A new negative is called positive by {wrong:.0%} of these runs; "
        f"GD, with momentum or not, is right on both in {right:.0%} of its runs.",
    )


def _ideal(results: Any) -> Verdict:
    """Linear networks, footnote: the ideal preconditioner is the pseudo-inverse."""
    table = results.table("rates").query("method == 'pseudo-inverse' and step == 1")
    gd = folds(results).query("method == 'GD'")
    worst = gd.loc[gd.condition.idxmax()]
    return Verdict(
        "holds" if (table.error < 1e-10).all() else "fails",
        f"After one step with $(A^\\top A)^+$ {number(table.error.max(), 1)} of the error is left "
        f"at most (asked: below $10^{{-10}}$), whatever the condition number; GD needs "
        f"{number(worst.steps, 3)} steps for a factor e at "
        f"{worst.condition:g}.",
    )


def _scaling(results: Any) -> Verdict:
    """Linear networks, Setup: a ratio of two scalings, which does not tell how large they are."""
    conditions = np.sort(results.table("rates").condition.unique())
    matrices = [[factor * np.diag([k, 1.0]) for k in conditions] for factor in FACTORS]
    most, least = np.moveaxis(np.linalg.svd(matrices, compute_uv=False), -1, 0)
    unevenness = np.abs(most / least / conditions - 1).max()
    changes = np.ptp(np.linalg.cond(matrices) / conditions, axis=0).max()
    return Verdict(
        together(
            "holds" if unevenness < 1e-12 else "fails", "fails" if changes < 1e-12 else "holds"
        ),
        "It is the most that the matrix scales an input by over the least (zeros left out), so it "
        f"says how unevenly. How much it does not say: multiplied by {number(FACTORS[0], 1)} to "
        f"{FACTORS[-1]:,g}, matrices with condition numbers of {conditions.min():g} to "
        f"{conditions.max():g} scale an input by {number(least.min(), 1)} to {most.max():,.0f}, "
        f"and change their condition numbers by a share of at most {number(changes, 1)}.",
    )


def _condition(results: Any) -> Verdict:
    """Test what the condition number does to GD."""
    ratio = factors(results).query("method == 'GD'").ratio
    return Verdict(
        within(ratio, 0.95, 1.05),
        "Measured over predicted logarithm of the factor per step, $(\\kappa^2-1)/(\\kappa^2+1)$: "
        f"{quoted(ratio, 3)} (asked: 0.95 to 1.05).",
    )


def _ball(results: Any) -> Verdict:
    """Polyak: the heavy ball has the square root of GD's condition number."""
    ratio = factors(results).query("method == 'heavy ball'").ratio
    return Verdict(
        within(ratio, 0.85, 1.05),
        "Measured over predicted logarithm of the factor per step, $(\\kappa-1)/(\\kappa+1)$: "
        f"{quoted(ratio, 3)} (asked: 0.85 to 1.05; in a finite run it is a little below 1).",
    )


def _kaczmarz_rate(results: Any) -> Verdict:
    """Strohmer and Vershynin: the bound holds, and the exact mean square is met."""
    table = results.table("kaczmarz")
    table = table[table.step.gt(0) & table.predicted.gt(CARRIED)]
    ratio = table["mean"] / table.predicted
    kept = (table.predicted <= table.bound * (1 + 1e-9)).all()
    return Verdict(
        together("holds" if kept else "fails", within(ratio, 0.8, 1.25)),
        f"Measured over exact mean squared error, down to {CARRIED:.0%} of the first (further down "
        f"rare runs carry the mean): {quoted(ratio, 3)} (asked: 0.8 to 1.25). The exact one is "
        f"{'never' if kept else 'somewhere'} above the bound.",
    )


def _averages(results: Any) -> Verdict:
    """Polyak and Juditsky: the mean of the points forgets the noise, the last point does not."""
    mean, last = late(results, "mean"), late(results, "last")
    said = [rows["mean"] / rows.predicted for rows in (mean, last)]
    gain = last.groupby("scale")["mean"].mean() / mean.groupby("scale")["mean"].mean()
    near = [bool(ratio.between(0.8, 1.25).all()) for ratio in said]
    words: list[Word] = ["holds" if all(near) else "fails"]
    words.append("holds" if (gain > 2).all() else "fails")
    return Verdict(
        together(*words) if len(mean) else "undecided",
        "At the end, measured over predicted: mean of all points "
        f"{number(said[0].min())} to {number(said[0].max())}, last point "
        f"{number(said[1].min())} to {number(said[1].max())} (asked: 0.8 to 1.25). Averaging "
        "lowers the squared error "
        + " and ".join(f"{number(g)} times (rate {s:g}/d)" for s, g in gain.items())
        + ".",
    )


CLAIMS = (
    Claim(
        "hd-pi-a",
        "From zero, gradient descent, with momentum or on single rows, ends at the minimum-norm "
        "solution $A^+y$.",
        "the notes' empty heading, filled",
        _from_zero,
    ),
    Claim(
        "hd-pi-b",
        "From another start it ends at the solution that is nearest to that start.",
        "the notes' empty heading, filled",
        _from_elsewhere,
    ),
    Claim(
        "hd-pi-c",
        "Adam, RMSprop, Adagrad and sign descent fit the data as well, but end elsewhere, at "
        "longer solutions.",
        "the notes' empty heading, filled",
        _adaptive_elsewhere,
    ),
    Claim(
        "hd-pi-d",
        "Where they end depends on the learning rate; where gradient descent ends does not.",
        "the notes' empty heading, filled",
        _rate_decides,
    ),
    Claim(
        "hd-pi-e",
        "Of the solutions that methods end at, the one of least norm has, on the whole, the lowest "
        "test error.",
        "the notes' empty heading, filled",
        _generalises,
    ),
    Claim(
        "hd-pi-f",
        r"Where $A\operatorname{sign}(A^\top y) = cy$, adaptive methods end at "
        r"$\operatorname{sign}(A^\top y)/c$, and can be wrong on new data where gradient descent "
        "is right.",
        "Wilson and others 2017, Lemma 3.1",
        _misleading,
    ),
    Claim(
        "d3-6-a",
        r"The ideal preconditioner is the pseudo-inverse (of the curvature $A^\top A$).",
        "Linear networks, Setup, footnote",
        _ideal,
    ),
    Claim(
        "d3-6-b",
        "The condition number, largest over smallest singular value, relates to how much a matrix "
        "scales its input.",
        "Linear networks, Setup",
        _scaling,
    ),
    Claim(
        "hd-pi-j",
        r"The condition number says what gradient descent at its best rate multiplies the error "
        r"by: $(\kappa^2-1)/(\kappa^2+1)$ a step.",
        "our question",
        _condition,
    ),
    Claim(
        "hd-pi-g",
        "The heavy ball needs as many steps as the condition number, not as its square.",
        "Polyak 1964",
        _ball,
    ),
    Claim(
        "hd-pi-h",
        "Kaczmarz' method, which is SGD on unit rows, multiplies the mean squared error by at most "
        r"$1 - \sigma_{\min}^2/\lVert A\rVert_F^2$ a step.",
        "Strohmer and Vershynin 2009",
        _kaczmarz_rate,
    ),
    Claim(
        "hd-pi-i",
        "Where no solution fits, SGD at a constant rate keeps its distance from the least-squares "
        "solution, and the mean of its points approaches it.",
        "Polyak and Juditsky 1992",
        _averages,
    ),
)
