"""Findings of the chapter `egop_related`: who ends lower, at what price, and which basis is near.

Trials are paired: the same start and batches for every arm, each arm at the rate that did best on
trials set aside. A ratio of final losses is taken trial by trial.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together
from hdnotes.wording import number

#: Arms of the first figure, in their order.
MAIN = (
    *("Adam", "Adam, EGOP", "Adam, random", "Adagrad", "Adagrad, EGOP"),
    *("SOAP", "Shampoo", "Muon", "GaLore"),
)
#: Arms that show what a look on the way brings, in their order.
ANEW_ARMS = (
    *("Adam, EGOP", "Adam, EGOP re-estimated", "Adam, EGOP from the path"),
    *("Adam, EGOP restarted", "Adam, EGOP carried"),
    *("Adagrad, EGOP", "Adagrad, EGOP re-estimated"),
)
#: Words for the steps between two looks at the basis, in their order.
INTERVALS = ("10", "100", "once")
#: How a numerical identity, the counterexample and a rotation that is not seen are told.
EXACT, APART, UNSEEN = 1e-12, 0.1, 0.05
#: Share of a column's square that makes it a rank-one matrix; "at least as well" of a loss.
RANK_ONE, AS_WELL = 0.99, 1.5


def ends(results: Any) -> pd.DataFrame:
    """Return how each run of the race ended; a run given up has an infinite loss."""
    table = results.table("race")
    last = table.groupby(["problem", "arm", "refreshes"]).epoch.transform("max")
    return table[table.epoch.eq(last)].reset_index(drop=True)


def problems(results: Any) -> list[str]:
    """Return the problems that were run, in their order."""
    return list(dict.fromkeys(ends(results).problem))


def losses(results: Any, problem: str) -> pd.DataFrame:
    """Return final training losses, a row a trial, a column an arm and number of re-estimates."""
    table = ends(results)
    own = table[table.problem.eq(problem)]
    return own.pivot(index="trial", columns=["arm", "refreshes"], values="loss")


def ratio(results: Any, problem: str, arm: str, over: str, times: int = 0) -> pd.Series:
    """Return an arm's final loss over another's, a value a trial; empty if one was not run.

    ``times`` is how often those of the two that turn do so.
    """
    table = losses(results, problem)
    one, other = ((name, times if (name, times) in table else 0) for name in (arm, over))
    if one not in table or other not in table:
        return pd.Series(dtype=float)
    with np.errstate(invalid="ignore"):
        return (table[one] / table[other]).fillna(np.inf)


def orders(ratios: pd.Series) -> pd.Series:
    """Return ratios in orders of magnitude; one of a run given up is infinite."""
    with np.errstate(divide="ignore"):
        return np.log10(ratios)


def kept(results: Any, problem: str) -> pd.Series:
    """Return the share of SOAP's gain over Adam, in orders of magnitude, that its first basis has.

    Empty if one of the three was not run.
    """
    once, often = (ratio(results, problem, arm, "Adam") for arm in ("SOAP, once", "SOAP"))
    return (orders(once) / orders(often)).dropna()


def times_tried(results: Any) -> list[int]:
    """Return how often a re-estimated EGOP was estimated anew, in ascending order."""
    return sorted(set(ends(results).refreshes) - {0})


def intervals(results: Any, method: str) -> pd.DataFrame:
    """Return the final losses of SOAP or GaLore by the steps between two looks at the basis."""
    names = dict(zip((method, f"{method}, every 100", f"{method}, once"), INTERVALS, strict=True))
    table = ends(results)
    return table[table.arm.isin(names)].assign(interval=table.arm.map(names))


def alignments(results: Any) -> pd.DataFrame:
    """Return how far each basis is from the best one, by epoch; -1 is the initialization's law."""
    return results.table("alignment")


def at_end(table: pd.DataFrame) -> pd.Series:
    """Return which rows are of a problem's last epoch."""
    return table.epoch.eq(table.groupby("problem").epoch.transform("max"))


def fresh(results: Any, problem: str, epoch: int) -> pd.DataFrame:
    """Return those ratios at one epoch, a row a trial, a column a basis."""
    table = alignments(results)
    own = table[table.problem.eq(problem) & table.epoch.eq(epoch)]
    return own.pivot(index="trial", columns="basis", values="ratio")


