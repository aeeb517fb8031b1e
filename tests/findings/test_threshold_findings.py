"""Each claim holds on results made to the text, and falls when they are changed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.students import method_name
from hdnotes.experiments.threshold import Parameters, cells
from hdnotes.findings import threshold
from hdnotes.reference import points

TEXT = Parameters(
    features=1024,
    sizes=(512, 1024),
    alphas=(4.0, 3.0, 2.5, 2.0, 1.8, 1.7, 1.6, 1.5, 1.4, 1.0),
    time_alphas=(4.0, 3.0, 2.5, 2.0, 1.8, 1.7, 1.6, 1.5),
    persistent_alphas=(3.0, 2.5, 2.2, 2.0),
    descent_alphas=(7.0, 6.0, 5.0, 4.0),
    data_sets=4,
    starts=10,
    epochs_factor=20_000,
)
#: Where the methods without a law of time succeed.
NEEDS = {"P-SGD": 2.2, "SGD + momentum": 5.0, "GD": 5.0}


def as_said(cell: dict) -> float:
    """Return the median time of a cell that does what the text says."""
    method = method_name(cell["batches"], cell["momenta"][0])
    if method in NEEDS:
        return 500.0 if cell["alpha"] >= NEEDS[method] else np.inf
    if cell["alpha"] <= 1.41:
        return np.inf
    return 6800 * (cell["alpha"] - 1.41) ** -1.3 * (0.01 / cell["learning_rate"]) ** 0.75


def made(change=lambda cell, time: time, spread: float = 0.25, **parameters) -> SimpleNamespace:
    asked, rows = cells(Parameters(**{**vars(TEXT), **parameters})), []
    for cell in asked:
        for k in range(cell["sets"]):
            number = cell["first_set"] + k
            for start in range(cell["starts"]):
                noise = spread * (number - 1.5) + 0.2 * (start - 4.5) / 4.5
                time = change(cell, as_said(cell)) * np.exp(noise)
                done = time < cell["epochs"]
                scalars = {name: value for name, value in cell.items() if name != "momenta"}
                rows.append(
                    {
                        **scalars,
                        "momentum": cell["momenta"][0],
                        "method": method_name(cell["batches"], cell["momenta"][0]),
                        "set": number,
                        "start": start,
                        "epochs": time if done else cell["epochs"],
                        "outcome": "stopped" if done else "budget",
                        "test_error": 1e-4 if done else 1.0,
                    }
                )
    table = pd.DataFrame(rows)
    return SimpleNamespace(cells=asked, table=lambda name: table.copy())


MADE = made()


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    whole = threshold.bootstrap
    monkeypatch.setattr(threshold, "bootstrap", lambda table: whole(table, repeats=8))


def verdict(name: str, results) -> str:
    (claim,) = [one for one in threshold.CLAIMS if one.id == name]
    return claim.test(results).verdict


@pytest.mark.parametrize("name", [one.id for one in threshold.CLAIMS if one.id != "hd-th-a"])
def test_every_claim_holds_on_results_made_to_the_text(name):
    assert verdict(name, MADE) == "holds"


def test_that_time_helps_is_sure_and_how_much_is_asked():
    assert verdict("hd-th-a", made(lambda cell, time: 3 * time)) == "holds"
    sharp = made(lambda cell, time: 1e3 if cell["alpha"] >= 2 else np.inf)
    assert verdict("hd-th-a", sharp) == "fails"


def _best(cell):
    return method_name(cell["batches"], cell["momenta"][0]) == threshold.BEST


def _never_below(alpha):
    return lambda cell, time: np.inf if _best(cell) and cell["alpha"] < alpha else time


#: claim -> (how a median time changes, what the verdict becomes)
BREAKS = {
    "d2-4-7-a": (_never_below(1.65), "fails"),
    "d2-4-7-b": (lambda c, t: 1e4 if _best(c) and c["alpha"] > 1.2 else t, "fails"),
    "d2-4-7-c": (_never_below(2.9), "partly"),
    "d2-4-7-d": (lambda c, t: 5e3 if _best(c) else t, "fails"),
    "d2-4-7-e": (lambda c, t: 20 * t if c["alpha"] == 2.5 else t, "partly"),
    "hd-th-a": (lambda c, t: 1e3 if t < 2e5 else t, "undecided"),
    "hd-th-b": (lambda c, t: t * (c["learning_rate"] / 0.01) ** 2.5, "fails"),
    "hd-th-c": (lambda c, t: 3e3 * (c["alpha"] - 0.5) ** -3 if _best(c) else t, "fails"),
    "hd-th-d": (lambda c, t: t / (1 if c["features"] == 1024 else 9), "fails"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_claim_falls_when_its_results_do(name):
    change, expected = BREAKS[name]
    assert verdict(name, made(change)) == expected


def test_data_sets_that_are_all_alike_say_nothing():
    assert verdict("hd-th-e", made(spread=0)) == "undecided"


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"features": 256, "sizes": (128, 256)}, ["d2-4-7-a", "d2-4-7-b", "d2-4-7-e"]),
        ({"epochs_factor": 2000}, ["d2-4-7-a", "d2-4-7-b", "d2-4-7-c", "d2-4-7-e"]),
        ({"alphas": (2.0, 1.8)}, ["d2-4-7-a", "d2-4-7-b"]),
        ({"middle_rate": 0.011}, ["d2-4-7-a", "d2-4-7-b", "d2-4-7-e"]),
        ({"sizes": (1024,)}, ["hd-th-d"]),
        ({"alphas": (1.6,), "time_alphas": (2.0, 1.8)}, ["hd-th-b"]),
    ],
)
def test_what_was_not_run_decides_nothing(parameters, names):
    results = made(**parameters)
    assert {name: verdict(name, results) for name in names} == dict.fromkeys(names, "undecided")


def test_a_run_that_ends_elsewhere_has_not_converged():
    table = pd.DataFrame(
        {
            "epochs": [50, 50, 99],
            "success": [True, False, True],
            "outcome": ["stopped", "stopped", "budget"],
        }
    )
    assert threshold.timed(table).time.tolist() == [50, np.inf, np.inf]


def test_the_table_of_the_page_is_the_sources_beside_ours():
    rows = threshold.table_words(MADE)
    assert len(rows) == len(points("threshold")) + 1
    assert rows[-1] == ["1.4", "0.012", "does not converge", "over 200,028", "0 of 40"]
    assert rows[0][2] == "6,000 to 10,000"
    assert rows[0][4] == "40 of 40"
    assert rows[-2][2] == "85,000 to 200,000 or more"
    assert "quickest data set" in threshold.spread_words(MADE)


@pytest.mark.parametrize(("alpha", "word"), [(1.5, "holds"), (1.6, "partly")])
def test_a_range_without_an_end_holds_what_takes_longer_and_another_does_not(alpha, word):
    longer = made(lambda cell, time: np.inf if cell["alpha"] == alpha else time)
    (claim,) = [one for one in threshold.CLAIMS if one.id == "d2-4-7-e"]
    found = claim.test(longer)
    assert found.verdict == word
    assert "theirs 85,000 to 200,000 or more." in found.evidence


def test_what_was_not_run_has_its_row():
    rows = threshold.table_words(made(alphas=(2.5, 2.0, 1.6)))
    assert [row[0] for row in rows] == ["2.5", "2", "2", "1.8", "1.7", "1.6", "1.5", "1.4"]
    assert [row[3] for row in rows if row[0] in ("1.7", "1.4")] == ["not run"] * 2


def test_one_size_that_tells_nothing_leaves_the_data_sets_undecided():
    mixed = made(spread=0)
    table = mixed.table("runs")
    shift = table.features.eq(512) * 0.5 * (table["set"] - 1.5)
    changed = table.assign(epochs=table.epochs * np.exp(shift))
    results = SimpleNamespace(cells=mixed.cells, table=lambda name: changed)
    assert verdict("hd-th-e", results) == "undecided"


def test_where_nothing_converged_nothing_is_judged_and_the_page_can_be_drawn():
    never = made(lambda cell, time: np.inf, alphas=(3.5, 3.0), time_alphas=(5.0,), sizes=(1024,))
    assert verdict("d2-4-7-e", never) == "undecided"
    found, table = threshold.growths(never), threshold.medians(threshold.times(never), ())
    assert not len(threshold.law_curves(found, np.array([1.0, 2.0])))
    assert not threshold.shown(table, "time")
    assert threshold.growth_words(table, found).startswith("No points")
    assert threshold.budget_words(threshold.by_budget(never)).startswith("No points")


def test_a_figure_shows_its_points_or_the_bars_that_stand_alone():
    row = {"low": [2.0], "crossing": [np.nan], "high": [3.0]}
    assert threshold.shown(pd.DataFrame(row), "crossing")
    assert not threshold.shown(pd.DataFrame({**row, "high": [np.inf]}), "crossing")
    assert not threshold.shown(pd.DataFrame({**row, "low": [0.0]}), "crossing")
