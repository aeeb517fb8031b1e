"""The cells are Figure 4.9 and its controls; a run is judged in both losses alike."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes.experiments import absolute_loss
from hdnotes.experiments.absolute_loss import RUNS, Parameters, cells, quadratic_error
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.long_training import Visit
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data, project

SMALL = Parameters(features=20, alphas=(9.0,), data_sets=2, starts=2, epochs_factor=60)


def runs(**values) -> pd.DataFrame:
    found = (c for c in cells(SMALL) if all(c[name] == value for name, value in values.items()))
    cell = next(found)
    return RUNS[cell["kind"]](cell, "cpu")["runs"]


def test_the_paper_profile_has_the_sources_settings():
    table = pd.DataFrame(cells(resolve(absolute_loss, "paper", check_memory=False)))
    loss = table[table.kind.eq("loss")]
    assert (loss.alpha.min(), loss.alpha.max()) == (0.7, 10)
    assert set(loss.epochs) == {20_002}
    methods = loss.explode("momenta").groupby(["channel", "hidden"])
    for _, rows in methods:
        pairs = set(zip(rows.batches, rows.momenta, strict=True))
        assert pairs == {
            ("full", "none"),
            ("shuffled", "Nesterov"),
            ("persistent", "none"),
            ("persistent", "Nesterov"),
        }


def test_the_larger_learning_rate_leaves_the_switches_alone():
    table = pd.DataFrame(cells(SMALL)).query("batches == 'persistent'")
    assert set((table.learning_rate / table.persistence).round(12)) == {0.0025}
    assert set(table[table.kind.eq("rate")].learning_rate) == {0.02}
    whole, part = cells(SMALL), cells(replace(SMALL, parts=("loss",)))
    assert part == whole[: len(part)]


def test_both_losses_meet_the_same_students_at_the_start():
    ways = [
        {"channel": channel, "batches": "full", "hidden": 2}
        for channel in ("absolute", "quadratic")
    ]
    cells_ = [next(c for c in cells(SMALL) if way.items() <= c.items()) for way in ways]
    first, other = (RUNS["loss"]({**cell, "epochs": 0}, "cpu")["runs"] for cell in cells_)
    np.testing.assert_array_equal(first.quadratic_error, other.test_error)
    np.testing.assert_array_equal(first.overlap, other.overlap)
    assert not np.allclose(first.test_error, other.test_error)


@pytest.mark.parametrize("channel", ["absolute", "quadratic"])
def test_a_run_has_its_error_in_its_own_loss_and_in_the_quadratic_one(channel):
    table = runs(channel=channel, batches="persistent", hidden=1)
    np.testing.assert_allclose(table.quadratic_error, 2 * (1 - table.overlap**2), atol=1e-5)
    if channel == "quadratic":
        np.testing.assert_array_equal(table.test_error, table.quadratic_error)
    assert (table.quadratic_error < 0.1).any()


@pytest.mark.parametrize("hidden", [1, 2])
def test_the_second_judgement_is_that_of_the_quadratic_problem(hidden):
    x, y, w = draw_data("quadratic", 30, 8, of=("test", "judged"), dtype=torch.float64)
    point = torch.randn(3, hidden * 8, generator=torch.Generator().manual_seed(1))
    project(point, 8)
    absolute = PhaseRetrieval("absolute", (x,), (y.sqrt(),), (w,), (0, 0, 0), hidden)
    visit = Visit(0, absolute, point, *absolute.loss_and_gradient(point), point)
    quadratic = replace(absolute, channel="quadratic", targets=(y,))
    torch.testing.assert_close(quadratic_error(visit), quadratic.test_error(point))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"alphas": (0.0,)}, "alphas = 0.0 is not allowed"),
        ({"parts": "rates"}, "parts = 'rates' is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(absolute_loss, "quick", given)
