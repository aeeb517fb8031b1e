"""Each claim has its verdict on results made to it and another when they change."""

from itertools import product
from types import SimpleNamespace

import pandas as pd
import pytest

from hdnotes.findings import adam_intuition as findings

METHODS, TRIALS, STEPS = ("GD", "GroupRMSprop", "Adam"), range(5), (0, 10, 100, 1000)
ERRORS = dict(zip(STEPS, (1.0, 0.6, 0.1, 1e-4), strict=True))
RANKS = dict(zip(STEPS, (15.0, 9.0, 4.0, 2.0), strict=True))


def made() -> dict[str, pd.DataFrame]:
    path = []
    for term, method, trial, step in product(("penalty", "both", "held"), METHODS, TRIALS, STEPS):
        turns = 40.0 if term != "penalty" else 12.0 * (method == "Adam")
        row = {"term": term, "method": method, "trial": trial, "step": step, "rank": 2}
        row |= {"error": ERRORS[step], "observed_error": 1e-4 * (term == "both")}
        row |= {"effective_rank": RANKS[step], "angle_deg": 1.0, "observed": 300}
        path.append(row | {"turned_deg": turns * (step > 0)})
    crossings = [
        {"method": method, "trial": t, "flips": 20.0, "size": 0.005}
        for method, t in product(METHODS, TRIALS)
    ]
    start = [
        {"observed": m, "trial": t, "angle_deg": 40.0, "error": 1.0, "effective_rank": 15.0}
        for m, t in product((200, 300), TRIALS)
    ]
    rotated = [
        {"method": method, "trial": t, "step": step, "gap": 0.3 if method == "Adam" else 1e-14}
        for method, t, step in product(METHODS, TRIALS, (1, 300))
    ]
    named = {"path": path, "crossings": crossings, "start": start, "rotated": rotated}
    tables = {name: pd.DataFrame(rows) for name, rows in named.items()}
    table = tables["path"]
    tables["projections"] = table[(table.term == "both") & (table.method == "GD")].drop(
        columns=["term", "method"]
    )
    return tables


def verdict(letter: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id == f"d3-3-{letter}"]
    return claim.test(SimpleNamespace(table=lambda name: tables[name].copy())).verdict


#: claim -> its verdict as made, and (table, rows, column, what is added, verdict that follows)
CASES = {
    "a": ("partly", ("path", "term == 'both'", "turned_deg", -40.0, "holds")),
    "b": ("partly", ("path", "term == 'penalty'", "turned_deg", -12.0, "fails")),
    "c": ("holds", ("path", "term == 'both'", "observed_error", 1.0, "partly")),
    "d": ("holds", ("crossings", "method == 'Adam'", "flips", -20.0, "fails")),
    "e": ("holds", ("start", "observed == 300", "angle_deg", -30.0, "fails")),
    "f": ("holds", ("rotated", "method == 'GD'", "gap", 0.3, "partly")),
    "g": ("fails", ("path", "term == 'held'", "error", 0.5, "holds")),
    "h": ("fails", ("path", "term == 'both'", "error", 0.5, "holds")),
}


@pytest.mark.parametrize("letter", [claim.id[-1] for claim in findings.CLAIMS])
def test_a_claim_has_its_verdict_and_another_when_its_numbers_change(letter: str) -> None:
    as_made, (table, rows, column, added, expected) = CASES[letter]
    tables = made()
    assert verdict(letter, tables) == as_made
    chosen = tables[table].query(rows).index
    assert len(chosen)
    tables[table].loc[chosen, column] += added
    assert verdict(letter, tables) == expected


def test_another_path_than_the_projected_one_is_not_alternating() -> None:
    tables = made()
    held = tables["path"].term == "held"
    tables["path"].loc[held, "error"] *= 0.3
    assert verdict("c", tables) == "partly"


@pytest.mark.parametrize("letter", CASES)
def test_two_trials_decide_nothing(letter: str) -> None:
    tables = {name: table[table.trial < 2] for name, table in made().items()}
    if letter != "c":  # its last part pools the looks of all trials
        assert verdict(letter, tables) == "undecided"


def test_the_penalty_alone_is_followed_while_there_is_rank_to_lose() -> None:
    tables = made()
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    assert findings.paths(results, "penalty").step.max() == 100
    assert findings.paths(results, "both").step.max() == 1000


def test_the_angles_shown_are_those_of_the_last_look() -> None:
    tables = made()
    rows = findings.turn_rows(
        SimpleNamespace(table=lambda name: tables[name].copy()), (10, 50, 900)
    )
    shown = {(term, method): values for term, method, *values in rows}
    assert shown["penalty", "Adam"] == ["12", "12", "–"]
    assert shown["both", "GD"] == ["40", "40", "40"]


def test_the_errors_shown_name_their_lines() -> None:
    tables = made()
    shown = findings.errors(SimpleNamespace(table=lambda name: tables[name].copy()))
    held = [f"{name}, entries held" for name in ("GD", "Adam")]
    assert list(shown.line.unique()) == ["GD", "Adam", "alternating projections", *held]