def shares(results: Any, basis: str = "EGOP") -> pd.DataFrame:
    """Return the median rank-one share of a basis's leading columns, a row a matrix and trial."""
    table = results.table("columns")
    own = table[table.basis.eq(basis)]
    return own.groupby(["problem", "matrix", "trial"], sort=False, as_index=False).share.median()


def price(results: Any, arm: str, problem: str, times: int = 0) -> tuple[float, float]:
    """Return the epochs an arm trains, and the epochs' worth of all gradients it computes."""
    table = ends(results)
    own = table[table.arm.eq(arm) & table.problem.eq(problem) & table.refreshes.eq(times)]
    return float(own.epoch.iloc[0]), float(own.gradient_epochs.iloc[0])


def told_estimates(results: Any) -> str:
    """Say what one estimate of the EGOP costs on each problem; nothing where none was run."""
    parts = []
    for problem in problems(results):
        if ("Adam, EGOP", 0) in losses(results, problem):
            trained, computed = price(results, "Adam, EGOP", problem)
            parts.append(
                f"{number(computed - trained)} epochs' worth on the {problem}, before {trained:g} "
                "of training"
            )
    return f"One estimate takes {' and '.join(parts)}." if parts else ""


def told_kept(results: Any) -> str:
    """Say what SOAP keeps of its gain with its first basis; nothing where that was not run."""
    shares = {problem: kept(results, problem) for problem in problems(results)}
    told = [f"{quoted(share)} on the {name}" for name, share in shares.items() if len(share)]
    if not told:
        return ""
    return (
        "Of the orders of magnitude that SOAP wins over Adam with a look every 10 steps, a single "
        f"look at a single gradient keeps a share of {' and '.join(told)}."
    )


def told_medians(table: pd.DataFrame, by: list[str]) -> str:
    """Say the median final losses of a figure's groups, in their order.

    Examples
    --------
    >>> told_medians(pd.DataFrame({"arm": ["SOAP"] * 3, "loss": [1.0, 2.0, 9.0]}), ["arm"])
    'SOAP 2.0'
    """
    groups = table.groupby(by, sort=False, observed=True)
    told = [
        f"{', '.join(map(str, names))} {number(float(rows.loss.median()))}"
        for names, rows in groups
    ]
    return "; ".join(told) or "none was run"


def at_edge(results: Any) -> list[str]:
    """Return the arms whose best rate is the smallest or largest that was tried."""
    table = ends(results)
    own = table[table.at_edge].drop_duplicates(["problem", "arm", "refreshes"])
    return [f"{arm} ({problem})" for arm, problem in zip(own.arm, own.problem, strict=True)]


# --- the claims ---------------------------------------------------------------------------------

Found = Mapping[str, Iterable[float]]


def _told(found: Found) -> str:
    return "; ".join(f"{name} {quoted(values)}" for name, values in found.items())


def _less(found: Found, what: str, threshold: float = 1.0) -> Verdict:
    """Return whether every median is below the threshold."""
    if not found:
        return Verdict("undecided", "Not run.")
    word = together(*(below(values, threshold) for values in found.values()))
    return Verdict(word, f"{what}: {_told(found)} (asked: below {threshold:.2g}).")


def _more(found: Found, what: str, threshold: float = 1.0) -> Verdict:
    """Return whether every median is above the threshold."""
    if not found:
        return Verdict("undecided", "Not run.")
    word = together(*(above(values, threshold) for values in found.values()))
    return Verdict(word, f"{what}: {_told(found)} (asked: above {threshold:.2g}).")


def _ratios(
    results: Any, pairs: Sequence[tuple[str, str]], times: int = 0, only: str | None = None
) -> dict[str, pd.Series]:
    """Return every pair's ratios on every problem, or on one, under a name that says which."""
    found = {
        f"{arm} over {over} ({problem}{f', {times} looks' if times else ''})": ratio(
            results, problem, arm, over, times
        )
        for arm, over in pairs
        for problem in problems(results)
        if only in (None, problem)
    }
    return {name: values for name, values in found.items() if len(values)}


def _final(results: Any, *pairs: tuple[str, str], threshold: float = 1.0) -> Verdict:
    return _less(_ratios(results, pairs), "Final training loss", threshold)


def _anew(results: Any, *pairs: tuple[str, str], only: str | None = None) -> Verdict:
    found: dict[str, pd.Series] = {}
    for times in times_tried(results):
        found |= _ratios(results, pairs, times, only)
    return _less(found, "Final training loss")


