"""Each claim holds on results made to the text and falls when they are not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.bayes_optimal import (
    ABSOLUTE,
    DESCENT,
    GAMP,
    METHODS,
    PROBLEMS,
    START,
    SYMMETRIC_DOOR,
)
from hdnotes.findings import bayes_optimal
from hdnotes.theory.spectral import predicted_overlap

STARTS = dict(zip(METHODS, (1.35, 1.55, 1.75, 1.95), strict=True))
ALPHAS = np.round(np.arange(1.0, 2.51, 0.1), 2)
RUNS = 40
MATRICES = 4


def made_to_the_text() -> dict[str, pd.DataFrame]:
    """Return runs that all succeed from each method's sample complexity on, at p = 1024."""
    rows = []
    for problem, methods in ((ABSOLUTE, METHODS), (SYMMETRIC_DOOR, (GAMP,))):
        for method in methods:
            start = {ABSOLUTE: 1.25, SYMMETRIC_DOOR: 1.6}[problem] if method == GAMP else 0
            start = start or STARTS[method] + 0.3
            rows += [
                (problem, 1024, alpha, method, run % MATRICES, alpha >= start)
                for alpha in ALPHAS
                for run in range(RUNS)
            ]
    table = pd.DataFrame(rows, columns=["problem", "p", "alpha", "method", "matrix", "good"])
    table = table.assign(kind="recovery", overlap=table.good * 1.0, wrong_signs=1.0 - table.good)
    path = pd.DataFrame(
        [
            (problem, 2048, 2.0, run, step, q + 0.001 * (run - 4.5))
            for problem in PROBLEMS
            for step, q in enumerate(bayes_optimal._path(problem, 2.0, 8))
            for run in range(10)
        ],
        columns=["problem", "p", "alpha", "signal", "step", "q"],
    )
    start = pd.DataFrame(
        [
            (ABSOLUTE, 1024, alpha, START, run % MATRICES, predicted_overlap(alpha))
            for alpha in ALPHAS
            for run in range(RUNS)
        ],
        columns=["problem", "p", "alpha", "method", "matrix", "overlap"],
    )
    return {"recovery": table.drop(columns="good"), "path": path, "start": start}


def verdict(name: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [one for one in bayes_optimal.CLAIMS if one.id == name]
    cells = [{"kind": "recovery", "descent_steps": 4000}]
    return claim.test(SimpleNamespace(cells=cells, table=lambda name: tables[name].copy())).verdict


#: claim -> verdict on results made to the text: 1.3 works but is no threshold.
MADE = {claim.id: "holds" for claim in bayes_optimal.CLAIMS} | {"d2-1-a": "partly"}
#: claim -> (rows of the table of runs, do they recover?, the verdict that follows)
BREAKS = {
    "d2-1-a": ("method == 'GAMP' and alpha < 1.6", False, "fails"),
    "d2-2-3-a": ("problem == 'symmetric door' and alpha < 1.65", False, "partly"),
    "hd-bo-a": ("method == 'GAMP' and alpha < 1.45", True, "partly"),
    "hd-bo-c": ("method == 'reweighted amplitude flow' and alpha == 2", False, "fails"),
    "hd-bo-d": ("method == 'spectral start + GD' and alpha < 2.45", False, "fails"),
    "hd-bo-e": ("method == 'spectral start + GD' and alpha > 1.35", True, "partly"),
}


@pytest.mark.parametrize("name", MADE)
def test_verdicts_on_results_made_to_the_text(name):
    tables = made_to_the_text()
    if name == "hd-bo-d":  # below 2, where the source's method never succeeds
        rows = tables["recovery"].eval(
            "method == @DESCENT and alpha > 1.75", local_dict={"DESCENT": DESCENT}
        )
        tables["recovery"].loc[rows, "overlap"] = 1.0
    assert verdict(name, tables) == MADE[name]


@pytest.mark.parametrize("name", BREAKS)
def test_a_claim_falls_when_its_results_do(name):
    where, good, expected = BREAKS[name]
    tables = made_to_the_text()
    rows = tables["recovery"].eval(where)
    tables["recovery"].loc[rows, ["overlap", "wrong_signs"]] = [float(good), 1.0 - good]
    assert verdict(name, tables) == expected


def test_a_path_that_leaves_the_prediction_is_not_followed():
    tables = made_to_the_text()
    tables["path"].loc[tables["path"].step == 8, "q"] -= 0.1
    assert verdict("hd-bo-b", tables) == "fails"


def test_a_start_that_leaves_the_prediction_or_finds_teachers_is_seen():
    tables = made_to_the_text()
    start = tables["start"]
    start.loc[start.alpha == 2.0, "overlap"] = 0.8
    assert verdict("hd-bo-g", tables) == "fails"
    assert verdict("hd-bo-f", tables) == "holds"
    tables["start"] = start.assign(overlap=1.0)
    assert verdict("hd-bo-f", tables) == "fails"


def test_the_start_alone_is_set_beside_the_methods_on_their_instances():
    tables = made_to_the_text()
    larger = tables["start"].assign(p=2048)
    tables["start"] = pd.concat([tables["start"], larger])
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    half = bayes_optimal.half_points(bayes_optimal.compared(results))
    assert list(half) == [*METHODS, START]
    assert str(half[START][1024]) == "above 2.50"
    assert set(half[START]) == {1024}


HIGH = ["d2-1-a", "d2-2-3-a", "hd-bo-a", "hd-bo-b", "hd-bo-c", "hd-bo-g"]


@pytest.mark.parametrize("name", HIGH)
def test_small_systems_decide_nothing_about_high_dimension(name):
    tables = {key: table.assign(p=128) for key, table in made_to_the_text().items()}
    assert verdict(name, tables) == "undecided"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d2-1-a", "fails"),  # the threshold is computed, and it is not the 1.3 of the text
        ("d2-2-3-a", "undecided"),
        ("hd-bo-c", "undecided"),
    ],
)
def test_few_runs_decide_nothing_that_needs_runs(name, expected):
    tables = made_to_the_text()
    table = tables["recovery"]
    tables["recovery"] = table.groupby(["problem", "alpha", "method"]).head(3)
    assert verdict(name, tables) == expected


