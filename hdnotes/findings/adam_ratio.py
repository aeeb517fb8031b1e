"""Findings of the chapter `adam_ratio`: who completes the matrix, at which rates, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hdnotes import reference
from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together
from hdnotes.wording import number

#: A matrix counts as completed below this mean squared error on the unobserved entries, whose mean
#: square is 1.
RECOVERED = 0.01
#: Errors on the way down at which clocks are compared: early, halfway, and when completed.
LEVELS = (0.5, 0.2, 0.02)
#: An error falls from one rate to the next if this factor is left, or less.
FALLING = 0.9
#: Times, and errors, are the same within this factor.
SAME = 2.0
CONFIGURATION = ["rate", "weight"]
#: Methods that take the whole gradient times one number.
WHOLE = ("GroupRMSprop", "GD", "GD + momentum")


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


def open_ends(table: pd.DataFrame, by: Sequence[str]) -> dict[tuple[str, ...], str]:
    """Return where errors fall to an end of the grid of rates, so that one beyond may be better.

    Group -> "lowest" or "highest", where the median error at that end is the least and `FALLING`
    times that at the next rate, or less.
    """
    found = {}
    for key, runs in table.groupby(list(by), sort=False):
        medians = runs.groupby("rate").error.median().to_numpy()
        for word, way in (("lowest", medians), ("highest", medians[::-1])):
            if len(way) > 1 and way[0] == way.min() and way[0] <= FALLING * way[1]:
                found[key] = word
    return found


def open_words(ends: Mapping[str, str]) -> str:
    """Say where a rate beyond the grid might be better."""
    if not ends:
        return "Nowhere do errors still fall at an end of the grid of rates."
    told = "; ".join(f"{name} ({end})" for name, end in ends.items())
    return f"Errors still fall at an end of the grid, where a rate beyond might do better: {told}."


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
    return f"{short if error < 0.01 or error >= 100 else number(error, 1)}\n{rank:.1f}"


def methods(results: Any) -> pd.DataFrame:
    """Return every method at its best rate and the one weight that all have, L-BFGS included."""
    table = _common(results)
    lbfgs = results.table("lbfgs").assign(method="L-BFGS", rate=1.0)
    lbfgs = lbfgs[lbfgs.weight == table.weight.iloc[0]]
    return pd.concat([best(table), lbfgs], ignore_index=True)


def _common(results: Any) -> pd.DataFrame:
    """Return all methods' runs at the one weight that all have."""
    table = ends(results, "map")
    common = table.groupby("method").weight.agg(set)
    (weight,) = set.intersection(*common)
    return table[table.weight == weight]


def edges(results: Any) -> str:
    """Say which method might do better at a rate beyond its grid."""
    found = open_ends(_common(results), ("method",))
    return open_words({name: end for (name,), end in found.items()})


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


def arrival(path: pd.DataFrame, level: float) -> float:
    """Return the time at which the error of a path first is below ``level``; infinite if never.

    Between two looks the logarithm of the error is a straight line in that of time.
    """
    path = path.sort_values("time")
    time, error = np.log(path.time.to_numpy()), np.log(path.error.clip(1e-12, 1e3).to_numpy())
    (under,) = np.nonzero(error < np.log(level))
    if not len(under):
        return np.inf
    last = slice(max(under[0] - 1, 0), under[0] + 1)
    return float(np.exp(np.interp(-np.log(level), -error[last], time[last])))


def arrivals(results: Any, method: str, level: float) -> pd.DataFrame:
    """Return when each run of a map passes an error on the method's clock, and when it ends."""
    table = paces(results)
    table = table[table.method == method]
    rows = [
        (*key, arrival(path, level), path.time.max())
        for key, path in table.groupby([*CONFIGURATION, "trial"])
    ]
    return pd.DataFrame(rows, columns=[*CONFIGURATION, "trial", "time", "until"])


