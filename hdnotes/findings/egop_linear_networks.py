"""Findings of the chapter `egop_linear_networks`: losses, gains in orders of magnitude, the claims.

A method's rate is the one whose lowest validation loss, in original coordinates, has the lowest
median (D.5); it serves all coordinate systems. Trials are paired: the same start and batches.
"""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together, within
from hdnotes.findings.tuning import at_an_edge
from hdnotes.wording import number

ADAPTIVE = ("Adam", "Adagrad")
EQUIVARIANT = ("SGD", "SGD + momentum")
#: What counts as a much lower loss, and as a share of the epochs that is faster.
MUCH, FASTER = 0.1, 0.5
#: Shares of a gain that count as about the same one, and below which it is marginal.
SAME, MARGINAL = (0.75, 1.25), 0.25
#: Rank correlation from which a gain counts as larger at larger learning rates.
ORDERED = 0.6


def ends(results: Any, precision: str = "float64") -> pd.DataFrame:
    """Return how each run ended, a diverged one's loss infinite."""
    table = results.table("ends")
    table = table[table.precision.eq(precision)]
    losses = ["final_loss", "best_validation", "validation_loss", "test_loss"]
    return table.assign(**{name: table[name].fillna(np.inf) for name in losses})


def best_rates(table: pd.DataFrame) -> dict[str, float]:
    """Return each method's rate in original coordinates (document 4, D.5)."""
    own = table[table.coordinates.eq("original")]
    median = own.groupby(["method", "learning_rate"], sort=False).best_validation.median()
    return {name: median[name].idxmin() for name in own.method.unique()}


def tuned(results: Any) -> pd.DataFrame:
    """Return the runs at the rates that are best in original coordinates."""
    table = ends(results)
    return table[table.learning_rate.eq(table.method.map(best_rates(table)))]


def curves(results: Any, precision: str = "float64") -> pd.DataFrame:
    """Return the training loss by epoch at those rates."""
    table = results.table("curves")
    rates = table.method.map(best_rates(ends(results)))
    return table[table.precision.eq(precision) & table.learning_rate.eq(rates)]


def wide(table: pd.DataFrame, method: str, value: str = "final_loss") -> pd.DataFrame:
    """Return a row a rate and trial, a column a coordinate system."""
    own = table[table.method.eq(method)]
    return own.pivot(index=["learning_rate", "trial"], columns="coordinates", values=value)


def gain(losses: pd.DataFrame, system: str = "EGOP") -> pd.Series:
    """Return by how many orders of magnitude a system's loss lies below the original one's.

    A diverged run loses to any other by more than can be said; of two diverged ones neither wins.
    """
    with np.errstate(invalid="ignore"):
        return (np.log10(losses.original) - np.log10(losses[system])).fillna(0.0)


def trained_gains(results: Any, method: str) -> pd.DataFrame:
    """Return EGOP's gain, a row a trial, a column a rate; none where neither run trained.

    A run has trained if it ends below the loss it starts from. Rates at which no pair has are left
    out.
    """
    losses = wide(ends(results), method)
    start = results.table("curves").query("epoch == 0").groupby("trial").loss.first()
    best = losses[["original", "EGOP"]].min(axis=1)
    trained = best < start.reindex(losses.index.get_level_values("trial")).to_numpy()
    return gain(losses).where(trained).unstack("learning_rate").dropna(axis=1, how="all")


def concordance(row: pd.Series) -> float:
    """Return Kendall's tau-a of a row's index and its values, which may be missing.

    Examples
    --------
    >>> concordance(pd.Series([1.0, 3.0, 2.0, None], index=[0.1, 1, 10, 100]))
    0.3333333333333333
    """
    seen = row.dropna()
    if len(seen) < 2:
        return np.nan
    x, y = seen.index.to_numpy(float), seen.to_numpy()
    signs = (np.sign(np.subtract.outer(v, v)) for v in (x, np.nan_to_num(y, posinf=1e300)))
    return float(np.prod(list(signs), axis=0).sum() / (len(seen) * (len(seen) - 1)))


