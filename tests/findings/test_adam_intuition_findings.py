"""Each claim has its verdict on results made to it and another when they change."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.findings import adam_intuition as findings

METHODS, TRIALS, STEPS = ("GD", "GroupRMSprop", "Adam"), range(5), (0, 1, 10, 100, 1000)
ERRORS = dict(zip(STEPS, (1.0, 0.9, 0.6, 0.1, 1e-4), strict=True))
RANKS = dict(zip(STEPS, (15.0, 14.5, 12.0, 4.0, 2.0), strict=True))
#: Distances to the set, squared: the path is close to it at one look on the way.
APART = dict(zip(STEPS, (0.0, 1e-4, 1e-7, 1e-4, 1e-4), strict=True))


def made() -> dict[str, pd.DataFrame]:
    path = []
    for term, method, trial, step in product(("penalty", "both", "held"), METHODS, TRIALS, STEPS):
        turns = 40.0 if term != "penalty" else 12.0 * (method == "Adam")
        row = {"term": term, "method": method, "trial": trial, "step": step, "rank": 2}
        row |= {"error": ERRORS[step], "observed_error": APART[step] * (term == "both")}
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
    classical = table[(table.term == "both") & (table.method == "GD")]
    tables["projections"] = classical.drop(columns=["term", "method"]).assign(
        error=classical.error.where(classical.step < 10, 1e-5)
    )
    return tables


def verdict(letter: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id.removeprefix("d3-3-") == letter]
    return claim.test(SimpleNamespace(table=lambda name: tables[name].copy())).verdict


#: claim -> its verdict as made, and (table, rows, column, what is added, verdict that follows)
CASES = {
    "a": ("partly", ("path", "term == 'both'", "turned_deg", -40.0, "holds")),
    "b": ("partly", ("path", "term == 'penalty'", "turned_deg", -12.0, "fails")),
    "c": ("holds", ("path", "term == 'both'", "observed_error", 1.0, "partly")),
    "hd-ai-a": ("holds", ("projections", "step > 0", "error", 0.5, "fails")),
    "d": ("holds", ("crossings", "method == 'Adam'", "flips", -20.0, "partly")),
    "e": ("holds", ("start", "observed == 300", "angle_deg", -30.0, "fails")),
    "f": ("holds", ("rotated", "method == 'GD'", "gap", 0.3, "partly")),
    "g": ("fails", ("path", "term == 'held'", "error", 0.5, "holds")),
    "h": ("fails", ("path", "term == 'both'", "error", 0.5, "holds")),
}


@pytest.mark.parametrize("letter", [claim.id.removeprefix("d3-3-") for claim in findings.CLAIMS])
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
    late = (tables["path"].term == "held") & (tables["path"].step == 1000)
    tables["path"].loc[late, "error"] *= 0.3
    assert verdict("c", tables) == "partly"


def test_a_rank_that_falls_at_once_does_not_fall_slowly() -> None:
    tables = made()
    after = tables["path"].step > 0
    tables["path"].loc[after, "effective_rank"] = 2.0
    assert verdict("c", tables) == "partly"


def test_a_path_that_keeps_its_distance_does_not_go_in() -> None:
    tables = made()
    table = tables["path"]
    table.loc[(table.step == 10) & (table.term == "both"), "observed_error"] = 5e-5
    assert verdict("d", tables) == "partly"


def test_the_factor_between_two_paths_is_told_until_the_end_of_the_way_and_at_the_end() -> None:
    tables = made()
    held = tables["path"].term == "held"
    tables["path"].loc[held & (tables["path"].step == 100), "error"] *= 2
    tables["path"].loc[held & (tables["path"].step == 1000), "error"] *= 5
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    way, end = findings.apart(results, "GD")
    assert way.tolist() == pytest.approx([2.0] * 5)
    assert end.tolist() == pytest.approx([5.0] * 5)


def test_a_wave_has_its_power_at_its_period() -> None:
    steps = np.arange(200)
    rows = pd.DataFrame({"step": steps, "residual": 3 + np.sin(2 * np.pi * steps / 20)})
    tables = {"residuals": rows.assign(method="Adam", entry=0)}
    results = SimpleNamespace(table=lambda name: tables[name])
    found = findings.spectra(results)
    assert found.loc[found.share.idxmax(), "period"] == 20
    assert found.share.max() == pytest.approx(1)
    by_band = findings.bands(results)
    assert by_band.share.sum() == pytest.approx(1)
    assert by_band.loc[by_band.share.idxmax(), "period"] == pytest.approx(20, rel=0.15)
    assert findings.fast_share(results, "Adam") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("letter", CASES)
def test_two_trials_decide_nothing(letter: str) -> None:
    tables = {name: table[table.trial < 2] for name, table in made().items()}
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


def test_the_penalty_alone_is_looked_at_until_the_rank_has_fallen_once() -> None:
    tables = made()
    fallen = (tables["path"].term == "penalty") & (tables["path"].step >= 100)
    tables["path"].loc[fallen, "turned_deg"] = 90.0
    tables["path"].loc[fallen & (tables["path"].step == 100), "effective_rank"] = 2.4
    tables["path"].loc[fallen & (tables["path"].step == 1000), "effective_rank"] = 2.6
    shown = findings.paths(SimpleNamespace(table=tables.__getitem__), "penalty")
    assert set(shown.step) == {0, 1, 10}
    assert verdict("a", tables) == verdict("a", made())


def test_conclusions_are_drawn_from_what_was_found() -> None:
    tables = made()
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    start = tables["path"].step == 0
    tables["path"].loc[start, "angle_deg"] = 40.0
    assert "right, for the penalty alone. In the problem" in findings.freed_words(results)
    assert "gradient descent, and GroupRMSprop, which" in findings.structure_words(results)
    tables["path"]["turned_deg"] = 1.0
    tables["path"]["error"] = 0.5
    tables["rotated"]["gap"] = 0.0
    assert findings.freed_words(results) == ""
    assert findings.structure_words(results).startswith("Whether the completion comes from it")
