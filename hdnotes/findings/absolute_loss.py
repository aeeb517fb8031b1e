"""Findings of the chapter `absolute_loss`: success under two losses, their crossings, the claims.

A run is judged twice: by the error in its own loss, as the source did, and by the error that its
weights have under the quadratic loss, which asks the same of both.
"""

from functools import partial
from typing import Any

import pandas as pd
import torch
from scipy.optimize import brentq

from hdnotes.claims import Verdict, Word, share_interval, together
from hdnotes.experiments.absolute_loss import ABSOLUTE, FLATTER, QUADRATIC
from hdnotes.experiments.students import RECOVERED
from hdnotes.findings.success import (
    EQUAL,
    SUCCESS,
    above,
    below,
    between,
    claim,
    crossings,
    listed,
    rising,
    scale_of,
)
from hdnotes.measures.crossings import Crossing, ratio, shares
from hdnotes.problems.phase_retrieval import absolute_kernel, square_kernel

#: Crossings nearer than this, as a factor, are "roughly the same".
ROUGHLY = 1.25
#: The share of successes that two overlaps may judge differently and still be called the same.
FEW = 0.05
LOSSES = {ABSOLUTE: "absolute loss", QUADRATIC: "quadratic loss"}
GD_AND_SGD, P_SGD = ("GD", "SGD + momentum"), ("P-SGD", "P-SGD + momentum")
KERNELS = {ABSOLUTE: (absolute_kernel, 1.0), QUADRATIC: (square_kernel, 3.0)}


def error(loss: str, overlap: float) -> float:
    r"""Return the exact test error 1/2 E (a - y)^2 of one hidden unit of norm sqrt(p).

    Quadratic: 2 (1 - m^2). Absolute: 1 - (2/pi) (sqrt(1 - m^2) + m asin m).

    Examples
    --------
    >>> error("quadratic", 0.5), round(error("absolute", 0.0), 4), error("absolute", 1.0)
    (1.5, 0.3634, 0.0)
    """
    kernel, square = KERNELS[loss]
    m = torch.tensor(overlap, dtype=torch.float64)
    return square - float(kernel(m, torch.ones_like(m)))


def overlap_at(loss: str, bar: float) -> float:
    """Return the overlap at which the error of one hidden unit falls to ``bar``.

    Examples
    --------
    >>> [round(overlap_at(loss, 5e-3), 5) for loss in ("quadratic", "absolute")]
    [0.99875, 0.99477]
    """
    return float(brentq(lambda m: error(loss, m) - bar, 0, 1, xtol=1e-12))


# --- runs ----------------------------------------------------------------------------------------


def runs(results: Any, kind: str = "loss") -> pd.DataFrame:
    """Return a kind's runs, a row a run: success in its ``own`` loss and at ``equal`` overlap."""
    table = results.table("runs")
    table = table[table.kind.eq(kind)]
    own, equal = table.test_error < SUCCESS, table.quadratic_error < SUCCESS
    return table.assign(own=own, equal=equal, success=own, loss=table.channel.map(LOSSES))


def panels(table: pd.DataFrame) -> pd.DataFrame:
    """Return success shares, a ``panel`` for each loss and width."""
    found = shares(table, ("loss", "hidden", "method"))
    order = found.sort_values(["hidden", "loss"], kind="stable")
    return order.assign(panel=order.loss + ", $d = " + order.hidden.astype(str) + "$")


def orders(results: Any) -> str:
    """Say in which order the curves of each panel rise."""
    found, parts = found_crossings(results), []
    for hidden, loss in ((d, loss) for d in (1, 2) for loss in LOSSES):
        rows = {name: one for (of, d, name), one in found.items() if (of, d) == (loss, hidden)}
        if rows:
            parts.append(f"{LOSSES[loss]}, d = {hidden}: {rising(rows)}")
    return "; ".join(parts)


def same_ends(results: Any, method: str = "GD") -> str:
    """Say of how many runs the larger learning rate changes the verdict, and how it compares."""
    keys, faster = ["alpha", "set", "start"], runs(results, "rate")
    slow = runs(results).query("channel == @ABSOLUTE and hidden == 1")
    pairs = slow[slow.method.eq(method)].merge(
        faster[faster.method.eq(method)], on=keys, suffixes=("", "_faster")
    )
    if not len(pairs):
        return "The larger learning rate was not run."
    same = (pairs.success == pairs.success_faster).sum()
    done = pairs[pairs.success & pairs.success_faster]
    words = f"With {method} {same} of the {len(pairs)} runs get the same verdict at both rates"
    if len(done):
        share = (done.epochs / done.epochs_faster).median()
        words += f", {len(done)} as successes, which take {share:.1f} times as long at the smaller"
    return words + " (median; the same starts on the same data)." * bool(len(done))


