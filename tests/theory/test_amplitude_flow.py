"""Spectral start and flows: plain loops, gradients by autograd, and where they succeed."""

from itertools import islice

import numpy as np
import pytest
import torch

from hdnotes.experiments.bayes_optimal import ABSOLUTE, FLOWS, draw
from hdnotes.theory import spectral
from hdnotes.theory.amplitude_flow import (
    reweighted_amplitude_flow,
    run,
    sphere_descent,
    truncated_amplitude_flow,
)


def test_leading_eigenvectors_are_those_of_a_dense_decomposition():
    torch.manual_seed(0)
    matrices = torch.randn(3, 30, 30)
    matrices = matrices + matrices.mT
    found = spectral.leading_eigenvector(
        lambda v: (matrices @ v.unsqueeze(-1)).squeeze(-1), torch.randn(3, 30), 30
    )
    exact = torch.linalg.eigh(matrices).eigenvectors[..., -1]
    assert torch.allclose((found * exact).sum(-1).abs(), torch.ones(3), atol=1e-10)


def test_the_spectral_start_is_that_of_the_dense_matrix_and_knows_the_teacher():
    x, teacher, y = draw(ABSOLUTE, 200, 2.0, 0, 4)
    weight = spectral.optimal_weight(y.square(), 2.0)
    found = spectral.spectral_start(x, weight, torch.ones_like(teacher))
    dense = torch.linalg.eigh((x.T * weight.unsqueeze(1)) @ x).eigenvectors[..., -1]
    assert torch.allclose(torch.cosine_similarity(found, dense).abs(), torch.ones(4), atol=1e-6)
    assert torch.allclose(found.norm(dim=-1), torch.full((4,), 200**0.5))
    assert torch.cosine_similarity(found, teacher).abs().min() > 0.4


def test_below_one_half_there_is_no_spectral_start():
    with pytest.raises(ValueError, match="alpha = 0.5 is not allowed"):
        spectral.optimal_weight(torch.ones(1), 0.5)


def problem():
    x, teacher, y = draw(ABSOLUTE, 40, 3.0, 0, 2)
    torch.manual_seed(3)
    return x, y, teacher + 0.5 * torch.randn_like(teacher)


def test_descent_follows_the_gradient_of_the_thesiss_loss_and_stays_on_the_sphere():
    x, y, start = problem()
    w = start.clone().requires_grad_()
    loss = 0.5 * ((w @ x.T).square() - y.square()).square().sum()
    (gradient,) = torch.autograd.grad(loss, w)
    expected = start - 0.005 * gradient
    expected = expected * 40**0.5 / expected.norm(dim=-1, keepdim=True)
    assert torch.allclose(next(sphere_descent(x, y, start)), expected)


def test_truncation_and_weights_are_those_of_the_papers():
    x, y, start = problem()
    n, p = x.shape
    a = np.sqrt(p) * x.numpy()  # the papers' inputs, and z = w / sqrt(p)
    for k in range(2):
        z, psi = start[k].numpy() / np.sqrt(p), y[k].numpy()
        h = a @ z
        flows = {
            truncated_amplitude_flow: (0.6, abs(h) >= psi / 1.7),
            reweighted_amplitude_flow: (2.0, 1 / (1 + 10 * psi / abs(h))),
        }
        for flow, (step, weight) in flows.items():
            expected = z - step / n * a.T @ (weight * (h - psi * np.sign(h)))
            assert np.allclose(next(flow(x, y, start))[k] / np.sqrt(p), expected)


@pytest.mark.parametrize("name", FLOWS)
def test_from_the_spectral_start_three_labels_an_unknown_are_enough_and_one_is_not(name):
    overlaps = {}
    for alpha in (1.0, 3.0):
        x, teacher, y = draw(ABSOLUTE, 200, alpha, 1, 5)
        weight = spectral.optimal_weight(y.square(), alpha)
        start = spectral.spectral_start(x, weight, torch.ones_like(teacher))
        found = run(FLOWS[name](x, y, start), 2000)
        overlaps[alpha] = torch.cosine_similarity(found, teacher).abs()
    assert not (overlaps[1.0] > 0.99).any()  # NaN where it diverged
    assert overlaps[3.0].min() > 0.999


def test_a_run_ends_once_nothing_moves():
    points = (torch.full((2, 3), 1 + 2.0**-k) for k in range(10_000))
    taken = [0]

    def counted():
        for point in points:
            taken[0] += 1
            yield point

    assert torch.allclose(run(counted(), 10_000), torch.ones(2, 3), atol=1e-6)
    assert taken[0] < 100
    assert torch.equal(run(islice(iter([torch.zeros(1, 1)] * 3), 3), 2), torch.zeros(1, 1))