def test_the_overlap_curve_is_zero_rises_and_jumps():
    curve = bayes_optimal.overlap_curve(ABSOLUTE, 1.4).set_index("alpha").overlap
    assert curve.index.is_monotonic_increasing
    assert (curve[:0.5] < 0.1).all()
    assert curve.iloc[-3] == pytest.approx(0.92, abs=0.01)  # where it jumps
    assert curve.iloc[-2:].tolist() == [1, 1]


def test_counts_that_follow_the_matrix_are_dispersed_and_shuffled_ones_are_not():
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        [(GAMP, 64, alpha, m, alpha, m) for alpha in ALPHAS for m in range(4) for _ in range(10)],
        columns=["method", "p", "alpha", "matrix", "a", "b"],
    )
    together = table.assign(recovered=table.b < 2)
    alone = table.assign(recovered=random.random(len(table)) < 0.5)
    ratio, deviation = bayes_optimal.dispersion(alone)
    assert abs(ratio - 1) < 3 * deviation
    assert bayes_optimal.dispersion(together).ratio == pytest.approx(40 / 3)


def test_longer_budgets_are_compared_at_their_own_sample_complexities():
    tables = made_to_the_text()
    runs = tables["recovery"]
    plain = runs[runs.method.eq(DESCENT) & runs.alpha.isin([2.2, 2.3])]
    more = plain.assign(kind="budget", overlap=1.0)
    tables["recovery"] = pd.concat([tables["recovery"], more])
    found = bayes_optimal.longer(SimpleNamespace(table=lambda name: tables[name]))
    assert found.budget.tolist() == [0, 1]
    assert found.longer.tolist() == [1, 1]


def test_longer_budgets_that_nobody_got_are_told():
    results = SimpleNamespace(table=lambda name: made_to_the_text()[name])
    assert "None" not in bayes_optimal.longer_words(results)
    assert bayes_optimal.longer_words(results).startswith("More are given from 1.6 to 1.9 only")


def test_counts_that_are_all_or_nothing_tell_no_dispersion():
    rows = {"method": [GAMP] * 2, "p": 64, "alpha": 2.0, "matrix": [0, 1], "recovered": True}
    assert "cannot tell" in bayes_optimal.dispersion_words(pd.DataFrame(rows))