def bars() -> list[list[str]]:
    """Return the rows of the page's table: an error, and the overlap it means in each loss."""
    return [
        [words, *(f"{overlap_at(loss, bar):.5f}" for loss in LOSSES)]
        for words, bar in {"success, 5·10⁻³": SUCCESS, "end of a run, 10⁻³": RECOVERED}.items()
    ]


def found_crossings(results: Any, *methods: str) -> dict[Any, Crossing]:
    """Return the crossings of Figure 4.9 and its control by loss, width and method."""
    table = runs(results)
    chosen = table[table.method.isin(methods)] if methods else table
    return crossings(chosen, ("channel", "hidden", "method"))


def crossing_rows(results: Any) -> list[list[str]]:
    """Return the rows of the page's table: method, width, and the crossing in each way.

    The ways: the absolute loss judged in itself and at equal overlap, the quadratic loss, and the
    absolute loss with the larger learning rate.
    """
    table = runs(results)
    absolute = table[table.channel.eq(ABSOLUTE)]
    equal = crossings(absolute.assign(success=absolute.equal), ("hidden", "method"))
    found, faster = found_crossings(results), crossings(runs(results, "rate"), ("hidden", "method"))
    return [
        [
            method,
            str(hidden),
            str(found[ABSOLUTE, hidden, method]),
            str(equal[hidden, method]),
            str(found[QUADRATIC, hidden, method]),
            str(faster.get((hidden, method), "not run")),
        ]
        for hidden, method in equal
    ]


def by_data_set(results: Any) -> list[list[str]]:
    """Return, for each method under the absolute loss, the successes on each data set.

    At the alpha where the share is nearest to one half: rows of method, alpha and counts.
    """
    table, rows = runs(results), []
    for (hidden, method), group in table[table.channel.eq(ABSOLUTE)].groupby(["hidden", "method"]):
        share = group.groupby("alpha").success.mean()
        at = (share - 0.5).abs().idxmin()
        counts = group[group.alpha.eq(at)].groupby("set").success.agg(["sum", "size"])
        words = ", ".join(f"{k} of {n}" for k, n in counts.itertuples(index=False))
        rows.append([str(method), str(hidden), f"{at:g}", words])
    return rows


# --- the claims ----------------------------------------------------------------------------------


def _against(results: Any, methods: tuple[str, ...], hidden: int = 1) -> dict[str, Crossing]:
    """Return the crossing with the absolute loss over that with the quadratic one."""
    found = found_crossings(results, *methods)
    return {
        name: ratio(found[ABSOLUTE, hidden, name], found[QUADRATIC, hidden, name])
        for name in methods
    }


def _widened(results: Any, methods: tuple[str, ...]) -> dict[str, Crossing]:
    """Return the crossing with two hidden units over that with one, with the absolute loss."""
    found = found_crossings(results, *methods)
    return {name: ratio(found[ABSOLUTE, 2, name], found[ABSOLUTE, 1, name]) for name in methods}


AGAINST = "Crossing with the absolute loss over that with the quadratic loss"


def _hinders(results: Any) -> Verdict:
    ratios = _against(results, GD_AND_SGD)
    words = [above(one, 1) for one in ratios.values()]
    return Verdict(together(*words), f"{AGAINST}: {listed(ratios, words)}.")


def _roughly(results: Any) -> Verdict:
    ratios = _against(results, P_SGD)
    words = [between(one, 1 / ROUGHLY, ROUGHLY) for one in ratios.values()]
    return Verdict(
        together(*words),
        f"{AGAINST}: {listed(ratios, words)}; roughly the same means "
        f"within {100 * (ROUGHLY - 1):.0f} %.",
    )


def _units_help(results: Any) -> Verdict:
    ratios = _widened(results, GD_AND_SGD)
    words = [below(one, 1) for one in ratios.values()]
    return Verdict(
        together(*words),
        f"Crossing with two hidden units over that with one: {listed(ratios, words)}.",
    )


def _units_do_nothing(results: Any) -> Verdict:
    ratios = _widened(results, P_SGD)
    words = [between(one, 1 / ROUGHLY, ROUGHLY) for one in ratios.values()]
    return Verdict(
        together(*words),
        f"Crossing with two hidden units over that with one: {listed(ratios, words)}; no "
        f"difference means within {100 * (ROUGHLY - 1):.0f} %.",
    )