def told_rates(rates: list[float], of: list[float]) -> str:
    """Return which of some rates are meant, in few words.

    Examples
    --------
    >>> told_rates([1.0, 2.0], [1.0, 2.0]), told_rates([2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0])
    ('all 2 rates', '3 of 4 rates, 2 to 8')
    >>> told_rates([1.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0])
    '3 of 4 rates, not at 2'
    """
    if len(rates) == len(of):
        return f"all {len(of)} rates"
    told = f"{len(rates)} of {len(of)} rates"
    where = [of.index(rate) for rate in rates]
    if not rates:
        return told
    if max(where) - min(where) + 1 == len(rates):
        return f"{told}, {min(rates):g} to {max(rates):g}"
    return f"{told}, not at " + " and ".join(f"{rate:g}" for rate in of if rate not in rates)


def share(losses: pd.DataFrame, system: str, of: str) -> pd.Series:
    """Return what share of the gain of ``of``, in orders of magnitude, a system keeps."""
    return gain(losses, system) / gain(losses, of)


def lowest(results: Any) -> dict[str, str]:
    """Return each adaptive method's coordinates of the lowest median final loss, at its rate."""
    median = tuned(results).groupby(["method", "coordinates"]).final_loss.median()
    return {name: median[name].idxmin() for name in ADAPTIVE}


def told_losses(results: Any) -> str:
    """Say the adaptive methods' median final losses at their rates, the lowest first."""
    table = tuned(results)
    median = table[table.method.isin(ADAPTIVE)].groupby(["method", "coordinates"]).final_loss
    return "; ".join(
        f"{method}, {system} {number(float(loss))}"
        for (method, system), loss in median.median().sort_values().items()
    )


def catching_up(results: Any, method: str) -> pd.Series:
    """Return the share of the epochs after which EGOP coordinates pass the original ones' end.

    The first kept epoch from which on the training loss is never above it again; 1 if there is
    none before the last.
    """
    table = curves(results)
    table = table[table.method.eq(method)]
    loss = table.pivot(index="epoch", columns=["coordinates", "trial"], values="loss").fillna(
        np.inf
    )
    over = loss["EGOP"].gt(loss["original"].iloc[-1])
    last = over[::-1].idxmax().where(over.any(), -1)
    after = np.searchsorted(loss.index, last, side="right").clip(max=len(loss) - 1)
    return pd.Series(loss.index[after] / loss.index[-1], index=over.columns)


# --- the claims ---------------------------------------------------------------------------------


def _ratios(results: Any, system: str, over: str = "original", value: str = "final_loss") -> Any:
    """Return method -> the loss in one system over that in another, a value a trial."""
    table = tuned(results)
    losses = {name: wide(table, name, value) for name in ADAPTIVE}
    return {name: own[system] / own[over] for name, own in losses.items()}


def _said(found: Any) -> str:
    return ", ".join(f"{name} {quoted(values)}" for name, values in found.items())


def _improves(results: Any) -> Verdict:
    found = _ratios(results, "EGOP")
    word = together(*(below(ratio, MUCH) for ratio in found.values()))
    return Verdict(
        word,
        f"Final training loss in EGOP over original coordinates: {_said(found)} "
        f"(asked: below {MUCH:g}).",
    )


def _faster(results: Any) -> Verdict:
    found = {name: catching_up(results, name) for name in ADAPTIVE}
    return Verdict(
        together(*(below(share, FASTER) for share in found.values())),
        "Share of the epochs after which the loss in EGOP coordinates stays below the original's "
        f"last one: {_said(found)} (asked: below {FASTER:g}).",
    )


def _beats_descent(results: Any) -> Verdict:
    """Fig. 3 (a). Where a rate is at the edge of those tried, another might do better."""
    table = tuned(results)
    descent = table[table.method.isin(EQUIVARIANT)].groupby("trial").final_loss.min()
    words: list[Word] = []
    parts = []
    for name in ADAPTIVE:
        losses = wide(table, name).droplevel("learning_rate")
        for system in ("original", "EGOP"):
            ratio = losses[system] / descent
            words.append(below(ratio, 1))
            parts.append(f"{name} in {system} coordinates {quoted(ratio)}")
    known = ends(results)
    edge = [name for name in at_an_edge(known, best_rates(known)) if name in EQUIVARIANT]
    words += ["undecided"] * len(edge)
    doubt = f" The best rate of {' and '.join(edge)} is at the edge of those tried." if edge else ""
    return Verdict(
        together(*words),
        "Final training loss over the lowest of gradient descent's: "
        + ", ".join(parts)
        + f" (asked: below 1).{doubt}",
    )


