"""Findings of the chapter `adam_generalizability`: starts, noise, depth and a nonlinearity."""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together
from hdnotes.experiments.adam_generalizability import WEIGHT
from hdnotes.findings.adam_ratio import RECOVERED, best, open_ends, open_words
from hdnotes.wording import number

#: On an equal footing: an error at most twice the other's.
EVEN = np.log10(2)
#: One layer with the ratio from the start that is used elsewhere: the control of deeper settings.
CONTROL = "depth 1, ratio"


def _started(results: Any) -> pd.DataFrame:
    table = results.table("start")
    return table.assign(error=table.error.fillna(np.inf))


def starts(results: Any) -> pd.DataFrame:
    """Return every method's runs at its best rate, by start."""
    return best(_started(results), ("method", "start"))


def _adam(results: Any) -> dict[str, pd.DataFrame]:
    """Return Adam's runs at its best rate from every start."""
    runs = starts(results)
    return dict(list(runs[runs.method == "Adam"].groupby("start", sort=False)))


def start_rows(results: Any) -> list[list[str]]:
    """Return the starts as rows of text: median errors, their ranges, best rates."""
    return _rows(starts(results), "start", ("Adam", "GD"))


def first_errors(results: Any, start: str) -> pd.DataFrame:
    """Return where gradient descent is after one step from a start, a row a rate and trial."""
    paths = results.table("start_paths")
    paths = paths[paths.method.eq("GD") & paths.start.eq(start) & paths.step.eq(1)]
    return paths.assign(error=paths.error.fillna(np.inf))


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
    """Return every setting's runs at their best rate, a row a trial; the first is `CONTROL`."""
    one = starts(results)
    one = one[one.start == "zero-filled"].assign(setting=CONTROL)
    return pd.concat([one, best(layered(results), ("setting", "method"))], ignore_index=True)


def gaps(results: Any) -> dict[str, np.ndarray]:
    """Return log10 of GD's error over Adam's by setting, a number a trial."""
    table = footing(results)
    found = {}
    for setting, runs in table.groupby("setting", sort=False):
        wide = runs.pivot(index="trial", columns="method", values="error")
        found[str(setting)] = np.log10(wide.GD / wide.Adam).to_numpy()
    return found


def edges(results: Any) -> str:
    """Say in which setting a rate beyond the grid might be better."""
    found = open_ends(layered(results), ("method", "setting"))
    return open_words({", ".join(key): end for key, end in found.items()})


def start_edges(results: Any) -> str:
    """Say from which start a rate beyond the grid might be better."""
    found = open_ends(_started(results), ("method", "start"))
    return open_words({", ".join(key): end for key, end in found.items()})


def rate_words(results: Any, setting: str, method: str) -> str:
    """Return a method's median errors in a setting, rate by rate, and the rank at its best one."""
    table = layered(results)
    table = table[(table.setting == setting) & (table.method == method)]
    errors = table.groupby("rate").error.median()
    ranks = table[table.rate == errors.idxmin()].effective_rank.median()
    told = ", ".join(number(error) for error in errors)
    return (
        f"{method}'s median errors on the {setting} are {told}, from its lowest rate to its "
        f"largest; at the best of them the effective rank is {ranks:.0f}."
    )


def ends_by_start(results: Any) -> str:
    """Return Adam's median error from every start, in words."""
    return ", ".join(
        f"{number(runs.error.median())} ({start})" for start, runs in _adam(results).items()
    )


def best_weights(results: Any) -> str:
    """Return at which weight Adam's error is lowest for each noise, in words."""
    runs = tuned(results)
    weights = runs[runs.method == "Adam"].groupby("noise").weight.first()
    grid = noisy(results).weight
    ends = {grid.min(): " (the least tried)", grid.max(): " (the largest tried)"}
    return ", ".join(f"{w:.2g} for noise {sd:g}{ends.get(w, '')}" for sd, w in weights.items())


def footing_rows(results: Any) -> list[list[str]]:
    """Return the settings as rows of text: median errors, their ranges, best rates."""
    return _rows(footing(results), "setting", ("GD", "Adam"))


def _rows(table: pd.DataFrame, by: str, methods: tuple[str, ...]) -> list[list[str]]:
    rows = []
    for name, runs in table.groupby(by, sort=False):
        cells = [str(name)]
        for method in methods:
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
    errors = {start: runs.error for start, runs in _adam(results).items()}
    return Verdict(
        below(errors["zero-filled"], RECOVERED),
        f"Adam ends at {quoted(errors['zero-filled'])} (asked: below {RECOVERED}). Not every exact "
        f"fit is fine: filled at random it ends at {quoted(errors['filled at random'])}.",
    )


def _matters(results: Any) -> Verdict:
    """Test hd-a: from two starts that do not fit Adam ends below `RECOVERED`."""
    runs = _adam(results)
    ends = open_ends(_started(results), ("method", "start"))
    words, told = [], []
    for start in ("tiny", "random"):
        error, steps = runs[start].error, runs[start].steps.iloc[0]
        word = below(error, RECOVERED)
        words.append(_unless_open(word, False, ("Adam", start) in ends))
        told.append(f"{start} {quoted(error)} after {steps:,} steps [{words[-1]}]")
    return Verdict(
        together(*words),
        f"Adam at the best of its rates: {'; '.join(told)} (asked: below {RECOVERED}; undecided "
        "where errors still fall to an end of the grid of rates).",
    )