#: Both methods with an EGOP estimated anew, over those with the first one.
ANEW = tuple((f"{name}, EGOP re-estimated", f"{name}, EGOP") for name in ("Adam", "Adagrad"))


def _degrades(results: Any) -> Verdict:
    pairs = [(f"{name}, once", name) for name in ("SOAP", "GaLore")]
    return _more(
        _ratios(results, pairs), "Final training loss, the first basis kept over refreshed"
    )


def _gap_narrows(results: Any) -> Verdict:
    """Test d4-f-a: orders of magnitude between Adam and SOAP, by interval."""
    words: list[Word] = []
    parts = []
    for problem in problems(results):
        gaps = {
            interval: -orders(ratio(results, problem, arm, "Adam"))
            for interval, arm in zip(
                INTERVALS, ("SOAP", "SOAP, every 100", "SOAP, once"), strict=True
            )
        }
        if all(len(gap) for gap in gaps.values()):
            words.append(above((gaps["10"] - gaps["once"]).fillna(0.0), 0))
            told = ", ".join(f"{quoted(gap)} ({name})" for name, gap in gaps.items())
            parts.append(f"{problem} {told}")
    if not words:
        return Verdict("undecided", "Not run.")
    return Verdict(
        together(*words),
        "Orders of magnitude by which SOAP ends below Adam, by the steps between two looks at the "
        f"basis: {'; '.join(parts)}.",
    )


def _other_directions(results: Any) -> Verdict:
    table = shares(results)
    words: list[Word] = []
    parts = []
    for (problem, matrix), own in table.groupby(["problem", "matrix"], sort=False):
        words.append(below(own.share, RANK_ONE))
        parts.append(f"{problem}, matrix {matrix + 1} {quoted(own.share, 4)}")
    return Verdict(
        together(*words),
        "Share of a leading eigenvector's square in its best rank-one matrix: "
        f"{'; '.join(parts)} (1: it is a product of a row and a column direction; asked: below "
        f"{RANK_ONE:g}).",
    )


def _one_rotation(results: Any) -> Verdict:
    table = results.table("lemma")
    worst = float(table[["loss", "gradient", "orthogonal"]].max(axis=None))
    return Verdict(
        "holds" if worst < EXACT else "fails",
        f"Largest relative difference of losses, gradients and of $V^\\top V$ from the identity "
        f"over {table.trial.nunique()} draws of {table.matrix.nunique()} matrices: "
        f"{number(worst)} (asked: below $10^{{-12}}$).",
    )


def _not_conversely(results: Any) -> Verdict:
    least = float(results.table("lemma").distance.min())
    return Verdict(
        "holds" if least > APART else "fails",
        "Least distance of the two columns, as they stand, to the first two of any product of two "
        f"rotations: {number(least)} (of columns of length 1; asked: above {APART:g}).",
    )


def _memory(results: Any) -> Verdict:
    words: list[Word] = []
    parts = []
    for problem in problems(results):
        basis = orders(ratio(results, problem, "Adam, Kronecker", "Adam"))
        memory = orders(ratio(results, problem, "short Adam", "Adam"))
        if len(basis) and len(memory):
            words.append(above((basis.abs() - memory.abs()).fillna(0.0), 0))
            parts.append(f"{problem} {quoted(basis)} against {quoted(memory)}")
    if not words:
        return Verdict("undecided", "Not run.")
    return Verdict(
        together(*words),
        "Orders of magnitude by which the final training loss moves (below 0: falls), Adam in the "
        f"Kronecker basis against Adam with SOAP's memory: {'; '.join(parts)} (asked: the larger "
        "move, either way).",
    )


def seen(results: Any) -> pd.DataFrame:
    """Return how far each rotation moves a method's end, a row a draw, a column a rotation."""
    table = results.table("followed")
    return table.pivot(index=["method", "trial"], columns="rotation", values="deviation")


def _is_adam(results: Any) -> Verdict:
    worst = float(seen(results).loc["SOAP, once", "Adam in its basis"].max())
    return Verdict(
        "holds" if worst < 1e-9 else "fails",
        f"Largest distance of the two ends over the way they went: {number(worst)} (asked: below "
        "$10^{-9}$).",
    )


