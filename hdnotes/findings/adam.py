"""Findings of the chapter `adam`: rates of convergence, formulas against moves, and ablations."""

import math
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, above, below, quoted, together, within
from hdnotes.experiments.adam import (
    CORRECTED,
    EACH,
    FULL,
    GROWING,
    NO_ADAPTATION,
    NO_CORRECTION,
    NO_MOMENTUM,
    ONE,
    STEADY,
)
from hdnotes.theory import adam as theory
from hdnotes.theory.convex_rates import accelerated_bound, lower_bound
from hdnotes.wording import number

__all__ = ["CLAIMS"]

#: Slopes are fitted from this update on.
SETTLED = 30
#: Two runs, or a move and its formula, are one up to this relative gap.
ROUNDING = 1e-9
#: A method this many times above the lower bound is still called optimal.
NEAR = 6
#: A part matters if without it the training loss is this many times as large.
DEAL = 1.5
#: A second cut beside `CORRECTED`: moves that are a tenth too long.
TENTH = 1.1
EXACT, ACCELERATED, USUAL = "Adam, eps = 0", "Nesterov, growing", "GD + momentum"
BETAS = (0.9, 0.999)


def rates(results: Any, problem: str) -> pd.DataFrame:
    """Return the suboptimality along the runs on one problem, from the first update on."""
    table = results.table("rates").replace({"method": {"Nesterov": ACCELERATED}})
    return table[table.problem.eq(problem) & table.step.gt(0)]


def slopes(results: Any, problem: str, method: str) -> list[float]:
    """Return the slope of log suboptimality on log updates of each trial."""
    table = rates(results, problem)
    table = table[table.method.eq(method) & table.step.ge(SETTLED)]
    return [
        float(np.polyfit(np.log(rows.step), np.log(rows.suboptimality), 1)[0])
        for _, rows in table.groupby("trial")
    ]


def slope_rows(results: Any) -> list[list[str]]:
    """Return the slopes of every method on both problems as rows of text."""
    methods = dict.fromkeys(rates(results, "quadratic").method)
    return [
        [
            method,
            *(quoted(slopes(results, name, method), 3) for name in ("quadratic", "log-sum-exp")),
        ]
        for method in methods
    ]


def bounds(results: Any) -> pd.DataFrame:
    """Return the runs on Nesterov's function with both bounds, at updates up to half of d."""
    table = rates(results, "worst")
    table = table[table.step <= (table.d - 1) / 2]
    sizes = zip(table.smoothness, table.distance, table.step, strict=True)
    return table.assign(
        upper=[accelerated_bound(*size) for size in sizes],
        lower=[lower_bound(d, step) for d, step in zip(table.d, table.step, strict=True)],
    )


def corrections(results: Any) -> pd.DataFrame:
    """Return the ratio of moves without and with bias correction, with the formula's."""
    table = results.table("correction")
    formula = [
        theory.correction(step, 0.0, beta)
        for step, beta in zip(table.step, table.beta, strict=True)
    ]
    names = [f"$\\beta_2$ = {beta:g}" for beta in table.beta]
    return table.assign(formula=formula, run=names)


def noises(results: Any) -> pd.DataFrame:
    """Return the mean size of a move against the noise of gradients, with the formula's."""
    table = results.table("noise")
    formula = [theory.noisy_move(noise, BETAS[0]) for noise in table.noise]
    return table.assign(formula=formula)


def finite_noises(results: Any) -> pd.DataFrame:
    """Return medians of size and progress of a move under noise, each with its formula."""
    table = noises(results)
    table = table[np.isfinite(table.noise) & table.noise.gt(0)]
    middle = table.groupby("noise", as_index=False)[["size", "progress", "formula"]].median()
    progress = [theory.noisy_progress(noise) for noise in middle.noise]
    rows = [
        middle.assign(run="size of a move", value=middle["size"]),
        middle.assign(run="progress", value=middle.progress, formula=progress),
    ]
    return pd.concat(rows)[["run", "noise", "value", "formula"]]


