"""Findings of the chapter `symmetric_door`: shares of wrong labels, what is possible, the claims.

Starts on one data set are not independent. So a number of this chapter is the mean over the starts
on a data set, an interval is one of data sets, and a comparison is made on each data set by itself.
"""

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from hdnotes.claims import (
    Verdict,
    Word,
    above,
    below,
    median_interval,
    mostly,
    together,
    within,
)
from hdnotes.experiments.students import BATCHES, DOOR_RECOVERED
from hdnotes.experiments.symmetric_door import LOGISTIC, SQUARE
from hdnotes.findings.success import FAR, claim, scale_of
from hdnotes.problems.phase_retrieval import door_error
from hdnotes.theory import state_evolution
from hdnotes.theory.state_evolution import SYMMETRIC_DOOR, full_recovery, weak_recovery

#: A difference in the share of wrong labels that is called none: 20 labels of 1,000.
EQUAL = 0.02
#: A share of wrong labels that is called none at all.
EXACT = 1e-3
#: GAMP is judged from so many times its threshold on, as small systems need more than the limit,
#: and there has to be exact in this share of its runs.
SURE, SHARE = 1.5, 0.8
#: How far bars at one alpha stand apart in a figure, as a share of the largest alpha.
APART = 0.012
#: What the page says in place of a table of deviations.
NO_SPREAD = "None: it takes two starts or two data sets, and runs of Figure 4.10 there."
#: Half of all labels are +1.
CHANCE = 0.5
LOSSES = {SQUARE: "square loss", LOGISTIC: "logistic loss"}
MOMENTA = {"none": "no momentum", "Nesterov": "Nesterov momentum"}
TOLD = {"±1": "GAMP, told ±1", "norm": "GAMP, told the norm"}
#: State evolution of a GAMP to whom every direction of the teacher is equally likely.
NORM_ONLY = state_evolution.Problem(
    state_evolution.door_information, state_evolution.gaussian_overlap
)
ERRORS = {"test_error": "fresh samples", "training_error": "training samples"}


def threshold() -> float:
    """Return the sample complexity from which GAMP, told that the entries are +-1, is perfect."""
    return full_recovery(SYMMETRIC_DOOR).alpha


@lru_cache
def norm_only(last: float) -> pd.DataFrame:
    """Return the error against alpha, up to ``last``, that state evolution gives without +-1.

    An estimate of squared overlap q, put on the sphere, is a student of overlap sqrt(q).
    """
    q = 1 - np.geomspace(0.995, 1e-4, 80)
    alpha = [0.0, weak_recovery(NORM_ONLY), *map(NORM_ONLY.sample_complexity, q)]
    error = door_error(torch.from_numpy(np.array([0.0, 0.0, *q]) ** 0.5)).numpy()
    table = pd.DataFrame({"alpha": alpha, "error": error})
    return table[table.alpha <= max(last, alpha[1])]


def possible(alpha: float) -> float:
    """Return that error at one alpha."""
    table = norm_only(2 * alpha)
    return float(np.interp(alpha, table.alpha, table.error))


# --- runs ----------------------------------------------------------------------------------------


def runs(results: Any, kind: str, **values: Any) -> pd.DataFrame:
    """Return the students of a kind of cell with these values; KeyError if there are none."""
    table = results.table("runs")
    chosen = table.kind.eq(kind)
    for name, value in values.items():
        chosen &= table[name].eq(value)
    if not chosen.any():
        raise KeyError(kind)
    return table[chosen].assign(batch=table.batches.map(BATCHES))


def settings(results: Any, kind: str) -> dict[str, Any]:
    """Return what all cells of a kind are run with: features, eta, tau, epochs, ..."""
    for cell in results.cells:
        if cell["kind"] == kind:
            return dict(cell)
    raise KeyError(kind)


def control(results: Any) -> pd.DataFrame:
    """Return GAMP's runs, with what each was ``told``."""
    table = results.table("control")
    return table.assign(told=table.prior.map(TOLD))


def spread(table: pd.DataFrame, by: list[str], y: str = "test_error") -> pd.DataFrame:
    """Return the median over data sets of a group's mean, ``share``, and its interval."""
    means = table.groupby([*by, "alpha", "set"], sort=False)[y].mean()
    rows = [
        (*key, *median_interval(values))
        for key, values in means.groupby(level=[*by, "alpha"], sort=False)
    ]
    return pd.DataFrame(rows, columns=[*by, "alpha", "low", "share", "high"]).sort_values(
        "alpha", kind="stable"
    )