def clock(results: Any, method: str, level: float) -> pd.Series:
    """Return the latest over the earliest time at which runs pass an error, a number a trial.

    Over all rates and weights of the map. Runs that end before `SAME` times the earliest time were
    not given the time; one that was, and never passes, makes the number infinite.
    """
    table = arrivals(results, method, level)
    first = table.groupby("trial").time.transform("min")
    given = table[np.isfinite(first) & ((table.until >= SAME * first) | np.isfinite(table.time))]
    groups = given.groupby("trial").time
    return groups.max() / groups.min()


def never(results: Any, method: str, level: float) -> tuple[int, int]:
    """Return how many runs never pass an error, of those that were given the time."""
    table = arrivals(results, method, level)
    first = table.groupby("trial").time.transform("min")
    given = table[np.isfinite(first) & (table.until >= SAME * first)]
    return int(np.isinf(given.time).sum()), len(given)


def first_passed(results: Any, method: str, level: float) -> float:
    """Return the median over trials of the earliest time of any run."""
    return float(arrivals(results, method, level).groupby("trial").time.min().median())


def clock_words(results: Any) -> str:
    """Say when, on each method's clock, the fastest runs complete the matrix, if they do."""
    none = "On half of the matrices or more no run of {} passes an error of " + f"{RECOVERED}."
    told = {"GD": none.format("gradient descent"), "Adam": none.format("Adam")}
    descent, adam = (first_passed(results, method, RECOVERED) for method in told)
    if np.isfinite(descent):
        told["GD"] = (
            f"The fastest runs of gradient descent pass an error of {RECOVERED} at ηλt ≈ "
            f"{number(descent)}. With λ = 0.01 and a rate of 1 that is {number(descent / 0.01)} "
            "steps."
        )
    if np.isfinite(adam):
        told["Adam"] = (
            f"Adam's pass it at ηt ≈ {number(adam)}: with its usual rate of 0.001, "
            f"{number(adam / 0.001)} steps."
        )
    return " ".join(told.values())


def level_words(results: Any) -> str:
    """Say where the paths of the smallest and of the largest weight end, for each method."""
    table = grid(results)
    told = []
    for method in ("GD", "Adam"):
        least = table[table.method == method].groupby("weight").error.min()
        told.append(
            f"{method} {number(least.iloc[0])} at λ = {number(float(least.index[0]))} and "
            f"{number(least.iloc[-1])} at λ = {number(float(least.index[-1]))}"
        )
    return f"Least errors at the end: {'; '.join(told)}."


def convex(results: Any) -> pd.DataFrame:
    """Return the best convex completion at every number of entries, weight zero included."""
    table = results.table("convex").assign(rate=0.0)
    return best(table.drop(columns="method"), ("rank", "observed"))


def nuclear_rows(results: Any) -> list[list[str]]:
    """Return Adam on the nuclear norm beside soft-impute at the same weights, as rows of text.

    Soft-impute was run at the numbers of entries that are compared.
    """
    trained = ends(results, "nuclear")
    solved = results.table("convex")
    solved = solved[(solved.method == "soft-impute") & (solved["rank"] == trained["rank"].iloc[0])]
    solved = solved[solved.observed == trained.observed.iloc[0]]
    rows = []
    for weight, runs in trained.groupby("weight"):
        same = solved[np.isclose(solved.weight, weight)].error
        beside = number(same.median()) if len(same) else "not run at this number of entries"
        rows.append([number(weight), number(runs.error.median()), beside])
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


def needed(table: pd.DataFrame) -> pd.Series:
    """Return from how many entries on a trial is completed by some line of the table.

    The least number tried at which, and at every larger one tried, an error is below `RECOVERED`;
    infinite if there is none.
    """
    done = table.assign(done=table.error < RECOVERED)
    done = done.pivot_table(
        index=["rank", "trial"], columns="observed", values="done", aggfunc="max"
    )
    onward = done.astype(bool).iloc[:, ::-1].cummin(axis=1)
    first = onward.apply(lambda row: min(row.index[row], default=np.inf), axis=1)
    return first.astype(float)