def _quadratic_wins(results: Any) -> Verdict:
    """Test d2-4-9-e: with both widths and all methods the quadratic loss needs fewer samples."""
    ratios = {
        f"{name} (d = {hidden})": one
        for hidden in (1, 2)
        for name, one in _against(results, GD_AND_SGD + P_SGD, hidden).items()
    }
    words = [above(one, 1) for one in ratios.values()]
    return Verdict(together(*words), f"{AGAINST}: {listed(ratios, words)}.")


def _same_bar(results: Any) -> Verdict:
    """Test hd-al-a: of the successes few would be none at the larger overlap."""
    table = runs(results)
    table = table[table.channel.eq(ABSOLUTE)]
    words, parts = [], []
    for names in (P_SGD, GD_AND_SGD):
        won = table[table.own & table.method.isin(names)]
        if not len(won):
            raise KeyError("successes")
        low, share, high = share_interval(int((~won.equal).sum()), len(won))
        words.append(_few(low, high))
        parts.append(
            f"{' and '.join(names)} {(~won.equal).sum()} of {len(won)}, a share of {share:.3f} "
            f"({low:.3f} to {high:.3f}) [{words[-1]}]"
        )
    lax, strict = (overlap_at(loss, SUCCESS) for loss in (ABSOLUTE, QUADRATIC))
    return Verdict(
        together(*words),
        f"Of the runs that succeed, those that end between the overlaps {lax:.4f} and "
        f"{strict:.5f}, which an error of 5·10⁻³ means in the two losses: {'; '.join(parts)}. No "
        f"change means less than {FEW:g}.",
    )


def _few(low: float, high: float) -> Word:
    return "holds" if high < FEW else "fails" if low >= FEW else "undecided"


def _faster(results: Any, methods: tuple[str, ...]) -> tuple[dict[str, Crossing], str]:
    """Return the crossing at the larger learning rate over that of the quadratic loss."""
    found = found_crossings(results, *methods)
    table = runs(results, "rate")
    faster = crossings(table[table.method.isin(methods)])
    ratios = {name: ratio(faster[name], found[QUADRATIC, 1, name]) for name in methods}
    both = ", ".join(f"{name} {found[ABSOLUTE, 1, name]} and {faster[name]}" for name in methods)
    return ratios, (
        f"Crossings with the absolute loss at the learning rate and at {FLATTER} times it: {both}. "
        f"The latter over that with the quadratic loss: {listed(ratios)}."
    )


def _only_slow(results: Any) -> Verdict:
    ratios, words = _faster(results, P_SGD)
    found = {name: between(one, 0, ROUGHLY) for name, one in ratios.items()}
    each = ", ".join(f"{name} [{word}]" for name, word in found.items())
    return Verdict(together(*found.values()), f"{words} Below {ROUGHLY:g}: {each}.")


def _not_only_slow(results: Any) -> Verdict:
    ratios, words = _faster(results, ("GD",))
    return Verdict(above(ratios["GD"], EQUAL), f"{words} Asked: above {EQUAL:g}.")


SCALE = partial(scale_of, kind="loss")

CLAIMS = (
    claim(
        "d2-4-9-a",
        "The absolute loss hinders GD and SGD.",
        "caption of Figure 4.9",
        _hinders,
        scale=SCALE,
    ),
    claim(
        "d2-4-9-b",
        "P-SGD does roughly as well with it as with the quadratic loss.",
        "caption of Figure 4.9",
        _roughly,
        scale=SCALE,
    ),
    claim(
        "d2-4-9-c",
        "With the absolute loss, a second hidden unit helps GD and SGD.",
        "caption of Figure 4.9",
        _units_help,
        scale=SCALE,
    ),
    claim(
        "d2-4-9-d",
        "A second hidden unit makes no difference to P-SGD.",
        "caption of Figure 4.9",
        _units_do_nothing,
        scale=SCALE,
    ),
    claim(
        "d2-4-9-e",
        "The quadratic loss needs fewer samples with every method.",
        "caption of Figure 4.9",
        _quadratic_wins,
        scale=SCALE,
    ),
    claim(
        "hd-al-a",
        "That 5·10⁻³ asks for less overlap in the absolute loss does not change who succeeds.",
        "our question",
        _same_bar,
    ),
    claim(
        "hd-al-b",
        "What P-SGD loses is speed: with four times the learning rate it does as well as with the "
        "quadratic loss.",
        "our question",
        _only_slow,
        scale=SCALE,
    ),
    claim(
        "hd-al-c",
        "What GD loses is more: with four times the learning rate it still needs more samples.",
        "our question",
        _not_only_slow,
        scale=SCALE,
    ),
)
