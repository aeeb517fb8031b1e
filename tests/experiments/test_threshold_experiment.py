"""Cells are Table 4.1 and Figure 4.7; a run goes down the loss without its half."""

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Persistent, redraw_rate
from hdnotes.experiments import students, threshold
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.experiments.threshold import Parameters, cells, doubled
from hdnotes.problems.phase_retrieval import draw_start, project
from hdnotes.reference import points


def paper() -> pd.DataFrame:
    return pd.DataFrame(cells(resolve(threshold, "paper", check_memory=False)))


def test_the_paper_profile_has_every_row_of_the_table_and_the_texts_budget():
    table = paper()
    best = table[table.kind.eq("success") & table.momenta.map(lambda one: one == ["Nesterov"])]
    ours = set(zip(best.alpha, best.learning_rate, strict=True))
    theirs = points("threshold")
    assert set(zip(theirs.alpha, theirs.learning_rate, strict=True)) <= ours
    assert (1.4, 0.012) in ours
    assert set(table.epochs[table.features.eq(1024)]) == {200_028}
    assert set(table.sets) == {1}


def test_easy_cells_come_first_and_none_twice():
    table = paper()
    assert table.alpha.is_monotonic_decreasing
    assert not table.drop(columns="kind").astype(str).duplicated().any()
    times = table[table.learning_rate.eq(0.01) & table.momenta.map(lambda one: one != ["none"])]
    assert set(times.features) == {512, 1024}
    assert times.groupby("alpha").features.nunique().eq(2).all()


def cell(batches: str, alpha: float, **change) -> dict:
    small = Parameters(
        features=16, sizes=(16,), persistent_alphas=(8.0,), descent_alphas=(8.0,), data_sets=1
    )
    (found,) = [
        one
        for one in cells(small)
        if (one["batches"], one["alpha"], one["momenta"]) == (batches, alpha, ["none"])
    ]
    return {**found, **change}


@pytest.mark.parametrize("batches", ["full", "persistent"])
def test_a_run_is_the_plain_loop_on_the_loss_without_its_half(batches):
    asked = cell(batches, 8.0, epochs=10, starts=1)
    found = doubled([asked], "cpu")[0]["runs"]
    problem = students.draw_problem(asked, "cpu")
    (x,), (y,) = problem.inputs, problem.targets
    name = ("phase retrieval", "quadratic", 16, 128, 0, "start", 0)
    stream, rate = seeds.seed(*name, "switches"), redraw_rate(0.01, 0.5, 2.0)
    masks = Persistent(128, 0.5, (rate,), (stream,))
    point = draw_start(1, 16, of=name).unsqueeze(0)
    for step in range(10 if batches == "full" else 20):
        kept = masks.at(step)[0] if batches == "persistent" else torch.ones(128)
        w = point[0].clone().requires_grad_()
        (kept * ((x @ w) ** 2 - y) ** 2).sum().backward()
        point = (w.detach() - 0.01 * w.grad).unsqueeze(0)
        project(point, 16)
    overlap = (point[0] @ problem.teachers[0]).abs().item() / 16
    np.testing.assert_allclose(found.overlap, overlap, rtol=1e-4)


def test_gd_on_this_loss_takes_hundreds_of_epochs_at_six_samples_a_dimension():
    asked = cell("full", 8.0) | {"alpha": 6.0, "features": 512, "starts": 3, "epochs": 1000}
    found = doubled([asked], "cpu")[0]["runs"]
    done = found[found.test_error < 5e-3]
    assert len(done) >= 2
    assert done.epochs.between(100, 1000).all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"large_rate": 0}, "large_rate = 0.0 is not allowed"),
        ({"momentum": 1.0}, "momentum = 1.0 is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(threshold, "quick", given)