def fewer(results: Any, others: pd.Series) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the entries that Adam with the ratio needs, those of others, and their quotient.

    ``others`` says which rows of `lines` these are. A trial that neither completes has none.
    """
    table = lines(results)
    own, other = needed(table[table.line == "Adam + ratio"]), needed(table[others])
    own, other = own.align(other, join="inner")
    some = np.isfinite(own) | np.isfinite(other)
    return own[some], other[some], own[some] / other[some]


def _entries_words(own: pd.Series, other: pd.Series) -> str:
    """Say how many entries each needs, rank by rank."""
    told = "; ".join(
        f"{quoted(own[rank], 3)} on against {quoted(other[rank], 3)} at rank {rank}"
        for rank in own.index.unique("rank")
    )
    return told or "none of them on by either"


def _lines_words(table: pd.DataFrame) -> str:
    """List the lines of a table, rank by rank."""
    return "; ".join(
        f"rank {rank}: {', '.join(sorted(rows.line.unique()))}"
        for rank, rows in table.groupby("rank")
    )


def certified(results: Any) -> pd.DataFrame:
    """Return at how many matrices W* is, and is not, a local minimum of R, by entries observed."""
    table = results.table("certificate")
    proved = (table.high < 1) & (table.conditioning > 0)
    table = table.assign(proved=proved, refuted=table.low > 1)
    counts = table.groupby("observed")[["proved", "refuted"]].sum()
    return counts.assign(of=table.groupby("observed").size()).reset_index()


def certificate_rows(results: Any) -> list[list[str]]:
    """Return, by entries observed, bounds on the certificate's norm and what follows, as text."""
    table = results.table("certificate").groupby("observed")[["low", "high"]].median()
    return [
        [
            f"{row.observed:,}",
            f"{number(table.low[row.observed])} to {number(table.high[row.observed])}",
            f"{row.proved} of {row.of}",
            f"{row.refuted} of {row.of}",
        ]
        for row in certified(results).itertuples()
    ]


def lowest_words(results: Any) -> str:
    """Say whether the lines that are drawn fall, and which of the first rank is lowest where."""
    table = lines(results)
    shown = table[(table.depth == 1) | (table.penalty == "none")]
    medians = shown.groupby(["rank", "line", "observed"]).error.median().unstack()
    falls = (medians.diff(axis=1).iloc[:, 1:] < 0).all(axis=1)
    start = "all errors fall" if falls.all() else f"{falls.sum()} of {len(falls)} lines fall"
    first = medians.loc[table["rank"].iloc[0]]
    lowest = ", ".join(f"{first[m].idxmin()} at {int(m):,} entries" for m in first)
    return f"With more entries {start}. Lowest are {lowest}."


def fallen_words(results: Any, rank: int) -> str:
    """Say where several layers with the ratio end with a larger error than zeros have, if any."""
    table = lines(results)
    table = table[(table["rank"] == rank) & (table.penalty == "ratio") & (table.depth > 1)]
    medians = table.groupby(["observed", "depth"]).error.median()
    told = [
        f"{number(e)} at depth {int(d)} with {int(m):,} entries"
        for (m, d), e in medians.items()
        if e > 1
    ]
    if not told:
        return ""
    return (
        "Zeros have an error of about 1. Layers and ratio together can end above it, worse than no "
        f"completion at all: {', '.join(told)}."
    )


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


def nuclear_words(results: Any) -> str:
    """Say what the nuclear norm leaves on this page's matrices where there is a published error."""
    table = convex(results)
    first = table["rank"] == table["rank"].iloc[0]
    rows = table[first & table.observed.isin(published(results).observed)]
    return f"The nuclear norm leaves {quoted(rows.error)} on this page's own matrices."


def weight_words(results: Any) -> str:
    """Say how much of Adam's error on the map its penalty weight accounts for."""
    runs = ends(results, "entries")
    weight = runs[(runs.method == "Adam") & (runs.penalty == "ratio")].weight.iloc[0]
    table = grid(results)
    least = table[table.method == "Adam"].groupby("weight").error.min()
    least = least[least.index <= 1.001 * weight].sort_index()
    told = ", ".join(f"{number(error)} at λ = {number(own)}" for own, error in least.items())
    return (
        "Where the matrix is completed the error that is left grows with the penalty's weight, "
        f"{number(weight)} for the ratio here: on the map above, at the best rate, it is {told}. "
        "The nuclear norm is taken to the limit λ → 0, and deep networks have no penalty at all."
    )


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
        f"{quoted(runs.error)} (asked: below {RECOVERED}), the effective rank "
        f"{quoted(runs.effective_rank, 3)}; {(medians < RECOVERED).sum()} of the {len(medians)} "
        f"settings have a median error below {RECOVERED}.",
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
    return Verdict(together(*words), ". ".join(told) + f". (Asked: above {RECOVERED}.)")


