"""Convex objectives: losses and gradients from their definitions, rotations, matrices."""

import pytest
import torch
from reference import plain_loss

from hdnotes import seeds
from hdnotes.problems import convex
from hdnotes.problems.convex import Convex, decaying_matrix, orthonormal
from hdnotes.problems.problem import chunks


def make(kind: str, sets: int = 2, data_of: tuple[int, ...] = (0, 1, 1, 0, 1)) -> Convex:
    a = tuple(decaying_matrix(9, torch.linspace(1, 0.1, 5), of=("a", k)) for k in range(sets))
    y = tuple((seeds.normal(9, of=("y", k)) > 0).double() for k in range(sets))
    return Convex(getattr(convex, kind), a, y, data_of)


@pytest.mark.parametrize("kind", ["least_squares", "logistic", "log_sum_exp"])
@pytest.mark.parametrize("data_of", [(0, 1, 1, 0, 1), (0, 0, 0, 1, 1), (1, 0, 1, 0, 1), (1,) * 5])
def test_loss_and_gradient_equal_autograd_of_the_definition(kind, data_of):
    problem = make(kind, data_of=data_of)
    point = seeds.normal(5, 5, of=("point",))
    loss, gradient = problem.loss_and_gradient(point)
    for t, data in enumerate(data_of):
        theta = point[t].clone().requires_grad_()
        value = plain_loss(kind, problem.inputs[data], problem.targets[data], theta)
        (expected,) = torch.autograd.grad(value, theta)
        torch.testing.assert_close(loss[t], value.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[t], expected, rtol=1e-12, atol=1e-12)


def test_the_logistic_loss_keeps_its_digits_far_from_the_boundary():
    loss, _ = convex.logistic(torch.tensor([25.0]), torch.tensor([1.0]))
    torch.testing.assert_close(loss, torch.log1p(torch.exp(torch.tensor(-25.0))), rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", ["least_squares", "logistic", "log_sum_exp"])
def test_a_rotated_problem_is_f_of_v_t(kind):
    problem = make(kind, data_of=(0, 1))
    bases = [orthonormal(5, 5, of=("v", k)) for k in range(2)]
    theta = seeds.normal(2, 5, of=("theta",))
    t = torch.stack([v.T @ x for v, x in zip(bases, theta, strict=True)])
    loss, gradient = problem.loss_and_gradient(theta)
    rotated_loss, rotated = problem.rotated(bases).loss_and_gradient(t)
    torch.testing.assert_close(rotated_loss, loss)
    back = torch.stack([v @ g for v, g in zip(bases, rotated, strict=True)])
    torch.testing.assert_close(back, gradient)


def test_left_singular_vectors_do_not_enter_least_squares():
    """Why the headline problem of `egop` leaves them out."""
    values, right = torch.linspace(1, 0.1, 5), orthonormal(5, 5, of=("right",))
    small = values.unsqueeze(1) * right
    large = orthonormal(9, 5, of=("left",)) @ small
    optimum, point = seeds.normal(5, of=("optimum",)), seeds.normal(2, 5, of=("point",))
    for one, other in zip(
        *(
            Convex(convex.least_squares, (a,), (a @ optimum,), (0, 0)).loss_and_gradient(point)
            for a in (small, large)
        ),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 5, 8, 20, 40])
def test_products_with_a_large_matrix_are_products(rows, monkeypatch):
    monkeypatch.setattr(convex, "LARGE", 0)
    monkeypatch.setattr(convex.devices, "cache_bytes", lambda: 0)
    problem = make("least_squares", 2, (0, 1) * rows)
    point = seeds.normal(2 * rows, 5, of=("point",))
    _, gradient = problem.loss_and_gradient(point)
    for t, data in enumerate(problem.data_of):
        a, y = problem.inputs[data], problem.targets[data]
        torch.testing.assert_close(gradient[t], a.T @ (a @ point[t] - y), rtol=1e-12, atol=1e-12)


def test_a_drawn_matrix_has_its_singular_values_and_haar_vectors():
    values = torch.tensor([1.0, 0.5, 0.1])
    matrix = decaying_matrix(8, values, of=("matrix",))
    torch.testing.assert_close(torch.linalg.svdvals(matrix), values)
    assert not torch.equal(matrix, decaying_matrix(8, values, of=("other",)))
    entries = torch.stack([orthonormal(3, 3, of=("haar", k)) for k in range(2000)])
    assert entries.mean(0).abs().max() < 0.06  # a Haar entry has mean 0 and variance 1/3
    assert (entries.square().mean(0) - 1 / 3).abs().max() < 0.03


def test_take_shares_the_data():
    problem = make("least_squares")
    assert problem.take([4, 4, 0]).inputs[0] is problem.inputs[0]
    assert problem.take([4, 4, 0]).data_of == (1, 1, 0)


def test_chunks_keep_trials_of_a_data_set_together_and_stay_within_the_budget():
    problem = make("least_squares", 4, (3, 0, 1, 1, 2, 0, 3))
    assert chunks(problem, 1 << 40) == [[1, 5, 2, 3, 4, 0, 6]]
    assert chunks(problem, 1) == [[1, 5], [2, 3], [4], [0, 6]]
    wide = Convex(
        convex.least_squares, (torch.zeros(4000, 5),) * 2, (torch.zeros(4000),) * 2, (0, 1)
    )
    assert chunks(wide, 2 * wide.data_bytes) == [[0, 1]]
    assert chunks(wide, 2 * wide.data_bytes - 1) == [[0], [1]]
