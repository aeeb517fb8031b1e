"""Each claim holds on results made to it and falls when they are not."""

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.linear_networks import FIELDS, LOSSES, MINIMUM_RATES, STARTS, STRETCHES
from hdnotes.findings import linear_networks as findings
from hdnotes.theory import linear_networks as theory

Tables = dict[str, pd.DataFrame]
TRIALS, DEPTHS = range(6), (2, 3, 5)


def table(columns: str, rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


def made_as_claimed() -> Tables:
    """Return results on which every sentence of the notes is true, the false ones too.

    But for d3-7-i, which cannot be true together with d3-7-d: see `CONTRARY`.
    """
    starts = [("stretched", by) for by in STRETCHES] + [("Gaussian", np.nan)]
    spectrum = [
        (d, t, k, 4.0 / k, 4.0 / k, 1e-15) for d, t, k in product((1, *DEPTHS), TRIALS, (1, 2, 3))
    ]
    seen = product((1, 2, 3, 4), TRIALS, FIELDS, (1, 4))
    minimum = [
        (d, rate, t, start, 0.125, at, 1.0 if at == 0 else 1e-20)
        for d, rate, t, start, at in product((1, 2, 3), MINIMUM_RATES, range(20), STARTS, (0, 60))
    ]
    falls = [
        (d, t, time, np.exp(-3.0 * time), 2.0, 3.0)
        for d, t, time in product((1, 2, 3), TRIALS, np.linspace(0, 14, 60))
    ]
    return {
        "instant": table(
            "depth trial loss start stretch gap values_gap",
            [(d, t, x, *s, 1e-15, 1e-15) for d, t, x, s in product(DEPTHS, TRIALS, LOSSES, starts)],
        ),
        "descent": table(
            "depth rate trial start gap",
            [(d, r, t, "balanced", r) for d, r, t in product(DEPTHS, (0.1, 0.01, 0.001), TRIALS)],
        ),
        "spectrum": table("depth trial k eigenvalue predicted residual", spectrum),
        "definite": table(
            "depth trial full_rank deficient_rank",
            [(d, t, 0.1, 0.1) for d, t in product(DEPTHS, TRIALS)],
        ),
        "loop": table(
            "trial depth integral predicted length mean_norm",
            [(t, d, 0.0, 0.0, 5.0, 1.0) for t, d in product(TRIALS, range(1, 7))],
        ),
        "asymmetry": table(
            "depth trial loss outputs asymmetry",
            [(d, t, x, o, 0.2 if d > 1 else 0.0) for d, t, x, o in seen],
        ),
        "scalar": table("depth time w", [(d, t, -1.0) for d, t in product((1, 2, 3, 4), (0, 9))]),
        "minimum": table("depth rate trial start stuck_loss at loss", minimum),
        "rate": table("depth trial time loss guaranteed at_the_end", falls),
        "learned": table(
            "depth observed trial k half_time half_time_predicted next_share",
            [
                (d, o, t, k, 10.0, 10.1, 0.5**d)
                for d, o, t, k in product((1, 2, 3, 4), (0.7, 1.0), TRIALS, (1, 2))
            ],
        ),
        "path_ends": table(
            "depth observed trial unseen_error",
            [
                (d, o, t, 1.0 if d == 1 else 0.01)
                for d, o, t in product((1, 2, 3, 4), (0.7, 1.0), TRIALS)
            ],
        ),
    }


def verdict(letter: str, tables: Tables) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id.removeprefix("d3-7-") == letter]
    return claim.test(SimpleNamespace(table=lambda name: tables[name].copy())).verdict


def change(name: str, rows: str, column: str, value: float) -> Callable[[Tables], None]:
    def apply(tables: Tables) -> None:
        tables[name].loc[tables[name].query(rows).index, column] = value

    return apply


#: claim, what is changed, the verdict that follows
BREAKS = [
    ("a", change("instant", "start == 'Gaussian'", "gap", 0.4), "partly"),
    ("a", change("descent", "rate < 0.05", "gap", 0.1), "partly"),
    ("b", change("spectrum", "depth == 3 and k == 2", "eigenvalue", 2.1), "partly"),
    ("b", change("spectrum", "k > 0", "residual", 0.1), "partly"),
    ("c", change("instant", "loss == 'logistic'", "gap", 1e-6), "fails"),
    ("d", change("asymmetry", "depth == 2 and outputs == 1", "asymmetry", 0.0), "partly"),
    ("d", change("asymmetry", "depth == 1", "asymmetry", 0.1), "partly"),
    ("d", change("loop", "depth == 3", "integral", 0.1), "partly"),
    ("i", change("asymmetry", "loss == 'matrix completion'", "asymmetry", 0.2), "fails"),
    ("i", change("asymmetry", "depth == 2 and outputs == 1", "asymmetry", 0.0), "partly"),
    ("hd-ln-a", change("path_ends", "depth == 1", "unseen_error", 0.01), "fails"),
    ("f", change("definite", "depth > 1", "deficient_rank", 1e-17), "partly"),
    ("j", change("scalar", "depth == 2", "w", 0.0), "partly"),
    ("j", change("minimum", f"start == '{STARTS[1]}'", "loss", 0.125), "partly"),
    ("g", change("rate", "time > 13.9", "loss", 1.0), "partly"),
    ("h", change("learned", "depth == 4", "next_share", 0.3), "partly"),
    ("h", change("learned", "k > 0", "half_time_predicted", 12.0), "partly"),
    ("h", change("instant", "depth == 2", "values_gap", 0.1), "partly"),
]