def _same_descent(results: Any) -> Verdict:
    table = tuned(results)
    gaps = {name: gain(wide(table, name)).abs() * np.log(10) for name in EQUIVARIANT}
    worst = max(gap.max() for gap in gaps.values())
    return Verdict(
        "holds" if worst < 1e-6 else "fails",
        f"Largest relative difference of the final training losses: {number(float(worst))} "
        "(asked: below $10^{-6}$).",
    )


def _no_overfitting(results: Any) -> Verdict:
    best = _ratios(results, "EGOP", value="best_validation")
    table = tuned(results)
    apart = {
        name: wide(table, name, "validation_loss").EGOP / wide(table, name).EGOP
        for name in ADAPTIVE
    }
    words = [below(ratio, 1) for ratio in best.values()] + [below(r, 2) for r in apart.values()]
    return Verdict(
        together(*words),
        f"Lowest validation loss in EGOP over original coordinates: {_said(best)} (asked: below "
        f"1); final validation over training loss in EGOP coordinates: {_said(apart)} (asked: "
        "below 2).",
    )


def _at_every_rate(results: Any) -> Verdict:
    words: list[Word] = []
    parts = []
    for name in ADAPTIVE:
        gains = trained_gains(results, name)
        found = {rate: above(gains[rate].dropna(), 0) for rate in gains}
        words += list(found.values())
        lower = [rate for rate, word in found.items() if word == "holds"]
        parts.append(f"{name} at {told_rates(lower, list(found))}")
    return Verdict(
        together(*words),
        "Final training loss lower in EGOP coordinates: "
        + "; ".join(parts)
        + " (asked: every rate at which either run ends below its start).",
    )


def _more_at_large(results: Any) -> Verdict:
    """Section 3 on Fig. 3 (b): the gain grows with the rate, where runs train at all."""
    words: list[Word] = []
    parts = []
    for name in ADAPTIVE:
        gains = trained_gains(results, name)
        order = gains.apply(concordance, axis=1).dropna()
        words.append(above(order, ORDERED))
        medians = gains.median()
        parts.append(
            f"{name} {quoted(order)}, and the median gain goes from {number(medians.iloc[0])} "
            f"orders of magnitude at {gains.columns.min():g} over {number(medians.max())} at "
            f"{medians.idxmax():g} to {number(medians.iloc[-1])} at {gains.columns.max():g}"
        )
    return Verdict(
        together(*words),
        "Kendall's rank correlation of learning rate and gain: "
        + "; ".join(parts)
        + f" (asked: above {ORDERED:g}, over the rates at which either run ends below its start).",
    )


def _shares(results: Any, system: str, of: str) -> dict[str, pd.Series]:
    table = tuned(results)
    return {name: share(wide(table, name), system, of) for name in ADAPTIVE}


def _block_as_global(results: Any) -> Verdict:
    found = _shares(results, "block", "EGOP")
    return Verdict(
        together(*(within(share, *SAME) for share in found.values())),
        "Share of the global basis's gain, in orders of magnitude, that the block basis has: "
        f"{_said(found)} (asked: {SAME[0]:g} to {SAME[1]:g}).",
    )


def _block_improves(results: Any) -> Verdict:
    found = _ratios(results, "block")
    return Verdict(
        together(*(below(ratio, 1) for ratio in found.values())),
        f"Final training loss with the block basis over that in original coordinates: "
        f"{_said(found)} (asked: below 1).",
    )


def _first_for_adagrad(results: Any) -> Verdict:
    found = _shares(results, "first layer", "block")["Adagrad"]
    return Verdict(
        within(found, *SAME),
        "Share of the block basis's gain, in orders of magnitude, that the first layer's has: "
        f"{quoted(found)} (asked: {SAME[0]:g} to {SAME[1]:g}; above 1 it wins more).",
    )


def _first_for_adam(results: Any) -> Verdict:
    found = _shares(results, "first layer", "block")["Adam"]
    return Verdict(
        below(found, MARGINAL),
        "Share of the block basis's gain, in orders of magnitude, that the first layer's has: "
        f"{quoted(found)} (marginal: below {MARGINAL:g}; above 1 it wins more).",
    )


def _control(results: Any) -> Verdict:
    found = _ratios(results, "random")
    return Verdict(
        together(*(above(ratio, 2 / 3) for ratio in found.values())),
        f"Final training loss in random over original coordinates: {_said(found)} (asked: above "
        "2/3).",
    )