def apart(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add ``at``: the alpha of each row, moved sideways by its ``column`` so that bars show."""
    names = list(dict.fromkeys(table[column]))
    place = table[column].map(names.index) - (len(names) - 1) / 2
    return table.assign(at=table.alpha + APART * place * table.alpha.max())


def both_errors(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the same of the test and of the training error, told by ``samples``."""
    parts = [spread(table, by, y).assign(samples=words) for y, words in ERRORS.items()]
    return pd.concat(parts, ignore_index=True)


def from_to(table: pd.DataFrame, column: str) -> str:
    """Say each curve's values at its alphas, for a reader who cannot see the figure."""
    parts = []
    for name, rows in table.sort_values("alpha").groupby(column, sort=False):
        at = ", ".join(f"{row.share:.2f} at {row.alpha:g}" for row in rows.itertuples())
        parts.append(f"{name} {at}")
    return "; ".join(parts)


def panel_words(panels: dict[str, pd.DataFrame]) -> str:
    """Say the same of the panels of a figure."""
    return ". ".join(f"{name}: {from_to(table, 'method')}" for name, table in panels.items())


def beside(results: Any) -> str:
    """Say what GAMP told the norm reaches and what state evolution gives, by alpha."""
    table = control(results)
    rows = table[table.prior.eq("norm")].groupby(["alpha", "set"]).test_error.mean()
    return "; ".join(
        f"{middle:.2f} at {alpha:g}, where state evolution has {possible(float(alpha)):.2f}"
        for alpha, middle in rows.groupby("alpha").median().items()
    )


def time_words(results: Any) -> str:
    """Say each median of the curves in time at the budget, or the first epoch, and at the end."""
    table, budget = curves(results), settings(results, "losses")["epochs"]
    near = table.epoch[table.epoch <= budget].max()
    if near == table.epoch.max():
        near = table.epoch.min()
    ends, parts = (int(near), int(table.epoch.max())), []
    for name, rows in table.groupby("method", sort=False):
        fresh, own = ([rows[rows.epoch.eq(epoch)][y].median() for epoch in ends] for y in ERRORS)
        parts.append(
            f"{name} {fresh[0]:.2f} to {fresh[1]:.2f} on fresh and {own[0]:.2f} to {own[1]:.2f} on "
            "training samples"
        )
    return f"Medians from epoch {ends[0]:,} to {ends[1]:,}: {'; '.join(parts)}"


def alphas_words(results: Any, kind: str) -> str:
    """Return the sample complexities of a kind of cell, as a caption shows them."""
    found = sorted({cell["alpha"] for cell in results.cells if cell["kind"] == kind})
    return ", ".join(f"{alpha:g}" for alpha in found)


def best_students(results: Any) -> pd.Series:
    """Return the smallest mean error of any method and loss on each data set, by alpha and set."""
    ways = runs(results, "losses").groupby(["alpha", "set", "channel", "batches", "momentum"])
    return ways.test_error.mean().groupby(["alpha", "set"]).min()


def reached(results: Any) -> pd.DataFrame:
    """Return what GAMP reaches, by what it is ``told``, and what the best students reach."""
    best = best_students(results).reset_index().assign(told="best student")
    return spread(pd.concat([control(results), best]), ["told"])


def in_words(results: Any) -> str:
    """Say what students do with their training samples at the fewest and the most of these."""
    table = runs(results, "losses")
    parts = []
    for alpha in sorted({table.alpha.min(), table.alpha.max()}):
        rows = table[table.alpha.eq(alpha)].groupby("batch", sort=False)
        means = {y: rows[y].mean() for y in ("training_error", "test_error")}
        listed = ", ".join(
            f"{name} {100 * means['training_error'][name]:.0f} against "
            f"{100 * means['test_error'][name]:.0f} %"
            for name in means["test_error"].index
        )
        parts.append(rf"at $\alpha = {alpha:g}$ {listed}")
    return f"Mean error on training against fresh samples: {'; '.join(parts)}."


def variation(results: Any, alpha: float) -> dict[str, tuple[float, float]]:
    """Return how far starts, and how far data sets, differ at one alpha.

    For each kind of batch without momentum, under the logistic loss: the standard deviation
    between the starts on a data set, and that between the means of the data sets.
    """
    table = results.table("runs")
    if alpha not in set(table.alpha[table.kind.eq("losses")]):
        return {}
    table = runs(results, "losses", channel=LOGISTIC, momentum="none", alpha=alpha)
    return {
        str(batch): (
            float(rows.groupby("set").test_error.var().mean() ** 0.5),
            float(rows.groupby("set").test_error.mean().std()),
        )
        for batch, rows in table.groupby("batch", sort=False)
    }


def variation_rows(results: Any, alpha: float) -> list[list[str]]:
    """Return the rows of the page's table of that, in percentage points; a dash is no value."""
    found = variation(results, alpha)
    if not np.isfinite(list(found.values())).any():
        return []
    return [
        [name, *(f"{100 * one:.1f}" if np.isfinite(one) else "–" for one in both)]
        for name, both in found.items()
    ]


def curves(results: Any) -> pd.DataFrame:
    """Return the students' errors along their way; one that stopped early keeps its last.

    Raises
    ------
    KeyError
        If none were asked for.
    """
    settings(results, "time")
    table = results.table("curves")
    table = table[table.epoch > 0]
    keys = ["method", "set", "start"]
    wide = table.pivot_table(index=keys, columns="epoch", values=list(ERRORS)).ffill(axis=1)
    return wide.stack("epoch", future_stack=True).reset_index()


# --- comparisons ---------------------------------------------------------------------------------


def differences(table: pd.DataFrame, column: str, first: Any, second: Any) -> pd.Series:
    """Return the mean error with ``first`` less that with ``second``, on each data set.

    Only where message passing is sure to find the teacher: with fewer samples all guess.
    """
    table = table[table.alpha >= SURE * threshold()]
    means = table.groupby(["alpha", "set", column]).test_error.mean().unstack(column)
    return (means[first] - means[second]).dropna()


def points(values: Iterable[float]) -> str:
    """Return a median difference with its interval, in percentage points."""
    low, middle, high = median_interval(values)
    if not np.isfinite(low):
        return f"{100 * middle:+.1f} (too few data sets)".replace("-", "−")
    return f"{100 * middle:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−")