def _thrown(results: Any) -> Verdict:
    """Test hd-e: from near zero GD's first step leads far out at every rate; Adam ends below 1."""
    first = first_errors(results, "tiny")
    table = _started(results)
    table = table[table.start == "tiny"]
    adam = best(table[table.method == "Adam"]).error
    least = table[table.method == "GD"].groupby("trial").error.min()
    words, told = [below(np.log10(adam), 0), above(np.log10(least), 0)], []
    for rate, rows in first.groupby("rate"):
        words.append(above(np.log10(rows.error), 0))
        told.append(f"{quoted(rows.error)} at η = {number(float(rate))}")
    return Verdict(
        together(*words),
        f"After one step gradient descent has an error of {', '.join(told)}, and at the end at "
        f"least {quoted(least)}; Adam ends at {quoted(adam)}. Zeros have 1 (asked: gradient "
        "descent above it at every rate tried, Adam below).",
    )


def _noise(results: Any) -> Verdict:
    """Test b: at the weight that is used without noise Adam loses to the nuclear norm."""
    soft = convex(results)
    words, told = [], []
    for (rate, noise), rows in _untuned(results).groupby(["rate", "noise"]):
        other = soft[soft.noise == noise].set_index("trial").error
        own = rows.set_index("trial").error
        words.append(above(np.log10(own / other), 0))
        told.append(
            f"{_at(rate, noise)}: {quoted(own)}, {quoted(rows.error / rows.floor)} times the "
            f"floor, against {quoted(other)} [{words[-1]}]"
        )
    return Verdict(
        together(*words),
        f"Adam with the ratio at λ = {WEIGHT:g}, as without noise, against the nuclear norm at its "
        f"best λ. {'; '.join(told)} (asked of a breakdown: the larger error).",
    )


def _at(rate: float, noise: float) -> str:
    return f"η = {number(rate)}, noise {noise:g}"


def _untuned(results: Any) -> pd.DataFrame:
    """Return Adam's runs at the weight of the exact entries, beside those at the best weight.

    At each learning rate by itself: on the way an error falls and rises again, so a lower rate is
    one way to stop early.
    """
    table = noisy(results)
    table = table[table.method == "Adam"]
    keys = ["noise", "rate", "trial"]
    chosen = pd.concat(best(rows, ("noise",)) for _, rows in table.groupby("rate"))
    chosen = chosen[[*keys, "weight", "error"]]
    plain = table[np.isclose(table.weight, WEIGHT)]
    return plain.merge(chosen, on=keys, suffixes=("", "_best"))


def _fix(results: Any) -> Verdict:
    """Test hd-b: where a larger weight is best, it leaves at most two thirds of the error."""
    words, told = [], []
    for (rate, noise), rows in _untuned(results).groupby(["rate", "noise"]):
        ratio = rows.error_best / rows.error
        said = ""
        if rows.weight_best.iloc[0] > rows.weight.iloc[0]:
            words.append(below(ratio, 2 / 3))
            said = f" [{words[-1]}]"
        told.append(
            f"{_at(rate, noise)}: λ = {rows.weight_best.iloc[0]:.2g} leaves {quoted(ratio)} of the "
            f"error, {quoted(rows.error_best / rows.floor)} times the floor{said}"
        )
    return Verdict(
        together(*words) if words else "undecided",
        f"Adam's best λ against λ = {WEIGHT:g}. {'; '.join(told)} (asked where a larger λ is the "
        "best: below 2/3 of the error).",
    )


def _stopping(results: Any) -> Verdict:
    """Test hd-c: without a larger weight the best moment is as good as the end at the best one."""
    words, told = [], []
    for (rate, noise), rows in _untuned(results).groupby(["rate", "noise"]):
        ratio = rows.least / rows.error_best
        words.append(below(np.log10(ratio), EVEN))
        told.append(
            f"{_at(rate, noise)}: {number(rows.least.median())} against "
            f"{number(rows.error_best.median())}, a factor {quoted(ratio)} [{words[-1]}]"
        )
    return Verdict(
        together(*words),
        f"Adam with λ = {WEIGHT:g}, stopped where its error on hidden entries is least, against "
        f"the end with the best λ. Median errors: {'; '.join(told)} (asked: below 2).",
    )


def _network(results: Any) -> Verdict:
    """Test hd-d: the penalty halves the network's error, each method at its best rate."""
    table, ends = footing(results), open_ends(layered(results), ("setting", "method"))
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
    found, ends = gaps(results), open_ends(layered(results), ("setting", "method"))
    control = found.pop(CONTROL)
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
        f"grid of rates). With one layer and the ratio it is {quoted(10**control)}.",
    )


def _unless_open(word: Word, loses_if_holds: bool, loses_if_fails: bool) -> Word:
    """Leave a comparison undecided if the side that loses it might do better at other rates."""
    open_ = {"holds": loses_if_holds, "fails": loses_if_fails}
    return "undecided" if open_.get(word, False) else word


_WHERE = "Generalisability"
CLAIMS = [
    Claim(
        "d3-4-a",
        "To start from a matrix that fits the data exactly, zeros elsewhere, is fine.",
        _WHERE,
        _fits,
    ),
    Claim(
        "hd-ag-a",
        "The fit is not needed: one layer completes from starts that do not fit as well.",
        "our question",
        _matters,
    ),
    Claim(
        "hd-ag-e",
        "Near zero the penalty throws gradient descent far out, and not Adam.",
        "our question",
        _thrown,
    ),
    Claim("d3-4-b", "With noise it breaks down.", _WHERE, _noise),
    Claim("hd-ag-b", "There is a simple fix for noise: a larger λ.", "our question", _fix),
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
