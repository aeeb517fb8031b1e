"""Trials, their minima and coordinates; the choice of rates; what a cell's tables hold."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import egop_convex
from hdnotes.experiments.egop_convex import (
    COORDINATES,
    LEVELS,
    OBJECTIVES,
    Parameters,
    at_rates,
    best_rates,
    cells,
    draw_trial,
    reused,
    run,
)
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.training import train

SMALL = cells(resolve(egop_convex, "smoke", {"trials": 1, "steps": 40}))


@pytest.mark.parametrize("cell", SMALL, ids=lambda cell: cell["objective"])
def test_no_point_is_below_the_minimum_and_rotations_keep_the_objective(cell):
    trial = draw_trial(cell, 0, "cpu")
    scale = 10.0 ** torch.linspace(-3, 1, 40).unsqueeze(1)
    points = trial.start * scale
    problem = trial.problem.take([0] * len(points))
    loss, _ = problem.loss_and_gradient(points)
    assert (loss > trial.minimum).all()
    for v in trial.bases:
        turned = problem.rotated([v]).loss_and_gradient(points @ v)[0]
        torch.testing.assert_close(turned, loss, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(v.T @ v, torch.eye(len(v)).double(), rtol=0, atol=1e-10)


def test_the_objectives_are_the_texts():
    log_sum_exp, logistic, least_squares = (draw_trial(cell, 0, "cpu") for cell in SMALL)
    assert set(logistic.problem.targets[0].tolist()) == {0.0, 1.0}
    for trial, power in ((log_sum_exp, 2), (logistic, 1), (least_squares, 2)):
        d = trial.problem.parameters
        expected = torch.arange(1, d + 1, dtype=torch.float64) ** -power
        torch.testing.assert_close(torch.linalg.svdvals(trial.problem.inputs[0]), expected)
    a, y = log_sum_exp.problem.inputs[0], log_sum_exp.problem.targets[0]
    optimum = torch.linalg.lstsq(a, y).solution.unsqueeze(0)
    assert log_sum_exp.problem.loss_and_gradient(optimum)[0].item() == pytest.approx(
        log_sum_exp.minimum
    )


def test_a_cell_agrees_with_a_run_alone():
    cell = SMALL[0]
    trial, tables = draw_trial(cell, 0, "cpu"), run(cell, "cpu")
    ends, levels = tables["ends"], tables["levels"]
    assert len(ends) == 3 * sum(b - a + 1 for a, b in OBJECTIVES["log-sum-exp"].rates.values())
    assert set(ends.coordinates) == set(COORDINATES)
    alone = train(
        trial.problem.rotated([trial.bases[1]]),
        (trial.start @ trial.bases[1]).unsqueeze(0),
        [egop_convex.BASIC["Adam"](0.1)],
        cell["steps"],
        record=torch.arange(cell["steps"] + 1),
        observe={"norm": lambda point, loss, gradient: gradient.norm(dim=-1)},
    )
    (row,) = ends.query(
        "method == 'Adam' and learning_rate == 0.1 and coordinates == 'EGOP'"
    ).itertuples()
    assert row.suboptimality == pytest.approx(float(alone.loss[0, -1]) - trial.minimum, rel=1e-9)
    assert set(levels.level) <= set(LEVELS)
    rates = set(levels.learning_rate[levels.method.eq("Adam") & levels.coordinates.eq("EGOP")])
    if 0.1 in rates:
        own = levels.query("method == 'Adam' and learning_rate == 0.1 and coordinates == 'EGOP'")
        for level, first in zip(own.level, own["first"], strict=True):
            norms = alone.observed["norm"][0]
            assert norms[first] < level
            assert (norms[:first] >= level).all()


def test_a_level_is_counted_from_the_first_update_below_it():
    kept = pd.DataFrame(
        {"method": "Adam", "learning_rate": 1.0, "trial": [0], "coordinates": "EGOP"}
    )
    norms = torch.tensor([[2.0, 0.5, 3.0, 0.2, 0.05]])
    found = egop_convex._levels(kept, norms).set_index("level")["first"]
    assert found[1.0] == 1
    assert found[10**-0.5] == 3
    assert found[0.1] == 4
    assert len(found) == 3


def made(rows: list[tuple]) -> pd.DataFrame:
    names = ["method", "coordinates", "learning_rate", "trial", "suboptimality", "updates"]
    return pd.DataFrame(rows, columns=names)


def test_the_rate_of_the_lowest_median_wins_and_of_equals_the_fastest():
    ends = made(
        [
            ("Adam", "original", rate, trial, loss, updates)
            for rate, losses, updates in (
                (0.1, (1e-3, 1e-3, 1e-9), 1000),
                (1.0, (1e-6, 1e-6, float("nan")), 1000),
                (10.0, (1.0, 1.0, 1.0), 1000),
            )
            for trial, loss in enumerate(losses)
        ]
        + [
            ("Adam", "EGOP", rate, trial, loss, updates)
            for rate, loss, updates in ((0.1, 0.0, 500), (1.0, 1e-13, 300), (10.0, 1e-11, 100))
            for trial in range(3)
        ]
    )
    best = best_rates(ends).set_index("coordinates").learning_rate
    assert best.to_dict() == {"original": 1.0, "EGOP": 1.0}
    own = reused(ends[ends.learning_rate.ne(1.0) | ends.coordinates.eq("EGOP")])
    assert set(own.learning_rate) == {0.1}
    assert set(at_rates(ends, own).learning_rate) == {0.1}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"samples": 150}, "samples"),
        ({"adagrad_preset": 0.0}, "adagrad_preset"),
        ({"rates_per_decade": 3}, "rates_per_decade"),
    ],
)
def test_impossible_parameters_are_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        resolve(egop_convex, "quick", given)


def test_defaults_are_the_quick_profile():
    assert resolve(egop_convex, "quick", check_memory=False) == Parameters()