def _listed(found: dict[str, pd.Series], words: Iterable[Word] = ()) -> str:
    said = [f" [{word}]" for word in words] or [""] * len(found)
    parts = zip(found.items(), said, strict=True)
    return ", ".join(f"{name} {points(values)}{word}" for (name, values), word in parts)


def _by_batch(table: pd.DataFrame, column: str, first: Any, second: Any) -> dict[str, pd.Series]:
    return {
        str(batch): differences(rows, column, first, second)
        for batch, rows in table.groupby("batch", sort=False)
    }


POINTS = "in percentage points, median over data sets"
UNIT = f"{POINTS} and α"


# --- the claims ----------------------------------------------------------------------------------


def _logistic(results: Any) -> Verdict:
    """Test d2-4-10-a: with every kind of batch the logistic loss has the smaller error."""
    gains = _by_batch(runs(results, "losses"), "channel", LOGISTIC, SQUARE)
    words = [below(gain, 0) for gain in gains.values()]
    return Verdict(
        together(*words),
        f"Error with the logistic loss less that with the square loss, {UNIT}: "
        f"{_listed(gains, words)}.",
    )


def _most_for_descent(results: Any) -> Verdict:
    """Test d2-4-10-b: on each data set GD and SGD gain more by it than P-SGD does."""
    gains = _by_batch(runs(results, "losses"), "channel", LOGISTIC, SQUARE)
    more = {name: gains[name] - gains["P-SGD"] for name in ("GD", "SGD")}
    words = [below(values.dropna(), 0) for values in more.values()]
    return Verdict(
        together(*words),
        f"What the logistic loss changes, less what it changes for P-SGD, {UNIT}: "
        f"{_listed(more, words)}.",
    )


def _ahead(results: Any) -> Verdict:
    """Test d2-4-10-c: with either loss P-SGD has the smaller error."""
    leads = {
        f"{words}, {other}": differences(rows, "batch", "P-SGD", other)
        for channel, words in LOSSES.items()
        for rows in [runs(results, "losses", channel=channel)]
        for other in ("GD", "SGD")
    }
    words = [below(lead, 0) for lead in leads.values()]
    return Verdict(
        together(*words),
        f"P-SGD's error less that of the other, {UNIT}: {_listed(leads, words)}.",
    )


