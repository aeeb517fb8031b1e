"""Tangent gradients are orthogonal to every hidden unit, and are those of the normalised loss."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.problems.on_sphere import on_sphere
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data

P, N, HIDDEN = 12, 30, 3


def made() -> tuple[PhaseRetrieval, torch.Tensor]:
    x, y, w = draw_data("quadratic", N, P, of=("on sphere",), dtype=torch.float64)
    problem = PhaseRetrieval("quadratic", (x,), (y,), (w,), (0, 0), HIDDEN)
    points = torch.stack([seeds.normal(HIDDEN * P, of=("on sphere", "w", t)) for t in range(2)])
    weights = points.view(2, HIDDEN, P)
    weights *= P**0.5 / weights.norm(dim=2, keepdim=True)
    return problem, points


@pytest.mark.parametrize("batch", [None, torch.tensor([[0, 3, 5], [1, 2, 9]])])
def test_the_gradient_is_that_of_the_loss_of_the_normalised_student(batch):
    problem, points = made()
    loss, gradient = on_sphere(problem).loss_and_gradient(points, batch)
    for trial, w in enumerate(points):
        w = w.clone().requires_grad_()
        units = w.view(HIDDEN, P)
        units = units * P**0.5 / units.norm(dim=1, keepdim=True)
        seen = slice(None) if batch is None else batch[trial]
        x, y = problem.inputs[0][seen], problem.targets[0][seen]
        value = (((x @ units.T) ** 2).mean(1) - y).square().sum() / 2
        value.backward()
        torch.testing.assert_close(loss[trial], value.detach(), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradient[trial], w.grad, rtol=1e-10, atol=1e-10)


def test_nothing_is_left_along_a_hidden_unit():
    problem, points = made()
    _, gradient = on_sphere(problem).loss_and_gradient(points)
    along = (gradient.view(2, HIDDEN, P) * points.view(2, HIDDEN, P)).sum(2)
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-9, rtol=0)
    _, whole = problem.loss_and_gradient(points)
    assert (whole.view(2, HIDDEN, P) * points.view(2, HIDDEN, P)).sum(2).abs().max() > 1


def test_trials_taken_stay_on_the_sphere():
    problem, points = made()
    both = on_sphere(problem).loss_and_gradient(points)[1]
    second = on_sphere(problem).take([1]).loss_and_gradient(points[1:])[1]
    torch.testing.assert_close(second[0], both[1])