def _unseen(results: Any) -> Verdict:
    table = seen(results)
    blind = ("SOAP", "Shampoo", "Muon")
    two = {name: table.loc[name, "two-sided"] for name in blind}
    general = {name: table.loc[name, "any"] for name in blind}
    words = [below(values, UNSEEN) for values in two.values()]
    words += [above(values, 10 * UNSEEN) for values in general.values()]
    return Verdict(
        together(*words),
        f"Distance of the end over the way: by a two-sided rotation {_told(two)} (asked: below "
        f"{UNSEEN:g}); by any rotation {_told(general)} (asked: above {10 * UNSEEN:g}).",
    )


def _half_seen(results: Any) -> Verdict:
    table = seen(results)
    own = table.loc["GaLore, once"]
    return Verdict(
        together(below(own["inputs"], UNSEEN), above(own["outputs"], UNSEEN)),
        "Distance of the end over the way, of a square matrix and with the first basis kept: by a "
        f"rotation of the inputs {quoted(own['inputs'])} (asked: below {UNSEEN:g}), of the outputs "
        f"{quoted(own['outputs'])} (asked: above {UNSEEN:g}).",
    )


def _leaks(results: Any) -> Verdict:
    own = seen(results).loc["GaLore", "inputs"]
    return Verdict(
        above(own, UNSEEN),
        "Distance of the end over the way, by a rotation of the side that it turns, with a new "
        f"look every 10 steps: {quoted(own)} (asked: above {UNSEEN:g}).",
    )


def _full_matrix(results: Any) -> Verdict:
    own = seen(results).loc["full-matrix Adagrad", "any"]
    adam = seen(results).loc["Adam", "any"]
    return Verdict(
        "holds" if own.max() < 1e-6 else "fails",
        f"Largest distance of the end over the way under any rotation: {number(float(own.max()))} "
        f"(asked: below $10^{{-6}}$); Adam's median: {quoted(adam)}.",
    )


def _factored_fits(results: Any) -> Verdict:
    found = {
        problem: fresh(results, problem, -1).pipe(lambda t: (t.Kronecker - 1) / (t.EGOP - 1))
        for problem in dict.fromkeys(alignments(results).problem)
    }
    return _less(found, "Excess on fresh gradients, Kronecker over EGOP basis")


def _ages(results: Any) -> Verdict:
    found = {}
    for problem, table in alignments(results).groupby("problem", sort=False):
        own = fresh(results, str(problem), int(table.epoch.max()))
        found[str(problem)] = (own.EGOP - 1) / (own.SOAP - 1)
    return _more(found, "Excess after the last epoch, EGOP of the initialization over SOAP's own")


def _control(results: Any) -> Verdict:
    found = _ratios(results, [("Adam, random", "Adam")])
    return _more(found, "Final training loss", 2 / 3)


