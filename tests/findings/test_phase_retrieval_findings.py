"""Crossings are found where they are; each claim holds on results made to the text, and falls."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.phase_retrieval import Parameters, cells
from hdnotes.experiments.students import method_name
from hdnotes.findings import phase_retrieval
from hdnotes.findings.phase_retrieval import Crossing, crossing, ratio

ALPHAS = tuple(np.geomspace(1, 9, 24).round(3).tolist())
TEXT = Parameters(
    features=1024,
    sizes=(512, 1024, 2048),
    persistent_alphas=ALPHAS,
    alphas=ALPHAS,
    rate_alphas=ALPHAS,
    near_data_sets=4,
    starts=10,
    epochs_factor=2000,
    learning_rates=(0.002, 0.01, 0.02),
)


def as_said(cell: dict, momentum: str) -> float:
    """Return the 50 % point of a curve that does what the text says."""
    if cell["batches"] != "persistent":
        return 5.2 * (cell["features"] / 1024) ** 0.15
    rate, switch = (
        cell["learning_rate"] / 0.005,
        cell["learning_rate"] / cell["persistence"] / 0.0025,
    )
    effect = rate**-0.2 * (1.8 if rate > 2.1 else 1) * (0.9 if cell["batch_fraction"] < 0.5 else 1)
    return (2.95 if momentum == "none" else 2.02) * effect * switch**0


def made(change=lambda cell, momentum, centre: centre, **parameters) -> SimpleNamespace:
    p = Parameters(**{**vars(TEXT), **parameters})
    rows, asked = [], cells(p)
    for cell in asked:
        for momentum in cell["momenta"]:
            centre = change(cell, momentum, as_said(cell, momentum))
            share = 1 / (1 + (centre / cell["alpha"]) ** 30)
            for k in range(cell["sets"]):
                wins = round(share * cell["starts"])
                scalars = {name: value for name, value in cell.items() if name != "momenta"}
                rows += [
                    {
                        **scalars,
                        "momentum": momentum,
                        "set": cell["first_set"] + k,
                        "method": method_name(cell["batches"], momentum),
                        "test_error": 1e-3 if start < wins else 1.0,
                        "sampled_error": 1e-3 if start < wins else 1.0,
                    }
                    for start in range(cell["starts"])
                ]
    table = pd.DataFrame(rows)
    return SimpleNamespace(cells=asked, table=lambda name: table.copy())


MADE = made()


def verdict(name: str, results) -> str:
    (claim,) = [one for one in phase_retrieval.CLAIMS if one.id == f"d2-{name}"]
    return claim.test(results).verdict


@pytest.mark.parametrize("name", [claim.id.removeprefix("d2-") for claim in phase_retrieval.CLAIMS])
def test_every_claim_holds_on_results_made_to_the_text(name):
    assert verdict(name, MADE) == "holds"


def _persistent(cell, momentum, centre, factor):
    return centre * factor if cell["batches"] == "persistent" else centre


def _rate(cell):
    return cell["learning_rate"] / 0.005


def _switch(cell):
    return cell["learning_rate"] / cell["persistence"] / 0.0025


def _full(cell, centre, other):
    return other if cell["batches"] == "full" else centre


#: claim -> (how a 50 % point changes, the verdict that follows)
BREAKS = {
    "4-1-a": (lambda c, m, x: _persistent(c, m, x, 2.0), "fails"),
    "4-1-b": (lambda c, m, x: 3.0 if (c["batches"], m) == ("full", "Nesterov") else x, "partly"),
    "4-1-c": (lambda c, m, x: 2.95 if c["batches"] == "persistent" else x, "undecided"),
    "4-1-d": (lambda c, m, x: 1.2 * x, "fails"),
    "4-2-a": (lambda c, m, x: _full(c, x, 2.0 if c["features"] == 2048 else x), "partly"),
    "4-2-b": (lambda c, m, x: _full(c, x, 5.2 * (1024 / c["features"]) ** 0.2), "fails"),
    "4-2-c": (lambda c, m, x: _persistent(c, m, x, (c["features"] / 1024) ** 0.3), "partly"),
    "4-2-d": (lambda c, m, x: 1.5 * x if m == "standard" else x, "fails"),
    "4-3-a": (lambda c, m, x: _persistent(c, m, x, _rate(c) ** 0.5), "fails"),
    "4-3-b": (lambda c, m, x: x / (0.7 if c["batch_fraction"] < 0.5 else 1), "fails"),
    "4-3-c": (lambda c, m, x: x * _rate(c) ** 0.4, "fails"),
    "4-3-d": (lambda c, m, x: x * _switch(c) ** -0.3, "fails"),
    "4-3-e": (lambda c, m, x: x / (2.5 if c["learning_rate"] == 0.02 else 1), "fails"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_claim_falls_when_its_results_do(name):
    change, expected = BREAKS[name]
    found = verdict(name, made(change))
    assert found == expected


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (
            {"parts": ("methods",)},
            ["4-2-a", "4-2-b", "4-2-c", "4-2-d", "4-3-a", "4-3-c", "4-3-d", "4-3-e"],
        ),
        ({"features": 256, "sizes": (128, 256)}, ["4-1-d", "4-2-c"]),
        ({"learning_rate": 0.004}, ["4-1-d", "4-2-c"]),
        ({"learning_rates": (0.002, 0.01)}, ["4-3-e"]),
        ({"batch_fractions": (0.5,)}, ["4-3-b"]),
    ],
)
def test_what_was_not_run_decides_nothing(parameters, names):
    results = made(**parameters)
    assert {name: verdict(name, results) for name in names} == dict.fromkeys(names, "undecided")


def runs(share, alphas=ALPHAS, sets=10, starts=4, spread=0.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (alpha, k, success)
        for alpha in alphas
        for k, shift in enumerate(rng.normal(0, spread, sets))
        for success in rng.random(starts) < share(alpha * np.exp(shift))
    ]
    return pd.DataFrame(rows, columns=["alpha", "set", "success"])


def logistic(alpha):
    return 1 / (1 + (3 / alpha) ** 12)


def test_the_interval_covers_the_crossing_about_as_often_as_it_says():
    rng, hits, trials = np.random.default_rng(1), 0, 60
    for _ in range(trials):
        alphas = np.array([2.0, 2.5, 3.0, 3.5, 4.0])
        success = rng.random((20, 5)) < logistic(alphas)
        table = pd.DataFrame({"alpha": np.tile(alphas, 20), "success": success.ravel()})
        found = crossing(table.assign(set=np.arange(100)))
        hits += found.low <= 3 <= found.high
    assert 0.8 * trials <= hits < trials


def test_data_sets_that_differ_widen_the_interval():
    alike, different = (crossing(runs(logistic, spread=spread)) for spread in (0.0, 0.25))
    assert alike.low < 3 < alike.high
    assert np.log(different.high / different.low) > 1.5 * np.log(alike.high / alike.low)


def test_a_jump_is_somewhere_between_its_neighbours():
    found = crossing(runs(lambda alpha: float(alpha > 3), (1.0, 2.0, 4.0, 5.0)))
    assert found.low == pytest.approx(2, rel=0.1)
    assert found.high == pytest.approx(4, rel=0.1)
    assert 2 < found.middle < 4


@pytest.mark.parametrize(("share", "middle"), [(0.0, np.inf), (1.0, 0.0)])
def test_what_never_crosses_has_no_crossing(share, middle):
    found = crossing(runs(lambda alpha: share, (2.0, 3.0)))
    assert found.middle == middle
    assert (found.high == np.inf) if middle else (found.low == 0)


def test_ratios_carry_both_intervals():
    found = ratio(Crossing(2.7, 3.0, 3.3), Crossing(0.9, 1.0, 1.1))
    assert found.middle == 3
    assert 2.4 < found.low < 2.7
    assert 3.3 < found.high < 3.6
    assert ratio(Crossing(3.0, 3.5, 4.0), Crossing(5.0, np.inf, np.inf)).high == pytest.approx(0.8)


def test_the_sources_crossings_are_those_the_text_speaks_of():
    found = phase_retrieval.source_crossings("4.1")
    assert found["P-SGD + momentum"].middle == pytest.approx(2.2, abs=0.1)
    assert found["P-SGD"].middle == pytest.approx(3.0, abs=0.2)
    assert all(4.9 < found[name].middle < 5.7 for name in ("GD", "SGD"))


def test_the_share_of_teachers_that_cannot_be_reached():
    rng = np.random.default_rng(0)
    delta = rng.chisquare(512, 100_000) / 512 - 1
    expected = (1.5 * delta**2 > 5e-3).mean()
    assert phase_retrieval.floor_share(512) == pytest.approx(expected, abs=0.01)


def test_shares_are_exact_binomials():
    table = runs(logistic, (2.0, 4.0)).assign(method="GD")
    found = phase_retrieval.shares(table)
    assert found.runs.tolist() == [40, 40]
    assert (found.low < found.share).all()
    assert (found.share < found.high).all()