def _momentum(results: Any) -> Verdict:
    """Test d2-4-10-d: with every kind of batch and either loss momentum shifts no error."""
    table = runs(results, "losses")
    effects = {
        f"{name}, {LOSSES[str(channel)]}": effect
        for channel, rows in table.groupby("channel", sort=False)
        for name, effect in _by_batch(rows, "momentum", "Nesterov", "none").items()
    }
    verdict = _no_shift(effects, f"Error with momentum less that without it, {UNIT}")
    return Verdict(verdict.verdict, f"{verdict.evidence}{_of_chance(table)} {_rates(results)}")


def _no_shift(effects: dict[str, pd.Series], of: str) -> Verdict:
    """Test that differences are none: less than `EQUAL` over all, and not more at any one alpha.

    What starts differ by widens an interval and shifts no median, so it makes no difference. An
    interval at one alpha is wider: of all of them together nine in ten cover their medians.
    """
    words, apart = [], []
    for name, effect in effects.items():
        at = effect.groupby(level="alpha")
        ends = {alpha: median_interval(rows, 1 - 0.1 / at.ngroups) for alpha, rows in at}
        far = [f"{alpha:g}" for alpha, (low, _, high) in ends.items() if _outside(low, high)]
        words.append("fails" if far else within(effect, -EQUAL, EQUAL))
        apart += [f"{name} at α = {', '.join(far)}"] * bool(far)
    found = f" (it does for {'; '.join(apart)})" * bool(apart)
    return Verdict(
        together(*words),
        f"{of}: {_listed(effects, words)}; no difference means that the interval lies within "
        f"{100 * EQUAL:g} of 0, and that none at a single α lies outside{found}.",
    )


def _outside(low: float, high: float) -> bool:
    return low > EQUAL or high < -EQUAL


def _of_chance(table: pd.DataFrame) -> str:
    """Say how much runs of one method differ on one data set, from start to start."""
    same = table[table.alpha >= SURE * threshold()].groupby(
        ["channel", "hidden", "method", "alpha", "set"]
    )
    deviation = same.test_error.var().mean() ** 0.5
    if not np.isfinite(deviation):
        return ""
    return (
        " The starts of one method on one data set have a standard deviation of "
        f"{100 * deviation:.1f}."
    )


def _rates(results: Any) -> str:
    """Say what else differs between runs with momentum and without it in Figure 4.10."""
    at = settings(results, "losses")
    share = at.get("momentum_rate", at["learning_rate"]) / at["learning_rate"]
    if share == 1:
        return "Both have the same learning rate."
    return (
        f"As in the thesis, runs with momentum have {share:g} of the learning rate, and with it, "
        f"in P-SGD, {share:g} of the switch rate: this is no test of momentum alone."
    )


def _far_from_possible(results: Any) -> Verdict:
    """Test d2-4-10-e: GAMP is perfect, and the best of all students is not near it."""
    gamp = control(results)
    gamp = gamp[gamp.prior.eq("±1") & gamp.alpha.ge(SURE * threshold())]
    best = best_students(results)
    mean = gamp.groupby(["alpha", "set"]).test_error.mean()
    perfect, apart = gamp.test_error.lt(EXACT), (mean - FAR * best).dropna()
    words = mostly(perfect, SHARE), below(apart, 0)
    return Verdict(
        together(*words),
        f"From {SURE:g} times the threshold on GAMP finds the teacher exactly in {perfect.sum()} "
        f"of {len(gamp)} runs [{words[0]}]. Error of each data set's best student less that of "
        f"GAMP, {UNIT}: {points(_behind(results, gamp))}; far means that GAMP's is below {FAR:g} "
        f"times the student's [{words[1]}].",
    )


def _behind(results: Any, gamp: pd.DataFrame) -> pd.Series:
    """Return the best student's error less that of these runs of GAMP, on each data set."""
    return (best_students(results) - gamp.groupby(["alpha", "set"]).test_error.mean()).dropna()


def _no_help(results: Any) -> Verdict:
    """Test d2-4-11-a: two units do not lower the error of GD and SGD by as much as `EQUAL`."""
    effects = _by_batch(runs(results, "hidden"), "hidden", 2, 1)
    chosen = {name: effects[name] for name in ("GD", "SGD")}
    words = [above(effect, -EQUAL) for effect in chosen.values()]
    return Verdict(
        together(*words),
        f"Error with two units less that with one, {UNIT}: {_listed(chosen, words)}; to help means "
        f"{100 * EQUAL:g} less.",
    )


