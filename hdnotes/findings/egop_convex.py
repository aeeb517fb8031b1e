"""Findings of the chapter `egop_convex`: who converges in how many updates, and the claims.

Two runs are compared by the updates they took to the smallest gradient norm (in half decades) that
both reached: so a run that ends early and one that spends its budget have one measure. The paper's
Adagrad is the preset one (its experiments use Optax); what starts from 0 is a question of ours.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from hdnotes import seeds
from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, together, within
from hdnotes.experiments.egop_convex import LEVELS, TINY, at_rates, best_rates, reused
from hdnotes.wording import number

#: Adagrad from 0, and the paper's, whose accumulator starts from a preset value.
ZERO, PRESET = "Adagrad", "Adagrad, preset"
ADAGRADS = (ZERO, PRESET)
ADAPTIVE = ("Adam", *ADAGRADS)
EQUIVARIANT = ("GD", "GD + momentum")
#: Two numbers of updates within this factor are about the same; within the second, competitive.
SAME, COMPETITIVE = 1.25, 2.0
#: Resamples of the trials that say how sure a choice of the rate is.
RESAMPLES = 200

Run = tuple[str, str]


def ends(results: Any, objective: str) -> pd.DataFrame:
    """Return how each run of an objective ended, a diverged one infinitely bad."""
    table = results.table("ends")
    own = table[table.objective.eq(objective)]
    return own.assign(suboptimality=own.suboptimality.fillna(math.inf))


def rates(results: Any, objective: str, *, separately: bool) -> pd.DataFrame:
    """Return each method's rate in each coordinate system: its own, or the original's in all."""
    known = ends(results, objective)
    return best_rates(known) if separately else reused(known)


def rate_of(results: Any, objective: str, run: Run) -> float:
    """Return a method's own best rate in a coordinate system."""
    own = rates(results, objective, separately=True).set_index(["method", "coordinates"])
    return float(own.learning_rate[run])


def curves(results: Any, objective: str, *, separately: bool) -> pd.DataFrame:
    """Return the gradient norm by update at those rates."""
    table = results.table("curves")
    own = table[table.objective.eq(objective)]
    return at_rates(own, rates(results, objective, separately=separately))


