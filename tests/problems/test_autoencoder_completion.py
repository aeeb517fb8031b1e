"""The completing network: gradients by autograd, draws at their scales."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.problems.autoencoder_completion import AutoencoderCompletion, draw_network
from hdnotes.problems.matrix_completion import MatrixCompletion, draw_low_rank, draw_mask
from hdnotes.problems.spectral_penalties import ratio


def make(penalty) -> AutoencoderCompletion:
    truths = tuple(draw_low_rank(5, 2, of=("t", k)) for k in range(2))
    masks = tuple(draw_mask(5, 14, of=("m", k)) for k in range(2))
    targets = tuple(t * m for t, m in zip(truths, masks, strict=True))
    inner = MatrixCompletion(truths, targets, masks, (0, 1, 0), penalty, (0.1, 0.2, 0.3))
    return AutoencoderCompletion(inner, 4)


@pytest.mark.parametrize("penalty", [None, ratio])
def test_loss_and_gradient_equal_autograd_of_the_definition(penalty):
    problem = make(penalty)
    point = seeds.normal(3, problem.parameters, of=("point",))
    loss, gradient = problem.loss_and_gradient(point)
    for t, data in enumerate(problem.data_of):
        theta = point[t].clone().requires_grad_()
        y, seen = problem.inner.targets[data], problem.inner.masks[data]
        w = torch.relu(y @ theta[:20].view(5, 4)) @ theta[20:].view(4, 5)
        value = ((w - y)[seen] ** 2).mean()
        if penalty:
            sigma = torch.linalg.svdvals(w)
            value = value + problem.inner.weights[t] * sigma.sum() / (sigma**2).sum().sqrt()
        (expected,) = torch.autograd.grad(value, theta)
        torch.testing.assert_close(loss[t], value.detach(), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(gradient[t], expected, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(problem.product(point)[t], w.detach())


def test_some_trials_are_those_trials():
    problem = make(ratio)
    point = seeds.normal(3, problem.parameters, of=("point",))
    whole, part = problem.loss_and_gradient(point), problem.take([2, 1])
    for one, other in zip(whole, part.loss_and_gradient(point[[2, 1]]), strict=True):
        torch.testing.assert_close(other, one[[2, 1]])


def test_weights_are_drawn_at_their_scales():
    point = draw_network(50, 20, of=("n",))
    assert point[:1000].std().item() == pytest.approx(50**-0.5, rel=0.05)
    assert point[1000:].std().item() == pytest.approx(20**-0.5, rel=0.05)
