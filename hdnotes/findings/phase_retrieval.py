"""Findings of the chapter `phase_retrieval`: success curves, their crossings, and the claims."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from hdnotes.claims import Verdict, Word, share_interval, together
from hdnotes.experiments.students import epochs
from hdnotes.findings.success import (
    EQUAL,
    LARGE,
    SUCCESS,
    above,
    below,
    between,
    claim,
    crossings,
    equal,
    listed,
    runs,
    source_crossings,
    source_points,
)
from hdnotes.measures.crossings import Crossing, ratio

#: The largest learning rate of Figure 4.3.
TEXT_RATE = 0.01
#: The methods without momentum, and what each is called with it.
PLAIN = ("P-SGD", "SGD", "GD")
MOMENTA = {"none": "no momentum", "standard": "standard momentum"}
WITH = {name: f"{name} + momentum" for name in PLAIN}


# --- runs ----------------------------------------------------------------------------------------


class Base(NamedTuple):
    """The settings of Figure 4.1, which the others vary."""

    features: int
    learning_rate: float
    batch_fraction: float
    persistence: float
    epochs: int


def base(results: Any) -> Base:
    """Return the settings of Figure 4.1, the only one with Nesterov momentum."""
    (cell, *_) = [cell for cell in results.cells if "Nesterov" in cell["momenta"]]
    return Base(*(cell[name] for name in Base._fields))


def figure_methods(results: Any) -> pd.DataFrame:
    """Return the runs of Figure 4.1: Nesterov momentum or none."""
    table = _at_base(results, momentum=("none", "Nesterov"))
    return table[table.features.eq(base(results).features)]


def figure_sizes(results: Any) -> pd.DataFrame:
    """Return the runs of Figure 4.2: every p, standard momentum or none; no SGD."""
    table = _at_base(results, momentum=("none", "standard"))
    return table[table.method.isin(["P-SGD", "P-SGD + momentum", "GD"])]


def figure_rates(results: Any) -> pd.DataFrame:
    """Return the runs of Figure 4.3, each with its ``series``.

    A series is a batch fraction, along which eta moves the switch rate too; or, at the fraction of
    Figure 4.1, "steps alone" (eta moves, eta/tau is held) or "switches alone" (eta/tau moves, eta
    is held). ``factor`` is what the step or, in the last, the switch rate is multiplied by.
    """
    at = base(results)
    table = runs(results, batches="persistent", momentum=("none", "standard"))
    table = table[table.features.eq(at.features)]
    tied = table[table.persistence.eq(at.persistence)]
    parts = [rows.assign(series=f"b = {b:g}") for b, rows in tied.groupby("batch_fraction")]
    same = table[table.batch_fraction.eq(at.batch_fraction)]
    switch = (same.learning_rate / same.persistence) / (at.learning_rate / at.persistence)
    parts.append(same[np.isclose(switch, 1)].assign(series="steps alone"))
    held = same.learning_rate.eq(at.learning_rate)
    parts.append(same[held].assign(series="switches alone", switch=switch[held]))
    whole = pd.concat([one for one in parts if len(one)] or [table], ignore_index=True)
    step = whole.learning_rate / at.learning_rate
    if not len(whole):
        return whole.assign(series="", factor=1.0)
    return whole.assign(factor=whole.switch.fillna(step).round(6))


def _at_base(results: Any, **values: Any) -> pd.DataFrame:
    at = base(results)
    return runs(
        results,
        learning_rate=at.learning_rate,
        batch_fraction=at.batch_fraction,
        persistence=at.persistence,
        **values,
    )


def as_said(features: int) -> tuple[float, float, float, int]:
    """Return the text's learning rate, batch fraction, persistence and epochs."""
    return 0.005, 0.5, 2.0, epochs(features)