def drawn(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Return the quartiles over trials that a figure draws of its curves, a row a point."""
    names = ("objective", "method", "coordinates", "run", x)
    group = [name for name in names if name in table]
    with np.errstate(invalid="ignore"):
        band = table.groupby(group, sort=False)[y].quantile([0.25, 0.5, 0.75]).unstack()
    return band.set_axis(["low", "median", "high"], axis=1).reset_index()


def levels(results: Any, objective: str, *, separately: bool) -> pd.DataFrame:
    """Return the updates to each gradient norm: a row a trial and level, a column a run."""
    table = results.table("levels")
    own = at_rates(
        table[table.objective.eq(objective)], rates(results, objective, separately=separately)
    )
    return own.pivot(index=["trial", "level"], columns=["method", "coordinates"], values="first")


def speedups(table: pd.DataFrame, fast: Run, slow: Run) -> pd.Series:
    """Return, for each trial, how many times fewer updates ``fast`` took than ``slow``.

    Both to the smallest gradient norm that both reached.
    """
    both = table[[fast, slow]].dropna().sort_index().groupby("trial").first()
    return both[slow].clip(lower=1) / both[fast].clip(lower=1)


def gains(
    results: Any, objective: str, method: str, *, separately: bool = False, over: str = "EGOP"
) -> pd.Series:
    """Return how many times fewer updates a method takes in other than original coordinates."""
    table = levels(results, objective, separately=separately)
    return speedups(table, (method, over), (method, "original"))


def helped(results: Any, method: str) -> list[str]:
    """Return the objectives on which EGOP coordinates help a method at the original's rate.

    By more than a factor of `SAME` in updates, the whole interval.
    """
    objectives = results.table("ends").objective.unique()
    return [name for name in objectives if above(gains(results, name, method), SAME) == "holds"]


def told_gains(results: Any, method: str) -> str:
    """Return a method's gains at the original's rate and at a rate of its own, in words."""
    parts = []
    for name in results.table("ends").objective.unique():
        same, apart = (gains(results, name, method, separately=s).median() for s in (False, True))
        parts.append(f"{name} {number(same)} and {number(apart)}")
    return ", ".join(parts)


def summary(results: Any, objective: str) -> list[list[str]]:
    """Return a row a method: rates, updates and gains, in words."""
    rows = []
    for method in ends(results, objective).method.unique():
        own, other = (rate_of(results, objective, (method, c)) for c in ("original", "EGOP"))
        same, apart = (gains(results, objective, method, separately=s) for s in (False, True))
        rows.append([method, f"{own:g}", quoted(same), f"{other:g}", quoted(apart)])
    return rows


def beyond(results: Any, objective: str, method: str) -> tuple[float, pd.Series, pd.Series]:
    """Return the rate after the original's best, and how trials end with it in both systems.

    Not a number and nothing where the best is the last of the grid.
    """
    table = ends(results, objective)
    own = table[table.method.eq(method)]
    best = rate_of(results, objective, (method, "original"))
    rate = float(own.learning_rate[own.learning_rate.gt(best)].min())
    end = own[own.learning_rate.eq(rate)]
    original, turned = (end.suboptimality[end.coordinates.eq(c)] for c in ("original", "EGOP"))
    return rate, original, turned


def told_beyond(results: Any, objective: str, method: str) -> str:
    """Say how a method ends one step of the grid above its best rate in original coordinates."""
    rate, original, turned = beyond(results, objective, method)
    if math.isnan(rate):
        return (
            f"On {objective} {method} has its best rate in original coordinates at the grid's end."
        )
    return (
        f"One step of the grid above its best rate in original coordinates, at {rate:g}, {method} "
        f"ends on {objective} at a suboptimality of {quoted(original)} there and of "
        f"{quoted(turned)} in EGOP coordinates."
    )


def larger_rate(results: Any, objective: str, method: str) -> float:
    """Return the share of resamples of the trials in which EGOP's best rate is the larger one."""
    table = ends(results, objective)
    own = table[table.method.eq(method)].assign(
        score=lambda t: t.suboptimality.clip(lower=TINY) + 1e-20 * t.updates
    )
    wide = own.pivot(index="trial", columns=["coordinates", "learning_rate"], values="score")
    draw = np.random.default_rng(seeds.seed("egop_convex", "resamples", objective, method))
    chosen = draw.integers(len(wide), size=(RESAMPLES, len(wide)))
    best = {}
    for system in ("original", "EGOP"):
        median = np.median(wide[system].to_numpy()[chosen], axis=1)
        best[system] = wide[system].columns.to_numpy()[median.argmin(1)]
    return float((best["EGOP"] > best["original"]).mean())


def disguise(results: Any, objective: str) -> pd.Series:
    """Return preset Adagrad's final suboptimality over gradient descent's at the same first step.

    Where no gradient reaches sqrt(a), with a the accumulator's start, Adagrad's step is the rate
    over sqrt(a). At gradient descent's best rate; Adagrad's is interpolated between rates, in logs.
    """
    table = ends(results, objective)
    table = table[table.coordinates.eq("original")]
    step = rate_of(results, objective, ("GD", "original"))
    at = step * math.sqrt(table.adagrad_preset.iloc[0])
    found = {}
    for trial, own in table.groupby("trial"):
        descent = own[own.method.eq("GD") & own.learning_rate.eq(step)].suboptimality.iloc[0]
        line = own[own.method.eq("Adagrad, preset")].sort_values("learning_rate")
        logs = np.log(line.suboptimality.clip(lower=TINY))
        found[trial] = np.exp(np.interp(math.log(at), np.log(line.learning_rate), logs)) / descent
    return pd.Series(found)


def descent_as_preset(table: pd.DataFrame) -> pd.DataFrame:
    """Return gradient descent's median end at the rate that gives preset Adagrad its first step."""
    own = table[table.method.eq("GD") & table.coordinates.eq("original")]
    middle = own.groupby("learning_rate", as_index=False).suboptimality.median()
    scale = math.sqrt(table.adagrad_preset.iloc[0])
    return middle[np.isfinite(middle.suboptimality)].assign(
        learning_rate=lambda t: t.learning_rate * scale
    )


# --- the claims ---------------------------------------------------------------------------------


def _gain(results: Any, objective: str, method: str, *, separately: bool = False) -> Any:
    gain = gains(results, objective, method, separately=separately)
    return above(gain, 1), f"{method} {quoted(gain)}"


def _calibrated(results: Any, objective: str) -> str:
    cell = ends(results, objective).iloc[0]
    return f"at sizes calibrated to show it, $d = {cell.d}$ and $n = {cell.samples}$"


def _faster(results: Any, objective: str, methods: tuple[str, ...]) -> Verdict:
    """Test that methods need fewer updates in EGOP coordinates."""
    words, parts = zip(*(_gain(results, objective, name) for name in methods), strict=True)
    return Verdict(
        together(*words),
        f"Times fewer updates in EGOP coordinates: {', '.join(parts)} (asked: above 1), "
        f"{_calibrated(results, objective)}.",
    )


def _same(results: Any, objective: str, methods: tuple[str, ...]) -> Verdict:
    """Test that methods need about as many updates in both coordinate systems."""
    words: list[Word] = []
    parts = []
    for name in methods:
        gain = gains(results, objective, name)
        words.append(within(gain, 1 / SAME, SAME))
        parts.append(f"{name} {quoted(gain)}")
    return Verdict(
        together(*words),
        f"Times fewer updates in EGOP coordinates: {', '.join(parts)} (asked: within a factor of "
        f"{SAME:g}), {_calibrated(results, objective)}.",
    )


def _momentum_wins(results: Any, *, separately: bool = False) -> Verdict:
    """Test that each of the paper's other runs takes more updates; say which one does not."""
    table = levels(results, "logistic", separately=separately)
    best = ("GD + momentum", "original")
    ratios = {
        (method, system): speedups(table, best, (method, system))
        for method in dict.fromkeys(table.columns.get_level_values(0))
        for system in ("original", "EGOP")
        if method != best[0]
    }
    counted = {run: ratio for run, ratio in ratios.items() if run[0] != ZERO}
    faster = [run for run, ratio in counted.items() if below(ratio, 1) == "holds"]
    near = all(within(counted[run], 1 / SAME, SAME) == "holds" for run in faster)
    beaten = " and ".join(f"{method} in {system} coordinates" for method, system in faster)
    told, left_out = (
        "; ".join(
            f"{method} {quoted(ratios[method, 'original'], 3)} and "
            f"{quoted(ratios[method, 'EGOP'], 3)}"
            for method in dict.fromkeys(method for method, _ in runs)
        )
        for runs in (counted, ratios.keys() - counted.keys())
    )
    size = f", by less than the factor {SAME:g} that we call the same" if near else ""
    return Verdict(
        together(*(above(ratio, 1) for ratio in counted.values())),
        "Updates over those of gradient descent with momentum, in original and in EGOP "
        f"coordinates: {told} (asked: above 1 for each). "
        + (f"Faster than it: {beaten}{size}. " if faster else "")
        + f"Not counted: random coordinates, a control, and {left_out}, whose accumulator starts "
        f"from 0, unlike the paper's. All {_calibrated(results, 'logistic')}.",
    )


def _lifted(results: Any, *, separately: bool = False) -> Verdict:
    table = levels(results, "logistic", separately=separately)
    gain = gains(results, "logistic", PRESET, separately=separately)
    behind = speedups(table, ("GD + momentum", "original"), (PRESET, "EGOP"))
    return Verdict(
        together(above(gain, 1), within(behind, 0, COMPETITIVE)),
        f"{PRESET} takes {quoted(gain)} times fewer updates in EGOP coordinates (asked: above 1), "
        f"{quoted(behind)} times those of gradient descent with momentum (asked: at most "
        f"{COMPETITIVE:g}), {_calibrated(results, 'logistic')}.",
    )


def _larger_and_faster(results: Any) -> Verdict:
    """Test that EGOP coordinates take a larger rate, and fewer updates with it."""
    share = larger_rate(results, "log-sum-exp", PRESET)
    larger: Word = "holds" if share >= 0.9 else "fails" if share <= 0.1 else "undecided"
    gain = gains(results, "log-sum-exp", PRESET, separately=True)
    own, other = (
        rate_of(results, "log-sum-exp", (PRESET, system)) for system in ("original", "EGOP")
    )
    return Verdict(
        together(*map(unless_seen, (larger, above(gain, 1)))),
        f"{PRESET}: best rates {own:g} in original and {other:g} in EGOP coordinates, larger in "
        f"EGOP ones in {100 * share:.0f} % of resamples of the trials (asked: 90 %); "
        f"{quoted(gain)} times fewer updates there (asked: above 1). {at_our_sizes(results)}",
    )


def unless_seen(word: Word) -> Word:
    """Return what a test on our log-sum-exp says of the paper's: what is not seen is undecided.

    The paper's sizes are lost, and which rate is best there turns with the number of samples.
    """
    return "undecided" if word == "fails" else word


def at_our_sizes(results: Any) -> str:
    """Return the sentence that says at which sizes, ours, log-sum-exp was run."""
    cell = ends(results, "log-sum-exp").iloc[0]
    return (
        f"Log-sum-exp has our $d = {cell.d}$ and $n = {cell.samples}$, calibrated to show what the "
        "text reports; the paper's are lost, so what ours contradict is undecided."
    )


def _wider_gap(results: Any) -> Verdict:
    """Test that tuning each coordinate system widens Adagrad's gap."""
    words: list[Word] = []
    parts = []
    for objective in ("log-sum-exp", "least squares"):
        same, apart = (gains(results, objective, PRESET, separately=s) for s in (False, True))
        word = above(apart / same, 1)
        words.append(unless_seen(word) if objective == "log-sum-exp" else word)
        parts.append(f"{objective} from {quoted(same)} to {quoted(apart)}")
    return Verdict(
        together(*words),
        f"{PRESET}, times fewer updates in EGOP coordinates: {', '.join(parts)} (asked: more). "
        f"{at_our_sizes(results)}",
    )


def _from_zero(results: Any) -> Verdict:
    """Test hd-ec-e: an accumulator that starts from 0 feels the coordinates on every objective."""
    words: list[Word] = []
    parts = []
    for objective in results.table("ends").objective.unique():
        gain = gains(results, objective, ZERO)
        words.append(above(gain, 1))
        parts.append(f"{objective} {quoted(gain)}")
    return Verdict(
        together(*words),
        f"Times fewer updates in EGOP coordinates at the same rate: {', '.join(parts)} (asked: "
        "above 1).",
    )


def _from_zero_apart(results: Any) -> Verdict:
    """Test hd-ec-f: it gains more with a rate of its own."""
    words: list[Word] = []
    parts = []
    for objective in ("log-sum-exp", "least squares"):
        same, apart = (gains(results, objective, ZERO, separately=s) for s in (False, True))
        words.append(above(apart / same, 1))
        share = larger_rate(results, objective, ZERO)
        parts.append(
            f"{objective} from {quoted(same)} to {quoted(apart)} (its rate is larger in "
            f"{100 * share:.0f} % of resamples)"
        )
    return Verdict(
        together(*words),
        f"Times fewer updates in EGOP coordinates: {', '.join(parts)} (asked: more).",
    )


def _unchanged(results: Any) -> Verdict:
    """Test that the logistic figure's three statements fare as they did at the same rates."""
    gain = gains(results, "logistic", "Adam", separately=True)
    before = (_same(results, "logistic", ("Adam",)), _momentum_wins(results), _lifted(results))
    after = (
        within(gain, 1 / SAME, SAME),
        _momentum_wins(results, separately=True).verdict,
        _lifted(results, separately=True).verdict,
    )
    same = [old.verdict == new for old, new in zip(before, after, strict=True)]
    undecided = "undecided" in after
    return Verdict(
        "undecided" if undecided else "holds" if all(same) else "fails",
        f"Of the three statements on logistic regression {sum(same)} have the same verdict with "
        f"separate rates; Adam takes {quoted(gain)} times fewer updates in EGOP coordinates.",
    )


def _disguise(results: Any) -> Verdict:
    ratio = disguise(results, "log-sum-exp")
    return Verdict(
        within(ratio, 1 / SAME, SAME),
        f"Final suboptimality over that of gradient descent at the step it starts with: "
        f"{quoted(ratio)} (asked: within a factor of {SAME:g}).",
    )


def _control(results: Any) -> Verdict:
    words: list[Word] = []
    parts = []
    for objective in results.table("ends").objective.unique():
        for name in ADAPTIVE:
            gain = gains(results, objective, name, over="random")
            words.append(within(gain, 1 / COMPETITIVE, COMPETITIVE))
            parts.append(f"{objective}, {name} {quoted(gain)}")
    return Verdict(
        together(*words),
        f"Times fewer updates in random coordinates: {'; '.join(parts)} (asked: within a factor "
        f"of {COMPETITIVE:g}).",
    )


def _equivariant(results: Any) -> Verdict:
    gaps = []
    for objective in results.table("ends").objective.unique():
        chosen = at_rates(ends(results, objective), rates(results, objective, separately=False))
        wide = chosen[chosen.method.isin(EQUIVARIANT)].pivot(
            index=["method", "trial"], columns="coordinates", values="gradient_norm"
        )
        gaps.append(float((wide.EGOP / wide.original - 1).abs().max()))
    return Verdict(
        "holds" if max(gaps) < 1e-6 else "fails",
        f"Their last gradient norms differ by {number(max(gaps))} of themselves at most (asked: "
        "$10^{-6}$).",
    )


def paid(results: Any, objective: str, level: float) -> tuple[Word, str]:
    """Say whether Adam's EGOP coordinates save the gradients of their basis, down to ``level``.

    A run whose updates run out before has taken more than they are: where that could turn the
    verdict, it is undecided.
    """
    cell = ends(results, objective).iloc[0]
    table = levels(results, objective, separately=False)
    there = table[table.index.get_level_values("level") == level].droplevel("level")
    there = there.reindex(table.index.unique("trial"))
    fast, slow = there["Adam", "EGOP"], there["Adam", "original"]
    basis = math.ceil(cell.gradients_per_dimension * cell.d)
    least = slow.fillna(cell.steps) / (fast.fillna(math.inf) + basis)
    most = slow.fillna(math.inf) / (fast.fillna(cell.steps) + basis)
    word = above(least, 1)
    spent = f" ({slow.isna().sum()} of {len(slow)} ran out)" if slow.isna().any() else ""
    return (
        word if word == above(most, 1) else "undecided",
        f"{objective} {'at least ' if spent else ''}{quoted(least)}{spent}",
    )


def _pays(results: Any) -> Verdict:
    """Test that an EGOP counted at a gradient an update still pays, for Adam."""
    table = results.table("ends")
    words, parts = zip(
        *(paid(results, name, min(LEVELS)) for name in table.objective.unique()), strict=True
    )
    return Verdict(
        together(*words),
        "Adam's gradients in original over EGOP coordinates, those for the basis included, down to "
        f"the gradient norm at which a run ends: {'; '.join(parts)} (asked: above 1; a run that "
        f"ran out counts as its {table.steps.max()} updates).",
    )


CLAIMS = (
    Claim(
        "d4-6-3-a",
        "Log-sum-exp: EGOP coordinates speed Adam up.",
        "Section 6, Fig. 5 (a)",
        lambda results: _faster(results, "log-sum-exp", ("Adam",)),
    ),
    Claim(
        "d4-6-3-b",
        "Log-sum-exp: EGOP coordinates make no difference to Adagrad at the same rate.",
        "Section 6, Fig. 5 (a)",
        lambda results: _same(results, "log-sum-exp", (PRESET,)),
    ),
    Claim(
        "d4-6-3-c",
        "Logistic regression: Adam does about as well in both coordinate systems.",
        "Section 6, Fig. 5 (b)",
        lambda results: _same(results, "logistic", ("Adam",)),
    ),
    Claim(
        "d4-6-3-d",
        "Logistic regression: gradient descent with momentum does better than all other methods.",
        "Section 6, Fig. 5 (b)",
        _momentum_wins,
    ),
    Claim(
        "d4-6-3-e",
        "Logistic regression: EGOP coordinates make Adagrad competitive with the methods that "
        "have momentum.",
        "Section 6, Fig. 5 (b)",
        _lifted,
    ),
    Claim(
        "d4-6-3-f",
        "Least squares: EGOP coordinates help both Adam and Adagrad.",
        "Section 6, Fig. 5 (c)",
        lambda results: _faster(results, "least squares", ("Adam", PRESET)),
    ),
    Claim(
        "d4-c-3-a",
        "Log-sum-exp: with a rate of its own, Adagrad in EGOP coordinates takes a larger one and "
        "converges faster.",
        "Section 6 and Appendix C.2, Fig. 12 (a)",
        _larger_and_faster,
    ),
    Claim(
        "d4-c-3-b",
        "Adagrad's gap between the coordinate systems is wider with separate rates, on "
        "log-sum-exp and on least squares.",
        "Appendix C.2, Fig. 12 (a) and (c)",
        _wider_gap,
    ),
    Claim(
        "d4-c-3-c",
        "Logistic regression looks the same with separate rates.",
        "Appendix C.2, Fig. 12 (b)",
        _unchanged,
    ),
    Claim(
        "hd-ec-a",
        "On log-sum-exp, preset Adagrad is gradient descent in disguise: its accumulator hardly "
        "moves.",
        "an explanation of ours",
        _disguise,
    ),
    Claim(
        "hd-ec-b",
        "Random coordinates neither help nor harm: it is the EGOP's basis that helps.",
        "a control of ours",
        _control,
    ),
    Claim(
        "hd-ec-c",
        "Gradient descent, with and without momentum, is the same in both coordinate systems.",
        "a control of ours",
        _equivariant,
    ),
    Claim(
        "hd-ec-d",
        "Adam in EGOP coordinates still needs fewer gradients when those of the basis count.",
        "a question of ours",
        _pays,
    ),
    Claim(
        "hd-ec-e",
        "Adagrad that starts from 0 is faster in EGOP coordinates on all three objectives, at the "
        "same rate.",
        "a question of ours",
        _from_zero,
    ),
    Claim(
        "hd-ec-f",
        "With a rate of its own Adagrad from 0 gains still more, on log-sum-exp and on least "
        "squares.",
        "a question of ours",
        _from_zero_apart,
    ),
)
