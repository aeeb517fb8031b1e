"""Findings of the chapter `adam_generalizability`: starts, noise, depth and a nonlinearity."""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together
from hdnotes.experiments.adam_generalizability import RATE, WEIGHT
from hdnotes.findings.adam_ratio import RECOVERED, best
from hdnotes.wording import number

#: On an equal footing: an error at most twice the other's.
EVEN = np.log10(2)
#: An error falls from one rate to the next if this factor is left, or less.
FALLING = 0.9


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
    """Return the error that noise would leave if the truth's tangent space were known.

    The space of U A + B V^T with all matrices A and B, in which the truth lies.

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


def layered(results: Any) -> pd.DataFrame:
    """Return the runs of several layers and of the network at all rates, with their setting."""
    deep = results.table("deep")
    deep = deep.assign(setting="depth " + deep.depth.astype(str))
    network = results.table("network").assign(setting="ReLU network")
    table = pd.concat([deep, network], ignore_index=True)
    words = table.penalty.map({"none": ", no penalty", "ratio": ", ratio"})
    return table.assign(error=table.error.fillna(np.inf), setting=table.setting + words)


def footing(results: Any) -> pd.DataFrame:
    """Return every setting's runs at their best rate: Adam's and GD's errors, a row a trial."""
    return best(layered(results), ("setting", "method"))


def gaps(results: Any) -> dict[str, np.ndarray]:
    """Return log10 of GD's error over Adam's by setting, a number a trial."""
    table = footing(results)
    found = {}
    for setting, runs in table.groupby("setting", sort=False):
        wide = runs.pivot(index="trial", columns="method", values="error")
        found[str(setting)] = np.log10(wide.GD / wide.Adam).to_numpy()
    return found


def open_ends(results: Any) -> dict[tuple[str, str], str]:
    """Return where errors fall to an end of the grid of rates, so that one beyond may be better.

    Setting and method -> "lowest" or "highest", where the median error at that end is the least
    and `FALLING` times that at the next rate, or less.
    """
    found = {}
    for key, runs in layered(results).groupby(["setting", "method"], sort=False):
        medians = runs.groupby("rate").error.median().to_numpy()
        for word, way in (("lowest", medians), ("highest", medians[::-1])):
            if len(way) > 1 and way[0] == way.min() and way[0] <= FALLING * way[1]:
                found[key] = word
    return found


def edges(results: Any) -> str:
    """Say where a rate beyond the grid might be better."""
    found = open_ends(results)
    if not found:
        return "Nowhere do errors still fall at an end of the grid of rates."
    told = "; ".join(f"{method}, {setting} ({end})" for (setting, method), end in found.items())
    return f"Errors still fall at an end of the grid, where a rate beyond might do better: {told}."


def ends_by_start(results: Any) -> str:
    """Return Adam's median error from every start, in words."""
    runs = starts(results)
    runs = runs[runs.method == "Adam"]
    medians = runs.groupby("start", sort=False).error.median()
    return ", ".join(f"{number(error)} ({start})" for start, error in medians.items())


def best_weights(results: Any) -> str:
    """Return at which weight Adam's error is lowest for each noise, in words."""
    runs = tuned(results)
    weights = runs[runs.method == "Adam"].groupby("noise").weight.first()
    grid = noisy(results).weight
    ends = {grid.min(): " (the least tried)", grid.max(): " (the largest tried)"}
    return ", ".join(f"{w:.2g} for noise {sd:g}{ends.get(w, '')}" for sd, w in weights.items())


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
    return Verdict(
        below(runs.error, RECOVERED),
        f"Adam ends at {quoted(runs.error)} (asked: below {RECOVERED}).",
    )


def _matters(results: Any) -> Verdict:
    """Test hd-a: from random entries, which do not fit, Adam ends below `RECOVERED`."""
    runs = starts(results)
    runs = runs[runs.method == "Adam"].set_index("start").error
    told = [f"{start} {quoted(runs[start])}" for start in dict.fromkeys(runs.index)]
    return Verdict(
        below(runs["random"], RECOVERED),
        f"Adam at the best of its rates: {'; '.join(told)} (asked of random: below {RECOVERED}).",
    )


def _noise(results: Any) -> Verdict:
    """Test b: at the weight that is used without noise Adam loses to the nuclear norm."""
    runs, soft = _untuned(results), convex(results)
    words, told = [], []
    for noise, rows in runs.groupby("noise"):
        other = soft[soft.noise == noise].set_index("trial").error
        own = rows.set_index("trial").error
        words.append(above(np.log10(own / other), 0))
        told.append(
            f"noise {noise:g}: {quoted(own)}, {quoted(rows.error / rows.floor)} times the floor, "
            f"against {quoted(other)}"
        )
    return Verdict(
        together(*words),
        f"Adam with the ratio at η = {RATE:g} and λ = {WEIGHT:g}, as without noise, against the "
        f"nuclear norm at its best λ. {'; '.join(told)} (asked of a breakdown: the larger error).",
    )


