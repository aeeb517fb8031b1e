"""Each claim of the chapter holds on results made to the text and falls when they are not."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.adam import (
    EACH,
    FACTORS,
    FULL,
    GROWING,
    NO_ADAPTATION,
    NO_CORRECTION,
    NO_MOMENTUM,
    NOISES,
    ONE,
    RATES,
    SCALED,
    SGD_RATES,
    STEADY,
)
from hdnotes.findings import adam as findings
from hdnotes.theory import adam as theory
from hdnotes.theory.convex_rates import lower_bound

TRIALS = range(6)
GAPS = {
    "Adagrad, inverse mean of squares": 1e-15,
    "Adagrad, inverse root of the mean": 0.9,
    "Adagrad, inverse root of the sum": 0.9,
    "Adagrad, past in another order": 1e-15,
    "RMSprop, weights alpha^k": 1e-15,
    "RMSprop, past in another order": 0.3,
    "Adam, its three parts": 1e-14,
    "Adam, no correction": 0.5,
}


def rates_table() -> pd.DataFrame:
    rows = []
    steps = np.unique(np.logspace(0, 3, 40).round())
    for problem, trials in (("quadratic", TRIALS), ("log-sum-exp", TRIALS), ("worst", range(1))):
        for trial in trials:
            for step in steps:
                fast = 2 * lower_bound(2001, step) if problem == "worst" else step**-2
                errors = {
                    "GD": step**-0.5 if problem == "worst" else 1 / step,
                    "GD + momentum": 0.1 / step,
                    "Nesterov": fast,
                    "Nesterov, constant": 0.1 / step,
                }
                rows += [(problem, trial, m, step, f, 1.0, 25.0, 2001) for m, f in errors.items()]
    names = ["problem", "trial", "method", "step", "suboptimality", "smoothness", "distance", "d"]
    return pd.DataFrame(rows, columns=names)


def correction_table() -> pd.DataFrame:
    rows = [
        (beta, trial, step, theory.correction(step, 0.0, beta), theory.correction_matters(beta))
        for beta in (0.9, 0.99, 0.999)
        for trial in TRIALS
        for step in np.unique(np.geomspace(1, 5 / (1 - beta), 60).round())
    ]
    return pd.DataFrame(rows, columns=["beta", "trial", "step", "ratio", "matters"])


def made_to_the_text() -> dict[str, pd.DataFrame]:
    noise = [
        (trial, noise, theory.noisy_move(noise, 0.9), 0.1) for trial in TRIALS for noise in NOISES
    ]
    scale = [
        (name, f"{factor:g}", factor, trial, 1e-14)
        for name in SCALED
        for factor in FACTORS
        for trial in TRIALS
    ] + [("Adam, eps = 0", EACH, math.nan, trial, 1e-14) for trial in TRIALS]
    ablation = []
    for variant in (FULL, NO_MOMENTUM, NO_CORRECTION, NO_ADAPTATION):
        rates = SGD_RATES if variant == NO_ADAPTATION else RATES
        for place, rate in enumerate(rates):
            off = 0.02 if variant == FULL else 0.3
            loss = 0.1 + off * abs(place - 4) + (variant != FULL)
            ablation += [(variant, rate, trial, loss, loss) for trial in TRIALS]
    moves = [(name, 1, theory.spike(0.9, 0.999)) for name in (ONE, STEADY, GROWING)]
    return {
        "rates": rates_table(),
        "streams": pd.DataFrame(
            [(trial, name, gap) for trial in TRIALS for name, gap in GAPS.items()],
            columns=["trial", "formula", "gap"],
        ),
        "correction": correction_table(),
        "noise": pd.DataFrame(noise, columns=["trial", "noise", "size", "progress"]),
        "spikes": pd.DataFrame(moves, columns=["stream", "step", "move"]),
        "scale": pd.DataFrame(scale, columns=["method", "change", "factor", "trial", "gap"]),
        "ablation": pd.DataFrame(ablation, columns=["variant", "lr", "trial", "early", "late"]),
    }


def results(tables: dict[str, pd.DataFrame]) -> SimpleNamespace:
    return SimpleNamespace(table=lambda name: tables[name].copy())


def verdict(claim_id: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [claim for claim in findings.CLAIMS if claim.id == claim_id]
    return claim.test(results(tables)).verdict


#: claim -> (table, rows, column, new value or factor's function, the verdict that follows)
BREAKS = {
    "d3-ad-b": ("rates", "problem == 'worst'", "suboptimality", 1.0, "partly"),
    "hd-ad-a": ("rates", "method == 'GD + momentum'", "suboptimality", 0.9, "fails"),
    "d3-ad-c": ("streams", "formula == 'Adagrad, inverse mean of squares'", "gap", 1.1, "fails"),
    "d3-ad-d": ("streams", "formula == 'Adagrad, past in another order'", "gap", 0.1, "fails"),
    "d3-ad-e": ("streams", "formula == 'RMSprop, past in another order'", "gap", 0.0, "partly"),
    "d3-ad-f": ("streams", "formula == 'Adam, its three parts'", "gap", 0.1, "partly"),
    "d3-ad-g": ("ablation", "variant == 'without bias correction'", "late", 0.1, "partly"),
    "hd-ad-b": ("correction", "beta == 0.99", "matters", 10, "partly"),
    "d3-ad-h": ("scale", "method == 'Adam'", "gap", 0.3, "partly"),
    "hd-ad-c": ("scale", "change == 'each parameter its own'", "gap", 0.3, "fails"),
    "d3-ad-i": ("noise", "noise > 5", "size", 0.5, "fails"),
    "hd-ad-d": ("noise", "noise > 100", "size", 0.01, "fails"),
    "hd-ad-e": ("spikes", "stream == 'gradients that grow'", "move", 7.0, "fails"),
}


@pytest.mark.parametrize("claim_id", [claim.id for claim in findings.CLAIMS])
def test_every_claim_holds_on_results_made_to_the_text(claim_id):
    assert verdict(claim_id, made_to_the_text()) == "holds"


@pytest.mark.parametrize("claim_id", BREAKS)
def test_a_claim_falls_when_its_results_do(claim_id):
    name, where, column, value, expected = BREAKS[claim_id]
    tables = made_to_the_text()
    tables[name].loc[tables[name].eval(where), column] = value
    assert verdict(claim_id, tables) == expected


def test_memory_that_does_not_help_is_no_acceleration():
    tables = made_to_the_text()
    rates = tables["rates"]
    rates["suboptimality"] = 1 / rates.step
    assert verdict("d3-ad-a", tables) == "partly"
    assert set(BREAKS) | {"d3-ad-a"} == {claim.id for claim in findings.CLAIMS}


@pytest.mark.parametrize(
    "claim_id",
    [claim.id for claim in findings.CLAIMS if claim.id not in ("d3-ad-b", "hd-ad-e")],
)
def test_two_trials_decide_nothing(claim_id):
    tables = {
        name: table[table.trial < 2] if "trial" in table else table
        for name, table in made_to_the_text().items()
    }
    assert verdict(claim_id, tables) == "undecided"


def test_a_part_that_matters_at_large_rates_only_matters_partly():
    tables = made_to_the_text()
    table = tables["ablation"]
    without = table.variant.eq(NO_CORRECTION)
    full = table[table.variant.eq(FULL)]
    table.loc[without, ["late", "early"]] = full[["late", "early"]].to_numpy()
    assert verdict("d3-ad-g", tables) == "fails"
    table.loc[without & table.lr.gt(0.05), "late"] *= 9
    assert verdict("d3-ad-g", tables) == "partly"


def test_a_correction_that_lasts_much_longer_is_seen_at_either_cut():
    tables = made_to_the_text()
    table = tables["correction"]
    table.loc[table.beta.eq(0.99) & table.step.gt(5), "ratio"] *= 3  # never below 1.1
    assert findings.longer_than(results(tables), 1.1).query("beta == 0.99").share.gt(4).all()
    assert verdict("hd-ad-b", tables) == "partly"


def test_a_variant_with_a_lower_loss_is_said_to_beat_adam():
    tables = made_to_the_text()
    assert "beaten" not in findings.against_adam(results(tables))
    tables["ablation"].loc[tables["ablation"].variant.eq(NO_CORRECTION), "late"] = 0.05
    assert "beaten here by Adam without bias correction" in findings.against_adam(results(tables))


def test_the_best_rate_is_the_one_with_the_lowest_median():
    rows = findings.ablation_rows(results(made_to_the_text()))
    assert [row[0] for row in rows] == [FULL, NO_MOMENTUM, NO_CORRECTION, NO_ADAPTATION]
    assert rows[0][1] == "0.010"
    assert rows[0][3] == "8"
    assert rows[1][3] == "7"
