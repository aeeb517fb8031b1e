"""Each claim has its verdict on results made to it and another when they change."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.findings import adam_generalizability as findings

METHODS, TRIALS, NOISES = ("Adam", "GD"), range(5), (0.1, 0.3)
SIZE = {"n": 30, "rank": 2, "observed": 300}


def made() -> dict[str, pd.DataFrame]:
    kinds = ("zero-filled", "filled at random", "random", "tiny")
    start = [
        {"method": m, "start": s, "rate": r, "weight": 0.01, "trial": t}
        | {"error": 12.0 if s == "tiny" and m == "GD" else 0.7 if r != 0.01 else 1e-4}
        | {"steps": 100}
        for m, s, r, t in product(METHODS, kinds, (0.003, 0.01, 0.03), TRIALS)
    ]
    paths = [{**row, "step": step} for row in start for step in (0, 1, 10)]
    noise = [
        {**SIZE, "noise": sd, "method": m, "rate": 0.01, "weight": w, "trial": t, "step": step}
        | {"error": findings.floor(30, 2, 300, sd) * (2 if w > 0.05 else 6 if step > 50 else 3)}
        for sd, m, w, t, step in product(NOISES, METHODS, (0.01, 0.1), TRIALS, (1, 10, 100))
    ]
    soft = [
        {"noise": sd, "weight": w, "trial": t, "error": 200 * w * sd**2}
        for sd, w, t in product(NOISES, (0.1, 0.01), TRIALS)
    ]
    row = {"rate": 0.01, "weight": 0.01}
    deep = [
        {**row, "method": m, "depth": d, "penalty": q, "trial": t, "error": 1e-4}
        for m, d, q, t in product(METHODS, (2, 3), ("none", "ratio"), TRIALS)
    ]
    network = [
        {**row, "method": m, "penalty": q, "trial": t, "error": {"none": 0.5, "ratio": 0.2}[q]}
        for m, q, t in product(METHODS, ("none", "ratio"), TRIALS)
    ]
    named = {"start": start, "start_paths": paths, "noise": noise, "soft": soft}
    named |= {"deep": deep, "network": network}
    return {name: pd.DataFrame(rows) for name, rows in named.items()}


def results(tables: dict[str, pd.DataFrame]) -> SimpleNamespace:
    return SimpleNamespace(table=lambda name: tables[name].copy())


def verdict(name: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id == name]
    return claim.test(results(tables)).verdict


#: claim -> its verdict as made, and (table, rows, column, factor, verdict that follows)
CASES = {
    "d3-4-a": ("holds", ("start", "start == 'zero-filled'", "error", 1e3, "fails")),
    "hd-ag-a": ("holds", ("start", "start == 'random'", "error", 1e3, "partly")),
    "hd-ag-e": ("holds", ("start_paths", "start == 'tiny'", "error", 0.01, "partly")),
    "d3-4-b": ("holds", ("soft", "noise > 0.2", "error", 3.0, "partly")),
    "hd-ag-b": ("holds", ("noise", "noise > 0.2 and weight > 0.05", "error", 2.5, "partly")),
    "hd-ag-c": ("holds", ("noise", "step < 50 and weight < 0.05", "error", 8.0, "fails")),
    "hd-ag-d": (
        "holds",
        ("network", "penalty == 'ratio' and method == 'GD'", "error", 3.0, "partly"),
    ),
    "d3-4-c": (
        "holds",
        ("network", "method == 'GD' and penalty == 'none'", "error", 3.0, "partly"),
    ),
}


@pytest.mark.parametrize("name", [claim.id for claim in findings.CLAIMS])
def test_a_claim_has_its_verdict_and_another_when_its_numbers_change(name: str) -> None:
    as_made, (table, rows, column, factor, expected) = CASES[name]
    tables = made()
    assert verdict(name, tables) == as_made
    chosen = tables[table].query(rows).index
    assert len(chosen)
    tables[table].loc[chosen, column] *= factor
    assert verdict(name, tables) == expected


@pytest.mark.parametrize("name", CASES)
def test_two_trials_decide_nothing(name: str) -> None:
    tables = {key: table[table.trial < 2] for key, table in made().items()}
    assert verdict(name, tables) == "undecided"


def test_the_floor_is_the_error_of_least_squares_in_known_subspaces() -> None:
    generator = np.random.default_rng(0)
    n, r, m = 12, 1, 120
    u, v = (np.linalg.qr(generator.normal(size=(n, n)))[0] for _ in range(2))
    basis = [np.outer(u[:, i], v[:, j]) for i, j in product(range(n), range(n)) if min(i, j) < r]
    design = np.stack([one.ravel() for one in basis], 1)
    errors = []
    for _ in range(200):
        rows = generator.permutation(n * n)[:m]
        noise = 0.1 * generator.normal(size=m)
        fitted = design @ np.linalg.lstsq(design[rows], noise, rcond=None)[0]
        errors.append((fitted**2).mean())
    assert np.mean(errors) == pytest.approx(findings.floor(n, r, m, 0.1), rel=0.1)


def test_only_the_weight_of_exact_entries_can_break_down() -> None:
    tables = made()
    tables["soft"]["error"] *= 3
    assert verdict("d3-4-b", tables) == "fails"
    tables["noise"].loc[tables["noise"].weight > 0.05, "error"] *= 30
    assert verdict("d3-4-b", tables) == "fails"


def with_worse_rates_beside() -> dict[str, pd.DataFrame]:
    tables = made()
    for name in ("deep", "network"):
        worse = [tables[name].assign(rate=rate, error=0.9) for rate in (0.001, 0.1)]
        tables[name] = pd.concat([tables[name], *worse], ignore_index=True)
    return tables


def test_where_errors_still_fall_at_the_end_of_a_grid_is_named() -> None:
    tables = with_worse_rates_beside()
    assert findings.edges(results(tables)).startswith("Nowhere")
    last = (tables["deep"].rate == 0.1) & (tables["deep"].method == "GD")
    tables["deep"].loc[last, "error"] = 0.95e-4
    assert findings.edges(results(tables)).startswith("Nowhere")
    tables["deep"].loc[last, "error"] = 1e-6
    assert "GD, depth 3, ratio (highest)" in findings.edges(results(tables))


@pytest.mark.parametrize(
    ("method", "penalty", "name", "word"),
    [
        ("GD", "none", "d3-4-c", "holds"),
        ("Adam", "none", "d3-4-c", "undecided"),
        ("Adam", "none", "hd-ag-d", "undecided"),
        ("Adam", "ratio", "hd-ag-d", "holds"),
    ],
)
def test_who_loses_at_an_end_of_its_grid_may_yet_win(method, penalty, name, word) -> None:
    tables = with_worse_rates_beside()
    assert verdict(name, tables) == "holds"
    network = tables["network"]
    own = (network.method == method) & (network.penalty == penalty)
    network.loc[own & (network.rate == 0.01), "error"] *= 1.5
    network.loc[own & (network.rate == 0.1), "error"] = {"none": 0.5, "ratio": 0.2}[penalty]
    assert verdict(name, tables) == word


def test_a_best_weight_at_an_end_of_the_grid_is_flagged() -> None:
    assert "0.1 for noise 0.3 (the largest tried)" in findings.best_weights(results(made()))


def test_what_a_lower_rate_does_for_noise_is_judged_by_itself() -> None:
    tables = made()
    early = tables["noise"].assign(rate=0.001, error=1e-6)
    tables["noise"] = pd.concat([tables["noise"], early], ignore_index=True)
    assert verdict("d3-4-b", tables) == "partly"
    assert verdict("hd-ag-b", tables) == "holds"  # at the lower rate no larger weight is better


def test_a_start_whose_error_falls_to_the_lowest_rate_may_yet_complete() -> None:
    tables = made()
    table = tables["start"]
    rows = (table.start == "random") & (table.method == "Adam")
    table.loc[rows, "error"] = 20 * table.rate[rows] ** 0.5
    assert verdict("hd-ag-a", tables) == "undecided"
    table.loc[rows & (table.rate < 0.01), "error"] *= 2
    assert verdict("hd-ag-a", tables) == "partly"


def test_one_layer_is_shown_beside_the_deeper_settings_and_decides_nothing() -> None:
    tables = made()
    assert findings.footing_rows(results(tables))[0][0] == findings.CONTROL
    gd = (tables["start"].method == "GD") & (tables["start"].start == "zero-filled")
    tables["start"].loc[gd, "error"] *= 1e3
    assert verdict("d3-4-c", tables) == "holds"


def test_each_weight_is_judged_at_its_best_rate() -> None:
    tables = made()
    worse = tables["noise"].assign(rate=1.0, error=tables["noise"].error * 9)
    tables["noise"] = pd.concat([tables["noise"], worse], ignore_index=True)
    assert set(findings.by_weight(results(tables), "Adam").rate) == {0.01}


@pytest.mark.parametrize("name", CASES)
def test_one_trial_decides_nothing_and_stops_no_page(name: str) -> None:
    tables = {key: table[table.trial < 1] for key, table in made().items()}
    assert verdict(name, tables) == "undecided"
