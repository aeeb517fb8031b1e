"""Each claim holds on results made to it and falls when they are not."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.findings import adam_ratio as findings

RATES = {"Adam": (1e-3, 1e-2), "GD": (30.0, 95.0, 300.0), "GD + momentum": (3.0, 9.5)}
WEIGHTS, TRIALS, M = (0.01, 0.0316, 0.1), range(5), (150, 300, 450)


def fallen(time: float) -> float:
    """Return an error that falls with time, and rises again much later."""
    return float(1e-4 + np.exp(-3 * time) if time < 20 else 5.0)


STEPS = (0, 1, 2, 3, 5, 10, 20, 30, 50, 70, 100, 140, 200)


def made_as_claimed() -> dict[str, pd.DataFrame]:
    common = {"rank": 2, "n": 30, "outcome": "budget", "observed_error": 1e-5, "angle_deg": 0.1}
    common["steps"] = 2000
    ends, paths = [], []
    for method, weight, trial in product(RATES, WEIGHTS, TRIALS):
        for rate in RATES[method]:
            time = {"Adam": rate * 200, "GD": rate * weight, "GD + momentum": rate * weight * 10}
            error = fallen(time[method] * (1 + (method == "GD + momentum")))
            if (method, rate, weight) in {("Adam", 1e-2, 0.1)}:
                error = 5.0
            if method == "GD + momentum":
                error = 0.2 if rate < 9 else 1e-3
            row = {"method": method, "rate": rate, "weight": weight, "trial": trial}
            shape = {"penalty": "ratio", "depth": 1, "observed": 300, "part": "map"}
            ends.append({**common, **row, **shape, "error": error, "effective_rank": 2.0})
            for step in STEPS:
                past = time[method] * step / 200
                paths.append({**row, "step": step, "error": min(fallen(past), 0.95)})
    for method, penalty, depth, m, trial in [
        (*line, m, t)
        for line in (("Adam", "ratio", 1), ("GD", "ratio", 1), ("GD", "none", 2), ("GD", "none", 3))
        for m, t in product(M, TRIALS)
    ]:
        row = {"method": method, "penalty": penalty, "depth": depth, "observed": m, "trial": trial}
        error = 0.5 if m == 150 and depth != 1 else 1e-4
        row |= {"part": "entries", "rate": 1.0, "weight": 0.01, "error": error}
        ends.append({**common, **row, "effective_rank": 2.0})
    for trial, weight in product(TRIALS, (0.01, 0.1)):
        row = {"part": "start", "method": "Adam", "rate": 0.01, "weight": weight, "trial": trial}
        ends.append({**common, **row, "error": 0.7, "effective_rank": 5.0})
    for trial in TRIALS:
        row = {"part": "map", "method": "GroupRMSprop", "rate": 0.3, "weight": 0.01}
        ends.append({**common, **row, "trial": trial, "error": 1e-3, "effective_rank": 2.0})
    convex = [
        {"rank": 2, "n": 30, "observed": m, "method": "soft-impute", "weight": w, "trial": t}
        | {"error": {150: 0.6, 300: 0.05, 450: 1e-12}[m]}
        for m, w, t in product(M, (0.1, 0.01), TRIALS)
    ]
    landscape = [
        {
            "line": line,
            "trial": t,
            "reach": reach,
            "least": value,
            "largest": value,
            "observed": 300,
        }
        for t in TRIALS
        for line, reach, value in (
            ("truth", 0.0, 1.4),
            ("one entry", 0.01, 1.401),
            ("one entry", 1e5, 1.001),
            ("random direction", 0.01, 1.41),
            ("random direction", 1e5, 4.0),
        )
    ]
    lbfgs = [{"weight": 0.01, "trial": t, "error": 1e-3, "effective_rank": 2.0} for t in TRIALS]
    laws = [{"trial": 0, "scale": 1.0, "ratio": 2.0, "gradient_norm": 0.1, "cosine": 1e-17}]
    named = {"ends": ends, "paths": paths, "convex": convex, "landscape": landscape}
    certificate = [
        {"observed": m, "trial": t, "low": low, "high": 1.5 * low, "conditioning": 0.1}
        for m, low in ((150, 1.2), (300, 0.2))
        for t in TRIALS
    ]
    named |= {"lbfgs": lbfgs, "laws": laws, "certificate": certificate}
    return {name: pd.DataFrame(rows) for name, rows in named.items()}


def results(tables: dict[str, pd.DataFrame]) -> SimpleNamespace:
    return SimpleNamespace(table=lambda name: tables[name].copy())


def verdict(name: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id == name]
    return claim.test(results(tables)).verdict


MAP = "part == 'map' and method == "
#: claim -> its verdict as made, and (table, rows, column, factor, verdict that follows)
CASES = {
    "d3-2-a": ("holds", ("ends", MAP + "'Adam'", "error", 1e4, "fails")),
    "d3-2-b": ("fails", ("ends", MAP + "'GD'", "error", 1e4, "partly")),
    "d3-2-c": ("partly", ("convex", "observed == 450", "error", 1e11, "holds")),
    "d3-2-d": ("holds", ("ends", "part == 'entries' and depth == 1", "error", 1e4, "fails")),
    "hd-ar-a": ("holds", ("paths", "method == 'GD' and weight > 0.02", "error", 100, "fails")),
    "hd-ar-b": ("holds", ("paths", "method == 'Adam' and weight > 0.02", "error", 100, "partly")),
    "hd-ar-c": ("holds", ("certificate", "observed == 300", "low", 10, "partly")),
    "hd-ar-d": ("holds", ("ends", MAP + "'Adam' and weight > 0.05", "error", 1e-3, "partly")),
    "hd-ar-e": ("holds", ("ends", "method == 'GroupRMSprop'", "error", 100, "partly")),
    "hd-ar-f": ("holds", ("ends", "part == 'start'", "error", 1e-3, "fails")),
}


def test_every_claim_has_its_case() -> None:
    assert set(CASES) == {claim.id for claim in findings.CLAIMS}


@pytest.mark.parametrize("name", CASES)
def test_a_claim_has_its_verdict_and_another_when_its_numbers_change(name: str) -> None:
    made, (table, rows, column, factor, expected) = CASES[name]
    tables = made_as_claimed()
    assert verdict(name, tables) == made
    chosen = tables[table].query(rows).index
    assert len(chosen)
    tables[table].loc[chosen, column] *= factor
    assert verdict(name, tables) == expected


@pytest.mark.parametrize("name", CASES)
def test_two_trials_decide_nothing(name: str) -> None:
    tables = {k: table[table.trial < 2] for k, table in made_as_claimed().items()}
    assert verdict(name, tables) == "undecided"


def test_as_few_entries_but_a_larger_error_is_half_of_what_deep_networks_do() -> None:
    tables = made_as_claimed()
    deep = tables["ends"].query("part == 'entries' and depth > 1 and observed > 150").index
    tables["ends"].loc[deep, "error"] /= 1.5
    assert verdict("d3-2-d", tables) == "holds"
    tables["ends"].loc[deep, "error"] /= 2
    assert verdict("d3-2-d", tables) == "partly"


def test_a_method_whose_error_falls_to_the_end_of_its_rates_is_named() -> None:
    tables = made_as_claimed()
    assert "Adam (highest)" in findings.edges(results(tables))
    last = tables["ends"].query("part == 'map' and method == 'Adam' and rate == 0.01").index
    tables["ends"].loc[last, "error"] *= 1e3
    assert "Adam (highest)" not in findings.edges(results(tables))


def test_without_a_proof_nor_a_refutation_the_minimum_is_undecided() -> None:
    tables = made_as_claimed()
    tables["certificate"]["high"] = 1.3
    tables["certificate"].loc[tables["certificate"].trial < 2, "high"] = 0.9
    assert verdict("hd-ar-c", tables) == "undecided"


def test_a_proof_for_some_and_a_refutation_for_others_is_half_an_answer() -> None:
    tables = made_as_claimed()
    tables["certificate"].loc[tables["certificate"].trial == 1, ["low", "high"]] = np.inf
    assert verdict("hd-ar-c", tables) == "partly"


def test_a_ratio_that_only_rises_far_out_has_no_lower_values() -> None:
    tables = made_as_claimed()
    far = tables["landscape"].reach > 1
    tables["landscape"].loc[far, "least"] *= 2
    assert verdict("hd-ar-c", tables) == "partly"


def test_entries_needed_are_those_from_which_all_larger_numbers_do() -> None:
    table = pd.DataFrame(
        [
            (2, t, m, e)
            for t, row in enumerate(((1e-3, 0.5, 1e-3), (0.5, 0.5, 0.5)))
            for m, e in zip(M, row, strict=True)
        ],
        columns=["rank", "trial", "observed", "error"],
    )
    assert findings.needed(table).tolist() == [450, np.inf]
    better = table.assign(error=1e-3)
    assert findings.needed(pd.concat([table, better])).tolist() == [150, 150]


def test_runs_that_had_no_time_are_not_counted_as_late() -> None:
    tables = made_as_claimed()
    late = findings.clock(results(tables), "Adam", 0.02)
    assert late.between(1, findings.SAME).all()  # at the smaller rate 0.02 is not reached in time
    tables["paths"].loc[tables["paths"].weight > 0.05, "error"] = 0.9
    assert np.isinf(findings.clock(results(tables), "Adam", 0.2)).all()
    assert findings.never(results(tables), "Adam", 0.2) == (5, 15)


def test_what_diverged_counts_as_infinitely_bad() -> None:
    tables = made_as_claimed()
    tables["ends"].loc[tables["ends"].method == "Adam", "error"] = np.nan
    assert verdict("d3-2-a", tables) == "fails"
    found = findings.grid(results(tables))
    assert found[found.method == "Adam"].error.eq(np.inf).all()


def test_a_path_arrives_between_two_looks() -> None:
    path = pd.DataFrame({"time": [1.0, 2.0, 4.0], "error": [1.0, 0.1, 0.001]})
    assert findings.arrival(path, 0.01) == pytest.approx(2 * 2**0.5)
    assert findings.arrival(path, 1e-4) == np.inf
    assert findings.arrival(path, 2.0) == 1.0


def test_the_best_setting_is_that_of_the_lowest_median() -> None:
    table = pd.DataFrame(
        {"method": "m", "rate": [1, 1, 1, 2, 2, 2], "weight": 0.1, "error": [0, 5, 5, 1, 1, 9]}
    )
    assert set(findings.best(table).rate) == {2}


def test_the_trained_nuclear_norm_stands_beside_the_solved_one() -> None:
    tables = made_as_claimed()
    trained = tables["ends"].query("part == 'start' and weight == 0.01")
    trained = trained.assign(part="nuclear", rank=2, observed=300, error=0.07)
    tables["ends"] = pd.concat([tables["ends"], trained], ignore_index=True)
    assert findings.nuclear_rows(results(tables)) == [["0.010", "0.070", "0.050"]]


def test_words_name_the_lowest_lines_and_what_ends_above_zeros() -> None:
    tables = made_as_claimed()
    assert "nuclear norm at 450 entries" in findings.lowest_words(results(tables))
    assert findings.fallen_words(results(tables), 2) == ""
    layers = tables["ends"].query("part == 'entries' and depth == 2 and observed == 150")
    layers = layers.assign(method="Adam", penalty="ratio", error=14.0)
    tables["ends"] = pd.concat([tables["ends"], layers], ignore_index=True)
    assert "14 at depth 2 with 150 entries" in findings.fallen_words(results(tables), 2)
    assert findings.certificate_rows(results(tables))[1] == [
        "300",
        "0.20 to 0.30",
        "5 of 5",
        "0 of 5",
    ]


@pytest.mark.parametrize(("depth", "name"), [(2, "d3-2-c"), (2, "d3-2-d"), (1, "d3-2-d")])
def test_a_comparison_without_one_side_is_undecided_and_says_so(depth: int, name: str) -> None:
    tables = made_as_claimed()
    ends = tables["ends"]
    tables["ends"] = ends[~ends.part.eq("entries") | ends.depth.eq(depth)]
    (claim,) = [one for one in findings.CLAIMS if one.id == name]
    found = claim.test(results(tables))
    assert found.verdict == "undecided"
    assert found.evidence == "Not all of the depths that it compares were run."


def test_where_neither_completes_no_number_of_entries_is_told() -> None:
    tables = made_as_claimed()
    tables["ends"]["error"] = 0.5
    tables["convex"]["error"] = 0.5
    (claim,) = [one for one in findings.CLAIMS if one.id == "d3-2-c"]
    assert "is completed from none of them on by either (" in claim.test(results(tables)).evidence


def test_a_clock_on_which_no_run_arrives_tells_no_time() -> None:
    tables = made_as_claimed()
    told = findings.clock_words(results(tables))
    assert told.startswith("The fastest runs of gradient descent pass an error of 0.01 at ηλt ≈ ")
    tables["paths"]["error"] = 0.5
    told = findings.clock_words(results(tables))
    assert "∞" not in told
    assert told.count("On half of the matrices or more no run of ") == 2
    (claim,) = [one for one in findings.CLAIMS if one.id == "hd-ar-b"]
    assert "not a number" not in claim.test(results(tables)).evidence


def test_a_solution_that_was_not_computed_is_no_number() -> None:
    tables = made_as_claimed()
    trained = tables["ends"].query("part == 'start' and weight == 0.01")
    trained = trained.assign(part="nuclear", rank=2, observed=299, error=0.07)
    tables["ends"] = pd.concat([tables["ends"], trained], ignore_index=True)
    rows = findings.nuclear_rows(results(tables))
    assert rows == [["0.010", "0.070", "not run at this number of entries"]]


def test_what_a_figure_shows_is_read_from_its_numbers() -> None:
    tables = made_as_claimed()
    assert "GD 2.2 × 10⁻⁴ at λ = 0.010 and" in findings.level_words(results(tables)).replace(
        "\xa0", " "
    )
    assert "With more entries 1 of 5 lines fall" in findings.lowest_words(results(tables))
    flat = tables["ends"].part.eq("entries")
    tables["ends"].loc[flat, "error"] = 1 / tables["ends"].observed[flat]
    assert "With more entries all errors fall." in findings.lowest_words(results(tables))