def _lacking(table: pd.DataFrame, others: pd.Series) -> Verdict | None:
    """Return that nothing is decided if one layer with the ratio, or what it meets, was not run."""
    if table.line.eq("Adam + ratio").any() and others.any():
        return None
    return Verdict("undecided", "Not all of the depths that it compares were run.")


def _nuclear(results: Any) -> Verdict:
    """Test c: it needs fewer entries, and has the lower error where both complete the matrix."""
    table = lines(results)
    if lacking := _lacking(table, table.line == "nuclear norm"):
        return lacking
    own, other, quotient = fewer(results, table.line == "nuclear norm")
    words, told = _errors(results, table.line == "nuclear norm", 1)
    return Verdict(
        together(below(quotient.fillna(1), 1), *words),
        f"Ratio with Adam against nuclear norm at its best λ. Of the numbers of entries tried, a "
        f"matrix is completed from {_entries_words(own, other)} (asked: fewer). {told}",
    )


def _deep(results: Any) -> Verdict:
    """Test d: one layer with the ratio needs no more entries, nor is its error much larger."""
    table = lines(results)
    deep = (table.depth > 1) & (table.penalty == "none")
    if lacking := _lacking(table, deep):
        return lacking
    own, other, quotient = fewer(results, deep)
    words, told = _errors(results, deep, SAME)
    return Verdict(
        together(below(quotient.fillna(1), 1.001), *words),
        "One layer with Adam and the ratio against the best network of depth 2 or more without a "
        f"penalty ({_lines_words(table[deep])}). Of the numbers of entries tried, a matrix is "
        f"completed from {_entries_words(own, other)} (asked: no more, over {len(own)} matrices). "
        f"{told}",
    )


def _errors(results: Any, others: pd.Series, times: float) -> tuple[list[Word], str]:
    """Compare the errors of Adam with the ratio with the least of others, at the first rank.

    ``others`` says which rows of `lines` these are. A word for each number of entries at which both
    complete the matrix, whether the error is below so many ``times`` theirs, and a sentence.
    """
    table = lines(results)
    least = table[others].groupby(["rank", "observed", "trial"]).error.min().rename("other")
    wide = table[table.line == "Adam + ratio"].join(least, on=least.index.names)
    rank = table["rank"].iloc[0]
    words, told = [], []
    for observed, rows in wide[wide["rank"] == rank].groupby("observed"):
        both = rows[["error", "other"]].median()
        told.append(f"{observed:,} entries {number(both.error)} against {number(both.other)}")
        if both.max() < RECOVERED:
            words.append(below(np.log(rows.error / rows.other), np.log(times)))
            told[-1] += f" [{words[-1]}]"
    asked = "lower" if times == 1 else f"below {times:g} times theirs"
    return words, (
        f"Median errors at rank {rank} (asked: {asked} where both complete): {'; '.join(told)}."
    )


def _clock(results: Any, method: str, what: str) -> Verdict:
    """Test that a method passes each of `LEVELS` at one time of its clock, whatever rate and λ."""
    found = {level: clock(results, method, level) for level in LEVELS}
    told = []
    for level, values in found.items():
        lost, of = never(results, method, level)
        more = f"; {lost} of {of} runs with the time for it never do" if lost else ""
        factor = f"within a factor {quoted(values, 3)}" if len(values) else "never"
        told.append(f"an error of {level:g} {factor}{more}")
    return Verdict(
        together(*(below(values, SAME) for values in found.values())),
        f"Over all rates and λ of the map, the {what} at which the runs of a matrix pass "
        f"{', '.join(told)} (asked of the slowest over the fastest: below {SAME:g}).",
    )


