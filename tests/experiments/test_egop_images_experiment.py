"""A trial's three coordinate systems start at one point; its tables are what the cells promise."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import egop_images
from hdnotes.experiments.egop_images import RUNS, Parameters, cells, draw_trial
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.problems.classifier import log_probabilities

SMALL = resolve(egop_images, "smoke", {"digits_trials": 1, "gradients_per_weight": 0.02})


@pytest.fixture(scope="module")
def trial():
    return draw_trial(cells(SMALL)[1], torch.float64, "cpu")


def test_the_paper_profile_has_the_papers_trials_epochs_and_rates():
    found = pd.DataFrame(cells(resolve(egop_images, "paper", check_memory=False)))
    counts = found.groupby("kind").agg(trials=("trial", "nunique"), epochs=("epochs", "max"))
    assert counts.loc["digits"].tolist() == [50, 200]
    assert counts.loc["Fashion"].tolist() == [10, 40]
    for rates in egop_images.RATES.values():
        assert set(rates) == {"Adam", "Adagrad", "SGD", "SGD + momentum"}


def test_bases_are_orthonormal_and_leave_the_biases(trial):
    original, found, turned = trial.bases
    assert original == ()
    for basis in (found, turned):
        assert [block.at for block in basis] == [slice(0, 2048), slice(2080, 2400)]
        for block in basis:
            size = len(block.vectors)
            eye = torch.eye(size, dtype=torch.float64)
            torch.testing.assert_close(block.vectors.T @ block.vectors, eye, atol=1e-10, rtol=0)


def test_log_probabilities_give_the_loss_that_is_trained(trial):
    points = trial.start.repeat(2, 1)
    loss, _ = trial.network.take([0, 0]).loss_and_gradient(points)
    answers = log_probabilities(trial.network.widths, points, trial.network.inputs)
    picked = answers.gather(-1, trial.network.labels.expand(2, -1).unsqueeze(-1))
    torch.testing.assert_close(-picked.mean((1, 2)), loss)


def test_a_cell_holds_every_method_rate_and_system_from_one_start():
    cell = next(cell for cell in cells(SMALL) if cell["kind"] == "digits")
    tables = RUNS["digits"](cell, "cpu")
    ends, curves = tables["ends"], tables["curves"]
    assert len(ends) == 3 * 12
    assert not ends.duplicated(["method", "learning_rate", "coordinates"]).any()
    assert ends.best_validation.between(0, 1).all()
    start = curves[curves.epoch.eq(0)].loss
    assert start.max() - start.min() < 1e-4 * start.max()
    assert set(curves.coordinates) == {"original", "EGOP"}
    descent = ends[ends.method.eq("SGD")].pivot(
        index="learning_rate", columns="coordinates", values="final_loss"
    )
    assert (descent.EGOP / descent.original - 1).abs().min() < 1e-3


@pytest.mark.parametrize(
    ("given", "words"),
    [({"batch_size": 5000}, "batch_size"), ({"rates_per_decade": 3}, "rates_per_decade")],
)
def test_impossible_parameters_are_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        resolve(egop_images, "quick", given)


def test_defaults_are_the_quick_profile():
    assert resolve(egop_images, "quick", check_memory=False) == Parameters()