def panels(table: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Add the ``panel`` of each row: whether there is momentum (4.1), or p (4.2)."""
    if figure == "4.1":
        words = table.method.str.endswith("momentum").map({True: "Nesterov", False: "no"})
        return table.assign(panel=words + " momentum").sort_values(
            "panel", ascending=False, kind="stable"
        )
    return table.assign(panel=[f"$p = {p}$" for p in table.features]).sort_values(
        "features", kind="stable"
    )


def residence(results: Any) -> float:
    """Return the mean number of steps that P-SGD keeps a sample in, b tau / ((1 - b) eta)."""
    at = base(results)
    odds = at.batch_fraction / (1 - at.batch_fraction)
    return odds * at.persistence / at.learning_rate


def published(results: Any, figure: str) -> pd.DataFrame:
    """Return the source's points of a figure; none where the settings are not the text's."""
    at, table = base(results), source_points(figure)
    return table if at[1:] == as_said(at.features) else table.head(0)


def floor_share(features: int) -> float:
    """Return the share of teachers left as drawn whose error cannot fall below 5e-3.

    The student has norm sqrt(p) and the teacher not: what remains is 1.5 delta^2 with
    delta = ||w*||^2/p - 1, and ||w*||^2 is chi^2 with p degrees of freedom.

    Examples
    --------
    >>> round(floor_share(1024), 2)
    0.19
    """
    delta = (SUCCESS / 1.5) ** 0.5
    law = chi2(features)
    return float(law.sf(features * (1 + delta)) + law.cdf(features * (1 - delta)))


# --- the claims ----------------------------------------------------------------------------------


def _if_said(at: Base, word: Word) -> Word:
    """Leave a number of the text undecided where p is small or the settings are not the text's."""
    return word if at.features >= LARGE and at[1:] == as_said(at.features) else "undecided"


def _advantage(results: Any) -> Verdict:
    found = crossings(figure_methods(results))
    best, others = found["P-SGD"], {name: found[name] for name in ("SGD", "GD")}
    return Verdict(
        together(*(below(ratio(best, other), 1) for other in others.values())),
        rf"50 % crossings in $\alpha$: P-SGD {best}, {listed(others)}.",
    )


def _no_effect(results: Any) -> Verdict:
    found = crossings(figure_methods(results))
    pairs = {name: ratio(found[WITH[name]], found[name]) for name in ("GD", "SGD")}
    return Verdict(
        together(*(between(pair, 1 / EQUAL, EQUAL) for pair in pairs.values())),
        f"Crossing with Nesterov momentum over that without: {listed(pairs)}; equal means within "
        f"{100 * (EQUAL - 1):.0f} %.",
    )


def _momentum_helps(results: Any) -> Verdict:
    found = crossings(figure_methods(results))
    with_it, without = found["P-SGD + momentum"], found["P-SGD"]
    return Verdict(
        below(ratio(with_it, without), 1),
        f"P-SGD crosses at {with_it} with momentum and at {without} without it.",
    )


def _around_two(results: Any) -> Verdict:
    """Test d2-4-1-d: the interval lies within 1.8 to 2.2."""
    at = base(results)
    found = crossings(figure_methods(results))["P-SGD + momentum"]
    theirs = source_crossings("4.1")["P-SGD + momentum"]
    return Verdict(
        _if_said(at, between(found, 1.8, 2.2)),
        f"Ours crosses at {found}, at p = {at.features} within {at.epochs:,} epochs; "
        f"the same fit to the source's own points gives {theirs}.",
    )


def _same_order(results: Any) -> Verdict:
    found = crossings(figure_sizes(results), ("features", "method"))
    words, parts = [], []
    for size in _sizes(found):
        at = [found[size, name] for name in ("P-SGD + momentum", "P-SGD", "GD")]
        words += [below(ratio(*pair), 1) for pair in pairwise(at)]
        parts.append(f"p = {size}: " + " < ".join(f"{one.middle:.2f}" for one in at))
    return Verdict(
        together(*words), "P-SGD with momentum, P-SGD, GD cross at " + "; ".join(parts) + "."
    )


def _sizes(found: dict[Any, Crossing]) -> list[int]:
    return sorted({size for size, _ in found})


def _drift(results: Any, method: str) -> tuple[Crossing, str]:
    """Return the crossing at the largest p over that at the smallest, and all of them in words."""
    found = crossings(figure_sizes(results), ("features", "method"))
    at = {size: found[size, method] for size in _sizes(found)}
    words = ", ".join(f"{value} at p = {size}" for size, value in at.items())
    return ratio(at[max(at)], at[min(at)]), f"{method} crosses at {words}"


def _gd_drifts(results: Any) -> Verdict:
    moved, words = _drift(results, "GD")
    return Verdict(above(moved, 1), f"{words}; largest over smallest p: {moved}.")


def _stays(results: Any) -> Verdict:
    moved, words = _drift(results, "P-SGD + momentum")
    found = crossings(figure_sizes(results), ("features", "method"))
    near = [between(found[size, "P-SGD + momentum"], 1.8, 2.2) for size in _sizes(found)]
    theirs = [
        f"{value} at p = {size}"
        for (size, method), value in source_crossings("4.2", ("features", "method")).items()
        if method == "P-SGD + momentum"
    ]
    return Verdict(
        _if_said(base(results), together(between(moved, 1 / EQUAL, EQUAL), *near)),
        f"{words}; the source's own points: {', '.join(theirs)}.",
    )


def _nesterov(results: Any) -> Verdict:
    table = _at_base(results, batches="persistent", momentum=("Nesterov", "standard"))
    table = table[table.features.eq(base(results).features)]
    sizes = table.groupby("alpha").momentum.nunique()
    table = table[table.alpha.isin(sizes[sizes == 2].index)]
    found = crossings(table, ("momentum",))
    return Verdict(
        equal(found["Nesterov"], found["standard"]),
        f"With momentum P-SGD crosses at: {listed(found)}.",
    )


def _rate_crossings(results: Any) -> dict[Any, Crossing]:
    return crossings(figure_rates(results), ("series", "momentum", "factor"))


def _ends(results: Any) -> tuple[float, float]:
    """Return the smallest and largest factor on eta, up to the text's own largest."""
    table, at = figure_rates(results), base(results)
    rates = table.learning_rate[table.learning_rate <= TEXT_RATE]
    if rates.nunique() < 2:
        raise KeyError("learning rates")
    return round(rates.min() / at.learning_rate, 6), round(rates.max() / at.learning_rate, 6)


def _fractions(found: dict[Any, Crossing]) -> list[str]:
    names = sorted({series for series, *_ in found if series.startswith("b")})
    if not names:
        raise KeyError("batch fractions")
    return names


def _gains(results: Any, series: Sequence[str]) -> dict[str, Crossing]:
    """Return each series' crossing at the largest factor over that at the smallest."""
    found, (low, high) = _rate_crossings(results), _ends(results)
    return {
        f"{name}, {word}": ratio(found[name, momentum, high], found[name, momentum, low])
        for name in series
        for momentum, word in MOMENTA.items()
    }


def _larger_rates(results: Any) -> Verdict:
    gains = _gains(results, _fractions(_rate_crossings(results)))
    return Verdict(
        together(*(below(gain, 1) for gain in gains.values())),
        f"Crossing at the largest learning rate over that at the smallest: {listed(gains)}.",
    )


def _smaller_batches(results: Any) -> Verdict:
    found = _rate_crossings(results)
    small, large = (_fractions(found)[k] for k in (0, -1))
    if small == large:
        raise KeyError(small)
    factors = sorted({1.0, *_ends(results)})
    ratios = {
        rf"$\eta \times {factor:g}$, {word}": ratio(
            found[small, momentum, factor], found[large, momentum, factor]
        )
        for momentum, word in MOMENTA.items()
        for factor in factors
    }
    return Verdict(
        together(*(below(one, 1) for one in ratios.values())),
        f"Crossing at {small} over that at {large}: {listed(ratios)}.",
    )


def _steps(results: Any) -> Verdict:
    """Test hd-pr-a: larger steps help by themselves."""
    gains = _gains(results, ["steps alone"])
    return Verdict(together(*(below(gain, 1) for gain in gains.values())), _grown(results, gains))


def _switches(results: Any) -> Verdict:
    """Test hd-pr-b: faster switches by themselves do not help, up to what counts as equal."""
    gains = _gains(results, ["switches alone"])
    words = [between(gain, 1 / EQUAL, inf) for gain in gains.values()]
    return Verdict(together(*words), _grown(results, gains))


def _grown(results: Any, gains: dict[str, Crossing]) -> str:
    low, high = _ends(results)
    return f"Crossing after a growth of {high / low:g} times over that before: {listed(gains)}."


def _unstable(results: Any) -> Verdict:
    """Test d2-4-3-c: beyond the text's largest eta the crossing moves up."""
    found, text = _rate_crossings(results), _ends(results)[1]
    large = _fractions(found)[-1]
    beyond = max(factor for series, _, factor in found if series == large)
    if beyond <= text:
        return Verdict("undecided", f"No learning rate above {TEXT_RATE:g} was run.")
    ratios = {
        word: ratio(found[large, momentum, beyond], found[large, momentum, text])
        for momentum, word in MOMENTA.items()
    }
    return Verdict(
        together(*(above(one, 1) for one in ratios.values())),
        f"Crossing at {beyond / text:g} times the text's largest learning rate over that at it, "
        f"{large}: {listed(ratios)}.",
    )


def ways(results: Any) -> pd.DataFrame:
    """Return the runs of the checks, with the ``way`` of each and what it was ``judged``."""
    table = runs(results, "check")
    way = np.select(
        [table.judged_on.eq("100 points"), table.teacher.eq("as drawn")],
        ["judged on 100 test points", "teacher as drawn"],
        "as in this chapter",
    )
    table = table.assign(way=way, judged=table.success)
    sampled = table.way.eq("judged on 100 test points")
    table.loc[sampled, "judged"] = table.sampled_error[sampled] < SUCCESS
    return table


def way_rows(results: Any) -> list[list[str]]:
    """Return the rows of the page's table: way, method, share judged a success, true share."""
    rows = []
    for (way, method), group in ways(results).groupby(["way", "method"], sort=True):
        words = []
        for column in ("judged", "success"):
            low, share, high = share_interval(int(group[column].sum()), len(group))
            words.append(f"{share:.2f} ({low:.2f} to {high:.2f})")
        rows.append([str(way), str(method), *words, str(len(group))])
    return rows


CLAIMS = (
    claim(
        "d2-4-1-a",
        "P-SGD needs far fewer samples than GD and SGD.",
        "Section 4.1, item 2; Figure 4.1",
        _advantage,
    ),
    claim(
        "d2-4-1-b",
        "Momentum does little for GD and SGD.",
        "Section 4.1, item 1; Figure 4.1",
        _no_effect,
    ),
    claim(
        "d2-4-1-c",
        "Momentum helps P-SGD further.",
        "Section 4.1, item 3; Figure 4.1",
        _momentum_helps,
    ),
    claim(
        "d2-4-1-d",
        "With momentum P-SGD converges at sample complexities around 2.0.",
        "caption of Figure 4.1",
        _around_two,
    ),
    claim(
        "d2-4-2-a",
        "The order of P-SGD with momentum, P-SGD and GD is the same at every p.",
        "Section 4.1; Figure 4.2",
        _same_order,
        sizes=2,
    ),
    claim(
        "d2-4-2-b",
        r"GD's curve moves to larger $\alpha$ as $p$ grows.",
        "Section 4.1; Figure 4.2",
        _gd_drifts,
        sizes=2,
    ),
    claim(
        "d2-4-2-c",
        "P-SGD with momentum has its transition around 2.0 at every p.",
        "Section 4.1; Figure 4.2",
        _stays,
        sizes=2,
    ),
    claim(
        "d2-4-2-d",
        "Nesterov and standard momentum make no difference.",
        "Section 4.1, on Figure 4.2",
        _nesterov,
    ),
    claim("d2-4-3-a", "Larger learning rates do better.", "caption of Figure 4.3", _larger_rates),
    claim("d2-4-3-b", "A smaller batch may help a bit.", "caption of Figure 4.3", _smaller_batches),
    claim(
        "hd-pr-a",
        "A larger learning rate helps by its longer steps, with the switch rate held.",
        "the text changes both at once; tested by us",
        _steps,
    ),
    claim(
        "hd-pr-b",
        "The faster switches that P-SGD ties to the learning rate do not help by themselves.",
        "the text changes both at once; tested by us",
        _switches,
    ),
    claim(
        "d2-4-3-c",
        "Still larger learning rates make the dynamics unstable.",
        "caption of Figure 4.3",
        _unstable,
    ),
)