def _hinders(results: Any) -> Verdict:
    """Test d2-4-11-b: two units raise the error of P-SGD."""
    effects = {
        words: differences(rows, "hidden", 2, 1)
        for momentum, words in MOMENTA.items()
        for rows in [runs(results, "hidden", batches="persistent", momentum=momentum)]
    }
    words = [above(effect, 0) for effect in effects.values()]
    return Verdict(
        together(*words),
        f"P-SGD's error with two units less that with one, {UNIT}: {_listed(effects, words)}.",
    )


def _momentum_of_two(results: Any) -> Verdict:
    """Test d2-4-11-c: with two units, too, momentum shifts no error."""
    table = runs(results, "hidden", hidden=2)
    effects = _by_batch(table, "momentum", "Nesterov", "none")
    verdict = _no_shift(effects, f"Error with momentum less that without it, two units, {UNIT}")
    return Verdict(verdict.verdict, verdict.evidence + _of_chance(table))


def _norm_is_not_enough(results: Any) -> Verdict:
    """Test hd-sd-a: told the norm only, GAMP makes errors where, told +-1, it makes none."""
    gamp = control(results)
    gamp = gamp[gamp.alpha.ge(SURE * threshold())]
    told, untold = (gamp[gamp.prior.eq(prior)] for prior in TOLD)
    exact, wrong = told.test_error.lt(EXACT), untold.test_error.gt(DOOR_RECOVERED)
    errors = ", ".join(
        f"{100 * rows.test_error.median():.1f} % at α = {alpha:g} ({100 * possible(alpha):.1f} %)"
        for alpha, rows in untold.groupby("alpha")
    )
    return Verdict(
        together(mostly(exact, SHARE), mostly(wrong, SHARE)),
        f"From {SURE:g} times the threshold on: told ±1, {exact.sum()} of {len(told)} runs are "
        f"exact; told the norm, "
        f"{wrong.sum()} of {len(untold)} have more than {100 * DOOR_RECOVERED:g} % wrong labels. "
        f"Their median, and in brackets that of state evolution: {errors}.",
    )


def _behind_the_norm(results: Any) -> Verdict:
    """Test hd-sd-b: the best student's error is larger than that of GAMP told only the norm."""
    gamp = control(results)
    behind = _behind(results, gamp[gamp.prior.eq("norm") & gamp.alpha.ge(SURE * threshold())])
    at = ", ".join(
        f"{points(rows)} at α = {alpha:g}" for alpha, rows in behind.groupby(level="alpha")
    )
    return Verdict(
        above(behind, EQUAL),
        f"Error of each data set's best student less that of GAMP told the norm, {POINTS}: {at} "
        f"(asked: above {100 * EQUAL:g}).",
    )


def _still_moving(results: Any) -> Verdict:
    """Test hd-sd-c: from the budget to its multiple P-SGD's error falls, GD's does not."""
    table, last = curves(results), settings(results, "time")["epochs"]
    first = settings(results, "losses")["epochs"]
    budget = table.epoch[table.epoch <= first].max()
    gains = {}
    for method, rows in table.groupby("method", sort=False):
        means = rows.groupby(["set", "epoch"]).test_error.mean().unstack("epoch")
        gains[str(method)] = means[last] - means[budget]
    moving: list[Word] = [
        below(gain, 0) if name.startswith("P-SGD") else within(gain, -EQUAL, EQUAL)
        for name, gain in gains.items()
    ]
    return Verdict(
        together(*moving),
        f"Error after {last:,} epochs less that after {budget:,}, {POINTS}: "
        f"{_listed(gains, moving)}; asked: below 0 of P-SGD, within {100 * EQUAL:g} of 0 of GD.",
    )


