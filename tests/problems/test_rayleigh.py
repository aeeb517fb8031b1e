"""The Rayleigh quotient: its gradient, its invariance, its minimiser."""

import torch

from hdnotes import seeds
from hdnotes.problems.rayleigh import Rayleigh

X = seeds.normal(30, 5, of=("rayleigh",))
PROBLEM = Rayleigh(X, (0, 0))


def test_the_gradient_is_that_of_the_definition():
    theta = seeds.normal(2, 5, of=("rayleigh", "point")).requires_grad_()
    batch = torch.stack([torch.arange(10), torch.arange(5, 15)])
    moments = torch.stack([X[rows].T @ X[rows] / 10 for rows in batch])
    value = -torch.einsum("ti,tij,tj->t", theta, moments, theta) / theta.square().sum(1)
    (expected,) = torch.autograd.grad(value.sum(), theta)
    loss, gradient = PROBLEM.loss_and_gradient(theta.detach(), batch)
    torch.testing.assert_close(loss, value.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


def test_the_leading_component_is_its_minimiser_at_any_length():
    values, vectors = torch.linalg.eigh(X.T @ X / 30)
    loss, gradient = PROBLEM.loss_and_gradient(torch.stack([vectors[:, -1], 9 * vectors[:, -1]]))
    torch.testing.assert_close(loss, -values[-1].expand(2))
    assert gradient.abs().max() < 1e-12