def spikes(results: Any) -> pd.DataFrame:
    """Return Adam's moves after a long silence, under ``run`` which stream follows it."""
    table = results.table("spikes")
    return table.assign(run=table.stream)


def scales(results: Any) -> pd.DataFrame:
    """Return the gap that a factor of all gradients makes, floored where it is 0."""
    table = results.table("scale")
    table = table[table.change != EACH]
    return table.assign(gap=table.gap.clip(lower=1e-18), run=table.method)


def ablation(results: Any) -> pd.DataFrame:
    """Return the late training loss against the rate; SGD's rates are divided by 100."""
    table = results.table("ablation")
    shown = table.lr.where(table.variant.ne(NO_ADAPTATION), table.lr / 100)
    return table.assign(shown=shown, run=table.variant)


def best(results: Any, column: str = "late") -> pd.DataFrame:
    """Return each trial's loss of each variant at the rate with the lowest median."""
    table = results.table("ablation")
    median = table.groupby(["variant", "lr"])[column].median()
    chosen = {variant: rows.idxmin()[1] for variant, rows in median.groupby("variant")}
    own = table.lr.eq(table.variant.map(chosen))
    return table[own].pivot(index="trial", columns="variant", values=column)


def width(results: Any) -> dict[str, int]:
    """Return at how many of the rates the loss is at most twice that of each variant's best."""
    median = results.table("ablation").groupby(["variant", "lr"]).late.median()
    return {
        str(variant): int((rows < 2 * rows.min()).sum())
        for variant, rows in median.groupby("variant")
    }


def at_ten_times(results: Any) -> pd.DataFrame:
    """Return each trial's late loss of each variant at ten times Adam's own best rate."""
    table = results.table("ablation")
    own = table[table.variant.eq(FULL)]
    rate = 10 * own.groupby("lr").late.median().idxmin()
    chosen = table[np.isclose(table.lr, rate if np.isclose(own.lr, rate).any() else own.lr.max())]
    return chosen.pivot(index="trial", columns="variant", values="late")


def against_adam(results: Any) -> str:
    """Say of each part that is taken away what the loss at the best rate then is, over Adam's."""
    found = best(results)
    ratios = {name: found[name] / found[FULL] for name in found if name != FULL}
    told = [f"{quoted(ratio)} {name}" for name, ratio in ratios.items()]
    better = [name for name, ratio in ratios.items() if below(ratio, 1) == "holds"]
    end = f"So Adam is beaten here by Adam {' and '.join(better)}." if better else ""
    return f"Each at its best rate, the loss over that of Adam is {', '.join(told)}. {end}"


def ablation_rows(results: Any) -> list[list[str]]:
    """Return the ablation as rows of text: best rate, loss there, rates that do nearly as well."""
    table = results.table("ablation")
    found, wide = best(results), width(results)
    median = table.groupby(["variant", "lr"]).late.median()
    return [
        [name, number(median[name].idxmin()), quoted(found[name], 3), str(wide[name])]
        for name in (FULL, NO_MOMENTUM, NO_CORRECTION, NO_ADAPTATION)
    ]


# --- the claims ----------------------------------------------------------------------------------


def _accelerates(results: Any) -> Verdict:
    found = {
        (name, method): slopes(results, name, method)
        for name in ("quadratic", "log-sum-exp")
        for method in ("GD", ACCELERATED)
    }
    words = [within(found[name, "GD"], -1.3, -0.7) for name in ("quadratic", "log-sum-exp")]
    words += [below(found[name, ACCELERATED], -1.6) for name in ("quadratic", "log-sum-exp")]
    return Verdict(
        together(*words),
        f"Slope of log error on log updates, from update {SETTLED} on: "
        + "; ".join(
            f"{method} on the {name} {quoted(values, 3)}"
            for (name, method), values in found.items()
        )
        + ". (Asked: −1.3 to −0.7 for GD, below −1.6 for Nesterov.)",
    )


