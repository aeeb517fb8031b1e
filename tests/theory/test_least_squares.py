"""Every formula against linear algebra written out, a run, or all orders of rows at once."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Drawn
from hdnotes.optimizers import Method
from hdnotes.problems.convex import Convex, decaying_matrix, least_squares
from hdnotes.theory import least_squares as theory
from hdnotes.training import train

N, D = 3, 5


def system(n: int = N, d: int = D) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    a, y, start = (
        seeds.normal(*s, of=("ls", x)) for x, s in (("a", (n, d)), ("y", (n,)), ("s", (d,)))
    )
    return a, y, start


def test_the_projection_solves_and_is_the_nearest() -> None:
    a, y, start = system()
    end = theory.projection(a, y, start)
    torch.testing.assert_close(a @ end, y)
    other = seeds.normal(D, of=("ls", "other"))
    unseen = theory.off_rows(a, other)
    torch.testing.assert_close(a @ unseen, torch.zeros(N), atol=1e-12, rtol=0)
    assert abs(float(unseen @ (end - start))) < 1e-12
    torch.testing.assert_close(theory.off_rows(a, a.T @ y), torch.zeros(D), atol=1e-12, rtol=0)
    both = theory.projection(
        torch.stack([a, a]), torch.stack([y, y]), torch.stack([start, 0 * y.sum() + start])
    )
    torch.testing.assert_close(both[1], end)


@pytest.mark.parametrize("condition", [2.0, 5.0])
def test_gradient_descent_and_the_heavy_ball_have_their_factors(condition: float) -> None:
    values = torch.tensor([condition, condition**0.5, 1.0])
    steps = torch.linspace(-1, 1, 2) * 0 + theory.best_step(condition, 1.0)
    found = (1 - steps[0] * values**2).abs().max()
    assert float(found) == pytest.approx(theory.gd_factor(condition))
    rate, momentum = theory.heavy_ball(condition, 1.0)
    for value in values:
        matrix = torch.tensor([[1 + momentum - rate * float(value) ** 2, -momentum], [1.0, 0.0]])
        radius = torch.linalg.eigvals(matrix).abs().max()
        assert float(radius) == pytest.approx(theory.heavy_ball_factor(condition), rel=1e-6)


def test_no_other_rate_is_better() -> None:
    values, best = np.array([3.0, 2.0, 1.0]), theory.best_step(3.0, 1.0)
    worst = [np.abs(1 - rate * values**2).max() for rate in (best, 0.9 * best, 1.1 * best)]
    assert worst[0] == min(worst) == pytest.approx(theory.gd_factor(3.0))


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_the_mean_square_is_that_of_all_orders_of_rows(rate: float) -> None:
    a, y, _ = system(3, 2)
    a = a / a.norm(dim=1, keepdim=True)
    solution = theory.projection(a, y, torch.zeros(2))
    error = torch.tensor([1.0, -2.0])
    found = theory.sgd_mean_square(a, y - a @ solution, error, rate, 3)
    for steps in range(4):
        squares = []
        for order in product(range(3), repeat=steps):
            point = solution + error
            for i in order:
                point = point - rate * (a[i] @ point - y[i]) * a[i]
            squares.append(float((point - solution).square().sum()))
        assert found[steps] == pytest.approx(sum(squares) / len(squares), rel=1e-12)


def test_kaczmarz_is_bounded_and_the_bound_is_met() -> None:
    a, _, _ = system()
    a = a / a.norm(dim=1, keepdim=True)
    error = a.T @ torch.ones(N)
    found = theory.sgd_mean_square(a, torch.zeros(N), error, 1.0, 20)
    bound = float(error.square().sum()) * theory.kaczmarz_factor(a) ** np.arange(21)
    assert (found <= bound * (1 + 1e-12)).all()
    assert found[-1] < 0.99 * bound[-1]
    even = torch.eye(N, D)
    found = theory.sgd_mean_square(even, torch.zeros(N), even.T @ torch.ones(N), 1.0, 20)
    np.testing.assert_allclose(found, 3 * theory.kaczmarz_factor(even) ** np.arange(21))
    assert theory.kaczmarz_factor(even) == pytest.approx(1 - 1 / N)


def test_row_descent_is_sgd() -> None:
    a, y, start = system()
    rows = Drawn(N, 1, (7, 8))
    points = list(theory.row_descent(a, y, torch.stack([start] * 2), 0.3, rows.at, 30))
    problem = Convex(least_squares, (a,), (y,), (0, 0))
    settings = [Method("SGD")(0.3)] * 2
    run = train(problem, torch.stack([start] * 2), settings, 30, batches=rows)
    assert len(points) == 31
    torch.testing.assert_close(points[-1], run.point, rtol=1e-10, atol=1e-10)


def test_the_mean_of_points_has_its_error() -> None:
    a = decaying_matrix(12, torch.tensor([3.0, 2.0]), of=("ls", "mean"))
    y = seeds.normal(12, of=("ls", "noisy"))
    solution = theory.projection(a, y, torch.zeros(2))
    steps, rate, runs = 2000, 0.2, 300
    said = theory.averaged_mean_square(a, y - a @ solution, -solution, rate, steps)
    rows = Drawn(12, 1, tuple(range(runs)))
    total = torch.zeros(runs, 2)
    for point in theory.row_descent(a, y, torch.zeros(runs, 2), rate, rows.at, steps):
        total += point
    found = float((total / (steps + 1) - solution).square().sum(1).mean())
    assert found == pytest.approx(said[-1], rel=0.25)
    assert said[-1] < said[-1000] < said[100]
    # without noise only the start is left, which a geometric sum gives
    clean = theory.averaged_mean_square(a, torch.zeros(12), -solution, rate, 400)
    gram = a.T @ a / 12
    power = torch.linalg.matrix_power(torch.eye(2) - rate * gram, 401)
    left = torch.linalg.solve(rate * gram, (torch.eye(2) - power) @ solution) / 401
    assert clean[-1] == pytest.approx(float(left.square().sum()), rel=1e-3)
    assert math.isclose(clean[0], float(solution.square().sum()), rel_tol=0.5)