#: A gradient comes arbitrarily close only to a field that is one.
CONTRARY = {"i": change("asymmetry", "depth > 1", "asymmetry", 1e-9)}


@pytest.mark.parametrize("letter", [claim.id.removeprefix("d3-7-") for claim in findings.CLAIMS])
def test_a_claim_holds_on_results_made_to_it(letter: str) -> None:
    tables = made_as_claimed()
    CONTRARY.get(letter, lambda tables: None)(tables)
    assert verdict(letter, tables) == "holds"


@pytest.mark.parametrize(("letter", "broken", "expected"), BREAKS)
def test_a_claim_falls_when_its_numbers_do(letter: str, broken, expected: str) -> None:
    tables = made_as_claimed()
    broken(tables)
    assert verdict(letter, tables) == expected


def test_every_claim_is_broken_once() -> None:
    assert {letter for letter, _, _ in BREAKS} == {
        claim.id.removeprefix("d3-7-") for claim in findings.CLAIMS
    }


def test_without_unseen_entries_depth_one_is_not_asked() -> None:
    tables = made_as_claimed()
    tables["path_ends"] = tables["path_ends"].query("observed == 1")
    assert verdict("hd-ln-a", tables) == "undecided"


def test_a_start_counts_once_and_only_if_all_its_runs_find_the_minimum() -> None:
    tables = made_as_claimed()
    change("minimum", "depth == 3 and rate < 0.01 and trial < 15", "loss", 0.125)(tables)
    (claim,) = [one for one in findings.CLAIMS if one.id == "d3-7-j"]
    found = claim.test(SimpleNamespace(table=lambda name: tables[name].copy()))
    assert found.verdict == "partly"  # the one number still gets there
    assert f"{STARTS[0]} 5 of 20" in found.evidence


def test_the_tables_say_what_the_results_hold() -> None:
    tables = made_as_claimed()
    change("minimum", f"start == '{STARTS[1]}' and depth == 3", "loss", 0.125)(tables)
    change("minimum", f"start == '{STARTS[1]}' and at == 0", "loss", 0.125)(tables)
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    found = findings.found_table(results)
    assert found.loc["depth 3, rate 0.005", STARTS[1]] == "0 of 20"
    assert found.loc["depth 2, rate 0.02", STARTS[2]] == "20 of 20"
    assert findings.escapes(results, 3).isna().all()
    assert set(findings.escapes(results, 2)) == {60}
    asymmetry = findings.asymmetry_table(results)
    assert asymmetry.loc["linear, one output", "depth 1"] == "none"
    assert asymmetry.loc["matrix completion, 4 outputs"].tolist() == ["0", "0.20", "0.20", "0.20"]
    overlap = findings.overlap_table(results)
    assert list(overlap.columns)[-1] == "error on unseen entries"
    assert overlap.loc["depth 2", "next one's share, all entries"].startswith("0.25 ")


def test_the_rate_at_the_end_is_fitted_on_the_tail() -> None:
    tables = made_as_claimed()
    rows = tables["rate"].time < 2
    tables["rate"].loc[rows, "loss"] = 1.0  # a slow start changes nothing
    found = findings.end_rates(SimpleNamespace(table=lambda name: tables[name].copy()))
    np.testing.assert_allclose(found.ratio, 1, rtol=1e-6)
    assert theory.linear_rate(1.0, 2) == 4


def test_a_loop_of_another_loss_says_nothing_of_matrix_completion() -> None:
    tables = made_as_claimed()
    CONTRARY["i"](tables)
    change("loop", "depth > 2", "integral", 0.57)(tables)
    assert verdict("i", tables) == "holds"


def test_what_a_figure_shows_is_said_of_the_depths_that_were_run() -> None:
    rows = pd.DataFrame({"depth": [1, 2, 3]})
    assert findings.rise_words(rows, 0.5).startswith("At depth 1 all singular values rise at once,")
    assert "should be zero" not in findings.rise_words(rows, 1.0)
    assert "depth 1" not in findings.rise_words(rows[1:], 0.5)
    assert "deeper" not in findings.rise_words(rows[1:2], 0.5)
    results = SimpleNamespace(table=lambda name: made_as_claimed()[name])
    told = findings.search_words(findings.searches(results, findings.FINE))
    assert f"depth 3, {STARTS[1]}: 8; " in told


def test_one_rate_has_no_slope() -> None:
    tables = made_as_claimed()
    tables["descent"] = tables["descent"].query("rate == 0.1")
    assert verdict("a", tables) == "undecided"