def _optimal(results: Any) -> Verdict:
    table = bounds(results)
    rows = table[table.method.eq(ACCELERATED)]
    ratio = rows.suboptimality / rows.lower
    inside = (rows.suboptimality <= rows.upper) & (ratio >= 1) & (ratio <= NEAR)
    plain = table[table.method.eq("GD")]
    slower = (plain.suboptimality / plain.lower).iloc[-1]
    return Verdict(
        together("holds" if inside.all() else "fails", "holds" if slower > NEAR else "fails"),
        f"At all {len(rows)} recorded updates up to {rows.step.max():,} Nesterov's error is "
        f"{number(ratio.min())} to {number(ratio.max())} times the least that any method could "
        f"have (asked: at most {NEAR}, and below his bound). Gradient descent ends at "
        f"{number(slower)} times (asked: more). (No chance is involved: one function, one run.)",
    )


def _usual(results: Any) -> Verdict:
    names = ("quadratic", "log-sum-exp")
    late = {name: _late_ratio(results, name) for name in names}
    return Verdict(
        together(*(within(values, 5, 20) for values in late.values())),
        "Updates that GD needs for the error at which momentum 0.9 ends, over those that momentum "
        "needs: "
        + "; ".join(f"{name} {quoted(values)}" for name, values in late.items())
        + " (asked: 5 to 20, around 1/(1 − 0.9)).",
    )


def _late_ratio(results: Any, problem: str) -> list[float]:
    """Return GD's updates to an error over those of momentum 0.9, at the last error GD reaches."""
    table = rates(results, problem)
    ratios = []
    for _, rows in table.groupby("trial"):
        plain, usual = (rows[rows.method.eq(name)] for name in ("GD", USUAL))
        level = plain.suboptimality.iloc[-1]
        needed = np.interp(
            -np.log(level), -np.log(usual.suboptimality.cummin()), np.log(usual.step)
        )
        ratios.append(float(plain.step.iloc[-1] / np.exp(needed)))
    return ratios


def _formula(results: Any, name: str) -> pd.Series:
    table = results.table("streams")
    return table[table.formula.eq(name)].gap


def _adagrad(results: Any) -> Verdict:
    mean, root, total = (
        _formula(results, f"Adagrad, inverse {words}")
        for words in ("mean of squares", "root of the mean", "root of the sum")
    )
    return Verdict(
        below(mean, ROUNDING),
        "Largest relative gap between torch's moves and a formula on random gradients: "
        f"{quoted(mean)} for the inverse mean of squares (asked: below $10^{{-9}}$), "
        f"{quoted(root)} for the inverse root of the mean, {number(total.max())} for the inverse "
        "root of the *sum*, which is what Adagrad does.",
    )


def _equally(results: Any) -> Verdict:
    gap = _formula(results, "Adagrad, past in another order")
    return Verdict(
        below(gap, ROUNDING),
        "With the past gradients in reverse order the next move changes by at most "
        f"{number(gap.max())} of itself (asked: below $10^{{-9}}$).",
    )


def _recent(results: Any) -> Verdict:
    weights, order = (
        _formula(results, f"RMSprop, {words}")
        for words in ("weights alpha^k", "past in another order")
    )
    return Verdict(
        together(below(weights, ROUNDING), above(order, 0.01)),
        r"With weights $\alpha^k$ for the square $k$ updates ago the formula is torch's move to "
        f"within {number(weights.max())}; the past in reverse order changes it by {quoted(order)} "
        "of itself.",
    )


def _parts(results: Any) -> Verdict:
    whole, part = (
        _formula(results, f"Adam, {words}") for words in ("its three parts", "no correction")
    )
    return Verdict(
        together(below(whole, ROUNDING), above(part, 0.01)),
        "An average of gradients over the root of an average of squares, each corrected for its "
        f"empty start, is torch's move to within {number(whole.max())}; without the correction "
        f"the two differ by up to {quoted(part)} of the move.",
    )