def _untuned(results: Any) -> pd.DataFrame:
    """Return Adam's runs at the weight of the exact entries, beside those at the best weight.

    Both at the learning rate of the exact entries: a lower one would only stop the run earlier.
    """
    table = noisy(results)
    table = table[(table.method == "Adam") & np.isclose(table.rate, RATE)]
    keys = ["noise", "trial"]
    chosen = best(table, ("noise",))[[*keys, "weight", "error"]]
    plain = table[np.isclose(table.weight, WEIGHT)]
    return plain.merge(chosen, on=keys, suffixes=("", "_best"))


def _fix(results: Any) -> Verdict:
    """Test hd-b: where a larger weight is best, it leaves at most two thirds of the error."""
    words, told = [], []
    for noise, rows in _untuned(results).groupby("noise"):
        ratio = rows.error_best / rows.error
        if rows.weight_best.iloc[0] > rows.weight.iloc[0]:
            words.append(below(ratio, 2 / 3))
        told.append(
            f"noise {noise:g}: λ = {rows.weight_best.iloc[0]:.2g} leaves {quoted(ratio)} of the "
            f"error, {quoted(rows.error_best / rows.floor)} times the floor"
        )
    return Verdict(
        together(*words) if words else "undecided",
        f"Adam at η = {RATE:g}, its best λ against λ = {WEIGHT:g}. {'; '.join(told)} (asked "
        f"where a larger λ is the best: below 2/3 of the error).",
    )


def _stopping(results: Any) -> Verdict:
    """Test hd-c: without a larger weight the best moment is as good as the end at the best one."""
    words, told = [], []
    for noise, rows in _untuned(results).groupby("noise"):
        ratio = rows.least / rows.error_best
        words.append(below(np.log10(ratio), EVEN))
        told.append(
            f"noise {noise:g}: {quoted(rows.least)} at the best moment and {quoted(rows.error)} "
            f"at the end, against {quoted(rows.error_best)} at the end with the best λ: a factor "
            f"{quoted(ratio)}"
        )
    return Verdict(
        together(*words),
        f"Adam with η = {RATE:g} and λ = {WEIGHT:g}, stopped where its error on hidden entries "
        f"is least. {'; '.join(told)} (asked: below 2).",
    )


def _network(results: Any) -> Verdict:
    """Test hd-d: the penalty halves the network's error, each method at its best rate."""
    table, ends = footing(results), open_ends(results)
    words, told = [], []
    for method in ("GD", "Adam"):
        runs = table[table.method == method].set_index(["setting", "trial"]).error
        ratio, none = (f"ReLU network, {name}" for name in ("ratio", "no penalty"))
        word = below(np.log10(runs[ratio] / runs[none]), -EVEN)
        words.append(_unless_open(word, (none, method) in ends, (ratio, method) in ends))
        told.append(
            f"{method} {quoted(runs[ratio])} with it and {quoted(runs[none])} without [{words[-1]}]"
        )
    return Verdict(together(*words), f"{'; '.join(told)} (asked: at most half).")


def _footing(results: Any) -> Verdict:
    """Test c: in every deeper or non-linear setting GD's error is at most twice Adam's."""
    found, ends = gaps(results), open_ends(results)
    words = [
        _unless_open(below(gap, EVEN), (setting, "Adam") in ends, (setting, "GD") in ends)
        for setting, gap in found.items()
    ]
    pairs = zip(found.items(), words, strict=True)
    told = [f"{setting} {quoted(10**gap)} [{word}]" for (setting, gap), word in pairs]
    return Verdict(
        together(*words),
        f"Gradient descent's error over Adam's, each at its best rate: {'; '.join(told)} (asked: "
        "at most twice, and of the one that loses that its errors do not fall to an end of its "
        "grid of rates).",
    )


def _unless_open(word: Word, loses_if_holds: bool, loses_if_fails: bool) -> Word:
    """Leave a comparison undecided if the side that loses it might do better at other rates."""
    open_ = {"holds": loses_if_holds, "fails": loses_if_fails}
    return "undecided" if open_.get(word, False) else word


_WHERE = "Generalisability"
CLAIMS = [
    Claim("d3-4-a", "To start from a matrix that fits the data exactly is fine.", _WHERE, _fits),
    Claim(
        "hd-ag-a",
        "It is not needed: one layer completes from random entries, which do not fit, as well.",
        "our question",
        _matters,
    ),
    Claim("d3-4-b", "With noise it breaks down.", _WHERE, _noise),
    Claim("hd-ag-b", "There is a simple fix for noise: a larger λ.", _WHERE, _fix),
    Claim(
        "hd-ag-c",
        "There is another, if an oracle says when: to keep λ and stop at the right moment.",
        "our question",
        _stopping,
    ),
    Claim(
        "d3-4-c",
        "In deeper or non-linear settings gradient descent is on an equal footing.",
        _WHERE,
        _footing,
    ),
    Claim(
        "hd-ag-d",
        "The ratio is of use to a network that is not linear, too.",
        "our question",
        _network,
    ),
]