def _teacher(results: Any) -> Verdict:
    """Test hd-sd-d: a normal teacher as drawn does as one of norm sqrt(p)."""
    effects = _by_batch(runs(results, "teacher"), "teacher", "as drawn", "sphere")
    alpha = settings(results, "teacher")["alpha"]
    rows = runs(results, "losses", channel=LOGISTIC, alpha=alpha, momentum="none")
    same = runs(results, "teacher", teacher="sphere")
    means = {
        name: [100 * table[table.batch.eq(name)].test_error.mean() for table in (rows, same)]
        for name in effects
    }
    listed = ", ".join(f"{name} {one:.1f} and {two:.1f} %" for name, (one, two) in means.items())
    return Verdict(
        together(*(within(effect, -EQUAL, EQUAL) for effect in effects.values())),
        "Error under a normal teacher as drawn less that under the same teacher at norm √p, "
        f"{POINTS}: {_listed(effects)}; the same means less than {100 * EQUAL:g}. "
        f"Mean errors under ±1 and under a normal teacher of norm √p, on "
        f"different inputs: {listed}.",
    )


def _rate(results: Any) -> Verdict:
    """Test hd-sd-e: with twice the learning rate two units are no worse than one with P-SGD."""
    alpha = settings(results, "rate")["alpha"]
    plain, faster = runs(results, "hidden", alpha=alpha), runs(results, "rate")
    one = plain[plain.hidden.eq(1) & plain.batch.isin(faster.batch)]
    before = _by_batch(plain[plain.batch.isin(faster.batch)], "hidden", 2, 1)
    after = _by_batch(pd.concat([one, faster]), "hidden", 2, 1)
    return Verdict(
        below(after["P-SGD"], EQUAL),
        f"Error with two units less that with one at α = {alpha:g}, {POINTS}: at one learning rate "
        f"{_listed(before)}; when two units have twice that of one {_listed(after)} "
        f"(no worse means at most {100 * EQUAL:g} more).",
    )


#: What Figures 4.10 and 4.11 are judged on.
FIRST = partial(scale_of, kind="losses")
SECOND = partial(scale_of, kind="hidden", factor=1500)

CLAIMS = (
    claim(
        "d2-4-10-a",
        "The logistic loss makes fewer errors than the square loss.",
        "caption of Figure 4.10",
        _logistic,
        scale=FIRST,
    ),
    claim(
        "d2-4-10-b",
        "GD and SGD gain most by it.",
        "caption of Figure 4.10",
        _most_for_descent,
        scale=FIRST,
    ),
    claim(
        "d2-4-10-c",
        "P-SGD is ahead of GD and SGD, with either loss.",
        "caption of Figure 4.10; Section 4.3.4",
        _ahead,
        scale=FIRST,
    ),
    claim(
        "d2-4-10-d",
        "Momentum makes no difference to speak of.",
        "caption of Figure 4.10; Section 4.3.4",
        _momentum,
        scale=FIRST,
    ),
    claim(
        "d2-4-10-e",
        "Gradient descent, in whatever variant, does far worse than message passing.",
        "Sections 2.3.2 and 4.3.4",
        _far_from_possible,
        scale=FIRST,
    ),
    claim(
        "d2-4-11-a",
        "Two hidden units do not help GD and SGD.",
        "caption of Figure 4.11",
        _no_help,
        scale=SECOND,
    ),
    claim(
        "d2-4-11-b",
        "Two hidden units hinder P-SGD.",
        "caption of Figure 4.11",
        _hinders,
        scale=SECOND,
    ),
    claim(
        "d2-4-11-c",
        "With two hidden units, too, momentum makes no difference to speak of.",
        "Section 4.3.4",
        _momentum_of_two,
        scale=SECOND,
    ),
    claim(
        "hd-sd-a",
        "Message passing is exact because it knows that the entries are ±1: told only the norm, "
        "it makes errors too.",
        "our control",
        _norm_is_not_enough,
    ),
    claim(
        "hd-sd-b",
        "Even what can be done without ±1 is out of the students' reach.",
        "our question",
        _behind_the_norm,
        scale=FIRST,
    ),
    claim(
        "hd-sd-c",
        "At the end of the budget GD is at rest, and P-SGD is not.",
        "our question",
        _still_moving,
        scale=FIRST,
    ),
    claim(
        "hd-sd-d",
        "A normal teacher left as drawn, which Figure 4.10 seems to have had, gives what the same "
        "teacher of norm √p does.",
        "our control",
        _teacher,
    ),
    claim(
        "hd-sd-e",
        "Given twice the learning rate, for their halved gradient, two units are no worse than one "
        "with P-SGD.",
        "our question",
        _rate,
        scale=SECOND,
    ),
)