def _both_tuned(results: Any) -> Verdict:
    """Test hd-el-b: the advantage stays where each system has the rate of its lowest loss."""
    words: list[Word] = []
    parts = []
    for name in ADAPTIVE:
        losses = wide(ends(results), name)
        rate = {k: losses[k].groupby("learning_rate").median().idxmin() for k in losses}
        ratio = losses.EGOP[rate["EGOP"]] / losses.original[rate["original"]]
        words.append(below(ratio, MUCH))
        parts.append(f"{name} {quoted(ratio)} (rates {rate['EGOP']:g} and {rate['original']:g})")
    return Verdict(
        together(*words),
        "Final training loss in EGOP over original coordinates: "
        + ", ".join(parts)
        + f" (asked: below {MUCH:g}).",
    )


def precisions(results: Any) -> pd.DataFrame:
    """Return both precisions' runs at the rates that were run in both."""
    single, double = ends(results, "float32"), ends(results)
    run = ["trial", "method", "learning_rate", "coordinates"]
    return double.merge(single, on=run, suffixes=("", "_single"))


def _single_precision(results: Any) -> Verdict:
    """Test hd-el-c: single precision ends higher, at the loss that its rounding allows."""
    table = precisions(results).query("coordinates != 'original'")
    ratio = table.final_loss_single / table.final_loss
    found = {
        f"{name}, {system}": ratio[rows.index]
        for (name, system), rows in table.groupby(["method", "coordinates"], sort=False)
    }
    return Verdict(
        together(*(above(values, 2) for values in found.values())),
        f"Final training loss in float32 over float64: {_said(found)} (asked: above 2).",
    )


CLAIMS = (
    Claim(
        "d4-6-1-a",
        "In EGOP coordinates Adam and Adagrad reach a much lower training loss.",
        "Section 6, Fig. 3 (a)",
        _improves,
    ),
    Claim(
        "d4-6-1-b",
        "In EGOP coordinates Adam and Adagrad converge faster.",
        "Section 6, Fig. 3 (a)",
        _faster,
    ),
    Claim(
        "d4-6-1-c",
        "The adaptive methods beat gradient descent, with or without momentum, in either "
        "coordinate system.",
        "Section 6, Fig. 3 (a)",
        _beats_descent,
    ),
    Claim(
        "d4-6-1-d",
        "Gradient descent, with or without momentum, is the same in both coordinate systems.",
        "Section 6, Fig. 3 (a)",
        _same_descent,
    ),
    Claim(
        "d4-6-1-e",
        "The lower training loss is robust to the choice of the learning rate.",
        "Section 6, Fig. 3 (b)",
        _at_every_rate,
    ),
    Claim(
        "d4-6-1-f",
        "EGOP coordinates help more at large learning rates.",
        "Section 3, on Fig. 3 (b)",
        _more_at_large,
    ),
    Claim(
        "d4-6-1-g",
        "The lower training loss does not come with over-fitting.",
        "Section 6, Fig. 3 (c)",
        _no_overfitting,
    ),
    Claim(
        "d4-6-1-h",
        "With a basis for each factor alone both methods improve, too.",
        "Section 6 and Appendix C.2, Fig. 9 (b)",
        _block_improves,
    ),
    Claim(
        "d4-c-2-e",
        "A basis for each factor helps about as much as one for all parameters.",
        "Appendix C.2, Figs. 9 (a) and 9 (b)",
        _block_as_global,
    ),
    Claim(
        "d4-c-2-f",
        "For Adagrad, a basis for the first layer alone helps about as much as one for each.",
        "Section 6 and Appendix C.2, Fig. 9 (c)",
        _first_for_adagrad,
    ),
    Claim(
        "d4-c-2-g",
        "For Adam, a basis for the first layer alone helps only marginally.",
        "Section 6 and Appendix C.2, Fig. 9 (c)",
        _first_for_adam,
    ),
    Claim(
        "hd-el-a",
        "Random coordinates do not help: it is the EGOP's basis that does.",
        "a control of ours",
        _control,
    ),
    Claim(
        "hd-el-b",
        "The much lower training loss stays when each coordinate system has its own best rate.",
        "the text tunes in original coordinates; tested by us",
        _both_tuned,
    ),
    Claim(
        "hd-el-c",
        "Single precision ends higher: part of the gain is below its rounding.",
        "a question of ours",
        _single_precision,
    ),
)