def _big_deal(results: Any) -> Verdict:
    losses = {
        "late in training, at the best rate of each": best(results),
        "early in training, at the best rate of each": best(results, "early"),
        "at ten times Adam's best rate": at_ten_times(results),
    }
    ratios = {words: found[NO_CORRECTION] / found[FULL] for words, found in losses.items()}
    return Verdict(
        together(*(above(ratio, DEAL) for ratio in ratios.values())),
        "Training loss without the correction over that with it: "
        + "; ".join(f"{quoted(ratio)} {words}" for words, ratio in ratios.items())
        + f" (asked: above {DEAL}).",
    )


def longer_than(results: Any, cut: float) -> pd.DataFrame:
    """Return for how many updates moves without correction are more than ``cut`` times too long.

    ``share`` is that number times 1 - beta2.
    """
    rows = []
    for (beta, trial), path in corrections(results).groupby(["beta", "trial"]):
        path = path.sort_values("step")
        until = np.exp(np.interp(-cut, -path.ratio, np.log(path.step)))
        rows.append((beta, trial, until, until * (1 - beta)))
    return pd.DataFrame(rows, columns=["beta", "trial", "matters", "share"])


def _how_long(results: Any) -> Verdict:
    found = corrections(results).drop_duplicates(["beta", "trial"])
    found = found.assign(share=found.matters * (1 - found.beta))
    tables = {CORRECTED: found, TENTH: longer_than(results, TENTH)}
    told = []
    for cut, table in tables.items():
        groups = table.groupby("beta")
        counts = [f"{quoted(rows.matters, 3)} at $\\beta_2$ = {beta:g}" for beta, rows in groups]
        told.append(
            f"more than {cut} times too long for {', '.join(counts)}: "
            f"{quoted(table.share)} times $1/(1-\\beta_2)$"
        )
    gap = (corrections(results).ratio / corrections(results).formula - 1).abs().max()
    words = [
        within(rows.share, 0.5, 2) for table in tables.values() for _, rows in table.groupby("beta")
    ]
    return Verdict(
        together(*words),
        f"Updates in which a move without correction is {'; '.join(told)} (asked: 0.5 to 2). The "
        rf"formula $1/\sqrt{{1-\beta_2^t}}$ is met to within {number(gap)}.",
    )


def _invariant(results: Any) -> Verdict:
    table = results.table("scale")
    exact = table[table.method.eq(EXACT) & table.change.ne(EACH)].groupby("trial").gap.max()
    usual = table[table.method.eq("Adam")]
    told = ", ".join(
        f"{quoted(rows.gap)} at {factor:g}" for factor, rows in usual.groupby("factor")
    )
    worst = usual.groupby("trial").gap.max()
    return Verdict(
        together(below(exact, ROUNDING), below(worst, 0.01)),
        "Relative change of the trained weights when all gradients are multiplied: at most "
        f"{number(exact.max())} with eps = 0, for factors from $10^{{-10}}$ to $10^3$; with "
        f"torch's eps of $10^{{-8}}$ it is {told} (asked of the largest: below 0.01).",
    )


def _each(results: Any) -> Verdict:
    table = results.table("scale")
    gap = table[table.change.eq(EACH)].gap
    return Verdict(
        below(gap, ROUNDING),
        "With eps = 0 and a factor of its own for each of the parameters, drawn between about "
        f"$10^{{-4}}$ and $10^4$, the trained weights change by at most {number(gap.max())} "
        "(asked: below $10^{-9}$).",
    )