def _product(results: Any) -> Verdict:
    """Test hd-a: GD's clock is lr times lambda times steps."""
    return _clock(results, "GD", "products of rate, λ and steps")


def _sign(results: Any) -> Verdict:
    """Test hd-b: Adam's clock is lr times steps."""
    return _clock(results, "Adam", "products of rate and steps")


def _infimum(results: Any) -> Verdict:
    """Test hd-c: a certificate shows W* to be a local minimum; one entry far out is lower."""
    table = landscape(results)
    entry = table[(table.line == "one entry") & (table.reach == table.reach.max())]
    proofs = results.table("certificate")
    proofs = proofs[proofs.observed.eq(table.observed.iloc[0])]
    norm = proofs.high.where(proofs.conditioning > 0, np.inf)
    proved, refuted = norm < 1, proofs.low > 1
    some: Word = "fails" if above(proofs.low, 1) == "holds" else below(norm, 1)
    found = certified(results)
    told = [
        f"{row.observed:,}: {row.proved} and {row.refuted} of {row.of}"
        for row in found.itertuples()
    ]
    return Verdict(
        together(below(entry.above, 0), "partly" if proved.any() and refuted.any() else some),
        f"With {table.observed.iloc[0]:,} entries observed R is {quoted(entry.truth, 4)} at "
        "W*. With one unobserved entry moved by "
        f"{number(float(entry.reach.iloc[0]))} it is {quoted(entry.least, 4)} (asked: lower). A "
        f"certificate that W* is a local minimum has a norm of at most {quoted(norm)} (asked: "
        f"below 1, for all matrices): proved for {proved.sum()} of {len(proofs)} matrices, refuted "
        f"for {refuted.sum()}. Proved and refuted, by entries observed: {', '.join(told)}.",
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
        together(*words),
        f"{'; '.join(told)}; the zero-filled start has {number(first.median())} (asked: above "
        "that).",
    )


def _global(results: Any) -> Verdict:
    """Test hd-e: methods that have one step length for all entries end below `RECOVERED`."""
    table = methods(results)
    found = {name: table[table.method == name] for name in (*WHOLE, "Adam")}
    if any(runs.empty for runs in found.values()):
        return Verdict("undecided", "Not all of these methods were run.")
    told = [f"{name} {quoted(runs.error)}" for name, runs in found.items()]
    return Verdict(
        together(*(below(found[name].error, RECOVERED) for name in WHOLE)),
        f"Each at its best rate, λ = {number(float(table.weight.iloc[0]))}: {', '.join(told)} "
        f"(asked of all but Adam: below {RECOVERED}).",
    )


def _tiny(results: Any) -> Verdict:
    """Test hd-f: Adam from a tiny start at depth 1 stays above `RECOVERED`."""
    runs = ends(results, "start")
    medians = runs.groupby(CONFIGURATION)[["error", "effective_rank"]].median()
    low = medians.loc[medians.effective_rank.idxmin()]
    return Verdict(
        above(best(runs).error, RECOVERED),
        f"At the best of {len(medians)} settings ({_named(best(runs))}) the error is "
        f"{quoted(best(runs).error)} after {runs.steps.max():,} steps (asked: above {RECOVERED}), "
        f"with effective rank {quoted(best(runs).effective_rank, 3)}; "
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
        "How far gradient descent has come depends on the product of rate, λ and steps alone.",
        "our question",
        _product,
    ),
    Claim(
        "hd-ar-b",
        "How far Adam has come depends on the product of rate and steps, not on λ.",
        "our question",
        _sign,
    ),
    Claim(
        "hd-ar-c",
        "With enough entries observed W* is a local but not a global minimum of R among the "
        "matrices that have them.",
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
        "It takes no element-wise step: methods with one step length for all entries complete the "
        "matrix, too.",
        "our question",
        _global,
    ),
    Claim(
        "hd-ar-f", "With Adam a start near zero does not work at depth 1.", "our question", _tiny
    ),
]
