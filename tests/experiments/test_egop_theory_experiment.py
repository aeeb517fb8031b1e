"""The experiment of chapter `egop_theory`: its loop, its Hessians, its sizes."""

import pandas as pd
import pytest
import torch
from reference import plain_loss

from hdnotes import seeds
from hdnotes.experiments import egop_theory
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.optimizers import Method
from hdnotes.problems.convex import Convex, decaying_matrix, least_squares
from hdnotes.training import train


@pytest.mark.parametrize(
    "given", [{"dimensions": [10**6]}, {"trials": 10**8}, {"instances": 10**9}, {"samples": 10**9}]
)
def test_a_size_that_cannot_fit_is_refused(given):
    with pytest.raises(ParameterError, match="needs about .* of memory"):
        resolve(egop_theory, "quick", given)


@pytest.mark.parametrize("given", [{"dimensions": [2]}, {"decays": [-1.0]}, {"steps": 1}])
def test_impossible_parameters_are_refused(given):
    with pytest.raises(ParameterError, match="is not allowed"):
        resolve(egop_theory, "quick", given)


@pytest.mark.parametrize("profile", egop_theory.PROFILES)
def test_every_profile_fits_in_four_gigabytes_and_asks_for_each_cell_once(profile):
    p = resolve(egop_theory, profile)
    assert egop_theory.memory(p) < 4 << 30
    cells = [str(cell) for cell in egop_theory.cells(p)]
    assert len(set(cells)) == len(cells)


def test_the_paths_are_those_of_the_trainer():
    a = decaying_matrix(6, torch.arange(1, 5) ** -1.0, of=("a",))
    f = Convex(least_squares, (a,), (a @ seeds.normal(4, of=("o",)),), (0, 0))
    start, rate = seeds.normal(2, 4, of=("s",)), torch.tensor([0.1, 2.0])
    table = egop_theory._paths(f, start, rate, torch.ones(2, 4), [5, 30])
    norms = {"l1": lambda point, loss, gradient: gradient.abs().sum(1)}
    settings = [Method("Adagrad")(float(r)) for r in rate]
    for steps in (5, 30):
        found = torch.tensor(table[table.step == steps].mean_l1.to_numpy())
        expected = train(f, start, settings, steps - 1, average=norms).average["l1"]
        torch.testing.assert_close(found.double(), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", ["logistic", "log-sum-exp"])
def test_hessians_equal_autograd(name):
    a = decaying_matrix(6, torch.arange(1, 5) ** -1.0, of=("a",))
    y = egop_theory._targets(a, name, ("targets",))
    points = seeds.normal(3, 4, of=("points",))
    for point, found in zip(points, egop_theory._hessians(name, a, y, points), strict=True):
        kind = name.replace("-", "_")
        expected = torch.autograd.functional.hessian(
            lambda theta, kind=kind: plain_loss(kind, a, y, theta), point
        )
        torch.testing.assert_close(found, expected)


def test_a_problem_is_the_same_whichever_trials_run_beside_it():
    p = resolve(egop_theory, "smoke", {"dimensions": [4], "decays": [1.0], "steps": 10})
    cell = egop_theory.cells(p)[-1]
    two, one = (
        egop_theory.RUNS["race"]({**cell, "trials": trials}, "cpu")["paths"] for trials in (2, 1)
    )
    first = two[two.trial == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first.drop(columns="trial"), one.drop(columns="trial"), rtol=1e-9)


def test_points_of_a_ball_fill_it():
    points = egop_theory._ball(4000, ("test",))
    assert points.norm(dim=1).max() <= 1
    assert (points.norm(dim=1) < 0.5 ** (1 / egop_theory.SMOOTH)).double().mean().item() == (
        pytest.approx(0.5, abs=0.03)
    )


@pytest.mark.parametrize("name", egop_theory.CURVATURE)
def test_curves_are_their_derivatives_and_bend_no_more_than_is_said(name):
    z = torch.linspace(-7, 7, 1000, dtype=torch.float64, requires_grad=True)
    value, slope, bend = egop_theory.curve(name, z)
    (first,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), z)
    torch.testing.assert_close(slope, first)
    torch.testing.assert_close(bend, second)
    assert bend.abs().max().item() == pytest.approx(egop_theory.CURVATURE[name], rel=1e-4)


def test_a_step_where_the_hessian_exceeds_the_constants_breaks_the_inequality():
    a = decaying_matrix(6, torch.arange(1, 5) ** -1.0, of=("a",))
    at = seeds.normal(4, of=("at",))
    hessian = torch.autograd.functional.hessian(lambda x: (a @ x).cos().sum(), at)
    constants = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    excess, along = egop_theory._excess(hessian, constants)
    inside = torch.linalg.eigvalsh(excess * constants.diag() - hessian).min()
    outside = torch.linalg.eigvalsh(excess * constants.diag() + hessian).min()
    assert min(inside, outside).item() == pytest.approx(0, abs=1e-12)
    for factor, broken in ((0.99, True), (1.01, False)):
        ratio = egop_theory._taylor("cosine", a, factor * excess * constants, at, 1e-4 * along)
        assert (ratio > 1) == broken
        assert ratio.item() == pytest.approx(1 / factor, rel=1e-3)