CLAIMS = (
    Claim(
        "d4-e-b",
        "The EGOP's eigenvectors are in general other directions than those of the gradients' rows "
        "and columns.",
        "Appendix E",
        _other_directions,
    ),
    Claim(
        "d4-e-c",
        "Any two rotations of the rows and columns of a weight matrix are one rotation of its "
        "entries, their Kronecker product.",
        "Lemma 20, at the sizes of our networks",
        _one_rotation,
    ),
    Claim(
        "d4-e-d",
        "The converse is false: no two rotations give a rotation whose first columns are the flat "
        "one and the one with two halves of opposite sign.",
        "Lemma 20, at the sizes of our networks",
        _not_conversely,
    ),
    Claim(
        "d4-1-f",
        "Turning the coordinates of each weight matrix, as SOAP and GaLore do, lets Adam train "
        "better.",
        "Section 1.1 and Appendix F",
        lambda results: _final(
            results, ("SOAP", "Adam"), ("Adam, Kronecker", "Adam"), ("GaLore", "Adam")
        ),
    ),
    Claim(
        "d4-1-g",
        "SOAP does better than both Adam and Shampoo.",
        "Section 1.1, of language models",
        lambda results: _final(results, ("SOAP", "Adam"), ("SOAP", "Shampoo")),
    ),
    Claim(
        "d4-e-e",
        "SOAP and GaLore get worse as more time passes between two looks at the basis.",
        "Appendix E",
        _degrades,
    ),
    Claim(
        "d4-f-a",
        "SOAP's advantage over Adam shrinks as more time passes between two looks at the basis.",
        "Appendix F",
        _gap_narrows,
    ),
    Claim(
        "d4-e-f",
        "One EGOP basis, computed once before training, is enough to improve both Adam and "
        "Adagrad.",
        "Appendices E and F",
        lambda results: _final(results, ("Adam, EGOP", "Adam"), ("Adagrad, EGOP", "Adagrad")),
    ),
    Claim(
        "d4-1-h",
        "Full-matrix Adagrad is equivariant: it does not see the coordinates.",
        "Section 1, footnote",
        _full_matrix,
    ),
    Claim(
        "hd-er-a",
        "On the linear network, estimating the EGOP anew on the way lowers the loss further.",
        "the question that Appendix E leaves open",
        lambda results: _anew(results, *ANEW, only="linear network"),
    ),
    Claim(
        "hd-er-n",
        "On the digits, estimating the EGOP anew on the way lowers the loss further.",
        "the question that Appendix E leaves open",
        lambda results: _anew(results, *ANEW, only="digits"),
    ),
    Claim(
        "hd-er-b",
        "Estimating it anew from the gradients of training itself, which costs none more, lowers "
        "the loss, too.",
        "a question of ours",
        lambda results: _anew(results, ("Adam, EGOP from the path", "Adam, EGOP")),
    ),
    Claim(
        "hd-er-q",
        "It is the new basis that helps, not that the method starts anew.",
        "a control of ours",
        lambda results: _anew(results, ("Adam, EGOP re-estimated", "Adam, EGOP restarted")),
    ),
    Claim(
        "hd-er-r",
        "To start anew in the new basis is better than to carry over what Adam remembers.",
        "a question of ours",
        lambda results: _anew(results, ("Adam, EGOP re-estimated", "Adam, EGOP carried")),
    ),
    Claim(
        "hd-er-c",
        "The EGOP is worth its gradients: Adam in original coordinates, given as many more, ends "
        "higher.",
        "a question of ours",
        lambda results: _final(results, ("Adam, EGOP", "Adam, longer")),
    ),
    Claim(
        "hd-er-s",
        "Looks on the way do not catch up with SOAP, given the gradients of the first look alone.",
        "a question of ours",
        lambda results: _anew(results, ("SOAP, longer", "Adam, EGOP re-estimated")),
    ),
    Claim(
        "hd-er-d",
        "SOAP, which spends no gradients ahead, ends at least as low as Adam in EGOP coordinates.",
        "a question of ours",
        lambda results: _final(results, ("SOAP", "Adam, EGOP"), threshold=AS_WELL),
    ),
    Claim(
        "hd-er-o",
        "Given the gradients that the EGOP takes, SOAP ends lower than Adam in EGOP coordinates.",
        "a question of ours",
        lambda results: _final(results, ("SOAP, longer", "Adam, EGOP")),
    ),
    Claim(
        "hd-er-e",
        "On fresh gradients the Kronecker basis of the same sample is the better one.",
        "a question of ours",
        _factored_fits,
    ),
    Claim(
        "hd-er-f",
        "Adam does as well in the Kronecker basis as in the EGOP's.",
        "a question of ours",
        lambda results: _final(results, ("Adam, Kronecker", "Adam, EGOP"), threshold=AS_WELL),
    ),
    Claim(
        "hd-er-g",
        "An eighth of the gradients is enough for that.",
        "a question of ours",
        lambda results: _final(
            results, ("Adam, Kronecker of few", "Adam, EGOP"), threshold=AS_WELL
        ),
    ),
    Claim(
        "hd-er-h",
        "At the end of training SOAP's own basis is nearer to the best than that from the law of "
        "initializations.",
        "a question of ours",
        _ages,
    ),
    Claim(
        "hd-er-i",
        "The basis matters more than the memory of Adam's averages.",
        "a question of ours",
        _memory,
    ),
    Claim(
        "hd-er-j",
        "SOAP that keeps its first basis is Adam in that basis.",
        "follows from SOAP's rule; tested by us",
        _is_adam,
    ),
    Claim(
        "hd-er-k",
        "SOAP, Shampoo and Muon do not see a rotation of rows and columns; any other they do.",
        "follows from Lemma 20; tested by us",
        _unseen,
    ),
    Claim(
        "hd-er-l",
        "GaLore turns one side of a matrix only, and sees a rotation of the other.",
        "a question of ours",
        _half_seen,
    ),
    Claim(
        "hd-er-p",
        "When it looks again, its averages are left in the old directions, whose signs are chance.",
        "the library's code; tested by us",
        _leaks,
    ),
    Claim(
        "hd-er-m",
        "Random coordinates do not help.",
        "a control of ours",
        _control,
    ),
)
