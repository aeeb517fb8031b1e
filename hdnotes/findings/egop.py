"""Findings of the chapter `egop`: tuned rates, gains against Theorem 3, and the claims."""

from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, below, median_interval, together, within
from hdnotes.experiments.egop import DECAY_DIMENSION, DIGITS_PARAMETERS, LANDSCAPE_RATES
from hdnotes.measures.spectra import stable_rank
from hdnotes.theory.egop import rate_factor
from hdnotes.wording import number

PROBLEM = ["d", "decay", "trial"]
ADAPTIVE = ("Adagrad", "Adam")
EQUIVARIANT = ("GD", "GD + momentum")


def best_rates(runs: pd.DataFrame, by: str = "final_loss") -> pd.DataFrame:
    """Return the learning rate with the lowest median of ``by`` over the trials.

    One row for each d, decay, method and coordinates (document 4, D.5).
    """
    group = ["d", "decay", "method", "coordinates"]
    medians = runs.groupby([*group, "learning_rate"], as_index=False)[by].median()
    return medians.loc[medians.groupby(group)[by].idxmin(), [*group, "learning_rate"]]


def at_original_rate(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``table`` at the rate that is best in original coordinates in ``runs``."""
    best = best_rates(runs).query("coordinates == 'original'").drop(columns="coordinates")
    return table.merge(best, on=["d", "decay", "method", "learning_rate"])


def wide(runs: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return one row a problem and method, one column a coordinate system."""
    return runs.pivot_table(
        index=[*PROBLEM, "method"], columns="coordinates", values=value
    ).reset_index()


def predictions(spectrum: pd.DataFrame) -> pd.DataFrame:
    """Return sr, beta and sr/(beta d) of each problem from its estimated EGOP."""
    rows = []
    for problem, table in spectrum.sort_values("k").groupby(PROBLEM):
        rank = float(stable_rank(_tensor(table.eigenvalue)))
        dense = float(table.density.iloc[0])
        rows.append((*problem, rank, dense, rate_factor(rank, dense, int(problem[0]))))
    return pd.DataFrame(rows, columns=[*PROBLEM, "stable_rank", "density", "factor"])


def gains(runs: pd.DataFrame, spectrum: pd.DataFrame) -> pd.DataFrame:
    """Return Adagrad's gain in the mean l1 gradient norm, EGOP over original, a row a problem.

    Columns: ``factor`` sr/(beta d); ``best_step`` each at its own best rate; ``large_step`` both at
    the largest rate; ``step_ratio`` the ratio of the two best rates.
    """
    adagrad = runs[runs.method == "Adagrad"]
    best = best_rates(adagrad, "mean_gradient_l1")
    tuned = adagrad.merge(best, on=list(best.columns))
    large = adagrad[adagrad.learning_rate == adagrad.learning_rate.max()]
    table = predictions(spectrum)
    for name, chosen, value in [
        ("best_step", tuned, "mean_gradient_l1"),
        ("large_step", large, "mean_gradient_l1"),
        ("step_ratio", tuned, "learning_rate"),
    ]:
        both = wide(chosen, value)
        table = table.merge(both.assign(**{name: both.EGOP / both.original})[[*PROBLEM, name]])
    return table


def slopes(table: pd.DataFrame, column: str, power: float) -> list[float]:
    """Return, for each trial of the sweep over d, the slope of log gain on log prediction.

    A slope of 1 means that the gain follows ``factor ** power`` as d grows.
    """
    result = []
    for _, trial in sweep(table).groupby("trial"):
        x = power * np.log(trial.factor)
        if len(trial) > 1:
            result.append(float(np.polyfit(x, np.log(trial[column]), 1)[0]))
    return result


def concordance(x: pd.Series, y: pd.Series) -> float:
    """Return Kendall's tau-a: the share of pairs that x and y order alike, less the others.

    Examples
    --------
    >>> concordance(pd.Series([1, 2, 3]), pd.Series([1, 3, 2]))
    0.3333333333333333
    """
    a, b = (np.sign(np.subtract.outer(v.to_numpy(), v.to_numpy())) for v in (x, y))
    return float((a * b).sum() / (len(x) * (len(x) - 1)))


def sweep(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the sweep over d: those of the headline's decay."""
    return table[table.decay == headline_decay(table)]


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the headline problem: the sweep's largest d."""
    rows = sweep(table)
    return rows[rows.d == rows.d.max()]


def headline_decay(table: pd.DataFrame) -> float:
    """Return the decay p of the sweep over d: further p have runs at dimension 64 alone."""
    rows = table[table.d != DECAY_DIMENSION]
    return float((rows if len(rows) else table).decay.iloc[0])


def _tensor(values: pd.Series) -> Any:
    import torch

    return torch.tensor(values.to_numpy())


def _headline_runs(results: Any) -> pd.DataFrame:
    runs = results.table("headline")
    return headline(at_original_rate(runs, runs))


def _ratio(runs: pd.DataFrame, method: str, over: str, under: str) -> pd.Series:
    both = wide(runs[runs.method == method], "final_loss")
    tiny = np.finfo(float).tiny
    return (both[over] + tiny) / (both[under] + tiny)


# --- the claims ----------------------------------------------------------------------------------


def _near_zero(results: Any) -> Verdict:
    """D.3: rates 30 to 90 give comparable suboptimalities very close to 0."""
    runs = results.table("landscape").query("coordinates == 'original'")
    share = runs.suboptimality / runs.start_suboptimality + np.finfo(float).eps
    left = runs.assign(share=share).groupby("trial").share
    spread = (left.max() / left.min()).tolist()
    worst = median_interval(left.max())
    word = together(below(left.max(), 1e-3), below(spread, 10))
    return Verdict(
        word,
        f"Of the suboptimality at the start, {number(worst.median, 1)} is left at the worst rate "
        f"(median of {len(left)} problems; {number(worst.low, 1)} to {number(worst.high, 1)}); "
        f"the worst rate leaves {np.median(spread):.1f} times what the best does.",
    )


def _along_axes(results: Any) -> Verdict:
    """Fig. 1 left: the reparameterized path runs along the ellipse's axes, the other crawls."""
    runs = results.table("landscape")
    runs = runs[runs.learning_rate == LANDSCAPE_RATES[0]]
    angle = runs.pivot(index="trial", columns="coordinates", values="axis_angle_deg")
    share = runs.suboptimality / runs.start_suboptimality + np.finfo(float).eps
    left = runs.assign(share=share).pivot(index="trial", columns="coordinates", values="share")
    return Verdict(
        together(below(angle.EGOP - angle.original, 0), below(left.EGOP / left.original, 1)),
        f"From the second update on the EGOP path is {angle.EGOP.median():.0f} degrees off the "
        f"nearer axis and the original {angle.original.median():.0f} (0 is along an axis, 45 "
        f"diagonal); at the end {number(left.EGOP.median(), 1)} of the start's suboptimality is "
        f"left in EGOP and {number(left.original.median(), 1)} in original coordinates (medians "
        f"of {len(left)}).",
    )


def _equivariant(results: Any) -> Verdict:
    """Section 1: gradient descent does not notice the basis, adaptive methods do."""
    runs = _headline_runs(results)
    same = [abs(np.log(_ratio(runs, m, "EGOP", "original"))) for m in EQUIVARIANT]
    moved = [_ratio(runs, m, "EGOP", "original") for m in ADAPTIVE]
    return Verdict(
        together(*(below(gap, 1e-6) for gap in same), *(below(r, 0.1) for r in moved)),
        "Final loss, EGOP over original coordinates: GD and GD + momentum differ from 1 by at most "
        f"{number(max(float(gap.max()) for gap in same), 1)}; "
        f"Adagrad {number(moved[0].median(), 1)}, Adam {number(moved[1].median(), 1)} "
        f"(medians of {len(moved[0])} problems).",
    )


def _variance(results: Any) -> Verdict:
    """Eq. 2: lambda_k is the mean squared derivative along v_k, here on fresh draws."""
    spectrum = headline(results.table("headline_spectrum"))
    leading = spectrum[spectrum.k <= 10]
    ratio = (leading.fresh_variance / leading.eigenvalue).groupby(leading.trial).median()
    return Verdict(
        within(ratio, 0.8, 1.25),
        "On fresh draws the mean squared derivative along the ten leading eigenvectors is "
        f"{ratio.median():.2f} of the eigenvalue (median of {len(ratio)} problems, "
        f"{ratio.min():.2f} to {ratio.max():.2f}).",
    )


def _improves(results: Any) -> Verdict:
    """Sections 1 and 6: EGOP coordinates improve Adagrad and Adam at the original's best rate."""
    runs = _headline_runs(results)
    ratios = [median_interval(_ratio(runs, m, "EGOP", "original")) for m in ADAPTIVE]
    return Verdict(
        together(*(below(_ratio(runs, m, "EGOP", "original"), 1) for m in ADAPTIVE)),
        "Final loss, EGOP over original coordinates, both at the rate best in the original: "
        + "; ".join(
            f"{m} {number(r.median, 1)} ({number(r.low, 1)} to {number(r.high, 1)})"
            for m, r in zip(ADAPTIVE, ratios, strict=True)
        )
        + ".",
    )


def _control(results: Any) -> Verdict:
    """Control: a random rotation helps neither method."""
    runs = _headline_runs(results)
    ratios = [_ratio(runs, m, "random", "original") for m in ADAPTIVE]
    return Verdict(
        together(*(within(r, 1 / 3, 3) for r in ratios)),
        "Final loss, randomly rotated over original coordinates: "
        + ", ".join(f"{m} {r.median():.2f}" for m, r in zip(ADAPTIVE, ratios, strict=True))
        + f" (medians of {len(ratios[0])} problems; a factor of 3 either way counts as no change).",
    )


def _gain(results: Any, column: str, power: float, wording: str) -> Verdict:
    table = gains(results.table("headline"), results.table("headline_spectrum"))
    slope = slopes(table, column, power)
    at_top = headline(table)
    ratio = at_top[column] / at_top.factor**power
    middle = median_interval(slope)
    return Verdict(
        together(within(slope, 0.75, 1.25), within(ratio, 1 / 3, 3)),
        f"{wording} at $d = {at_top.d.max()}$: measured {number(at_top[column].median())}, "
        f"predicted {number((at_top.factor**power).median())}; over $d$ the slope of log measured "
        f"on log predicted is {middle.median:.2f} ({middle.low:.2f} to {middle.high:.2f}).",
    )


def _best_step(results: Any) -> Verdict:
    return _gain(
        results,
        "best_step",
        0.5,
        r"Mean $\ell_1$ gradient norm, EGOP over original, each at its best rate,",
    )


def _large_step(results: Any) -> Verdict:
    return _gain(
        results,
        "large_step",
        1.0,
        r"Mean $\ell_1$ gradient norm, EGOP over original, both at the largest rate,",
    )


def _step_size(results: Any) -> Verdict:
    """Section 3: the best step grows by the inverse of the root of sr / (beta d)."""
    return _gain(results, "step_ratio", -0.5, "Best rate, EGOP over original,")


def _larger_steps(results: Any) -> Verdict:
    """Section 3: the advantage is larger at larger steps."""
    table = headline(gains(results.table("headline"), results.table("headline_spectrum")))
    ratio = table.large_step / table.best_step
    return Verdict(
        below(ratio, 1),
        rf"The mean $\ell_1$ gradient norm is {number(table.best_step.median())} of the original's "
        f"with both at their best rates and {number(table.large_step.median())} with both at the "
        f"largest rate (medians of {len(table)} problems).",
    )


def _decay_governs(results: Any) -> Verdict:
    """Section 3: without spectral decay there is nothing to gain, and decay decides how much."""
    table = gains(results.table("headline"), results.table("headline_spectrum"))
    table = table[table.d == DECAY_DIMENSION].sort_values("decay")
    flat, steep = (table[table.decay == p] for p in (table.decay.min(), table.decay.max()))
    orders = [concordance(t.factor, t.large_step) for _, t in table.groupby("trial")]
    return Verdict(
        together(below([-order for order in orders], -0.6), within(flat.large_step, 0.5, 1.5)),
        f"At $d = {DECAY_DIMENSION}$ and the largest rate the ratio of the norms goes from "
        f"{number(flat.large_step.median())} at $p = {flat.decay.min():g}$ to "
        f"{number(steep.large_step.median())} at $p = {steep.decay.max():g}$; it and "
        rf"$\mathrm{{sr}}/(\beta d)$ order the values of $p$ alike to {np.median(orders):.2f} "
        f"(Kendall's tau, median of {len(orders)} trials).",
    )


def _digits_decay(results: Any) -> Verdict:
    """Section 4: the EGOP spectrum of a network on real data decays strongly."""
    table = results.table("digits").sort_values("k")
    first = table[table.k == 1].set_index("trial").eigenvalue
    share = table[table.k == 100].set_index("trial").eigenvalue / first
    rank = table.groupby("trial").eigenvalue.apply(lambda v: float(stable_rank(_tensor(v))))
    return Verdict(
        together(below(share, 0.1), below(rank, DIGITS_PARAMETERS / 10)),
        rf"$\lambda_{{100}}/\lambda_1 = {share.median():.3f}$ and the stable rank is "
        f"{rank.median():.0f} of {DIGITS_PARAMETERS} (medians of {len(rank)} estimates; "
        f"{rank.min():.0f} to {rank.max():.0f}).",
    )


def _digits_dense(results: Any) -> Verdict:
    """Section 4: the leading eigenvector is dense, beta_1 d >> 1."""
    dense = results.table("digits").query("k == 1").density
    return Verdict(
        within(dense * DIGITS_PARAMETERS, 100, DIGITS_PARAMETERS),
        rf"$\beta_1 = {dense.median():.2f}$, so "
        rf"$\beta_1 d = {dense.median() * DIGITS_PARAMETERS:.0f}$ (medians of {len(dense)} "
        f"estimates; {dense.min():.2f} to {dense.max():.2f}; a random vector has 0.64).",
    )


CLAIMS = (
    Claim(
        "d4-1-a",
        "On the two-dimensional log-sum-exp, Adagrad's learning rates from 30 to 90 all end very "
        "close to the optimum in original coordinates.",
        "Fig. 1 left, D.3",
        _near_zero,
    ),
    Claim(
        "d4-1-b",
        "In EGOP coordinates the path follows the axes of the ellipse; in original coordinates it "
        "starts diagonally and then crawls.",
        "Fig. 1 left",
        _along_axes,
    ),
    Claim(
        "d4-1-c",
        "A rotation of the coordinates changes nothing for gradient descent, with or without "
        "momentum, and much for Adagrad and Adam.",
        "Section 1",
        _equivariant,
    ),
    Claim(
        "d4-2-a",
        "An eigenvalue of the EGOP is the mean squared derivative along its eigenvector.",
        "Section 2, Eq. 2",
        _variance,
    ),
    Claim(
        "d4-1-d",
        "EGOP coordinates improve both Adagrad and Adam, even at the learning rate that is best in "
        "original coordinates.",
        "Sections 1 and 6",
        _improves,
    ),
    Claim(
        "hd-4-a",
        "It is the EGOP basis that helps, not a change of basis: a random rotation does nothing.",
        "ours, a control",
        _control,
    ),
    Claim(
        "d4-3-a",
        r"With the best step sizes Adagrad's mean $\ell_1$ gradient norm improves by the square "
        r"root of $\mathrm{sr}/(\beta d)$.",
        "Section 3, Theorem 3",
        _best_step,
    ),
    Claim(
        "d4-3-b",
        r"With a large step size it improves by $\mathrm{sr}/(\beta d)$ itself.",
        "Section 3, Theorem 3",
        _large_step,
    ),
    Claim(
        "d4-3-c",
        r"Adagrad's best step size grows by the inverse square root of $\mathrm{sr}/(\beta d)$.",
        "Section 3, Theorem 3",
        _step_size,
    ),
    Claim(
        "d4-3-d",
        "The advantage of EGOP coordinates is larger at larger step sizes.",
        "Section 3",
        _larger_steps,
    ),
    Claim(
        "d4-3-e",
        "The decay of the EGOP spectrum governs the improvement.",
        "Abstract, Section 3",
        _decay_governs,
    ),
    Claim(
        "d4-4-a",
        "The EGOP of a small network on the UCI digits has a strongly decaying spectrum.",
        "Section 4, Fig. 2",
        _digits_decay,
    ),
    Claim(
        "d4-4-b",
        r"Its leading eigenvector is dense: $\beta_1 d$ is far above 1.",
        "Section 4, Fig. 8",
        _digits_dense,
    ),
)