def _noise(results: Any) -> Verdict:
    table = noises(results).sort_values("noise")
    falls = table.groupby("trial")["size"].apply(lambda sizes: float(sizes.diff().max()))
    off = (table["size"] / table.formula - 1).abs().groupby(table.trial).max()
    calm, alone = (table[table.noise.eq(level)]["size"] for level in (0.0, math.inf))
    return Verdict(
        together(below(falls, 0), below(off, 0.05)),
        f"The mean size of a move falls at every step of the scale, from {quoted(calm)} learning "
        f"rates without noise to {quoted(alone, 3)} under noise alone; it is within "
        f"{quoted(100 * off)} % of the formula (asked: below 5).",
    )


def _floor(results: Any) -> Verdict:
    table = noises(results)
    alone = table[np.isinf(table.noise)]
    return Verdict(
        above(alone["size"], 0.1),
        f"Under noise alone, with no signal at all, moves are {quoted(alone['size'], 3)} learning "
        f"rates long (formula {number(theory.noisy_move(math.inf, BETAS[0]), 3)}; asked: above "
        "0.1).",
    )


def _cap(results: Any) -> Verdict:
    top = spikes(results).groupby("stream").move.max()
    cap, largest = theory.spike(*BETAS), theory.largest_move(*BETAS)
    return Verdict(
        "holds" if (top <= cap * 1.001).all() else "fails",
        f"One gradient after silence moves a weight by {number(top[ONE], 4)} learning rates, as "
        f"the formula says ({number(cap, 4)}). But the same gradient, if it stays, comes to "
        f"{number(top[STEADY], 3)}, and gradients that grow by {BETAS[1] / BETAS[0]:.2f} an update "
        f"to {number(top[GROWING], 3)}, the largest of all streams ({number(largest, 3)}).",
    )


NOTE = "“Intuition about Adam / History”"
CLAIMS = (
    Claim(
        "d3-ad-a",
        "On convex problems memory of past gradients, Nesterov's momentum, converges faster.",
        NOTE,
        _accelerates,
    ),
    Claim(
        "d3-ad-b",
        "Gradient descent is not optimal, and Nesterov's method is.",
        NOTE,
        _optimal,
    ),
    Claim(
        "hd-ad-a",
        "Momentum of 0.9, as it is used, saves a constant factor of about ten.",
        "our question",
        _usual,
    ),
    Claim(
        "d3-ad-c",
        "AdaGrad's step size is the inverse of the mean of the squares of past gradients.",
        NOTE,
        _adagrad,
    ),
    Claim(
        "d3-ad-d",
        "AdaGrad treats the first gradient like the most recent one.",
        NOTE,
        _equally,
    ),
    Claim(
        "d3-ad-e",
        "RMSProp weights exponentially, recent gradients more.",
        NOTE,
        _recent,
    ),
    Claim(
        "d3-ad-f",
        "Adam is momentum and an adaptive step size, plus a bias correction.",
        NOTE,
        _parts,
    ),
    Claim(
        "d3-ad-g",
        "The bias correction is a big deal in practice. (Asked of this one network.)",
        f"{NOTE}, footnote (as hearsay)",
        _big_deal,
    ),
    Claim(
        "hd-ad-b",
        r"The correction matters for about $1/(1-\beta_2)$ updates.",
        "our question",
        _how_long,
    ),
    Claim(
        "d3-ad-h",
        "Adam does not change if all gradients are multiplied by a constant.",
        NOTE,
        _invariant,
    ),
    Claim(
        "hd-ad-c",
        "It does not even change if each parameter's gradients have a constant of their own.",
        "our question",
        _each,
    ),
    Claim(
        "d3-ad-i",
        "Adam's step is a signal-to-noise ratio: the more gradients vary, the smaller the step.",
        NOTE,
        _noise,
    ),
    Claim(
        "hd-ad-d",
        "Noise alone does not stop Adam: steps shrink to a fifth, not to nothing.",
        "our question",
        _floor,
    ),
    Claim(
        "hd-ad-e",
        r"No move is longer than $(1-\beta_1)/\sqrt{1-\beta_2} = 3.16$ learning rates, the move at "
        "one gradient after a long silence.",
        "Kingma and Ba 2015, Section 2.1",
        _cap,
    ),
)
