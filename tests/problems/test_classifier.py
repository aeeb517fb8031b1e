"""The network: losses and gradients equal those of torch.nn, stacked or alone."""

import pytest
import torch
from reference import plain_network

from hdnotes import seeds
from hdnotes.problems.classifier import Classifier, draw_points, layers


@pytest.mark.parametrize("widths", [(4, 3), (4, 5, 3), (4, 6, 5, 3)])
@pytest.mark.parametrize("rows", [None, 7])
def test_loss_and_gradient_equal_torch_nn(widths, rows):
    inputs = seeds.normal(20, 4, of=("inputs",))
    labels = torch.arange(20) % 3
    points = draw_points(widths, 3, "xavier", of=("points",))
    batch = None if rows is None else torch.stack([torch.arange(t, t + rows) for t in range(3)])
    problem = Classifier(widths, inputs, labels, (0, 0, 0))
    loss, gradient = problem.loss_and_gradient(points, batch)
    for t in range(3):
        theta = points[t].clone().requires_grad_()
        pick = slice(None) if batch is None else batch[t]
        value = plain_network(widths, theta, inputs[pick], labels[pick])
        (expected,) = torch.autograd.grad(value, theta)
        torch.testing.assert_close(loss[t], value.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[t], expected, rtol=1e-12, atol=1e-12)


def test_the_digits_network_has_2410_parameters_42_of_them_biases():
    stack = layers((64, 32, 10))
    assert stack[-1].bias.stop == 2410
    assert sum(layer.bias.stop - layer.bias.start for layer in stack) == 42


def test_xavier_points_have_their_scales():
    stack = layers((64, 32, 10))
    points = draw_points((64, 32, 10), 200, "xavier", of=("scales",))
    for layer in stack:
        expected = (2 / (layer.inputs + layer.outputs)) ** 0.5
        assert points[:, layer.weight].std().item() == pytest.approx(expected, rel=0.02)
        biases = points[:, layer.bias]
        assert biases.abs().max() <= layer.inputs**-0.5
        assert biases.std().item() == pytest.approx((3 * layer.inputs) ** -0.5, rel=0.05)
    normal = draw_points((64, 32, 10), 200, "normal", of=("scales",))
    assert normal.std().item() == pytest.approx(1, rel=0.01)
